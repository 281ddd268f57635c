package fs_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/fs"
	"github.com/pcloudfs/pcloudfs/fs/fstest"
)

// childEnv makes the test binary do the work of a child process: what a process
// must not do on a mount that it serves itself.
const childEnv = "PCLOUDFS_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		children[what](os.Args[1:])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child returns the command that runs children[what].
func child(t *testing.T, what string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	cmd.Stderr = os.Stderr
	return cmd
}

// newMount mounts a new volume with the usual modes.
func newMount(t *testing.T) (string, *fakeVolume) {
	t.Helper()
	return newMountWith(t, fs.Options{Umask: 0o022})
}

func newMountWith(t *testing.T, o fs.Options) (string, *fakeVolume) {
	t.Helper()
	v := newFakeVolume()
	return fstest.Mount(t, v, o), v
}

// startMount mounts a new volume; the test may unmount it, and make it panic.
func startMount(t *testing.T) (*fs.Mounted, *fakeVolume) {
	t.Helper()
	fstest.SkipUnlessFUSE(t)
	v := newFakeVolume()
	m, err := fs.Mount(t.TempDir(), v, fs.Options{FsName: "test"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.UnmountLazy()); m.Wait() })
	return m, v
}

// longTimeouts let the kernel keep all it knows.
func longTimeouts() fs.Options {
	return fs.Options{Umask: 0o022, EntryTimeout: time.Hour, AttrTimeout: time.Hour, NegativeTimeout: time.Hour}
}

// noTimeouts make the kernel ask each time.
func noTimeouts() fs.Options {
	return fs.Options{Umask: 0o022, EntryTimeout: -1, AttrTimeout: -1}
}

func stat(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	var st syscall.Stat_t
	require.NoError(t, syscall.Stat(path, &st), path)
	return &st
}

func withFile(path string, fn func(*os.File) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(fn(f), f.Close())
}

// failing makes one operation fail.
func failing(op string, err error) func(context.Context, string, cache.NodeID) error {
	return func(_ context.Context, o string, _ cache.NodeID) error {
		if o == op {
			return err
		}
		return nil
	}
}
