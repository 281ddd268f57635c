package control

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirOfUsers(t *testing.T) {
	t.Parallel()
	env := func(kv ...string) func(string) string {
		return func(key string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == key {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	tests := []struct {
		name   string
		getenv func(string) string
		uid    int
		want   string
	}{
		{"by itself", env(EnvDir, "/x", "XDG_RUNTIME_DIR", "/y"), 5, "/x"},
		{"session", env("XDG_RUNTIME_DIR", "/y"), 5, "/y/pcloudfs"},
		{"relative paths are ignored", env("XDG_RUNTIME_DIR", "y"), 987654, "/tmp/pcloudfs-987654"},
		{"no session", env(), 987654, "/tmp/pcloudfs-987654"},
		{"no session, own directory", env("TMPDIR", "/home/x"), 987654, "/home/x/pcloudfs-987654"},
		{"root has no session", env("XDG_RUNTIME_DIR", "/run/user/5"), 0, usualDirs(0)[0]},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, Dir(tt.getenv, tt.uid), tt.name)
	}
	s := NewSearch(env("XDG_RUNTIME_DIR", "/y"), 5, 987654)
	require.Equal(t, []string{"/y/pcloudfs", "/run/user/5/pcloudfs", "/tmp/pcloudfs-5", "/run/user/987654/pcloudfs", "/tmp/pcloudfs-987654"}, s.Dirs)
	require.Equal(t, []int{5, 987654, 0}, s.UIDs)
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := Connect(t.Context(), mountpoint, w.search)
	require.ErrorIs(t, err, ErrNone)
	require.Empty(t, w.search.Mounts())
}

func TestStaleSocketIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, makeDir(w.dir))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(w.dir, baseName(mountpoint)+socketSuffix), Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false) // as kill -9 leaves it
	require.NoError(t, l.Close())
	_, err = Connect(t.Context(), mountpoint, w.search)
	require.ErrorIs(t, err, ErrNone)

	w.serve(newFake())
	w.connect()
	require.Equal(t, []Info{w.info()}, w.search.Mounts())
}

func TestLaterMountTakesThePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := newFake(), newFake()
	second.status.Pending = 2
	s := w.serve(first)
	w.serve(second)
	require.Equal(t, 2, w.connect().State().Queue.Pending)
	first.end(nil)
	s.Close()
	require.Equal(t, 2, w.connect().State().Queue.Pending, "it must not remove what is not its own")
	_, known := w.search.Remembered(mountpoint)
	require.True(t, known)
}

func TestOnlyTheOwnerMayConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(newFake())
	fi, err := os.Stat(w.dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), fi.Mode().Perm())
	fi, err = os.Stat(filepath.Join(w.dir, baseName(mountpoint)+socketSuffix))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), fi.Mode().Perm())
	fi, err = os.Stat(filepath.Join(w.dir, baseName(mountpoint)+infoSuffix))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), fi.Mode().Perm())

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	require.NoError(t, err)
	g := &guarded{UnixListener: l, log: slog.New(slog.DiscardHandler), allow: []int{os.Geteuid() + 1}}
	accepted := make(chan error, 1)
	go func() {
		_, err := g.Accept()
		accepted <- err
	}()
	conn, err := net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err, "a stranger is turned away")
	conn.Close()
	l.Close()
	require.ErrorIs(t, <-accepted, net.ErrClosed)
}

func TestOthersDirectoriesAreNotTrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(newFake())
	strangers := Search{Dirs: w.search.Dirs, UIDs: []int{os.Getuid() + 1}}
	_, err := Connect(t.Context(), mountpoint, strangers)
	require.ErrorContains(t, err, "belongs to somebody else")
	_, known := strangers.Remembered(mountpoint)
	require.False(t, known)
	require.Empty(t, strangers.Mounts())

	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	_, err = Serve(open, w.info(), newFake(), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "chmod 700")
	require.NoError(t, os.WriteFile(open+"x", nil, 0o600))
	_, err = Serve(open+"x", w.info(), newFake(), slog.New(slog.DiscardHandler))
	require.Error(t, err)
}

func TestLongDirectories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if usualDirs(0)[0] != "/run/pcloudfs" {
		t.Skip("only Linux has short names for them")
	}
	w.dir = filepath.Join(w.dir, strings.Repeat("x", 120))
	require.NoError(t, os.MkdirAll(w.dir, 0o700))
	w.search.Dirs = []string{w.dir}
	w.serve(newFake())
	w.connect()
}

func TestSweepRemovesWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, makeDir(w.dir))
	const noProcess = 1<<30 - 1
	write := func(name, cacheDir string, pid int) {
		require.NoError(t, writeInfo(filepath.Join(w.dir, name+infoSuffix), Info{Mountpoint: "/" + name, CacheDir: cacheDir, PID: pid}))
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, name+socketSuffix), nil, 0o600))
	}
	gone := filepath.Join(w.dir, "gone")
	write("dead", gone, noProcess)
	write("alive", gone, os.Getpid())
	write("kept", w.dir, noProcess)
	sweep(w.dir)
	left, err := filepath.Glob(filepath.Join(w.dir, "*"+infoSuffix))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(w.dir, "alive"+infoSuffix), filepath.Join(w.dir, "kept"+infoSuffix)}, left)
	require.NoFileExists(t, filepath.Join(w.dir, "dead"+socketSuffix))
}
