package fs_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/fs"
)

// TestSystemCalls makes single system calls on a tree of a file f, a folder d
// with the file d/f, and an empty folder e, and looks at what comes back.
func TestSystemCalls(t *testing.T) {
	t.Parallel()
	open := func(flags int) func(p string) error {
		return func(p string) error {
			fd, err := syscall.Open(p, flags, 0o644)
			if err != nil {
				return err
			}
			return syscall.Close(fd)
		}
	}
	to := func(rename func(from, to string) error, target string) func(string) error {
		return func(p string) error { return rename(p, p[:strings.LastIndex(p, "/")+1]+target) }
	}
	renameat2 := func(flags uint) func(from, to string) error {
		return func(from, to string) error {
			return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
		}
	}
	remove := func(p string) error { return syscall.Unlink(p) }
	mkdir := func(p string) error { return syscall.Mkdir(p, 0o755) }
	for _, tc := range []struct {
		name string
		path string
		call func(path string) error
		want error // nil: success
	}{
		{"open", "f", open(os.O_RDONLY), nil},
		{"open missing", "x", open(os.O_RDONLY), syscall.ENOENT},
		{"open below file", "f/x", open(os.O_RDONLY), syscall.ENOTDIR},
		{"open folder", "d", open(os.O_RDONLY), nil},
		{"open folder for writing", "d", open(os.O_RDWR), syscall.EISDIR},
		{"create", "x", open(os.O_CREATE | os.O_WRONLY), nil},
		{"create existing", "f", open(os.O_CREATE | os.O_WRONLY), nil},
		{"create exclusively", "x", open(os.O_CREATE | os.O_EXCL | os.O_WRONLY), nil},
		{"create existing exclusively", "f", open(os.O_CREATE | os.O_EXCL | os.O_WRONLY), syscall.EEXIST},
		{"create over folder", "d", open(os.O_CREATE | os.O_WRONLY), syscall.EISDIR},
		{"create in missing folder", "x/y", open(os.O_CREATE | os.O_WRONLY), syscall.ENOENT},
		{"temporary file without name", ".", open(unix.O_TMPFILE | os.O_RDWR), syscall.EOPNOTSUPP},

		{"name of 255 bytes", strings.Repeat("n", 255), open(os.O_CREATE | os.O_WRONLY), nil},
		{"name of 256 bytes", strings.Repeat("n", 256), open(os.O_CREATE | os.O_WRONLY), syscall.ENAMETOOLONG},
		{"name of 85 wide characters", strings.Repeat("語", 85), open(os.O_CREATE | os.O_WRONLY), nil},
		{"name not UTF-8", "a\xffb", open(os.O_CREATE | os.O_WRONLY), nil},

		{"mkdir", "x", mkdir, nil},
		{"mkdir existing", "d", mkdir, syscall.EEXIST},
		{"mkdir over file", "f", mkdir, syscall.EEXIST},
		{"rmdir", "e", syscall.Rmdir, nil},
		{"rmdir not empty", "d", syscall.Rmdir, syscall.ENOTEMPTY},
		{"rmdir file", "f", syscall.Rmdir, syscall.ENOTDIR},
		{"rmdir missing", "x", syscall.Rmdir, syscall.ENOENT},
		{"unlink", "f", remove, nil},
		{"unlink folder", "e", remove, syscall.EISDIR},
		{"unlink missing", "x", remove, syscall.ENOENT},

		{"rename", "f", to(syscall.Rename, "x"), nil},
		{"rename into folder", "f", to(syscall.Rename, "d/x"), nil},
		{"rename over file", "f", to(syscall.Rename, "d/f"), nil},
		{"rename to itself", "f", to(syscall.Rename, "f"), nil},
		{"rename file over folder", "f", to(syscall.Rename, "e"), syscall.EISDIR},
		{"rename folder over file", "e", to(syscall.Rename, "f"), syscall.ENOTDIR},
		{"rename folder over empty folder", "d", to(syscall.Rename, "e"), nil},
		{"rename folder over full folder", "e", to(syscall.Rename, "d"), syscall.ENOTEMPTY},
		{"rename folder into itself", "d", to(syscall.Rename, "d/x"), syscall.EINVAL},
		{"rename missing", "x", to(syscall.Rename, "y"), syscall.ENOENT},
		{"rename without replacing", "f", to(renameat2(unix.RENAME_NOREPLACE), "x"), nil},
		{"rename without replacing what exists", "f", to(renameat2(unix.RENAME_NOREPLACE), "d/f"), syscall.EEXIST},
		{"exchange", "f", to(renameat2(unix.RENAME_EXCHANGE), "d/f"), syscall.EINVAL},
		{"rename with whiteout", "f", to(renameat2(unix.RENAME_WHITEOUT), "x"), syscall.EINVAL},

		{"hard link", "f", to(syscall.Link, "x"), syscall.EPERM},
		{"symbolic link", "x", func(p string) error { return syscall.Symlink("f", p) }, syscall.EPERM},
		{"pipe", "x", func(p string) error { return syscall.Mkfifo(p, 0o644) }, syscall.EPERM},
		{"device", "x", func(p string) error { return syscall.Mknod(p, syscall.S_IFCHR|0o644, 0x103) }, syscall.EPERM},
		{"get attribute", "f", func(p string) error { _, err := unix.Getxattr(p, "user.x", nil); return err }, syscall.EOPNOTSUPP},
		{"set attribute", "f", func(p string) error { return unix.Setxattr(p, "user.x", []byte("y"), 0) }, syscall.EOPNOTSUPP},
		{"truncate folder", "d", func(p string) error { return syscall.Truncate(p, 0) }, syscall.EISDIR},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			mnt, _ := newMount(t)
			require.NoError(t, os.Mkdir(mnt+"/d", 0o755))
			require.NoError(t, os.Mkdir(mnt+"/e", 0o755))
			require.NoError(t, os.WriteFile(mnt+"/f", []byte("f"), 0o644))
			require.NoError(t, os.WriteFile(mnt+"/d/f", []byte("d/f"), 0o644))
			require.Equal(t, tc.want, tc.call(mnt+"/"+tc.path))
		})
	}
}

