package metadata

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

var (
	early = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	late  = time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
)

func file(id remote.FileID, parent remote.FolderID, name string) remote.Entry {
	return remote.Entry{Name: name, FileID: id, ParentID: parent, Size: int64(id) * 10, Hash: remote.Hash(id) << 50, Created: early, Modified: early}
}

func folder(id, parent remote.FolderID, name string) remote.Entry {
	return remote.Entry{Name: name, Folder: true, FolderID: id, ParentID: parent, Created: early, Modified: early}
}

// put stores a listing of the folder, whose own entry is self.
func put(t testing.TB, c *Cache, self remote.Entry, children ...remote.Entry) {
	t.Helper()
	require.True(t, c.Put(c.Begin(self.FolderID), remote.Folder{Entry: self, Contents: children}))
	check(t, c)
}

// names lists a folder as "name" and "name/", or nil if it is not held.
func names(c *Cache, id remote.FolderID) []string {
	entries, _, ok := c.List(id)
	if !ok {
		return nil
	}
	list := []string{}
	for _, e := range entries {
		if e.Folder {
			list = append(list, e.Name+"/")
		} else {
			list = append(list, e.Name)
		}
	}
	return list
}

// check verifies what must always hold inside.
func check(t testing.TB, c *Cache) {
	t.Helper()
	entries, held := 0, make(map[key]bool)
	for _, id := range c.listings.Keys() {
		l, _ := c.listings.Peek(id)
		entries += len(l.children)
		require.True(t, slices.IsSortedFunc(l.children, func(a, b *node) int { return compare(a, b.name, b.key.kind()) }))
		for i, n := range l.children {
			require.Equal(t, id, n.parent)
			require.Same(t, n, c.nodes[n.key], "child of %d is not the one of the index", id)
			require.False(t, held[n.key], "in two listings")
			held[n.key] = true
			if i > 0 {
				require.NotZero(t, compare(l.children[i-1], n.name, n.key.kind()), "two of one name and kind")
			}
		}
	}
	require.Equal(t, entries, c.entries)
	for k, n := range c.nodes {
		require.Equal(t, k, n.key)
		own := k.kind() == kindFolder && c.listings.Contains(k.folder())
		require.True(t, own || held[k], "%q is held by nothing", n.name)
	}
	require.True(t, c.entries+c.listings.Len() <= c.max || c.listings.Len() == 1)
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	c := New(Options{})
	want := []remote.Entry{
		{Name: "a", FileID: remote.MaxID, ParentID: 5, Size: 1 << 40, Hash: 1<<64 - 1, Created: early, Modified: late},
		{Name: "a\xff", FileID: 3, ParentID: 5},
		{Name: "b", Folder: true, FolderID: remote.MaxID, ParentID: 5, Created: late, Modified: late},
		{Name: "b", FileID: 9, ParentID: 5, Created: time.Unix(-5, 0).UTC(), Modified: time.Unix(1<<40, 0).UTC()},
	}
	shuffled := []remote.Entry{want[3], want[1], want[0], want[2]}
	put(t, c, folder(5, 0, "dir"), shuffled...)
	got, fresh, ok := c.List(5)
	require.True(t, ok && fresh)
	require.Empty(t, cmp.Diff(want, got))
	e, ok := c.File(remote.MaxID)
	require.True(t, ok)
	require.Equal(t, want[0], e)
	e, ok = c.Folder(remote.MaxID)
	require.True(t, ok)
	require.Equal(t, want[2], e)
	e, ok = c.Folder(5)
	require.True(t, ok, "a folder whose listing is held is known though its parent's is not")
	require.Equal(t, folder(5, 0, "dir"), e)
	require.Equal(t, 5, c.Len())
}

func TestLookupTellsFilesFromFoldersOfTheSameName(t *testing.T) {
	c := New(Options{})
	put(t, c, folder(5, 0, "dir"), file(1, 5, "x"), folder(2, 5, "x"), file(3, 5, "only"))
	for _, tt := range []struct {
		lookup     func(remote.FolderID, string) (remote.Entry, bool, bool)
		name, what string
		want       remote.Entry
	}{
		{c.Lookup, "x", "any", folder(2, 5, "x")},
		{c.LookupFile, "x", "file", file(1, 5, "x")},
		{c.LookupFolder, "x", "folder", folder(2, 5, "x")},
		{c.Lookup, "only", "any", file(3, 5, "only")},
		{c.LookupFolder, "only", "folder", remote.Entry{}},
		{c.Lookup, "none", "any", remote.Entry{}},
	} {
		e, found, known := tt.lookup(5, tt.name)
		require.True(t, known)
		require.Equal(t, tt.want != remote.Entry{}, found, "%s %s", tt.what, tt.name)
		require.Equal(t, tt.want, e, "%s %s", tt.what, tt.name)
	}
	_, found, known := c.Lookup(6, "x")
	require.False(t, found || known, "a folder that was never listed")
}

