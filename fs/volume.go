package fs

import (
	"context"

	"github.com/pcloudfs/pcloudfs/cache"
)

// Volume is what this package needs of the file tree it presents;
// *cache.Volume is one, with H = *cache.Handle. All methods are called
// concurrently. Errors are those of errno.go. A cancelled context only ends
// waiting: the caller is told EINTR.
type Volume[H Handle] interface {
	// Lookup finds a name in a folder.
	Lookup(ctx context.Context, dir cache.NodeID, name string) (cache.Attr, error)

	// Stat tells the attributes of a node, also of one that lost its name and is
	// still open.
	Stat(ctx context.Context, id cache.NodeID) (cache.Attr, error)

	// ReadDir lists a folder: a consistent snapshot, sorted by name, without "."
	// and "..". The caller does not change it.
	ReadDir(ctx context.Context, dir cache.NodeID) ([]cache.DirEntry, error)

	// Mkdir makes a folder.
	Mkdir(ctx context.Context, dir cache.NodeID, name string) (cache.Attr, error)

	// Create makes and opens a file. It is called with f.Exclusive.
	Create(ctx context.Context, dir cache.NodeID, name string, f cache.OpenFlags) (H, cache.Attr, error)

	// OpenFile opens a file; the attributes are those after f.Truncate.
	OpenFile(ctx context.Context, id cache.NodeID, f cache.OpenFlags) (H, cache.Attr, error)

	// Rename moves a name, replacing a file or an empty folder of the new name
	// unless noReplace is set.
	Rename(ctx context.Context, dir cache.NodeID, name string, newDir cache.NodeID, newName string, noReplace bool) error

	// Unlink removes a file's name, Rmdir an empty folder.
	Unlink(ctx context.Context, dir cache.NodeID, name string) error
	Rmdir(ctx context.Context, dir cache.NodeID, name string) error

	// SetAttr changes size and times.
	SetAttr(ctx context.Context, id cache.NodeID, c cache.Changes) (cache.Attr, error)

	// Statfs tells the space. It never waits.
	Statfs() cache.Statfs

	// SyncDir waits until everything below a folder is in pCloud.
	SyncDir(ctx context.Context, id cache.NodeID) error

	// Forget tells that the kernel dropped a node, so that memory can be freed. It
	// may overtake a Lookup of the same node: a node that still has a name must
	// stay usable.
	Forget(id cache.NodeID)
}

// Handle is an open file; *cache.Handle is one.
type Handle interface {
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)  // short at the end of the file, never io.EOF
	WriteAt(ctx context.Context, p []byte, off int64) (int, error) // does not keep p
	Flush(ctx context.Context) error                               // each close(2) of a descriptor open for writing
	Sync(ctx context.Context) error                                // fsync(2)
	Allocate(ctx context.Context, off, n int64, keepSize bool) error
	Seek(ctx context.Context, off int64, whence int) (int64, error) // seekData and seekHole only
	Release()                                                       // never blocks
}

// volume is Volume with the type of its handles hidden.
type volume interface {
	Volume[Handle]
}

// untyped makes a volume of a Volume.
type untyped[H Handle] struct {
	Volume[H]
}

func (u untyped[H]) Create(ctx context.Context, dir cache.NodeID, name string, f cache.OpenFlags) (Handle, cache.Attr, error) {
	h, a, err := u.Volume.Create(ctx, dir, name, f)
	if err != nil {
		return nil, a, err
	}
	return h, a, nil
}

func (u untyped[H]) OpenFile(ctx context.Context, id cache.NodeID, f cache.OpenFlags) (Handle, cache.Attr, error) {
	h, a, err := u.Volume.OpenFile(ctx, id, f)
	if err != nil {
		return nil, a, err
	}
	return h, a, nil
}
