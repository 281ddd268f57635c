package fs

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// node is what files and folders have in common. There is one per NodeID as
// long as the kernel knows it (type table). Nodes are many: keep them small.
type node struct {
	gofs.Inode

	m  *mountState
	id cache.NodeID

	// pins counts answers that name this node and that go-fuse has not registered
	// yet; guarded by table.mu. A pinned node stays in the table.
	pins int32

	// removed is set when the name was removed here.
	removed atomic.Bool

	// changed is when mode or owner were changed or the name was removed here, in
	// Unix nanoseconds, or 0. The volume may not know of it.
	changed atomic.Int64
}

func (n *node) base() *node { return n }

// OnForget implements NodeOnForgetter. It also comes when the kernel still
// knows the node, or knows it again; forget sorts that out.
func (n *node) OnForget() { n.m.forget(n) }

// getattr answers GETATTR. The handle that go-fuse offers with it is any open one
// and of no use: the volume knows the size of a file that is being written.
func (n *node) getattr(ctx context.Context, out *fuse.AttrOut) (cache.Attr, syscall.Errno) {
	a, err := n.m.vol.Stat(ctx, n.id)
	if err != nil {
		return a, n.m.errno("getattr", n.id, err)
	}
	n.m.setAttr(n, a, &out.Attr)
	return a, 0
}

// Statfs implements NodeStatfser.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	n.m.statfs(out)
	return 0
}

// setAttr writes a, which is of n, into an answer.
func (m *mountState) setAttr(n *node, a cache.Attr, out *fuse.Attr) {
	o := m.owners.get(a.ID, a.Folder)
	out.Ino = uint64(a.ID)
	out.Mode = o.mode
	out.Uid, out.Gid = o.uid, o.gid
	out.Nlink = a.Nlink
	out.Blksize = blockSize
	if a.Folder {
		out.Size, out.Blocks = blockSize, blockSize/512
	} else {
		out.Size, out.Blocks = uint64(a.Size), uint64(a.Blocks)
	}
	ctime := a.Ctime
	if c := n.changed.Load(); c != 0 && time.Unix(0, c).After(ctime) {
		ctime = time.Unix(0, c)
	}
	out.SetTimes(&a.Atime, &a.Mtime, &ctime)
}

// setEntry writes the attributes of the node i into the answer that names it.
func (m *mountState) setEntry(i inode, a cache.Attr, out *fuse.EntryOut) {
	m.setAttr(i.base(), a, &out.Attr)
	if f, ok := i.(*file); ok {
		f.observe(a.Version)
	}
}