func TestUpsert(t *testing.T) {
	replacing := file(7, 2, "b1")
	replacing.Replaced = 4
	deleted := file(3, 1, "a1")
	deleted.Deleted = true
	bigger := file(3, 1, "a1")
	bigger.Size = 99

	// Folder 1 has a1 and the folder 2; folder 2 has b1; folder 8 is not held.
	for _, tt := range []struct {
		name     string
		e        remote.Entry
		one, two []string
		touched  []remote.FolderID
	}{
		{"new file", file(7, 2, "b0"), []string{"a1", "sub/"}, []string{"b0", "b1"}, []remote.FolderID{2}},
		{"new folder", folder(9, 1, "n"), []string{"a1", "n/", "sub/"}, []string{"b1"}, []remote.FolderID{1}},
		{"changed", bigger, []string{"a1", "sub/"}, []string{"b1"}, nil},
		{"renamed", file(3, 1, "z"), []string{"sub/", "z"}, []string{"b1"}, []remote.FolderID{1}},
		{"moved", file(3, 2, "a1"), []string{"sub/"}, []string{"a1", "b1"}, []remote.FolderID{1, 2}},
		{"moved to what is not held", file(3, 8, "a1"), []string{"sub/"}, []string{"b1"}, []remote.FolderID{1}},
		{"moved from what is not held", file(30, 1, "new"), []string{"a1", "new", "sub/"}, []string{"b1"}, []remote.FolderID{1}},
		{"into what is not held", file(30, 8, "new"), []string{"a1", "sub/"}, []string{"b1"}, nil},
		{"replacing", replacing, []string{"a1", "sub/"}, []string{"b1"}, []remote.FolderID{2}},
		{"name of another file", file(3, 2, "b1"), []string{"sub/"}, []string{"b1"}, []remote.FolderID{1, 2}},
		{"file with a folder's name", file(3, 1, "sub"), []string{"sub/", "sub"}, []string{"b1"}, []remote.FolderID{1}},
		{"folder renamed", folder(2, 1, "s"), []string{"a1", "s/"}, []string{"b1"}, []remote.FolderID{1}},
		{"folder moved to what is not held", folder(2, 8, "sub"), []string{"a1"}, []string{"b1"}, []remote.FolderID{1}},
		{"deleted", deleted, []string{"sub/"}, []string{"b1"}, []remote.FolderID{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Options{})
			put(t, c, folder(1, 0, "one"), file(3, 1, "a1"), folder(2, 1, "sub"))
			put(t, c, folder(2, 1, "sub"), file(4, 2, "b1"))
			c.Upsert(tt.e, late)
			check(t, c)
			require.Equal(t, tt.one, names(c, 1))
			require.Equal(t, tt.two, names(c, 2))
			for _, id := range []remote.FolderID{1, 2} {
				e, ok := c.Folder(id)
				require.True(t, ok)
				if slices.Contains(tt.touched, id) {
					require.Equal(t, late, e.Modified, "folder %d", id)
				} else {
					require.Equal(t, early, e.Modified, "folder %d", id)
				}
			}
			if tt.e.Replaced != 0 || tt.name == "name of another file" {
				_, ok := c.File(4)
				require.False(t, ok, "the file that was replaced is still known")
			}
		})
	}
}

func TestUpsertOfTheRootChangesNothingElse(t *testing.T) {
	c := New(Options{})
	put(t, c, folder(0, 0, "/"), folder(1, 0, "a"))
	root := folder(0, 0, "/")
	root.Modified = late
	c.Upsert(root, late)
	check(t, c)
	require.Equal(t, []string{"a/"}, names(c, 0))
	e, ok := c.Folder(0)
	require.True(t, ok)
	require.Equal(t, late, e.Modified)
}

func TestFolderTimesNeverGoBack(t *testing.T) {
	c := New(Options{})
	put(t, c, folder(0, 0, "/"), folder(1, 0, "a"))
	put(t, c, folder(1, 0, "a"))
	c.Upsert(file(5, 1, "new"), late)
	c.Upsert(file(6, 1, "newer"), early)
	put(t, c, folder(0, 0, "/"), folder(1, 0, "a")) // says early
	e, _, _ := c.Lookup(0, "a")
	require.Equal(t, late, e.Modified)
}

