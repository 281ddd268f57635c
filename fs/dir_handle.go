package fs

import (
	"context"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// dirHandle is an open folder: one snapshot of its entries, taken when first
// read, and anew after a rewind. The offset of an entry is its index, so seeking
// works within a snapshot, in any direction.
//
// go-fuse serialises Readdirent, Lookup, Seekdir and Releasedir of a handle.
type dirHandle struct {
	d *dir

	loaded  bool
	entries []cache.DirEntry
	next    int // index of the next entry, counting "." and ".."

	// When the snapshot was taken: time, and count of changes made by this mount
	// (mountState.changes).
	taken   time.Time
	changes uint64

	// pinned is the child of the last Lookup; go-fuse has registered it by the
	// time of the next call.
	pinned    cache.NodeID
	hasPinned bool
}

// dots is the number of entries before those of the snapshot: "." and "..".
const dots = 2

// OpendirHandle implements NodeOpendirHandler. Nothing is listed yet: many
// programs open a folder only to have its descriptor.
func (d *dir) OpendirHandle(context.Context, uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	return &dirHandle{d: d}, 0, 0
}

func (h *dirHandle) load(ctx context.Context) syscall.Errno {
	changes, taken := h.d.m.changes.Load(), time.Now()
	entries, err := h.d.m.vol.ReadDir(ctx, h.d.id)
	if err != nil {
		return h.d.m.errno("readdir", h.d.id, err)
	}
	h.entries, h.taken, h.changes, h.loaded = entries, taken, changes, true
	return 0
}

// Readdirent implements FileReaddirenter.
func (h *dirHandle) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	h.unpin()
	if !h.loaded {
		if errno := h.load(ctx); errno != 0 {
			return nil, errno
		}
	}
	if h.next >= dots+len(h.entries) {
		return nil, 0
	}
	e := &fuse.DirEntry{Mode: syscall.S_IFDIR}
	switch h.next {
	case 0:
		e.Name, e.Ino = ".", uint64(h.d.id)
	case 1:
		e.Name, e.Ino = "..", h.d.parentIno()
	default:
		entry := &h.entries[h.next-dots]
		e.Name, e.Ino = entry.Name, uint64(entry.Attr.ID)
		if !entry.Attr.Folder {
			e.Mode = syscall.S_IFREG
		}
	}
	h.next++
	e.Off = uint64(h.next)
	return e, 0
}

// parentIno is the inode number of "..". What lies above the mount is not known
// here; the kernel answers stat("..") there by itself.
func (d *dir) parentIno() uint64 {
	if _, p := d.Parent(); p != nil {
		return p.StableAttr().Ino
	}
	return uint64(d.id)
}

// Lookup implements FileLookuper: the attributes of an entry, for READDIRPLUS.
func (h *dirHandle) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	h.unpin()
	a, ok := h.fresh(name)
	if !ok {
		var err error
		if a, err = h.d.m.vol.Lookup(ctx, h.d.id, name); err != nil {
			return nil, h.d.m.errno("lookup", h.d.id, err)
		}
	}
	ino := h.d.answer(ctx, a, out)
	h.pinned, h.hasPinned = a.ID, true
	return ino, 0
}

// fresh returns the attributes that the snapshot has of the last entry, if name
// is that entry's (it is not when go-fuse repeats an interrupted answer) and they
// are good enough. The kernel takes them for the attributes of now: a size from
// before a write or a name from before an unlink would come back to life in its
// caches. So they do not serve after any change made by this mount, nor when they
// are older than the kernel keeps attributes.
func (h *dirHandle) fresh(name string) (cache.Attr, bool) {
	i := h.next - dots - 1
	if i < 0 || i >= len(h.entries) || h.entries[i].Name != name {
		return cache.Attr{}, false
	}
	if h.changes != h.d.m.changes.Load() || time.Since(h.taken) > h.d.m.o.AttrTimeout {
		return cache.Attr{}, false
	}
	return h.entries[i].Attr, true
}

func (h *dirHandle) unpin() {
	if h.hasPinned {
		h.d.m.unpin(h.pinned)
		h.hasPinned = false
	}
}

// Seekdir implements FileSeekdirer. Back at the start, a new snapshot is taken.
func (h *dirHandle) Seekdir(ctx context.Context, off uint64) syscall.Errno {
	if off == 0 {
		h.loaded, h.entries, h.next = false, nil, 0
		return 0
	}
	if !h.loaded {
		if errno := h.load(ctx); errno != 0 {
			return errno
		}
	}
	h.next = int(min(off, uint64(dots+len(h.entries))))
	return 0
}

// Releasedir implements FileReleasedirer.
func (h *dirHandle) Releasedir(context.Context, uint32) {
	h.unpin()
}

// Fsyncdir implements FileFsyncdirer.
func (h *dirHandle) Fsyncdir(ctx context.Context, _ uint32) syscall.Errno {
	return h.d.m.errno("fsyncdir", h.d.id, h.d.m.vol.SyncDir(ctx, h.d.id))
}
