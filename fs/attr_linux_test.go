package fs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pcloudfs/pcloudfs/fs"
	"github.com/pcloudfs/pcloudfs/fs/fstest"
)

func TestModesAndOwners(t *testing.T) {
	t.Parallel()
	uid, gid := uint32(1000), uint32(1001)
	if os.Getuid() != 0 { // may look only into what is its own
		uid, gid = uint32(os.Getuid()), uint32(os.Getgid())
	}
	for name, tc := range map[string]struct {
		o            fs.Options
		file, folder uint32
	}{
		"usual":   {fs.Options{UID: uid, GID: gid, Umask: 0o022}, 0o644, 0o755},
		"private": {fs.Options{UID: uid, GID: gid, Umask: 0o077}, 0o600, 0o700},
		"open":    {fs.Options{UID: uid, GID: gid}, 0o666, 0o777},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mnt, v := newMountWith(t, tc.o)
			v.edit("f", "12345")
			st := stat(t, mnt+"/f")
			require.Equal(t, syscall.S_IFREG|tc.file, st.Mode)
			require.Equal(t, uint64(1), uint64(st.Nlink))
			require.Equal(t, int64(4096), int64(st.Blksize))
			require.Equal(t, int64(1), st.Blocks)
			require.Equal(t, [2]uint32{uid, gid}, [2]uint32{st.Uid, st.Gid})
			st = stat(t, mnt)
			require.Equal(t, syscall.S_IFDIR|tc.folder, st.Mode)
			require.Equal(t, uint64(2), uint64(st.Nlink))
			require.Equal(t, int64(4096), st.Size)
		})
	}
}

// TestOwnersAreKept: as long as the mount lives, also when the kernel forgets.
func TestOwnersAreKept(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	mnt, v := newMount(t)
	require.NoError(t, os.Mkdir(mnt+"/d", 0o750))
	f, err := os.OpenFile(mnt+"/f", os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	check := func() {
		t.Helper()
		require.Equal(t, uint32(syscall.S_IFREG|0o400), stat(t, mnt+"/f").Mode)
		require.Equal(t, uint32(12), stat(t, mnt+"/f").Uid)
		require.Equal(t, uint32(13), stat(t, mnt+"/f").Gid)
		require.Equal(t, uint32(syscall.S_IFDIR|0o1750), stat(t, mnt+"/d").Mode)
	}
	require.Equal(t, uint32(syscall.S_IFREG|0o600), stat(t, mnt+"/f").Mode, "as created")
	before := stat(t, mnt+"/f").Ctim
	require.NoError(t, os.Chown(mnt+"/f", 12, 13))
	require.NoError(t, syscall.Chmod(mnt+"/f", 0o4400), "set-ID bits are dropped")
	require.NoError(t, syscall.Chmod(mnt+"/d", 0o1750))
	check()
	require.NotEqual(t, before, stat(t, mnt+"/f").Ctim)
	require.Zero(t, v.count("setattr"), "nothing for the volume to do")

	id := v.node("f")
	require.NoError(t, os.Rename(mnt+"/f", mnt+"/g"))
	require.NoError(t, os.Rename(mnt+"/g", mnt+"/f"))
	forgetEverything(t, mnt)
	v.waitForget(t, id)
	check()
	require.Equal(t, uint64(id), stat(t, mnt+"/f").Ino)

	require.NoError(t, os.Chown(mnt+"/f", -1, 0))
	require.Equal(t, uint32(12), stat(t, mnt+"/f").Uid)
	require.Equal(t, uint32(0), stat(t, mnt+"/f").Gid)
}

// forgetEverything makes the kernel forget names and inodes of a mount, by
// remounting it, which drops unused dentries.
func forgetEverything(t *testing.T, mnt string) {
	t.Helper()
	require.NoError(t, syscall.Mount("", mnt, "", syscall.MS_REMOUNT|syscall.MS_NOSUID|syscall.MS_NODEV, ""))
}

func TestDefaultPermissions(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	mnt, v := newMountWith(t, fs.Options{Umask: 0o077, AllowOther: true, UID: 1000, GID: 1000})
	v.edit("f", "secret")
	require.NoError(t, os.Chmod(filepath.Dir(mnt), 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(mnt)), 0o755))
	read := func(uid uint32) error {
		cmd := exec.CommandContext(t.Context(), "cat", mnt+"/f")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return cmd.Run()
	}
	require.NoError(t, read(1000))
	require.Error(t, read(1001))
}

