package metadata

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pcloudfs/pcloudfs/remote"
)

// server is a naive pCloud: a map of what there is.
type server struct {
	entries map[key]remote.Entry
	now     time.Time
	last    remote.FileID
}

const (
	modelFolders = 6
	modelNames   = 4
)

func newServer() *server {
	s := &server{entries: make(map[key]remote.Entry), now: early, last: 100}
	for id := remote.FolderID(1); id <= modelFolders; id++ {
		s.entries[folderKey(id)] = folder(id, id/2, fmt.Sprint("d", id))
	}
	s.entries[folderKey(0)] = folder(0, 0, "/")
	return s
}

func (s *server) list(id remote.FolderID) (remote.Folder, bool) {
	self, ok := s.entries[folderKey(id)]
	f := remote.Folder{Entry: self, Contents: []remote.Entry{}}
	for _, e := range s.entries {
		if e.ParentID == id && keyOf(e) != folderKey(0) {
			f.Contents = append(f.Contents, e)
		}
	}
	return f, ok
}

func (s *server) at(parent remote.FolderID, name string, isFolder bool) (remote.Entry, bool) {
	for _, e := range s.entries {
		if e.ParentID == parent && e.Name == name && e.Folder == isFolder && keyOf(e) != folderKey(0) {
			return e, true
		}
	}
	return remote.Entry{}, false
}

func (s *server) inside(id, top remote.FolderID) bool {
	for id != top && id != 0 {
		id = s.entries[folderKey(id)].ParentID
	}
	return id == top
}

// event tells a cache what happened.
type event func(*Cache)

func (s *server) touch(ids ...remote.FolderID) {
	for _, id := range ids {
		if e, ok := s.entries[folderKey(id)]; ok {
			e.Modified = s.now
			s.entries[folderKey(id)] = e
		}
	}
}

