package metadata

import (
	"cmp"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// Upsert takes over an entry that was made, changed or moved, by us or as the
// change feed tells. It is taken from wherever it was and put into the listing
// of e.ParentID, if that is held, in the place of another of that name and
// kind; e.Replaced is removed. A deleted entry is removed. at is when it
// happened (zero: not known): a folder that gained or lost a child was modified
// then (pCloud API 11.1).
func (c *Cache) Upsert(e remote.Entry, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	if e.Deleted {
		if _, ok := c.nodes[keyOf(e)]; !ok {
			c.touch(folderKey(e.ParentID), at)
		}
		c.remove(keyOf(e), at)
		return
	}
	if e.Replaced != 0 && (e.Folder || e.Replaced != e.FileID) {
		c.remove(fileKey(e.Replaced), at)
	}
	c.upsert(e, at)
	c.evict()
}

// RemoveFile forgets a file that was deleted.
func (c *Cache) RemoveFile(id remote.FileID, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	c.remove(fileKey(id), at)
}

// RemoveFolder forgets a folder that was deleted, and what is held below it.
// Listings below it that are connected with it only by one that is not held
// any more stay until they are evicted; no path leads to them.
func (c *Cache) RemoveFolder(id remote.FolderID, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	c.remove(folderKey(id), at)
}

func (c *Cache) upsert(e remote.Entry, at time.Time) {
	k := keyOf(e)
	c.changes.record(change{k, false}, c.clock)
	n := c.nodes[k]
	if k == folderKey(remote.RootFolder) { // has no parent
		if n != nil {
			n.set(e)
		}
		return
	}
	to := folderKey(e.ParentID)
	c.changes.record(change{to, true}, c.clock)
	if n != nil && n.parent == e.ParentID && n.name == e.Name && c.attached(n) {
		n.set(e)
		return
	}
	if n != nil {
		c.leave(n, at)
	} else if n = (&node{key: k}); !c.listings.Contains(e.ParentID) {
		// Nothing is held that could hold it. Whether it is new there is not
		// known; a folder that seems modified is looked at, one that does not
		// seem so is not.
		c.touch(to, at)
		return
	}
	n.set(e)
	c.enter(n)
	c.touch(to, at)
}

// leave takes a node out of its parent's listing.
func (c *Cache) leave(n *node, at time.Time) {
	from := folderKey(n.parent)
	c.changes.record(change{from, true}, c.clock)
	c.touch(from, at)
	c.detach(n)
}

func (c *Cache) detach(n *node) {
	if l, ok := c.listings.Peek(n.parent); ok && l.remove(n) {
		c.entries--
	}
}

// enter puts a node into its parent's listing, if that is held, and into the
// index if anything holds it.
func (c *Cache) enter(n *node) {
	l, ok := c.listings.Peek(n.parent)
	if !ok || n.key == folderKey(n.parent) {
		c.settle(n)
		return
	}
	if i, taken := l.find(n.name, n.key.kind()); taken {
		old := l.children[i]
		c.detach(old)
		c.dropTree(old)
	}
	// The one it replaces may have been an ancestor, in a tree that is out of
	// date: then the listing is gone.
	if _, ok := c.listings.Peek(n.parent); !ok {
		c.settle(n)
		return
	}
	l.insert(n)
	c.entries++
	c.nodes[n.key] = n
}

// settle drops a node from the index unless something holds it.
func (c *Cache) settle(n *node) {
	if n.key.kind() == kindFolder && c.listings.Contains(n.key.folder()) || c.attached(n) {
		c.nodes[n.key] = n
	} else if c.nodes[n.key] == n {
		delete(c.nodes, n.key)
	}
}

// attached reports whether the listing of the node's parent has it.
func (c *Cache) attached(n *node) bool {
	l, ok := c.listings.Peek(n.parent)
	if !ok {
		return false
	}
	i, ok := l.find(n.name, n.key.kind())
	return ok && l.children[i] == n
}

func (c *Cache) touch(folder key, at time.Time) {
	if n, ok := c.nodes[folder]; ok {
		n.touch(at)
	}
}

func (c *Cache) remove(k key, at time.Time) {
	c.changes.record(change{k, false}, c.clock)
	if k.kind() == kindFolder {
		c.changes.record(change{k, true}, c.clock)
	}
	if n, ok := c.nodes[k]; ok {
		c.leave(n, at)
		c.dropTree(n)
	}
}

// dropTree forgets a node that no listing has any more, and what is held below
// it.
func (c *Cache) dropTree(n *node) {
	for stack := []*node{n}; len(stack) > 0; {
		n, stack = stack[len(stack)-1], stack[:len(stack)-1]
		if c.nodes[n.key] == n {
			delete(c.nodes, n.key)
		}
		if n.key.kind() != kindFolder {
			continue
		}
		if l, ok := c.listings.Peek(n.key.folder()); ok {
			c.listings.Remove(l.id)
			c.entries -= len(l.children)
			stack = append(stack, l.children...)
		}
	}
}

// drop forgets the listing of one folder. What is held below it stays.
func (c *Cache) drop(id remote.FolderID) {
	l, ok := c.listings.Peek(id)
	if !ok {
		return
	}
	c.listings.Remove(id)
	c.entries -= len(l.children)
	for _, n := range l.children {
		c.settle(n)
	}
	if n, ok := c.nodes[folderKey(id)]; ok {
		c.settle(n)
	}
}

// evict drops the listings that were not used for longest until the limit is
// kept. The last one stays, however big.
func (c *Cache) evict() {
	for c.entries+c.listings.Len() > c.max && c.listings.Len() > 1 {
		id, _, _ := c.listings.GetOldest()
		c.drop(id)
	}
}

// store puts a listing in the place of the one that is held.
func (c *Cache) store(t Token, f remote.Folder) {
	l := &listing{id: t.id, clock: t.clock, at: t.at, children: make([]*node, 0, len(f.Contents))}
	mine := make(map[key]bool, len(f.Contents))
	for _, e := range f.Contents {
		k := keyOf(e)
		if e.Deleted || mine[k] || e.Folder && (e.FolderID == t.id || e.FolderID == remote.RootFolder) {
			continue
		}
		mine[k] = true
		e.ParentID = t.id
		l.children = append(l.children, c.adopt(e))
	}
	gone := l.arrange()
	if old, ok := c.listings.Peek(t.id); ok {
		c.entries -= len(old.children)
		for _, n := range old.children {
			if !mine[n.key] {
				gone = append(gone, n)
			}
		}
	}
	c.listings.Add(t.id, l)
	c.entries += len(l.children)
	for _, n := range gone {
		c.dropTree(n)
	}
	c.storeSelf(t, f.Entry)
}

// adopt returns the node of an entry, taken out of the listing that it was in
// if that is another folder's.
func (c *Cache) adopt(e remote.Entry) *node {
	k := keyOf(e)
	n, ok := c.nodes[k]
	if !ok {
		n = &node{key: k}
		c.nodes[k] = n
	} else if n.parent != e.ParentID {
		c.detach(n)
	}
	n.set(e)
	return n
}

// arrange sorts the children and takes out those whose name another one of the
// kind has, which is not supposed to be: the younger one stays.
func (l *listing) arrange() (out []*node) {
	slices.SortFunc(l.children, func(a, b *node) int {
		return cmp.Or(compare(a, b.name, b.key.kind()), cmp.Compare(b.key, a.key))
	})
	kept := l.children[:0]
	for _, n := range l.children {
		if i := len(kept) - 1; i >= 0 && compare(kept[i], n.name, n.key.kind()) == 0 {
			out = append(out, n)
		} else {
			kept = append(kept, n)
		}
	}
	l.children = kept
	return out
}

// storeSelf takes over what a listing says about the folder itself, unless
// something newer is known.
func (c *Cache) storeSelf(t Token, e remote.Entry) {
	k := folderKey(t.id)
	if !e.Folder || e.FolderID != t.id || c.changes.since(change{k, false}, t.clock) {
		return
	}
	n, ok := c.nodes[k]
	switch {
	case !ok:
		n = &node{key: k}
	case n.parent == e.ParentID && n.name == e.Name, t.id == remote.RootFolder:
		n.set(e)
		return
	default:
		c.detach(n)
	}
	n.set(e)
	if t.id == remote.RootFolder {
		c.nodes[k] = n
		return
	}
	c.enter(n)
}
