package journal

import (
	"sync"

	"github.com/pcloudfs/pcloudfs/remote"
)

// object is a pCloud id with its kind in the lowest bit; ids are below 1<<62.
type object uint64

func fileObject(id remote.FileID) object     { return object(id) << 1 }
func folderObject(id remote.FolderID) object { return object(id)<<1 | 1 }

func (b Binding) object() object {
	if b.Folder {
		return folderObject(b.FolderID)
	}
	return fileObject(b.File)
}

// bindings is the index of all bindings. They are looked up for every name of
// every listing, often under the caller's locks, so they are kept in memory:
// about 70 bytes each.
type bindings struct {
	mu       sync.RWMutex
	ofNode   map[NodeID]object
	ofObject map[object]NodeID
}

func newBindings() *bindings {
	return &bindings{ofNode: make(map[NodeID]object), ofObject: make(map[object]NodeID)}
}

func (b *bindings) add(x Binding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removeLocked(x.Node)
	b.ofNode[x.Node] = x.object()
	b.ofObject[x.object()] = x.Node
}

func (b *bindings) remove(n NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removeLocked(n)
}

func (b *bindings) removeLocked(n NodeID) {
	o, ok := b.ofNode[n]
	if !ok {
		return
	}
	delete(b.ofNode, n)
	if b.ofObject[o] == n {
		delete(b.ofObject, o)
	}
}

// BindingOf returns what the node n became in pCloud. It never waits for the
// disk.
func (j *Journal) BindingOf(n NodeID) (Binding, bool) {
	j.bindings.mu.RLock()
	o, ok := j.bindings.ofNode[n]
	j.bindings.mu.RUnlock()
	if !ok {
		return Binding{}, false
	}
	x := Binding{Node: n, Folder: o&1 != 0}
	if x.Folder {
		x.FolderID = remote.FolderID(o >> 1)
	} else {
		x.File = remote.FileID(o >> 1)
	}
	return x, true
}

// NodeOfFile returns the node that became the file id. It never waits for the
// disk. If several were bound to it, the one bound last.
func (j *Journal) NodeOfFile(id remote.FileID) (NodeID, bool) {
	return j.bindings.node(fileObject(id))
}

// NodeOfFolder is NodeOfFile for folders.
func (j *Journal) NodeOfFolder(id remote.FolderID) (NodeID, bool) {
	return j.bindings.node(folderObject(id))
}

func (b *bindings) node(o object) (NodeID, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n, ok := b.ofObject[o]
	return n, ok
}
