package fs

import (
	"context"
	"math"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// Setattr implements NodeSetattrer for files.
func (f *file) Setattr(ctx context.Context, _ gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	a, errno := f.setattr(ctx, in, out)
	if errno != 0 {
		return errno
	}
	if _, ok := in.GetSize(); ok {
		f.pages.truncated()
	} else {
		f.observe(a.Version)
	}
	return 0
}

// Setattr implements NodeSetattrer for folders.
func (d *dir) Setattr(ctx context.Context, _ gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if _, ok := in.GetSize(); ok {
		return syscall.EISDIR
	}
	_, errno := d.setattr(ctx, in, out)
	return errno
}

// setattr changes what the volume holds first, then mode and owner, which cannot
// fail: so an error means that nothing changed. With default_permissions the
// kernel has checked that the caller may.
func (n *node) setattr(ctx context.Context, in *fuse.SetAttrIn, out *fuse.AttrOut) (cache.Attr, syscall.Errno) {
	if n.m.o.ReadOnly {
		return cache.Attr{}, syscall.EROFS
	}
	var c cache.Changes
	if size, ok := in.GetSize(); ok {
		if size > math.MaxInt64 {
			return cache.Attr{}, syscall.EFBIG
		}
		s := int64(size)
		c.Size = &s
	}
	if t, ok := in.GetATime(); ok {
		c.Atime = &t
	}
	if t, ok := in.GetMTime(); ok {
		c.Mtime = &t
	}
	a, err := n.change(ctx, c)
	if err != nil {
		return a, n.m.errno("setattr", n.id, err)
	}
	n.setOwner(a, in)
	n.m.changes.Add(1)
	n.m.setAttr(n, a, &out.Attr)
	// go-fuse applies the default to every reply but this one.
	out.SetTimeout(n.m.o.AttrTimeout)
	return a, 0
}

func (n *node) change(ctx context.Context, c cache.Changes) (cache.Attr, error) {
	if c == (cache.Changes{}) {
		return n.m.vol.Stat(ctx, n.id)
	}
	return n.m.vol.SetAttr(ctx, n.id, c)
}

// setOwner does chmod and chown.
func (n *node) setOwner(a cache.Attr, in *fuse.SetAttrIn) {
	mode, chmod := in.GetMode()
	uid, chuid := in.GetUID()
	gid, chgid := in.GetGID()
	if !chmod && !chuid && !chgid {
		return
	}
	n.m.owners.update(a.ID, a.Folder, func(o *owner) {
		if chmod {
			o.mode = mode
		}
		if chuid {
			o.uid = uid
		}
		if chgid {
			o.gid = gid
		}
	})
	n.changed.Store(time.Now().UnixNano())
}
