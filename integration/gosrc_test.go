//go:build linux

package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGoSource copies the source of Go's standard library into a mount and
// reads it back from a mount that has seen nothing of it, and from the other
// side with rclone.
func TestGoSource(t *testing.T) {
	needMount(t)
	needTools(t, "tar", "rclone")
	src := goSource(t)
	e := startEmulator(t)
	want := readTree(t, src)
	files, bytes := 0, int64(0)
	for name, f := range want {
		if !strings.HasSuffix(name, "/") {
			files++
			bytes += f.Size
		}
	}
	m := startMount(t, e, mountOptions{})
	clock := newStopwatch(t, e)
	script(t, m.Dir, "mkdir src; tar -cf - -C "+src+" . | tar -xf - -C src")
	clock.lap("tar into the mount")
	m.stop(t)
	clock.lap("drain at unmount")
	t.Logf("%d files, %d directories, %.1f MB", files, len(want)-files, float64(bytes)/1e6)

	onServer := e.tree(t)
	require.Len(t, onServer, files, "files in pCloud")
	clock.reset()
	m = m.remountEmpty(t)
	clock.lap("mount with an empty cache")
	got := readTree(t, m.path("src"))
	clock.lap("read back")
	requireSameTree(t, want, got)
	requireSameTree(t, want, readTree(t, m.path("src")))
	clock.lap("read again")

	r := newRclone(t, e, e.AppToken)
	checkWithRclone(t, r, src, "emu:data/src")
	clock.lap("rclone check --checksum")

	// The same the other way round: what rclone says about a part, checked here.
	sums := filepath.Join(t.TempDir(), "SHA1SUMS")
	part := filepath.Join("src", filepath.Base(firstDir(t, src)))
	r.run(t, "hashsum", "sha1", "emu:data/"+part, "--output-file", sums, "--checkers", "8")
	command{dir: m.path(part)}.run(t, "sha1sum", "--check", "--quiet", "--strict", sums)
	b, err := os.ReadFile(sums)
	require.NoError(t, err)
	require.NotZero(t, strings.Count(string(b), "\n"))
	clock.lap("rclone hashsum, sha1sum --check of " + part)
}

// firstDir is the first directory in dir.
func firstDir(tb testing.TB, dir string) string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(tb, err)
	i := slices.IndexFunc(entries, os.DirEntry.IsDir)
	require.GreaterOrEqual(tb, i, 0)
	return filepath.Join(dir, entries[i].Name())
}

// checkWithRclone compares dir with what rclone sees at remote, hashes included.
// rclone allows itself 100 requests a second, one for each file, so some of them
// share the work: each but the last checks certain directories, the last one all
// that is not theirs, so that nothing that is too much goes unseen.
func checkWithRclone(tb testing.TB, r *rclone, dir, remote string) {
	tb.Helper()
	const processes = 6
	parts := partition(tb, dir, processes-1)
	var others []string
	failures := make([]error, processes)
	var wg sync.WaitGroup
	for i := range processes {
		var filters []string
		if i < processes-1 {
			for _, d := range parts[i] {
				filters = append(filters, "+ /"+d+"/**")
				others = append(others, "- /"+d+"/**")
			}
			filters = append(filters, "- *")
		} else {
			filters = others
		}
		file := filepath.Join(tb.TempDir(), "filters")
		require.NoError(tb, os.WriteFile(file, []byte(strings.Join(filters, "\n")+"\n"), 0o644))
		wg.Go(func() {
			out, err := r.try(tb, "check", "--checksum", dir, remote, "--filter-from", file, "--checkers", "8")
			switch {
			case err != nil:
				failures[i] = fmt.Errorf("rclone check: %w\n%s", err, out)
			case !strings.Contains(out, " 0 differences found"), strings.Contains(out, "hashes could not be checked"):
				failures[i] = fmt.Errorf("rclone check did not check everything:\n%s", out)
			}
		})
	}
	wg.Wait()
	require.NoError(tb, errors.Join(failures...))
}

// partition deals directories two levels down in dir out to n parts, so that
// each has about the same number of files and all but one in n+1 are in them.
func partition(tb testing.TB, dir string, n int) [][]string {
	tb.Helper()
	var total int
	var dirs []string
	count := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		total++
		rel, err := filepath.Rel(dir, path)
		if elem := strings.Split(rel, "/"); len(elem) > 2 {
			key := elem[0] + "/" + elem[1]
			if count[key]++; count[key] == 1 {
				dirs = append(dirs, key)
			}
		}
		return err
	})
	require.NoError(tb, err)
	parts, i, have := make([][]string, n), 0, 0
	for _, d := range dirs {
		if have >= total/(n+1) {
			if i, have = i+1, 0; i == n {
				break
			}
		}
		parts[i], have = append(parts[i], d), have+count[d]
	}
	return parts
}

// goSource is a tree of about 10,000 files, or for the race detector, under
// which everything takes ten times as long, a part of it.
func goSource(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(tb, err)
	src := filepath.Join(strings.TrimSpace(string(out)), "src")
	if raceDetector && !*long {
		src = filepath.Join(src, "cmd", "compile")
	}
	src, err = filepath.EvalSymlinks(src)
	require.NoError(tb, err)
	return src
}

// stopwatch logs how long things took and how many requests.
type stopwatch struct {
	tb    testing.TB
	e     *emulator
	start time.Time
}

func newStopwatch(tb testing.TB, e *emulator) *stopwatch {
	s := &stopwatch{tb: tb, e: e}
	s.reset()
	return s
}

func (s *stopwatch) reset() {
	s.e.resetStats(s.tb)
	s.start = time.Now()
}

func (s *stopwatch) lap(what string) {
	s.tb.Helper()
	took := time.Since(s.start)
	st := s.e.stats(s.tb)
	s.tb.Logf("%-40s %7.2f s %6d requests %v", what, took.Seconds(), st.total(), st.Requests)
	s.reset()
}
