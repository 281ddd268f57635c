package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCreateFolder(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		d := mkdir(t, v, 0, "d")
		require.Greater(t, d.ID, uint64(1<<32))
		f := put(t, v, 0, "f", "x")
		require.Equal(t, d.ID, f.ID, "the first folder and the first file share a number")

		again, created, err := v.CreateFolder(0, "d", true)
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, d, again)
		_, _, err = v.CreateFolder(0, "d", false)
		require.Equal(t, CodeExists, Code(err))
		_, _, err = v.CreateFolder(99, "x", true)
		require.Equal(t, CodeParentMissing, Code(err))
	})
}

func TestRenameFolder(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	a, b := mkdir(t, v, 0, "a"), mkdir(t, v, 0, "b")
	in := mkdir(t, v, a.ID, "in")
	put(t, v, in.ID, "f", "1")
	for _, tc := range []struct {
		what       string
		id, parent uint64
		name       string
		code       int
	}{
		{"over a folder", a.ID, 0, "b", CodeExists},
		{"root", 0, b.ID, "x", CodeRenameRoot},
		{"into itself", a.ID, a.ID, "x", CodeIntoDescendant},
		{"below itself", a.ID, in.ID, "x", CodeIntoDescendant},
		{"missing", 99, 0, "x", CodeNoFolder},
		{"missing target", a.ID, 99, "x", CodeNoFolder},
		{"to itself", a.ID, 0, "a", 0},
		{"into another, keeping the name", a.ID, b.ID, "", 0},
		{"over a file", b.ID, 0, "f", 0},
	} {
		if tc.what == "over a file" {
			put(t, v, 0, "f", "2")
		}
		n, err := v.RenameFolder(tc.id, tc.parent, tc.name)
		require.Equal(t, tc.code, Code(err), tc.what)
		if err == nil {
			require.Equal(t, tc.id, n.ID)
		}
	}
	require.Equal(t, map[string]string{"/f/": "", "/f/a/": "", "/f/a/in/": "", "/f/a/in/f": "1", "/f": "2"}, paths(t, v))
}

func TestDeleteFolder(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	d := mkdir(t, v, 0, "d")
	sub := mkdir(t, v, d.ID, "sub")
	f := put(t, v, sub.ID, "f", "1")

	_, err := v.DeleteFolder(0)
	require.Equal(t, CodeDeleteRoot, Code(err))
	_, _, err = v.DeleteTree(0)
	require.Equal(t, CodeDeleteRoot, Code(err))
	_, err = v.DeleteFolder(sub.ID)
	require.Equal(t, CodeNotEmpty, Code(err))
	_, err = v.DeleteFile(f.ID)
	require.NoError(t, err)
	n, err := v.DeleteFolder(sub.ID)
	require.NoError(t, err, "deleted items do not count")
	require.True(t, n.Deleted)
	require.Equal(t, d.ID, n.Parent)
	_, err = v.DeleteFolder(sub.ID)
	require.Equal(t, CodeNoFolder, Code(err))

	put(t, v, d.ID, "g", "1")
	put(t, v, mkdir(t, v, d.ID, "sub").ID, "h", "1")
	files, folders, err := v.DeleteTree(d.ID)
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, []int{files, folders})
	_, _, err = v.DeleteTree(d.ID)
	require.Equal(t, CodeNoFolder, Code(err))
	require.Empty(t, paths(t, v))
	used, _ := v.a.Usage()
	require.Zero(t, used)
}

func TestFolderTimesFollowChildren(t *testing.T) {
	t.Parallel()
	c := newClock()
	v := open(t, Options{Now: c.now}).View(0)
	d, e := mkdir(t, v, 0, "d"), mkdir(t, v, 0, "e")
	var f, sub Node
	for _, step := range []struct {
		what     string
		do       func() error
		inD, inE bool // expected to change
	}{
		{"create", func() error { f = put(t, v, d.ID, "f", "1"); return nil }, true, false},
		{"overwrite", func() error { put(t, v, d.ID, "f", "2"); return nil }, false, false},
		{"rename in place", func() error { _, err := v.RenameFile(f.ID, d.ID, "g"); return err }, false, false},
		{"move", func() error { _, err := v.RenameFile(f.ID, e.ID, ""); return err }, true, true},
		{"delete", func() error { _, err := v.DeleteFile(f.ID); return err }, false, true},
		{"make folder", func() error { sub = mkdir(t, v, e.ID, "s"); return nil }, false, true},
		{"move folder", func() error { _, err := v.RenameFolder(sub.ID, d.ID, ""); return err }, true, true},
		{"grandchild", func() error { put(t, v, sub.ID, "x", "1"); return nil }, false, false},
		{"delete tree", func() error { _, _, err := v.DeleteTree(sub.ID); return err }, true, false},
	} {
		c.advance(1500 * time.Millisecond)
		before := []Node{nodeOf(t, v, d.ID), nodeOf(t, v, e.ID)}
		require.NoError(t, step.do(), step.what)
		for i, changed := range []bool{step.inD, step.inE} {
			n := nodeOf(t, v, before[i].ID)
			if changed {
				require.Equal(t, c.t.Truncate(time.Second), n.Modified, step.what)
			} else {
				require.Equal(t, before[i].Modified, n.Modified, step.what)
			}
			require.Equal(t, before[i].Created, n.Created)
		}
	}
}