// change does something random and returns the event, or nil.
func (s *server) change(t *rapid.T) event {
	s.now = s.now.Add(time.Second)
	parent := remote.FolderID(rapid.IntRange(0, modelFolders).Draw(t, "folder"))
	if _, ok := s.entries[folderKey(parent)]; !ok {
		return nil
	}
	name := fmt.Sprint("n", rapid.IntRange(1, modelNames).Draw(t, "name"))
	keys := make([]key, 0, len(s.entries))
	for k := range s.entries {
		if k != folderKey(0) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if len(keys) == 0 || rapid.IntRange(0, 2).Draw(t, "create") == 0 {
		return s.create(parent, name)
	}
	k := rapid.SampledFrom(keys).Draw(t, "entry")
	switch rapid.IntRange(0, 2).Draw(t, "op") {
	case 0:
		return s.remove(k)
	case 1:
		return s.move(k, parent, name)
	}
	e := s.entries[k]
	if e.Folder {
		return nil
	}
	e.Size, e.Modified, e.Hash = e.Size+1, s.now, e.Hash+1
	s.entries[k] = e
	return s.upserted(e)
}

func (s *server) upserted(e remote.Entry) event {
	at := s.now
	return func(c *Cache) { c.Upsert(e, at) }
}

func (s *server) create(parent remote.FolderID, name string) event {
	if _, taken := s.at(parent, name, false); taken {
		return nil
	}
	s.last++
	e := remote.Entry{Name: name, FileID: s.last, ParentID: parent, Created: s.now, Modified: s.now, Hash: 1}
	s.entries[keyOf(e)] = e
	s.touch(parent)
	return s.upserted(e)
}

func (s *server) remove(k key) event {
	at, e := s.now, s.entries[k]
	if !e.Folder {
		delete(s.entries, k)
		s.touch(e.ParentID)
		return func(c *Cache) { c.RemoveFile(e.FileID, at) }
	}
	for child, x := range s.entries {
		if child != folderKey(0) && s.inside(x.ParentID, e.FolderID) && child != k {
			if x.Folder {
				return nil // keep it simple: trees with folders stay
			}
		}
	}
	for child, x := range s.entries {
		if x.ParentID == e.FolderID && child != folderKey(0) {
			delete(s.entries, child)
		}
	}
	delete(s.entries, k)
	s.touch(e.ParentID)
	return func(c *Cache) { c.RemoveFolder(e.FolderID, at) }
}

func (s *server) move(k key, parent remote.FolderID, name string) event {
	e := s.entries[k]
	old, taken := s.at(parent, name, e.Folder)
	if e.Folder && (taken || s.inside(parent, e.FolderID)) || taken && keyOf(old) == k {
		return nil
	}
	if taken {
		delete(s.entries, keyOf(old))
		e.Replaced = old.FileID
	}
	s.touch(e.ParentID, parent)
	if e.Folder {
		e.Modified = s.entries[k].Modified
	}
	e.ParentID, e.Name = parent, name
	ev := s.upserted(e)
	e.Replaced = 0
	s.entries[k] = e
	return ev
}

// agree fails if a listing of the cache is not what the server has. Times of
// folders may be ahead of the server's when the cache could not know better.
func (s *server) agree(t *rapid.T, c *Cache, late bool) {
	for id := range remote.FolderID(modelFolders + 1) {
		got, fresh, ok := c.List(id)
		if !ok {
			continue
		}
		if !fresh {
			t.Fatalf("listing of %d is not fresh", id)
		}
		f, ok := s.list(id)
		if !ok {
			continue // below a folder that was removed while it was not held
		}
		slices.SortFunc(f.Contents, func(a, b remote.Entry) int {
			if n := strings.Compare(a.Name, b.Name); n != 0 || a.Folder == b.Folder {
				return n
			}
			if a.Folder {
				return -1
			}
			return 1
		})
		if d := cmp.Diff(f.Contents, got, cmp.FilterPath(
			func(p cmp.Path) bool { return p.Last().String() == ".Modified" },
			cmp.Comparer(func(a, b time.Time) bool { return true }))); d != "" {
			t.Fatalf("folder %d: -server +cache\n%s", id, d)
		}
		for i := range got {
			// Of a folder whose listing is not held, the cache cannot know what
			// it loses, nor of one that lost it by a listing before the event.
			if _, _, held := c.List(got[i].FolderID); got[i].Folder && (late || !held) {
				continue
			}
			if got[i].Modified.Before(f.Contents[i].Modified) || !got[i].Folder && got[i].Modified != f.Contents[i].Modified {
				t.Fatalf("%q in %d: modified %v, server has %v", got[i].Name, id, got[i].Modified, f.Contents[i].Modified)
			}
		}
	}
}

// pending is a listing under way: begun, perhaps answered, not yet put.
type pending struct {
	token  Token
	answer *remote.Folder
}

// run drives a cache and a server. With delay, events are told some time after
// they happened.
func run(t *rapid.T, delay bool) {
	s := newServer()
	c := New(Options{MaxEntries: rapid.SampledFrom([]int{4, 12, 1000}).Draw(t, "max")})
	var under []pending
	var feed []event
	tell := func(n int) {
		for _, ev := range feed[:n] {
			ev(c)
		}
		feed = feed[n:]
	}
	for range rapid.IntRange(1, 80).Draw(t, "steps") {
		switch op := rapid.IntRange(0, 9).Draw(t, "step"); {
		case op <= 1:
			under = append(under, pending{token: c.Begin(remote.FolderID(rapid.IntRange(0, modelFolders).Draw(t, "list")))})
		case op <= 3 && len(under) > 0:
			p := &under[rapid.IntRange(0, len(under)-1).Draw(t, "answer")]
			if f, ok := s.list(p.token.id); ok {
				p.answer = &f
			}
		case op <= 5 && len(under) > 0:
			i := rapid.IntRange(0, len(under)-1).Draw(t, "put")
			if p := under[i]; p.answer != nil {
				c.Put(p.token, *p.answer)
			}
			under = slices.Delete(under, i, i+1)
		case op == 6 && len(feed) > 0:
			tell(rapid.IntRange(1, len(feed)).Draw(t, "tell"))
		default:
			if ev := s.change(t); ev != nil {
				feed = append(feed, ev)
			}
		}
		if !delay {
			tell(len(feed))
			s.agree(t, c, delay)
		}
		verify(t, c)
	}
	tell(len(feed))
	verify(t, c)
	s.agree(t, c, delay)
}

// verify is check for rapid.
func verify(t *rapid.T, c *Cache) {
	entries := 0
	for _, id := range c.listings.Keys() {
		l, _ := c.listings.Peek(id)
		entries += len(l.children)
		for _, n := range l.children {
			if c.nodes[n.key] != n || n.parent != id {
				t.Fatalf("child %q of %d is not the one of the index", n.name, id)
			}
		}
	}
	if entries != c.entries || entries+c.listings.Len() > c.max && c.listings.Len() > 1 {
		t.Fatalf("%d entries, %d counted, %d listings, limit %d", entries, c.entries, c.listings.Len(), c.max)
	}
	for _, n := range c.nodes {
		if !c.attached(n) && !(n.key.kind() == kindFolder && c.listings.Contains(n.key.folder())) {
			t.Fatalf("%q is held by nothing", n.name)
		}
	}
}

func TestListingsAgreeWithTheServer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { run(t, false) })
}

func TestListingsConvergeWhenEventsAreLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { run(t, true) })
}
