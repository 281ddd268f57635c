package metadata

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

type kind uint64

const (
	kindFile   kind = 0
	kindFolder kind = 1
)

// key is a pCloud id with its kind in the lowest bit: files and folders are
// numbered in separate spaces. Ids are at most remote.MaxID.
type key uint64

func fileKey(id remote.FileID) key     { return key(id)<<1 | key(kindFile) }
func folderKey(id remote.FolderID) key { return key(id)<<1 | key(kindFolder) }

func keyOf(e remote.Entry) key {
	if e.Folder {
		return folderKey(e.FolderID)
	}
	return fileKey(e.FileID)
}

func (k key) kind() kind              { return kind(k & 1) }
func (k key) folder() remote.FolderID { return remote.FolderID(k >> 1) }

// node is a remote.Entry in half the space: exactly 64 bytes, there may be a
// million of them. It is in Cache.nodes while the listing of its parent or, for
// a folder, its own is held.
type node struct {
	name              string
	key               key
	parent            remote.FolderID
	size              int64
	hash              remote.Hash
	created, modified int64 // seconds since 1970: pCloud keeps no fractions
}

// set takes over what e says. The modification time of a folder only ever
// grows, so that an older listing does not undo the parent rule.
func (n *node) set(e remote.Entry) {
	modified := e.Modified.Unix()
	if n.key.kind() == kindFolder && n.name != "" {
		modified = max(modified, n.modified)
	}
	if n.name != e.Name {
		n.name = strings.Clone(e.Name) // it may be part of a whole reply
	}
	n.parent, n.size, n.hash = e.ParentID, e.Size, e.Hash
	n.created, n.modified = e.Created.Unix(), modified
}

func (n *node) entry() remote.Entry {
	e := remote.Entry{
		Name: n.name, ParentID: n.parent, Size: n.size, Hash: n.hash,
		Created: time.Unix(n.created, 0).UTC(), Modified: time.Unix(n.modified, 0).UTC(),
	}
	if n.key.kind() == kindFolder {
		e.Folder, e.FolderID = true, n.key.folder()
	} else {
		e.FileID = remote.FileID(n.key >> 1)
	}
	return e
}

// touch applies the parent rule (pCloud API 11.1).
func (n *node) touch(at time.Time) {
	if !at.IsZero() {
		n.modified = max(n.modified, at.Unix())
	}
}

// listing is the complete set of children of a folder. No two children are of
// one name and kind.
type listing struct {
	id       remote.FolderID
	children []*node // by name, folders before files
	clock    uint64  // of the token
	at       time.Time
}

func compare(n *node, name string, k kind) int {
	if c := strings.Compare(n.name, name); c != 0 {
		return c
	}
	return cmp.Compare(k, n.key.kind()) // folders first
}

func (l *listing) find(name string, k kind) (int, bool) {
	return slices.BinarySearchFunc(l.children, k, func(n *node, k kind) int { return compare(n, name, k) })
}

func (l *listing) insert(n *node) {
	i, _ := l.find(n.name, n.key.kind())
	l.children = slices.Insert(l.children, i, n)
}

// remove takes out a child and reports whether it was there.
func (l *listing) remove(n *node) bool {
	i, ok := l.find(n.name, n.key.kind())
	if !ok || l.children[i] != n {
		return false
	}
	l.children = slices.Delete(l.children, i, i+1)
	return true
}