func TestRemoveFolderTakesWhatIsBelow(t *testing.T) {
	c := New(Options{})
	put(t, c, folder(0, 0, "/"), folder(1, 0, "a"), folder(4, 0, "keep"))
	put(t, c, folder(1, 0, "a"), folder(2, 1, "b"))
	put(t, c, folder(2, 1, "b"), folder(3, 2, "c"), file(10, 2, "f"))
	put(t, c, folder(3, 2, "c"), file(11, 3, "g"))
	put(t, c, folder(4, 0, "keep"), file(12, 4, "h"))
	c.RemoveFolder(1, late)
	check(t, c)
	require.Equal(t, []string{"keep/"}, names(c, 0))
	for id := remote.FolderID(1); id <= 3; id++ {
		require.Nil(t, names(c, id))
		_, ok := c.Folder(id)
		require.False(t, ok)
	}
	require.Equal(t, []string{"h"}, names(c, 4))
	require.Equal(t, 3, c.Len())
	root, _ := c.Folder(0)
	require.Equal(t, late, root.Modified)
}

func TestRelistingForgetsWhatIsGone(t *testing.T) {
	c := New(Options{})
	put(t, c, folder(0, 0, "/"), folder(1, 0, "a"), file(9, 0, "f"))
	put(t, c, folder(1, 0, "a"), file(2, 1, "x"))
	put(t, c, folder(0, 0, "/"), folder(3, 0, "a"))
	require.Equal(t, []string{"a/"}, names(c, 0))
	require.Nil(t, names(c, 1), "the listing of a folder that is gone")
	for _, id := range []remote.FileID{2, 9} {
		_, ok := c.File(id)
		require.False(t, ok)
	}
}

func TestPutRefusesWhatMayBeOlder(t *testing.T) {
	x := file(3, 1, "x")
	for _, tt := range []struct {
		name   string
		during func(*Cache)
		want   bool
	}{
		{"nothing happened", func(*Cache) {}, true},
		{"child changed", func(c *Cache) { c.Upsert(x, late) }, false},
		{"child removed", func(c *Cache) { c.RemoveFile(3, late) }, false},
		{"child moved away", func(c *Cache) { c.Upsert(file(3, 8, "x"), late) }, false},
		{"another child came", func(c *Cache) { c.Upsert(file(4, 1, "y"), late) }, false},
		{"removed itself", func(c *Cache) { c.RemoveFolder(1, late) }, false},
		{"dropped", func(c *Cache) { c.Drop(1) }, false},
		{"everything dropped", func(c *Cache) { c.Reset() }, false},
		{"renamed itself", func(c *Cache) { c.Upsert(folder(1, 0, "other"), late) }, true},
		{"change elsewhere", func(c *Cache) { c.Upsert(file(9, 2, "z"), late); c.RemoveFile(10, late) }, true},
		{"expired", func(c *Cache) { c.Expire() }, true},
		{"more changes than are remembered", func(c *Cache) {
			c.Upsert(x, late)
			for i := range remote.FileID(maxChanges) {
				c.Upsert(file(100+i, 50, "z"), late)
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Options{})
			tok := c.Begin(1)
			tt.during(c)
			f := remote.Folder{Entry: folder(1, 0, "dir"), Contents: []remote.Entry{x}}
			require.Equal(t, tt.want, c.Put(tok, f))
			check(t, c)
			if !tt.want {
				require.Nil(t, names(c, 1))
				if tt.name != "removed itself" {
					require.True(t, c.Put(c.Begin(1), f), "a later listing")
				}
			}
		})
	}
}

func TestPutKeepsTheNewerNameOfTheFolder(t *testing.T) {
	c := New(Options{})
	put(t, c, folder(0, 0, "/"), folder(1, 0, "old"))
	tok := c.Begin(1)
	c.Upsert(folder(1, 0, "new"), late)
	require.True(t, c.Put(tok, remote.Folder{Entry: folder(1, 0, "old")}))
	check(t, c)
	require.Equal(t, []string{"new/"}, names(c, 0))
}

func TestTwoListingsClaimAFile(t *testing.T) {
	moved := func(parent remote.FolderID) remote.Folder {
		return remote.Folder{Entry: folder(parent, 0, fmt.Sprint(parent)), Contents: []remote.Entry{file(3, parent, "x")}}
	}
	c := New(Options{})
	first, second := c.Begin(1), c.Begin(2)
	require.True(t, c.Put(second, moved(2)))
	require.False(t, c.Put(first, moved(1)), "begun before the other")
	require.Equal(t, []string{"x"}, names(c, 2))
	require.True(t, c.Put(c.Begin(1), moved(1)))
	check(t, c)
	require.Equal(t, []string{"x"}, names(c, 1))
	require.Equal(t, []string{}, names(c, 2))
	e, _ := c.File(3)
	require.EqualValues(t, 1, e.ParentID)
}

