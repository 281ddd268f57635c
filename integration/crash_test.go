//go:build linux

package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "run only this seed of TestCrash")
	crashSeeds = flag.Int("crash.seeds", 10, "number of seeds of TestCrash")
	crashHarsh = flag.Bool("crash.harsh", false, "mount again while requests of the dead are on their way to pCloud, and fsync folders while others write")
)

// TestCrash kills mounts at random moments of random work and mounts again.
// What was closed has to be there, what was fsynced had to be in pCloud before,
// nothing may be half, ever, and files keep their inode numbers.
func TestCrash(t *testing.T) {
	t.Parallel()
	needMount(t)
	var total crashTotals
	t.Run("seeds", func(t *testing.T) {
		slots := make(chan struct{}, 3)
		for seed := range slowed(*crashSeeds, *crashSeed) {
			if *crashSeed != 0 && seed+1 != *crashSeed {
				continue
			}
			t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				crash(t, seed+1, &total)
			})
		}
	})
	t.Logf("killed with %d closed files not in pCloud, %d upload sessions open; %d fsynced files checked; %d mounts killed while they recovered",
		total.pending.Load(), total.uploading.Load(), total.synced.Load(), total.again.Load())
	if *crashSeed == 0 && !t.Failed() {
		require.Positive(t, total.pending.Load(), "no run had anything pending when it was killed")
		require.Positive(t, total.synced.Load(), "no run had fsynced anything")
	}
}

// slowed is a number of seeds, or half of it under the race detector unless only
// one of them is wanted.
func slowed(seeds int, only uint64) uint64 {
	if raceDetector && only == 0 {
		seeds = (seeds + 1) / 2
	}
	return uint64(seeds)
}

// crashTotals show that the runs had what they are for.
type crashTotals struct{ pending, uploading, synced, again atomic.Int64 }

func crash(t *testing.T, seed uint64, total *crashTotals) {
	defer func() {
		if t.Failed() {
			t.Logf("again with -run '^TestCrash$' -crash.seed=%d -crash.seeds=%d (what happens when is not repeated)", seed, seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 1))
	e := startEmulator(t, "--rtt", fmt.Sprint(rng.IntN(20), "ms"), "--up", fmt.Sprint(1+rng.IntN(20), "M"))
	watcher := watch(t, e)
	connections := e.stats(t).Connections
	m := startMount(t, e, mountOptions{})
	workers, syncs := 1+rng.IntN(4), 1
	if workers == 1 || *crashHarsh {
		syncs = 2
	}
	work := startWorkload(t, m, seed, workers, 6<<20, syncs)
	work.wait(time.Duration(200+rng.IntN(3000)) * time.Millisecond)
	killed := time.Now()
	m.kill(t)
	server := serverTree(t, e, "data/")
	total.uploading.Add(e.stats(t).UploadSessions)
	h := work.end(t)
	for _, f := range h.failed {
		if at := time.Unix(0, f.At); at.Before(killed) {
			t.Errorf("%s of %s failed %v before the kill: %s", f.Kind, f.Path, killed.Sub(at), f.Err)
		}
	}
	problems, synced := h.checkSynced(server)
	require.Empty(t, problems, "what pCloud had when the mount was killed")
	total.synced.Add(int64(synced))
	total.pending.Add(int64(h.pending(server)))

	settle := func() {
		if !*crashHarsh {
			eventually(t, patience, "pCloud has read what the dead have sent", func() bool { return e.stats(t).Connections <= connections })
		}
	}
	settle()
	for rng.IntN(3) == 0 { // killed again while it recovers
		m = m.remount(t)
		m.wait(time.Duration(rng.IntN(700)) * time.Millisecond)
		m.kill(t)
		settle()
		total.again.Add(1)
	}
	m = m.remount(t)
	require.Empty(t, h.check(mountTree(t, m.Dir), killed), "the mount after the crash")
	m.stop(t)
	require.Empty(t, h.check(serverTree(t, e, "data/"), killed), "pCloud in the end")
	for v, where := range watcher.stop(t) {
		if !h.known[v] {
			t.Errorf("pCloud showed bytes that are no version of any file: %s", where)
		}
	}
}

// workload is the program that writes to a mount.
type workload struct {
	*process
	log   string
	stdin io.Closer
}

func startWorkload(t *testing.T, m *mount, seed uint64, workers, largest, syncs int) *workload {
	t.Helper()
	w := &workload{log: filepath.Join(t.TempDir(), "log")}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, m.Dir, w.log, fmt.Sprint(seed), fmt.Sprint(workers), fmt.Sprint(largest), fmt.Sprint(syncs))
	cmd.Env = append(os.Environ(), childEnv+"=crash workload")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	w.stdin = stdin
	w.process = startProcess(t, "workload", cmd)
	return w
}

// end lets the workload finish what it is doing and returns what it did.
func (w *workload) end(t *testing.T) *crashHistory {
	t.Helper()
	_ = w.stdin.Close()
	require.True(t, w.process.wait(patience), "the workload does not end")
	require.Zero(t, w.exitCode(), "exit status of the workload\n%s", w.stderr.tail())
	return readHistory(t, w.log)
}

// serverTree is what pCloud has below a folder.
func serverTree(t *testing.T, e *emulator, prefix string) crashTree {
	t.Helper()
	tree := crashTree{}
	for p, f := range e.tree(t) {
		if rel, ok := strings.CutPrefix(p, prefix); ok {
			tree[rel] = crashFile{Data: sums{Size: f.Size, SHA1: f.SHA1}}
		}
	}
	return tree
}

// mountTree is what a mount shows, read to the last byte.
func mountTree(t *testing.T, dir string) crashTree {
	t.Helper()
	tree := crashTree{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		n, err := io.Copy(sum, f)
		if err != nil {
			return err
		}
		st, err := f.Stat()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		tree[rel] = crashFile{
			Data: sums{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))},
			Ino:  st.Sys().(*syscall.Stat_t).Ino,
		}
		return err
	})
	require.NoError(t, err)
	return tree
}