func nodeOf(t *testing.T, v *View, folder uint64) Node {
	t.Helper()
	n, err := v.FolderByID(folder)
	require.NoError(t, err)
	return n
}

func TestCopyFolder(t *testing.T) {
	t.Parallel()
	tree := func(t *testing.T) (v *View, src, dst Node) {
		v = open(t, Options{}).View(0)
		src, dst = mkdir(t, v, 0, "src"), mkdir(t, v, 0, "dst")
		put(t, v, src.ID, "f", "1")
		put(t, v, mkdir(t, v, src.ID, "sub").ID, "g", "2")
		return v, src, dst
	}
	there := func(t *testing.T, v *View, dst Node) { put(t, v, mkdir(t, v, dst.ID, "src").ID, "f", "old") }
	for _, tc := range []struct {
		what  string
		o     CopyFolderOptions
		there bool
		code  int
		want  map[string]string // below /dst
	}{
		{"new", CopyFolderOptions{}, false, 0,
			map[string]string{"/src/": "", "/src/f": "1", "/src/sub/": "", "/src/sub/g": "2"}},
		{"merge", CopyFolderOptions{}, true, 0,
			map[string]string{"/src/": "", "/src/f": "1", "/src/sub/": "", "/src/sub/g": "2"}},
		{"skip", CopyFolderOptions{SkipExisting: true}, true, 0,
			map[string]string{"/src/": "", "/src/f": "old", "/src/sub/": "", "/src/sub/g": "2"}},
		{"noover", CopyFolderOptions{NoOver: true}, true, CodeExists, nil},
		{"content only", CopyFolderOptions{ContentOnly: true}, false, 0,
			map[string]string{"/f": "1", "/sub/": "", "/sub/g": "2"}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			v, src, dst := tree(t)
			if tc.there {
				there(t, v, dst)
			}
			_, err := v.CopyFolder(src.ID, dst.ID, tc.o)
			require.Equal(t, tc.code, Code(err))
			if err == nil {
				require.Equal(t, tc.want, paths(t, v.a.View(dst.ID)))
			}
		})
	}
	v, src, _ := tree(t)
	sub, err := v.FolderByPath("/src/sub")
	require.NoError(t, err)
	for _, tc := range []struct {
		what   string
		id, to uint64
		o      CopyFolderOptions
		code   int
	}{
		{"onto itself", src.ID, 0, CopyFolderOptions{}, CodeCopyOntoItself},
		{"content onto itself", src.ID, src.ID, CopyFolderOptions{ContentOnly: true}, CodeCopyOntoItself},
		{"into itself", src.ID, src.ID, CopyFolderOptions{}, CodeCopyIntoItself},
		{"below itself", src.ID, sub.ID, CopyFolderOptions{}, CodeCopyIntoItself},
		{"nowhere", src.ID, 99, CopyFolderOptions{}, CodeNoCopyTarget},
		{"nothing", 99, 0, CopyFolderOptions{}, CodeNoFolder},
	} {
		_, err := v.CopyFolder(tc.id, tc.to, tc.o)
		require.Equal(t, tc.code, Code(err), tc.what)
	}
}

func TestListOrderHasNoMeaningButIsStable(t *testing.T) {
	t.Parallel()
	list := func(seed uint64) (names []string) {
		v := open(t, Options{Seed: seed}).View(0)
		for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			put(t, v, 0, n, n)
		}
		require.NoError(t, v.List(0, ListOptions{}, func(n Node, depth int) error {
			if depth > 0 {
				names = append(names, n.Name)
			}
			return nil
		}))
		return names
	}
	one := list(1)
	require.Equal(t, one, list(1))
	require.NotEqual(t, one, list(2))
	require.NotEqual(t, []string{"a", "b", "c", "d", "e", "f", "g", "h"}, one)
	require.Len(t, one, 8)
}

func TestListOptions(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	d := mkdir(t, v, 0, "d")
	put(t, v, d.ID, "f", "1")
	gone := put(t, v, 0, "gone", "1")
	_, err := v.DeleteFile(gone.ID)
	require.NoError(t, err)
	for _, tc := range []struct {
		what string
		o    ListOptions
		want []string
	}{
		{"flat", ListOptions{}, []string{"/", "d"}},
		{"recursive", ListOptions{Recursive: true}, []string{"/", "d", "f"}},
		{"folders", ListOptions{Recursive: true, NoFiles: true}, []string{"/", "d"}},
		{"deleted", ListOptions{ShowDeleted: true}, []string{"/", "d", "gone"}},
	} {
		var names []string
		require.NoError(t, v.List(0, tc.o, func(n Node, depth int) error {
			names = append(names, n.Name)
			require.Equal(t, n.Name == "gone", n.Deleted)
			require.Equal(t, depth == 0, n.Root)
			return nil
		}))
		require.ElementsMatch(t, tc.want, names, tc.what)
	}
	require.Equal(t, CodeNoFolder, Code(v.List(gone.ID+1, ListOptions{}, nil)))
}