func TestTimes(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	require.NoError(t, os.WriteFile(mnt+"/f", nil, 0o644))
	for _, path := range []string{mnt + "/f", mnt} {
		a, m := time.Unix(1_000_000_001, 123_456_789), time.Unix(1_500_000_002, 987_654_321)
		require.NoError(t, os.Chtimes(path, a, m))
		st := stat(t, path)
		require.Equal(t, a.UnixNano(), st.Atim.Nano())
		require.Equal(t, m.UnixNano(), st.Mtim.Nano())

		start := time.Now().Add(-time.Second)
		omit := unix.Timespec{Nsec: unix.UTIME_OMIT}
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{omit, {Nsec: unix.UTIME_NOW}}, 0))
		st = stat(t, path)
		require.Equal(t, a.UnixNano(), st.Atim.Nano(), "left alone")
		require.Greater(t, st.Mtim.Nano(), start.UnixNano())
	}
	require.Equal(t, 4, v.count("setattr"))
}

// TestSetattrReplyIsKept: attributes in the reply to a change need not be asked
// for again.
func TestSetattrReplyIsKept(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, longTimeouts())
	require.NoError(t, os.WriteFile(mnt+"/f", nil, 0o644))
	require.NoError(t, os.Chtimes(mnt+"/f", time.Unix(1, 0), time.Unix(2, 0)))
	before := v.count("stat")
	require.Equal(t, int64(2), stat(t, mnt+"/f").Mtim.Sec)
	require.Equal(t, before, v.count("stat"))
}

func TestStatfs(t *testing.T) {
	t.Parallel()
	mnt, _ := newMount(t)
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(mnt, &st))
	require.Equal(t, int64(4096), st.Bsize)
	require.Equal(t, int64(4096), st.Frsize)
	require.Equal(t, uint64(10<<30/4096), st.Blocks)
	require.Equal(t, uint64(6<<30/4096), st.Bfree)
	require.Equal(t, uint64(5<<30/4096), st.Bavail)
	require.Positive(t, st.Ffree)
	require.Equal(t, st.Ffree+7, st.Files)
	require.Equal(t, int64(255), st.Namelen)
}

func TestStatfsOverQuota(t *testing.T) {
	t.Parallel()
	v := newFakeVolume()
	v.space.Free, v.space.Avail = -1<<30, -1<<30
	mnt := fstest.Mount(t, v, fs.Options{})
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(mnt, &st))
	require.Zero(t, st.Bfree)
	require.Zero(t, st.Bavail)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, fs.Options{ReadOnly: true})
	v.edit("f", "content")
	for name, call := range map[string]func() error{
		"create":   func() error { return os.WriteFile(mnt+"/new", nil, 0o644) },
		"open":     func() error { return os.WriteFile(mnt+"/f", nil, 0o644) },
		"mkdir":    func() error { return os.Mkdir(mnt+"/d", 0o755) },
		"unlink":   func() error { return syscall.Unlink(mnt + "/f") },
		"rmdir":    func() error { return syscall.Rmdir(mnt + "/f") },
		"rename":   func() error { return os.Rename(mnt+"/f", mnt+"/g") },
		"truncate": func() error { return os.Truncate(mnt+"/f", 1) },
		"chmod":    func() error { return os.Chmod(mnt+"/f", 0o600) },
		"utimens":  func() error { return os.Chtimes(mnt+"/f", time.Now(), time.Now()) },
	} {
		require.ErrorIs(t, call(), syscall.EROFS, name)
	}
	got, err := os.ReadFile(mnt + "/f")
	require.NoError(t, err)
	require.Equal(t, "content", string(got))
}