func TestRenameMovesContent(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	require.NoError(t, os.Mkdir(mnt+"/d", 0o755))
	require.NoError(t, os.WriteFile(mnt+"/new", []byte("new"), 0o644))
	require.NoError(t, os.WriteFile(mnt+"/d/old", []byte("old"), 0o644))
	id := v.node("new")
	old, err := os.Open(mnt + "/d/old")
	require.NoError(t, err)
	defer old.Close()

	require.NoError(t, os.Rename(mnt+"/new", mnt+"/d/old"))
	got, err := os.ReadFile(mnt + "/d/old")
	require.NoError(t, err)
	require.Equal(t, "new", string(got))
	require.NoFileExists(t, mnt+"/new")
	require.Equal(t, id, v.node("d/old"))
	require.Equal(t, uint64(id), stat(t, mnt+"/d/old").Ino)

	buf := make([]byte, 10)
	n, _ := old.ReadAt(buf, 0)
	require.Equal(t, "old", string(buf[:n]), "an open file outlives its name")
	var st syscall.Stat_t
	require.NoError(t, syscall.Fstat(int(old.Fd()), &st))
	require.Zero(t, st.Nlink)
}

// TestRemovedFolderCanBeAsked: the working directory of some process, say.
func TestRemovedFolderCanBeAsked(t *testing.T) {
	t.Parallel()
	mnt, _ := newMount(t)
	require.NoError(t, os.Mkdir(mnt+"/d", 0o700))
	f, err := os.Open(mnt + "/d")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Remove(mnt+"/d"))
	fi, err := f.Stat()
	require.NoError(t, err)
	require.True(t, fi.IsDir())
	require.Equal(t, os.FileMode(0o700), fi.Mode().Perm())
}

func TestUnlinkedOpenFile(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	f, err := os.OpenFile(mnt+"/f", os.O_CREATE|os.O_RDWR, 0o644)
	require.NoError(t, err)
	id := v.node("f")
	_, err = f.WriteString("before")
	require.NoError(t, err)
	require.NoError(t, os.Remove(mnt+"/f"))
	_, err = f.WriteString(" and after")
	require.NoError(t, err)
	require.NoError(t, f.Truncate(10))
	fi, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, int64(10), fi.Size())
	require.Zero(t, fi.Sys().(*syscall.Stat_t).Nlink)
	buf := make([]byte, 100)
	n, _ := f.ReadAt(buf, 0)
	require.Equal(t, "before and", string(buf[:n]))
	require.NoError(t, f.Close())
	v.waitForget(t, id)
}

func TestAppendersDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	mnt, _ := newMount(t)
	var files []*os.File
	for range 3 {
		f, err := os.OpenFile(mnt+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		require.NoError(t, err)
		files = append(files, f)
	}
	for i := range 9 {
		_, err := files[i%3].WriteString(string(rune('a' + i)))
		require.NoError(t, err)
	}
	for _, f := range files {
		require.NoError(t, f.Close())
	}
	got, err := os.ReadFile(mnt + "/log")
	require.NoError(t, err)
	require.Equal(t, "abcdefghi", string(got))
}

func TestOpenTruncates(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string]int{
		"write only": os.O_WRONLY | os.O_TRUNC,
		"read write": os.O_RDWR | os.O_TRUNC,
		"read only":  os.O_RDONLY | os.O_TRUNC,
		"create":     os.O_CREATE | os.O_WRONLY | os.O_TRUNC,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mnt, v := newMount(t)
			require.NoError(t, os.WriteFile(mnt+"/f", []byte("a long content"), 0o644))
			f, err := os.OpenFile(mnt+"/f", flags, 0o644)
			require.NoError(t, err)
			defer f.Close()
			require.Zero(t, stat(t, mnt+"/f").Size)
			require.Zero(t, v.count("setattr"), "truncation comes with the open")
		})
	}
}

