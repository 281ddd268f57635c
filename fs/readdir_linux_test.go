package fs_test

import (
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pcloudfs/pcloudfs/fs"
)

// fill makes n files and returns their names, sorted.
func fill(v *fakeVolume, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("a rather long name, so that requests are full early %05d", i)
		v.edit(names[i], "x")
	}
	return names
}

func TestReadDirOfThousands(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	want := fill(v, 5000)
	require.NoError(t, os.Mkdir(mnt+"/zfolder", 0o755))
	for range 2 {
		lookups := v.count("lookup")
		list, err := os.ReadDir(mnt)
		require.NoError(t, err)
		var names []string
		for _, e := range list {
			fi, err := e.Info()
			require.NoError(t, err)
			require.Equal(t, e.IsDir(), fi.IsDir())
			names = append(names, e.Name())
		}
		require.Equal(t, append(slices.Clone(want), "zfolder"), names)
		require.Less(t, v.count("lookup")-lookups, 5500, "one lookup for each at most")
	}
	require.Equal(t, 2, v.count("readdir"))
}

// TestReadDirPlusAnswersFromTheListing: a listing with attributes costs the volume
// nothing but the listing.
func TestReadDirPlusAnswersFromTheListing(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, longTimeouts())
	fill(v, 100)
	list, err := os.ReadDir(mnt)
	require.NoError(t, err)
	for _, e := range list {
		fi, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, int64(1), fi.Size())
		require.Equal(t, uint64(v.node(e.Name())), fi.Sys().(*syscall.Stat_t).Ino)
	}
	require.Less(t, v.count("lookup"), 100, "the first chunk at least comes with attributes")
}

func TestDotsAndInodeNumbers(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	require.NoError(t, os.Mkdir(mnt+"/d", 0o755))
	require.NoError(t, os.WriteFile(mnt+"/d/f", nil, 0o644))
	require.Equal(t, map[string]uint64{".": 1, "..": 1, "d": uint64(v.node("d"))}, inodes(t, mnt))
	require.Equal(t, map[string]uint64{".": uint64(v.node("d")), "..": 1, "f": uint64(v.node("d/f"))}, inodes(t, mnt+"/d"))
	require.Equal(t, uint64(1), stat(t, mnt).Ino)
}

func inodes(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	m := make(map[string]uint64)
	require.NoError(t, withFile(dir, func(f *os.File) error {
		for _, e := range readDirents(t, f) {
			m[e.name] = e.ino
		}
		return nil
	}))
	return m
}

type dirent struct {
	name string
	ino  uint64
	off  int64
}

// readDirents reads to the end of a folder.
func readDirents(t *testing.T, f *os.File) (list []dirent) {
	t.Helper()
	buf := make([]byte, 4096)
	for {
		n, err := unix.Getdents(int(f.Fd()), buf)
		require.NoError(t, err)
		if n == 0 {
			return list
		}
		list = append(list, parseDirents(buf[:n])...)
	}
}

func TestSeekAndRewind(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	fill(v, 1000)
	f, err := os.Open(mnt)
	require.NoError(t, err)
	defer f.Close()
	all := readDirents(t, f)
	require.Len(t, all, 1002)

	for _, i := range []int{0, 1, 2, 17, 500, 999, 1000} {
		_, err := f.Seek(all[i].off, io.SeekStart)
		require.NoError(t, err)
		require.Equal(t, all[i+1:], readDirents(t, f), "after entry %d", i)
	}

	require.NoError(t, os.WriteFile(mnt+"/new", nil, 0o644))
	_, err = f.Seek(all[500].off, io.SeekStart)
	require.NoError(t, err)
	require.Equal(t, all[501:], readDirents(t, f), "the snapshot stays as it was")
	_, err = f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	require.Len(t, readDirents(t, f), 1003, "rewinding takes a new one")
}

// TestListingDoesNotBringBackThePast: the kernel takes the attributes of a
// listing for new. What changed since its snapshot must not be undone in the
// kernel's caches.
func TestListingDoesNotBringBackThePast(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, longTimeouts())
	names := fill(v, 1000)
	grown, gone, last := names[300], names[301], names[999]

	f, err := os.Open(mnt)
	require.NoError(t, err)
	defer f.Close()
	buf := make([]byte, 4096)
	n, err := unix.Getdents(int(f.Fd()), buf)
	require.NoError(t, err)
	require.Less(t, len(parseDirents(buf[:n])), 300)

	require.NoError(t, os.WriteFile(mnt+"/"+grown, []byte("longer than before"), 0o644))
	require.NoError(t, os.Remove(mnt+"/"+gone))
	var list []dirent
	for i := 400; n > 0; i++ {
		// A lookup in the folder makes the kernel's next request a READDIRPLUS.
		stat(t, mnt+"/"+names[i])
		n, err = unix.Getdents(int(f.Fd()), buf)
		require.NoError(t, err)
		list = append(list, parseDirents(buf[:n])...)
	}
	require.Equal(t, last, list[len(list)-1].name)
	require.Equal(t, int64(len("longer than before")), stat(t, mnt+"/"+grown).Size)
	require.NoFileExists(t, mnt+"/"+gone)
}

func TestReadDirIsAtomicToTheReader(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	names := fill(v, 1000)
	f, err := os.Open(mnt)
	require.NoError(t, err)
	defer f.Close()
	var got []string
	for i := 0; ; i++ {
		list, err := f.Readdirnames(50)
		got = append(got, list...)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		// Names before and after the reader's place come and go.
		v.edit(fmt.Sprintf("0 new %d", i), "")
		require.NoError(t, os.Remove(mnt+"/"+names[i]))
	}
	require.Equal(t, names, got)
}

func TestSyncOfFolder(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, fs.Options{})
	require.NoError(t, withFile(mnt, (*os.File).Sync))
	require.Equal(t, 1, v.count("syncdir"))
}
