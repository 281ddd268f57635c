package fs

import (
	"context"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// Raw is the file system as the kernel sees it, without a kernel.
type Raw struct {
	fuse.RawFileSystem
	m *mountState
}

func NewRaw[H Handle](v Volume[H], o Options) Raw {
	m := newMountState(untyped[H]{v}, o)
	return Raw{registrar{gofs.NewNodeFS(m.root, m.fuseOptions()), m}, m}
}

// Known counts the nodes in the table.
func (r Raw) Known() int { return r.m.known() }

// Answer does what a handler does that answers with a, up to the time when go-fuse
// registers the node. Registered is what happens then.
func (r Raw) Answer(ctx context.Context, a cache.Attr) { r.m.intern(ctx, a) }
func (r Raw) Registered(id cache.NodeID)               { r.m.unpin(id) }

// LateOnForget is a call of OnForget that a lookup has overtaken.
func (r Raw) LateOnForget(id cache.NodeID) { r.m.table.nodes[id].base().OnForget() }

// UserAllowOther opens an internal to tests.
var UserAllowOther = userAllowOther
