//go:build linux

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soon is how long a change made by somebody else may take to be seen, the poll
// and the process that made it included: "about a second" is the promise.
const soon = 2 * time.Second

// settled is how long a closed file may take to be in pCloud: the settle time
// of a second, and the upload of little.
const settled = 4 * time.Second

// TestMixedWithRclone works on one folder with a mount and with rclone.
func TestMixedWithRclone(t *testing.T) {
	t.Parallel()
	needMount(t)
	needTools(t, "rclone")
	e := startEmulator(t)
	m := startMount(t, e, mountOptions{})
	r := newRclone(t, e, e.AppToken)
	local := t.TempDir()

	// put has rclone write a file, as another client does.
	put := func(t *testing.T, name, text string) {
		t.Helper()
		file := filepath.Join(local, filepath.Base(name))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		r.run(t, "copyto", "--ignore-times", file, "emu:data/"+name)
	}
	shows := func(t *testing.T, name, text string) {
		t.Helper()
		eventually(t, soon, name+" shows "+text, func() bool {
			b, err := os.ReadFile(m.path(name))
			return err == nil && string(b) == text
		})
	}
	gone := func(t *testing.T, name string) {
		t.Helper()
		eventually(t, soon, name+" disappears", func() bool {
			_, err := os.Lstat(m.path(name))
			return os.IsNotExist(err)
		})
	}
	inCloud := func(t *testing.T, name, text string) {
		t.Helper()
		eventually(t, settled, name+" is in pCloud", func() bool { return e.tree(t)["data/"+name].Size == int64(len(text)) })
		require.Equal(t, text, r.run(t, "cat", "emu:data/"+name))
	}

	t.Run("made there", func(t *testing.T) {
		_, err := os.Lstat(m.path("there")) // so that the kernel knows that it is not
		require.ErrorIs(t, err, os.ErrNotExist)
		put(t, "there", "from rclone")
		shows(t, "there", "from rclone")
		put(t, "new dir/sub/file", "deeper")
		shows(t, "new dir/sub/file", "deeper")
		require.Contains(t, run(t, "ls", m.Dir), "new dir")
	})
	t.Run("made here", func(t *testing.T) {
		require.NoError(t, os.WriteFile(m.path("here"), []byte("from the mount"), 0o644))
		require.NoError(t, os.MkdirAll(m.path("made", "here"), 0o755))
		require.NoError(t, os.WriteFile(m.path("made", "here", "file"), []byte("deep"), 0o644))
		inCloud(t, "here", "from the mount")
		inCloud(t, "made/here/file", "deep")
		require.Contains(t, r.run(t, "lsf", "emu:data"), "here\n")
	})
	t.Run("overwritten there", func(t *testing.T) {
		put(t, "here", "rclone's turn, which is longer")
		shows(t, "here", "rclone's turn, which is longer")
		put(t, "here", "short")
		shows(t, "here", "short")
		put(t, "here", "SHORT") // the same size and perhaps the same second
		shows(t, "here", "SHORT")
	})
	t.Run("overwritten here", func(t *testing.T) {
		require.NoError(t, os.WriteFile(m.path("there"), []byte("the mount's turn"), 0o644))
		inCloud(t, "there", "the mount's turn")
	})
	t.Run("read by an open file", func(t *testing.T) {
		put(t, "open", "first")
		shows(t, "open", "first")
		f, err := os.Open(m.path("open"))
		require.NoError(t, err)
		defer f.Close()
		put(t, "open", "second version")
		shows(t, "open", "second version")
	})
	t.Run("removed there", func(t *testing.T) {
		r.run(t, "deletefile", "emu:data/here")
		gone(t, "here")
		r.run(t, "purge", "emu:data/new dir")
		gone(t, "new dir")
	})
	t.Run("removed here", func(t *testing.T) {
		require.NoError(t, os.Remove(m.path("there")))
		require.NoError(t, os.RemoveAll(m.path("made")))
		eventually(t, settled, "they are gone from pCloud", func() bool {
			out := r.run(t, "lsf", "-R", "emu:data")
			return !strings.Contains(out, "there") && !strings.Contains(out, "made")
		})
	})
	t.Run("renamed there", func(t *testing.T) {
		put(t, "old name", "text")
		shows(t, "old name", "text")
		before := inode(t, m.path("old name"))
		r.run(t, "moveto", "emu:data/old name", "emu:data/folder/new name")
		gone(t, "old name")
		shows(t, "folder/new name", "text")
		require.Equal(t, before, inode(t, m.path("folder", "new name")), "inode number")
	})
	t.Run("renamed here", func(t *testing.T) {
		require.NoError(t, os.Rename(m.path("folder"), m.path("renamed folder")))
		inCloud(t, "renamed folder/new name", "text")
	})
	t.Run("times", func(t *testing.T) {
		file := filepath.Join(local, "dated")
		when := time.Unix(1234567890, 0)
		require.NoError(t, os.WriteFile(file, []byte("dated"), 0o644))
		require.NoError(t, os.Chtimes(file, when, when))
		r.run(t, "copy", file, "emu:data")
		shows(t, "dated", "dated")
		fi, err := os.Stat(m.path("dated"))
		require.NoError(t, err)
		require.Equal(t, when.Unix(), fi.ModTime().Unix())
		when = time.Unix(987654321, 0)
		require.NoError(t, os.Chtimes(m.path("dated"), when, when))
		eventually(t, settled, "rclone sees the time", func() bool {
			return strings.HasPrefix(r.run(t, "lsf", "--format", "t", "emu:data/dated"), when.Local().Format(time.DateTime))
		})
	})
}

// inode is the inode number of a file.
func inode(tb testing.TB, path string) uint64 {
	tb.Helper()
	return statOf(tb, path).Ino
}