// TestCreateOfNameTheKernelDoesNotKnow: the negative entry is out of date.
func TestCreateOfNameTheKernelDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string]int{"create": 0, "exclusively": os.O_EXCL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mnt, v := newMountWith(t, longTimeouts())
			require.NoFileExists(t, mnt+"/f")
			id := v.edit("f", "from elsewhere")
			f, err := os.OpenFile(mnt+"/f", os.O_CREATE|os.O_RDWR|flags, 0o600)
			if flags != 0 {
				require.ErrorIs(t, err, syscall.EEXIST)
				return
			}
			require.NoError(t, err)
			defer f.Close()
			fi, err := f.Stat()
			require.NoError(t, err)
			require.Equal(t, uint64(id), fi.Sys().(*syscall.Stat_t).Ino)
			require.Equal(t, os.FileMode(0o644), fi.Mode(), "the mode is for new files")
			buf := make([]byte, 100)
			n, _ := f.Read(buf)
			require.Equal(t, "from elsewhere", string(buf[:n]))
		})
	}
}

// TestRenameWithoutReplacing: the kernel has looked before it asks, but the name
// may have come from elsewhere since.
func TestRenameWithoutReplacing(t *testing.T) {
	t.Parallel()
	v := newFakeVolume()
	v.edit("f", "f")
	v.edit("g", "from elsewhere")
	raw := fs.NewRaw(v, fs.Options{})
	in := &fuse.RenameIn{InHeader: fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}, Newdir: fuse.FUSE_ROOT_ID}
	in.Flags = unix.RENAME_NOREPLACE
	require.Equal(t, fuse.Status(syscall.EEXIST), raw.Rename(nil, in, "f", "g"))
	require.Equal(t, "from elsewhere", string(v.content("g")))
	in.Flags = 0
	require.Equal(t, fuse.OK, raw.Rename(nil, in, "f", "g"))
	require.Equal(t, "f", string(v.content("g")))
}

func TestSparseWriteAndTruncate(t *testing.T) {
	t.Parallel()
	mnt, _ := newMount(t)
	f, err := os.Create(mnt + "/f")
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("end"), 1<<20)
	require.NoError(t, err)
	require.Equal(t, int64(1<<20+3), stat(t, mnt+"/f").Size)
	require.NoError(t, f.Truncate(3<<20))
	require.NoError(t, os.Truncate(mnt+"/f", 1<<20+1))
	st := stat(t, mnt+"/f")
	require.Equal(t, int64(1<<20+1), st.Size)
	require.Equal(t, int64((1<<20+1+511)/512), st.Blocks)
	got, err := os.ReadFile(mnt + "/f")
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("\x00", 1<<20)+"e", string(got))
	require.ErrorIs(t, syscall.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 10), syscall.EOPNOTSUPP)
}

// TestErrorsReachTheCall: what the volume says is what the caller sees.
func TestErrorsReachTheCall(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	require.NoError(t, os.WriteFile(mnt+"/f", []byte("x"), 0o644))
	for _, tc := range []struct {
		op   string
		err  error
		want syscall.Errno
		call func() error
	}{
		{"write", cache.ErrNoSpace, syscall.ENOSPC, func() error { return os.WriteFile(mnt+"/f", []byte("y"), 0) }},
		{"flush", syscall.EIO, syscall.EIO, func() error { return os.WriteFile(mnt+"/f", []byte("y"), 0) }},
		{"fsync", cache.ErrNoSpace, syscall.ENOSPC, func() error { return withFile(mnt+"/f", (*os.File).Sync) }},
		{"syncdir", errors.New("odd"), syscall.EIO, func() error { return withFile(mnt, (*os.File).Sync) }},
		{"readdir", os.ErrPermission, syscall.EACCES, func() error { _, err := os.ReadDir(mnt); return err }},
		{"read", cache.ErrStale, syscall.ESTALE, func() error {
			v.edit("f", "other")
			_, err := os.ReadFile(mnt + "/f")
			return err
		}},
		{"open", cache.ErrBusy, syscall.EBUSY, func() error { _, err := os.ReadFile(mnt + "/f"); return err }},
	} {
		v.setBefore(failing(tc.op, tc.err))
		require.ErrorIs(t, tc.call(), tc.want, tc.op)
	}
	v.setBefore(failing("flush", errors.New("closing what was read has nothing to report")))
	require.NoError(t, withFile(mnt+"/f", func(*os.File) error { return nil }))
	v.setBefore(nil)
}

// TestPanicIsEIO: one bad request does not take the mount down. It has no mount
// of newMount, which would fail the test.
func TestPanicIsEIO(t *testing.T) {
	t.Parallel()
	m, v := startMount(t)
	v.setBefore(func(context.Context, string, cache.NodeID) error { panic("test") })
	require.ErrorIs(t, os.Mkdir(m.Dir()+"/d", 0o755), syscall.EIO)
	v.setBefore(nil)
	require.NoError(t, os.Mkdir(m.Dir()+"/d", 0o755))
	require.Positive(t, m.Panics())
}
