package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// dir is a folder that the kernel knows.
type dir struct {
	node
}

// Getattr implements NodeGetattrer.
func (d *dir) Getattr(ctx context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	_, errno := d.getattr(ctx, out)
	if errno == syscall.ENOENT && d.removed.Load() {
		// Somebody's open or working directory; POSIX lets its attributes be asked.
		t := time.Unix(0, d.changed.Load())
		d.m.setAttr(&d.node, cache.Attr{ID: d.id, Folder: true, Atime: t, Mtime: t, Ctime: t}, &out.Attr)
		return 0
	}
	return errno
}

// Lookup implements NodeLookuper.
func (d *dir) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	a, err := d.m.vol.Lookup(ctx, d.id, name)
	if err != nil {
		return nil, d.m.errno("lookup", d.id, err)
	}
	return d.answer(ctx, a, out), 0
}

// answer names a child in an answer; it is pinned.
func (d *dir) answer(ctx context.Context, a cache.Attr, out *fuse.EntryOut) *gofs.Inode {
	i := d.m.intern(ctx, a)
	d.m.setEntry(i, a, out)
	return i.EmbeddedInode()
}

// Mkdir implements NodeMkdirer.
func (d *dir) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if d.m.o.ReadOnly {
		return nil, syscall.EROFS
	}
	a, err := d.m.vol.Mkdir(ctx, d.id, name)
	d.m.changes.Add(1)
	if err != nil {
		return nil, d.m.errno("mkdir", d.id, err)
	}
	d.m.owners.made(ctx, a, mode)
	return d.answer(ctx, a, out), 0
}

// Create implements NodeCreater.
func (d *dir) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	if d.m.o.ReadOnly {
		return nil, nil, 0, syscall.EROFS
	}
	of := openFlags(flags)
	h, a, made, err := d.create(ctx, name, of, flags&syscall.O_EXCL != 0)
	d.m.changes.Add(1)
	if err != nil {
		return nil, nil, 0, d.m.errno("create", d.id, err)
	}
	if made {
		d.m.owners.made(ctx, a, mode)
	}
	ino := d.answer(ctx, a, out)
	fh, fuseFlags := ino.Operations().(*file).handle(h, a, of.Write)
	return ino, fh, fuseFlags, 0
}

// createAttempts bounds how often a name may come and go while it is created.
const createAttempts = 10

// create makes and opens a file, or opens the one that has the name unless
// exclusive is set. The kernel sends CREATE for names that it believes to be
// absent, which may be out of date. Making is tried first, because then, and only
// then, the mode of the request counts.
func (d *dir) create(ctx context.Context, name string, of cache.OpenFlags, exclusive bool) (h Handle, a cache.Attr, made bool, err error) {
	fresh := of
	fresh.Exclusive, fresh.Truncate = true, false
	for range createAttempts {
		h, a, err = d.m.vol.Create(ctx, d.id, name, fresh)
		if exclusive || !errors.Is(err, iofs.ErrExist) {
			return h, a, true, err
		}
		if a, err = d.m.vol.Lookup(ctx, d.id, name); err == nil {
			if a.Folder {
				return nil, a, false, cache.ErrIsFolder
			}
			h, a, err = d.m.vol.OpenFile(ctx, a.ID, of)
		}
		if !errors.Is(err, iofs.ErrNotExist) {
			return h, a, false, err
		}
	}
	return nil, a, false, err
}

// Unlink implements NodeUnlinker.
func (d *dir) Unlink(ctx context.Context, name string) syscall.Errno {
	return d.remove(ctx, "unlink", name, d.m.vol.Unlink)
}

// Rmdir implements NodeRmdirer.
func (d *dir) Rmdir(ctx context.Context, name string) syscall.Errno {
	return d.remove(ctx, "rmdir", name, d.m.vol.Rmdir)
}

func (d *dir) remove(ctx context.Context, op, name string, remove func(context.Context, cache.NodeID, string) error) syscall.Errno {
	if d.m.o.ReadOnly {
		return syscall.EROFS
	}
	child := d.GetChild(name)
	err := remove(ctx, d.id, name)
	d.m.changes.Add(1)
	if err != nil {
		return d.m.errno(op, d.id, err)
	}
	markRemoved(child)
	return 0
}

// markRemoved notes that a node lost its name; child may be nil.
func markRemoved(child *gofs.Inode) {
	if child == nil {
		return
	}
	if i, ok := child.Operations().(inode); ok {
		n := i.base()
		n.changed.Store(time.Now().UnixNano())
		n.removed.Store(true)
	}
}

// Link implements NodeLinker. pCloud has no hard links, and EPERM is what tools
// take for that.
func (d *dir) Link(context.Context, gofs.InodeEmbedder, string, *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	return nil, syscall.EPERM
}

// Symlink implements NodeSymlinker: EPERM, as for Link.
func (d *dir) Symlink(context.Context, string, string, *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	return nil, syscall.EPERM
}

// Mknod implements NodeMknoder: EPERM for devices, pipes and sockets. Regular
// files come as Create.
func (d *dir) Mknod(context.Context, string, uint32, uint32, *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	return nil, syscall.EPERM
}

// Tmpfile implements NodeTmpfiler: after ENOSYS the kernel fails O_TMPFILE with
// EOPNOTSUPP and does not ask again; programs fall back to a named file.
func (d *dir) Tmpfile(context.Context, uint32, uint32, *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	return nil, nil, 0, syscall.ENOSYS
}
