package fs

import (
	"context"
	"math"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// fileHandle is an open file. Reading and writing are methods of the handle and
// not of the node, as go-fuse wants it for passthrough.
type fileHandle struct {
	f     *file
	h     Handle
	write bool // open for writing

	// unheard is set until the first request if the open dropped the pages.
	unheard atomic.Bool
}

// heard is called by every request on the handle.
func (h *fileHandle) heard() {
	if h.unheard.Load() && h.unheard.CompareAndSwap(true, false) {
		h.f.pages.heard()
	}
}

// Read implements FileReader. An error discards what was read: the kernel takes
// a short answer for the end of the file.
func (h *fileHandle) Read(ctx context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	h.heard()
	n, err := h.h.ReadAt(ctx, dest, off)
	if err != nil {
		return nil, h.f.m.errno("read", h.f.id, err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

// Write implements FileWriter. What was written before an error counts: the
// caller meets the error when it writes the rest.
func (h *fileHandle) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	h.heard()
	n, err := h.h.WriteAt(ctx, data, off)
	h.f.m.changes.Add(1)
	if err != nil && n <= 0 {
		return 0, h.f.m.errno("write", h.f.id, err)
	}
	return uint32(n), 0
}

// Flush implements FileFlusher. It comes for each close(2) of each duplicate of
// the descriptor, also before anything was written, and its error is the error
// of that close. A handle that cannot have written has nothing to report: backup
// tools retry for minutes when closing a file they read fails.
//
// A close cannot be repeated, and programs in Go receive signals all the time: so
// a signal ends the wait only when the volume, which promises to need the local
// disk only, is stuck.
func (h *fileHandle) Flush(ctx context.Context) syscall.Errno {
	h.heard()
	if !h.write {
		return 0
	}
	ctx, done := withGrace(ctx, closeGrace)
	defer done()
	if err := h.h.Flush(ctx); err != nil {
		return h.f.m.errno("flush", h.f.id, err)
	}
	if a, err := h.f.m.vol.Stat(ctx, h.f.id); err == nil {
		h.f.pages.settle(a.Version)
	}
	return 0
}

// closeGrace is how long a close goes on after a signal.
const closeGrace = 5 * time.Second

// withGrace returns a context that is cancelled some time after ctx is, or by the
// function returned.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-late.Done():
		}
	})
	return late, func() {
		stop()
		cancel()
	}
}

// Fsync implements FileFsyncer, for read-only descriptors too: sync(1) uses one.
func (h *fileHandle) Fsync(ctx context.Context, _ uint32) syscall.Errno {
	h.heard()
	return h.f.m.errno("fsync", h.f.id, h.h.Sync(ctx))
}

// Release implements FileReleaser. The caller's close has returned long ago.
func (h *fileHandle) Release(context.Context) syscall.Errno {
	h.heard()
	h.h.Release()
	h.f.pages.close(h.write)
	return 0
}

// fallocKeepSize is FALLOC_FL_KEEP_SIZE, as the FUSE protocol has it on every
// system.
const fallocKeepSize = 1

// Allocate implements FileAllocater.
func (h *fileHandle) Allocate(ctx context.Context, off, size uint64, mode uint32) syscall.Errno {
	h.heard()
	if mode&^fallocKeepSize != 0 {
		return syscall.EOPNOTSUPP
	}
	if off > math.MaxInt64 || size > math.MaxInt64-off {
		return syscall.EFBIG
	}
	err := h.h.Allocate(ctx, int64(off), int64(size), mode&fallocKeepSize != 0)
	h.f.m.changes.Add(1)
	return h.f.m.errno("allocate", h.f.id, err)
}

// seekData and seekHole are SEEK_DATA and SEEK_HOLE, as the FUSE protocol has
// them on every system.
const (
	seekData = 3
	seekHole = 4
)

// Lseek implements FileLseeker. Other kinds of seek never leave the kernel.
func (h *fileHandle) Lseek(ctx context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	h.heard()
	if whence != seekData && whence != seekHole {
		return 0, syscall.EINVAL
	}
	if off > math.MaxInt64 {
		return 0, syscall.ENXIO
	}
	n, err := h.h.Seek(ctx, int64(off), int(whence))
	if err != nil {
		return 0, h.f.m.errno("lseek", h.f.id, err)
	}
	return uint64(n), 0
}
