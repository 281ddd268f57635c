//go:build linux

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// slowMount is a mount with more closed files than its line takes in a while.
func slowMount(t *testing.T, files int) (*emulator, *mount) {
	t.Helper()
	needMount(t)
	e := startEmulator(t, "--up", "1M")
	m := startMount(t, e, mountOptions{})
	for i := range files {
		writeRandom(t, m.path(fmt.Sprintf("file%d", i)), 500_000)
	}
	return e, m
}

func TestUnmountDrains(t *testing.T) {
	t.Parallel()
	e, m := slowMount(t, 6)
	require.Less(t, len(e.tree(t)), 6, "nothing is left to be uploaded")
	m.stop(t)
	require.Len(t, e.tree(t), 6)
}

func TestSecondSignalStopsWaiting(t *testing.T) {
	t.Parallel()
	e, m := slowMount(t, 20)
	m.ended = true
	m.signal(syscall.SIGTERM)
	m.waitFor(t, &m.stderr, regexp.MustCompile(`msg=unmounting`), patience)
	eventually(t, patience, "it is unmounted", func() bool { return mountedAt(m.Dir) == nil })
	require.False(t, m.process.ended(), "it does not wait for the uploads")
	m.signal(syscall.SIGTERM)
	begin := time.Now()
	require.True(t, m.wait(patience))
	require.Less(t, time.Since(begin), 5*time.Second, "the second signal does not stop it")
	require.Equal(t, 1, m.exitCode())
	require.Regexp(t, `[0-9]+ changes \([0-9]+ bytes\) are not in pCloud`, m.stderr.String())
	there := len(e.tree(t))
	require.Less(t, there, 20, "nothing was left")

	e.shape(t, map[string]any{"up": "0"})
	m = m.remount(t)
	begin = time.Now()
	names, err := os.ReadDir(m.Dir) // usable at once
	require.NoError(t, err)
	require.Len(t, names, 20)
	require.NoError(t, os.WriteFile(m.path("more"), []byte("more"), 0o644))
	require.Less(t, time.Since(begin), 3*time.Second)
	m.stop(t)
	require.Len(t, e.tree(t), 21)
}

// TestUnmountFromOutside takes the mount point away by other means while uploads
// are pending: the process goes on until they are done.
func TestUnmountFromOutside(t *testing.T) {
	t.Parallel()
	for name, unmount := range map[string]func(t *testing.T, dir string) error{
		"fusermount3 -u": func(t *testing.T, dir string) error {
			needTools(t, "fusermount3")
			return exec.Command("fusermount3", "-u", dir).Run()
		},
		"umount2": func(t *testing.T, dir string) error {
			needRoot(t)
			return unix.Unmount(dir, 0)
		},
		"umount2 detached": func(t *testing.T, dir string) error {
			needRoot(t)
			return unix.Unmount(dir, unix.MNT_DETACH)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, m := slowMount(t, 6)
			require.Less(t, len(e.tree(t)), 6, "nothing is left to be uploaded")
			require.NoError(t, unmount(t, m.Dir))
			m.ended = true
			require.Nil(t, mountedAt(m.Dir))
			require.True(t, m.wait(drainLimit), "the process does not end")
			require.Zero(t, m.exitCode(), m.stderr.tail())
			require.Len(t, e.tree(t), 6)
		})
	}
}