func TestTokenOfAnotherFolder(t *testing.T) {
	c := New(Options{})
	tok := c.Begin(1)
	c.Upsert(file(9, 2, "new"), late)
	require.True(t, c.Put(tok, remote.Folder{Entry: folder(1, 0, "a"), Contents: []remote.Entry{folder(2, 1, "b")}}))
	require.False(t, c.Put(tok.Of(2), remote.Folder{Entry: folder(2, 1, "b")}), "changed since the recursive listing began")
	require.True(t, c.Put(tok.Of(3), remote.Folder{Entry: folder(3, 1, "c")}))
	check(t, c)
}

func TestFreshness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{TTL: 10 * time.Second})
		state := func() (fresh, known bool) {
			_, fresh, ok := c.List(1)
			require.True(t, ok, "an old listing stays as a fall-back")
			_, found, known := c.Lookup(1, "x")
			require.True(t, found)
			return fresh, known
		}
		tok := c.Begin(1)
		time.Sleep(4 * time.Second) // the listing takes its time; it ages from its beginning
		require.True(t, c.Put(tok, remote.Folder{Contents: []remote.Entry{file(3, 1, "x")}}))
		time.Sleep(5 * time.Second)
		fresh, known := state()
		require.True(t, fresh && known)
		time.Sleep(time.Second)
		fresh, known = state()
		require.False(t, fresh || known)

		put(t, c, folder(1, 0, "a"), file(3, 1, "x"))
		fresh, known = state()
		require.True(t, fresh && known)
		tok = c.Begin(1)
		c.Expire()
		fresh, known = state()
		require.False(t, fresh || known)
		require.True(t, c.Put(tok, remote.Folder{Contents: []remote.Entry{file(3, 1, "x")}}))
		fresh, _ = state()
		require.False(t, fresh, "what was begun before the expiry is as old as the rest")
	})
}

func TestListingsDoNotAgeWithoutTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{})
		put(t, c, folder(1, 0, "a"))
		time.Sleep(1000 * time.Hour)
		_, fresh, ok := c.List(1)
		require.True(t, fresh && ok)
	})
}

func TestEviction(t *testing.T) {
	c := New(Options{MaxEntries: 30})
	fill := func(id remote.FolderID, n int) {
		var children []remote.Entry
		for i := range n {
			children = append(children, file(remote.FileID(int(id)*1000+i), id, fmt.Sprint(i)))
		}
		put(t, c, folder(id, 0, fmt.Sprint(id)), children...)
	}
	fill(1, 9)
	fill(2, 9)
	fill(3, 9)
	require.NotNil(t, names(c, 1)) // used
	fill(4, 9)
	require.Nil(t, names(c, 2), "the one not used for longest")
	require.NotNil(t, names(c, 1))
	require.NotNil(t, names(c, 3))
	_, ok := c.File(3001)
	require.True(t, ok)

	fill(5, 100)
	require.Len(t, names(c, 5), 100, "bigger than the limit")
	require.Equal(t, 101, c.Len())
	fill(6, 1)
	require.Nil(t, names(c, 5))
	require.Len(t, names(c, 6), 1)
}

func TestGrowingFoldersAreEvictedToo(t *testing.T) {
	c := New(Options{MaxEntries: 50})
	put(t, c, folder(1, 0, "a"))
	put(t, c, folder(2, 0, "b"))
	for i := range remote.FileID(200) {
		c.Upsert(file(i+1, 2, fmt.Sprint(i)), late)
		check(t, c)
	}
	require.Nil(t, names(c, 1))
	require.Len(t, names(c, 2), 200)
}

func TestListingsThatCannotBe(t *testing.T) {
	c := New(Options{})
	gone := file(8, 1, "gone")
	gone.Deleted = true
	put(t, c, folder(1, 0, "a"),
		file(3, 1, "twice"), file(4, 1, "twice"), file(5, 1, "x"), file(5, 1, "y"), gone,
		folder(1, 1, "itself"), folder(0, 1, "root"), folder(2, 77, "elsewhere"))
	require.Equal(t, []string{"elsewhere/", "twice", "x"}, names(c, 1))
	e, _, _ := c.Lookup(1, "twice")
	require.EqualValues(t, 4, e.FileID)
	e, _, _ = c.Lookup(1, "elsewhere")
	require.EqualValues(t, 1, e.ParentID)

	// A ring of folders.
	put(t, c, folder(2, 1, "elsewhere"), folder(9, 2, "z"))
	put(t, c, folder(9, 2, "z"))
	c.Upsert(folder(1, 9, "a"), late)
	check(t, c)
	c.RemoveFolder(2, late)
	check(t, c)
	c.Upsert(folder(9, 9, "z"), late)
	check(t, c)
}
