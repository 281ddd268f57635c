//go:build linux

package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOffline takes the server away in the middle of "cp -r": first it does not
// answer, then it is gone, and then it comes back. Nobody sees an error, and
// everything is there afterwards.
func TestOffline(t *testing.T) {
	t.Parallel()
	needMount(t)
	needTools(t, "cp")
	e := startEmulator(t, "--data", filepath.Join(t.TempDir(), "account"), "--up", "20M")
	m := startMount(t, e, mountOptions{})
	src := filepath.Join(t.TempDir(), "src")
	want := makeSource(t, src, 12, 25)

	cp := exec.Command("cp", "-r", src, m.path("copy"))
	p := startProcess(t, "cp", cp)
	eventually(t, patience, "a part is uploaded", func() bool { return len(e.tree(t)) >= 20 })
	e.signal(syscall.SIGSTOP)
	p.wait(3 * time.Second)
	e.signal(syscall.SIGKILL)
	<-e.done
	p.wait(3 * time.Second)
	readFor(t, m) // what is known can be seen without pCloud
	e.restart(t)
	require.True(t, p.wait(2*time.Minute), "cp does not end")
	require.Zero(t, p.exitCode(), "cp: %s", p.stderr.String())
	require.Empty(t, p.stderr.String())

	got := map[string]string{}
	for path, f := range mountTree(t, m.path("copy")) {
		got[path] = f.Data.SHA256
	}
	require.Equal(t, sumsBy(want, func(s sums) string { return s.SHA256 }), got, "the mount")
	m.stop(t)
	got = map[string]string{}
	for path, f := range serverTree(t, e, "data/copy/") {
		got[path] = f.Data.SHA1
	}
	require.Equal(t, sumsBy(want, func(s sums) string { return s.SHA1 }), got, "pCloud")
}

// readFor checks that the mount answers while the server is gone.
func readFor(t *testing.T, m *mount) {
	t.Helper()
	begin := time.Now()
	var st syscall.Statfs_t
	require.NoError(t, syscall.Statfs(m.Dir, &st))
	_, err := os.Stat(m.Dir)
	require.NoError(t, err)
	require.Less(t, time.Since(begin), 2*time.Second, "statfs and stat of the mount while the server is gone")
}

func sumsBy(all map[string]sums, f func(sums) string) map[string]string {
	by := map[string]string{}
	for p, s := range all {
		by[p] = f(s)
	}
	return by
}

// makeSource makes folders with files of all sizes and returns what is in them.
func makeSource(t *testing.T, dir string, folders, files int) map[string]sums {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	random := rand.NewChaCha8([32]byte{7})
	want := map[string]sums{}
	for i := range folders {
		folder := fmt.Sprintf("folder %d", i)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
		for j := range files {
			size := rng.IntN(100 << 10)
			if rng.IntN(50) == 0 {
				size = 5<<20 + rng.IntN(3<<20)
			}
			data := make([]byte, size)
			_, err := random.Read(data)
			require.NoError(t, err)
			name := filepath.Join(folder, fmt.Sprintf("file %d", j))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
			want[name] = sumsOf(data)
		}
	}
	return want
}
