package fs

import (
	"context"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// file is a file that the kernel knows.
type file struct {
	node
	pages pages
}

// observe looks at the version that attributes of f showed.
func (f *file) observe(version uint64) {
	if f.pages.observe(version) {
		f.m.invalidator.add(f)
	}
}

// Getattr implements NodeGetattrer.
func (f *file) Getattr(ctx context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	a, errno := f.getattr(ctx, out)
	if errno == 0 {
		f.observe(a.Version)
	}
	return errno
}

// Open implements NodeOpener.
func (f *file) Open(ctx context.Context, flags uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	of := openFlags(flags)
	if of.Write && f.m.o.ReadOnly {
		return nil, 0, syscall.EROFS
	}
	h, a, err := f.m.vol.OpenFile(ctx, f.id, of)
	if err != nil {
		return nil, 0, f.m.errno("open", f.id, err)
	}
	if of.Truncate {
		f.m.changes.Add(1)
	}
	fh, fuseFlags := f.handle(h, a, of.Write)
	return fh, fuseFlags, 0
}

// handle makes the handle for h, just opened when the file looked like a.
func (f *file) handle(h Handle, a cache.Attr, write bool) (*fileHandle, uint32) {
	flags, drops := f.pages.open(a.Version, write)
	fh := &fileHandle{f: f, h: h, write: write}
	fh.unheard.Store(drops)
	return fh, flags
}

// openFlags translates the flags of open(2). O_APPEND needs nothing: the kernel
// sends offsets.
func openFlags(flags uint32) cache.OpenFlags {
	acc := flags & syscall.O_ACCMODE
	of := cache.OpenFlags{
		Read:     acc != syscall.O_WRONLY,
		Write:    acc != syscall.O_RDONLY,
		Truncate: flags&syscall.O_TRUNC != 0,
		Sync:     flags&(syscall.O_SYNC|flagDsync) != 0,
	}
	// O_RDONLY|O_TRUNC truncates, says POSIX's "undefined" on every system.
	of.Write = of.Write || of.Truncate
	return of
}
