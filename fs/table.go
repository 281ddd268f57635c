package fs

import (
	"context"
	"sync"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// inode is *file or *dir.
type inode interface {
	gofs.InodeEmbedder
	base() *node
}

// table holds the one node of each NodeID that the kernel knows.
//
// go-fuse has such a table of its own, but fills it only after a handler has
// returned, and for a created file always with the new node. Here state hangs
// on nodes (page versions, later passthrough), so two nodes of one file must
// never be. The catch is the time between a handler's return and go-fuse's
// registration, in which a FORGET of an earlier lookup may drop the node: pins
// span it. They are taken by intern and given back by registrar, or by the
// directory handle.
type table struct {
	mu    sync.Mutex
	nodes map[cache.NodeID]inode
}

// intern returns the pinned node for a.
func (m *mountState) intern(ctx context.Context, a cache.Attr) inode {
	m.table.mu.Lock()
	defer m.table.mu.Unlock()
	i := m.table.nodes[a.ID]
	if i == nil {
		mode := uint32(syscall.S_IFREG)
		if a.Folder {
			i = &dir{node: node{m: m, id: a.ID}}
			mode = syscall.S_IFDIR
		} else {
			i = &file{node: node{m: m, id: a.ID}}
		}
		m.root.NewInode(ctx, i, gofs.StableAttr{Mode: mode, Ino: uint64(a.ID)})
		m.table.nodes[a.ID] = i
	}
	i.base().pins++
	return i
}

// unpin gives back one pin of intern.
func (m *mountState) unpin(id cache.NodeID) {
	m.table.mu.Lock()
	defer m.table.mu.Unlock()
	if i := m.table.nodes[id]; i != nil && i.base().pins > 0 {
		i.base().pins--
	}
}

// forget drops n if the kernel really does not know it any more.
func (m *mountState) forget(n *node) {
	if n.id == m.root.id || !m.drop(n) {
		return
	}
	if n.removed.Load() {
		m.owners.forget(n.id)
	}
	m.vol.Forget(n.id)
}

func (m *mountState) drop(n *node) bool {
	m.table.mu.Lock()
	defer m.table.mu.Unlock()
	i := m.table.nodes[n.id]
	if i == nil || i.base() != n || n.pins > 0 {
		return false
	}
	//lint:ignore SA1019 OnForget alone does not tell whether a lookup came in between.
	if !n.Forgotten() {
		return false
	}
	delete(m.table.nodes, n.id)
	return true
}

// known returns the number of nodes in the table.
func (m *mountState) known() int {
	m.table.mu.Lock()
	defer m.table.mu.Unlock()
	return len(m.table.nodes)
}

// registrar unpins the node that an answer names once go-fuse has registered it.
type registrar struct {
	fuse.RawFileSystem
	m *mountState
}

func (r registrar) Lookup(cancel <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	st := r.RawFileSystem.Lookup(cancel, header, name, out)
	r.registered(st, out)
	return st
}

func (r registrar) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	st := r.RawFileSystem.Mkdir(cancel, in, name, out)
	r.registered(st, out)
	return st
}

func (r registrar) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	st := r.RawFileSystem.Create(cancel, in, name, out)
	r.registered(st, &out.EntryOut)
	return st
}

func (r registrar) registered(st fuse.Status, out *fuse.EntryOut) {
	if st.Ok() && out.NodeId != 0 {
		r.m.unpin(cache.NodeID(out.Ino))
	}
}
