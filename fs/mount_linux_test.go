package fs_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pcloudfs/pcloudfs/fs"
	"github.com/pcloudfs/pcloudfs/fs/fstest"
)

func TestMountPoint(t *testing.T) {
	t.Parallel()
	fstest.SkipUnlessFUSE(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, tc := range []struct {
		dir  string
		want error
		says string
	}{
		{filepath.Join(dir, "missing"), os.ErrNotExist, "does not exist"},
		{file, syscall.ENOTDIR, "not a directory"},
	} {
		_, err := fs.Mount(tc.dir, newFakeVolume(), fs.Options{})
		require.ErrorIs(t, err, tc.want)
		require.ErrorContains(t, err, tc.says)
		require.ErrorContains(t, err, tc.dir)
	}
}

func TestMountOnFullDirectoryThroughLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	require.NoError(t, os.MkdirAll(filepath.Join(real, "covered"), 0o755))
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	m := fstest.Start(t, filepath.Join(dir, "link"), newFakeVolume(), fs.Options{})
	require.Equal(t, real, m.Dir())
	require.NoDirExists(t, filepath.Join(real, "covered"))
	require.NoError(t, m.Unmount())
	require.DirExists(t, filepath.Join(real, "covered"))
	require.NoError(t, m.Unmount(), "again")
}

func info(t *testing.T, dir string) *mountinfo.Info {
	t.Helper()
	list, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
	require.NoError(t, err)
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func TestMountTable(t *testing.T) {
	t.Parallel()
	root := os.Getuid() == 0 // users need a line in /etc/fuse.conf to let others in
	mnt, _ := newMountWith(t, fs.Options{FsName: "pcloud://api.pcloud.com/a, b", ReadOnly: true, AllowOther: root})
	i := info(t, mnt)
	require.NotNil(t, i)
	require.Equal(t, "fuse.pcloudfs", i.FSType)
	require.Equal(t, "pcloud://api.pcloud.com/a, b", i.Source)
	require.Contains(t, i.Options, "ro")
	require.Contains(t, i.Options, "nosuid")
	require.Contains(t, i.Options, "nodev")
	require.Contains(t, i.VFSOptions, "default_permissions")
	require.Equal(t, root, strings.Contains(i.VFSOptions, "allow_other"))
}

func TestUnmountOfBusyMount(t *testing.T) {
	t.Parallel()
	m, _ := startMount(t)
	f, err := os.Create(m.Dir() + "/f")
	require.NoError(t, err)
	require.ErrorIs(t, m.Unmount(), syscall.EBUSY)
	_, err = f.WriteString("still there")
	require.NoError(t, err)

	require.NoError(t, m.UnmountLazy())
	require.Nil(t, info(t, m.Dir()))
	second := fstest.Start(t, m.Dir(), newFakeVolume(), fs.Options{})
	require.NoError(t, m.UnmountLazy())
	require.ErrorIs(t, m.Unmount(), syscall.EBUSY)
	require.NotNil(t, info(t, m.Dir()), "the second mount is not meant")
	require.NoError(t, second.Unmount())
	_, err = f.WriteString(", and usable")
	require.NoError(t, err)
	select {
	case <-m.Done():
		t.Fatal("files are open")
	default:
	}
	require.NoError(t, f.Close())
	m.Wait()
	require.NoError(t, m.Unmount())
}

func TestUnmountBySomebodyElse(t *testing.T) {
	t.Parallel()
	m, _ := startMount(t)
	require.NoError(t, fs.Detach(m.Dir()))
	m.Wait()
	require.NoError(t, m.Unmount())
	require.NoError(t, m.UnmountLazy())
	require.Error(t, fs.Detach(m.Dir()), "nothing is mounted there")
}

// TestStaleMountPoint: what a killed process leaves behind.
func TestStaleMountPoint(t *testing.T) {
	t.Parallel()
	fstest.SkipUnlessFUSE(t)
	dir := t.TempDir()
	require.False(t, fs.IsStale(dir))
	require.False(t, fs.IsStale(filepath.Join(dir, "missing")))

	cmd := child(t, "serve", dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NotNil(t, info(t, dir))
	require.False(t, fs.IsStale(dir))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	require.True(t, fs.IsStale(dir))
	_, err = fs.Mount(dir, newFakeVolume(), fs.Options{})
	require.ErrorIs(t, err, fs.ErrStale)
	require.ErrorContains(t, err, "fusermount3 -u -z "+dir)
	require.NoError(t, fs.Detach(dir))
	require.False(t, fs.IsStale(dir))
}

// childServe mounts, says so, and waits. It has started a program, which must not
// keep the mount alive.
func childServe(args []string) {
	if _, err := fs.Mount(args[0], newFakeVolume(), fs.Options{}); err != nil {
		panic(err)
	}
	for _, fd := range openDevices() {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			panic("the FUSE device would be inherited")
		}
	}
	os.Stdout.WriteString(".")
	select {}
}

func openDevices() (fds []int) {
	for fd := range 100 {
		var st unix.Stat_t
		// 10, 229 is /dev/fuse.
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(10, 229) {
			fds = append(fds, fd)
		}
	}
	return fds
}

func TestAllowOtherNeedsConfiguration(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]bool{
		"":                                false,
		"user_allow_other\n":              true,
		"  user_allow_other  ":            true,
		"# user_allow_other\n":            false,
		"mount_max = 7\nuser_allow_other": true,
	} {
		conf := filepath.Join(t.TempDir(), "fuse.conf")
		require.NoError(t, os.WriteFile(conf, []byte(content), 0o644))
		require.Equal(t, want, fs.UserAllowOther(conf), "%q", content)
	}
	require.False(t, fs.UserAllowOther(filepath.Join(t.TempDir(), "missing")))
}
