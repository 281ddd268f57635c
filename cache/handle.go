package cache

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/content"
	"github.com/pcloudfs/pcloudfs/remote"
)

// Handle is an open file. It is safe for concurrent use until Release.
type Handle struct {
	v       *Volume
	n       *node
	c       *contentState
	flags   OpenFlags
	ra      content.Readahead
	release sync.Once
	heard   uint64 // failures of the file known to who uses it; guarded by Volume.mu
}

// Create makes a file, or opens the one that has the name unless f.Exclusive
// is set. A new file shows at once and goes to pCloud after its last close.
func (v *Volume) Create(ctx context.Context, dir NodeID, name string, f OpenFlags) (*Handle, Attr, error) {
	if v.readOnly {
		return nil, Attr{}, ErrReadOnly
	}
	if err := checkName(name); err != nil {
		return nil, Attr{}, err
	}
	id := v.journal.NextNode()
	at, err := v.find(ctx, dir, name)
	if err != nil {
		return nil, Attr{}, err
	}
	if at.id != 0 {
		folder := v.attr(at.id, at.entry).Folder
		v.mu.Unlock()
		switch {
		case f.Exclusive:
			return nil, Attr{}, fs.ErrExist
		case folder:
			return nil, Attr{}, ErrIsFolder
		}
		return v.OpenFile(ctx, at.id, f)
	}
	defer v.mu.Unlock()
	now := time.Now()
	n := &node{id: id, parent: dir, name: name, mtime: now, ctime: now, birth: now}
	n.content = newContent(version{}, uint64(id))
	n.content.dirty = true
	v.nodes[id] = n
	v.place(n)
	v.touch(dir, now)
	return v.handle(n, f), v.attr(id, remote.Entry{}), nil
}

// place keeps the slot of a node that pCloud does not have there. Volume.mu is
// held.
func (v *Volume) place(n *node) {
	n.placed = true
	n.pins++
	v.claim(n.parent, n.name, n.id)
}

// displace is the opposite of place. Volume.mu is held.
func (v *Volume) displace(n *node) {
	if n.placed {
		n.placed = false
		v.unclaim(n.parent, n.name)
		v.unpin(n)
	}
}

// relocate gives a node another place in memory. Volume.mu is held.
func (v *Volume) relocate(n *node, to place) {
	placed := n.placed
	if placed {
		n.pins++ // displace must not end it
		defer v.unpin(n)
	}
	v.displace(n)
	n.parent, n.name = to.dir, to.name
	if placed {
		v.place(n)
	}
}

// handle opens a node that has a content. Volume.mu is held.
func (v *Volume) handle(n *node, f OpenFlags) *Handle {
	n.handles++
	n.pins++
	n.content.users++
	if f.Write {
		n.content.writers++
	}
	h := &Handle{v: v, n: n, c: n.content, flags: f, heard: n.errCount}
	if n.err != nil && (!n.errHeard || n.refused()) {
		h.heard--
	}
	return h
}

// refused says whether pCloud has refused a change of a node. Volume.mu is held.
func (n *node) refused() bool {
	return slices.ContainsFunc(n.queue, func(p *pending) bool { return p.Parked != "" })
}

// OpenFile opens a file. Nothing is transferred until it is read or changed.
func (v *Volume) OpenFile(ctx context.Context, id NodeID, f OpenFlags) (*Handle, Attr, error) {
	if v.readOnly && (f.Write || f.Truncate) {
		return nil, Attr{}, ErrReadOnly
	}
	e, err := v.locate(ctx, id)
	if err != nil {
		return nil, Attr{}, err
	}
	n, err := v.node(id, e)
	if err != nil {
		v.mu.Unlock()
		return nil, Attr{}, err
	}
	defer v.release(n)
	if n.folder {
		v.mu.Unlock()
		return nil, Attr{}, ErrIsFolder
	}
	if e.Name != "" {
		v.absorb(n, e)
	}
	if n.content == nil {
		n.content = newContent(versionOf(n.entry), uint64(n.entry.Hash))
	}
	h := v.handle(n, f)
	v.mu.Unlock()
	if f.Truncate {
		if err := h.truncate(ctx, 0); err != nil {
			h.Release()
			return nil, Attr{}, err
		}
	}
	v.mu.Lock()
	a := v.attr(id, remote.Entry{})
	v.mu.Unlock()
	return h, a, nil
}

// node returns the state of a node, pinned, and makes it when there is none. e
// is what pCloud says about it. Volume.mu is held.
func (v *Volume) node(id NodeID, e remote.Entry) (*node, error) {
	if n := v.nodes[id]; n != nil {
		n.pins++
		return n, nil
	}
	if e.FileID == 0 && !e.Folder {
		return nil, fs.ErrNotExist
	}
	n := &node{id: id, folder: e.Folder, inCloud: true, entry: e, parent: v.nodeOfFolder(e.ParentID), name: v.shownName(e), pins: 1}
	v.nodes[id] = n
	return n, nil
}

// unpin gives up one reason to keep a node's state. Volume.mu is held.
func (v *Volume) unpin(n *node) {
	if n.pins--; n.pins > 0 {
		return
	}
	if v.nodes[n.id] == n {
		delete(v.nodes, n.id)
	}
	if n.content != nil {
		v.dropContent(n.content)
		n.content = nil
	}
}

// ReadAt reads from the file as it was opened, with what was written here
// since. It returns fewer bytes than asked only at the end of the file.
func (h *Handle) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if len(p) == 0 || off < 0 {
		return 0, nil
	}
	return h.v.readContent(ctx, h.c, p, off, &h.ra)
}

// WriteAt writes to the file's spool. The first change of a file that is in
// pCloud only fetches it.
func (h *Handle) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	if !h.flags.Write {
		return 0, ErrBadHandle
	}
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	// Before the turn is taken: what makes room may need it.
	if err := h.v.reserve(ctx, h.c, max(h.c.size.Load(), off+int64(len(p)))); err != nil {
		return 0, err
	}
	if err := h.begin(ctx); err != nil {
		return 0, err
	}
	size := h.c.size.Load()
	sp, err := h.v.materialize(ctx, h.c, min(off, size), size)
	var n int
	if err == nil {
		if n, err = sp.f.WriteAt(p, off); err != nil {
			err = spoolError("write the spool file", err)
		}
	}
	if n > 0 {
		h.v.modified(h.n, h.c, max(size, off+int64(n)))
	}
	h.c.unlock()
	if err == nil && h.flags.Sync {
		if err = h.Sync(ctx); err != nil {
			return 0, err // a count would hide it
		}
	}
	return n, err
}

// begin takes the turn to change the file's bytes.
func (h *Handle) begin(ctx context.Context) error {
	if err := h.c.lock(ctx); err != nil {
		return err
	}
	h.v.mu.Lock()
	defer h.v.mu.Unlock()
	if h.n.content != h.c && !h.n.unlinked {
		h.c.unlock()
		return fmt.Errorf("%w: it was replaced in pCloud", ErrStale)
	}
	return nil
}

func (h *Handle) truncate(ctx context.Context, size int64) error {
	if err := h.begin(ctx); err != nil {
		return err
	}
	defer h.c.unlock()
	return h.v.truncate(ctx, h.n, h.c, size)
}

// Flush is called for every close(2) of a descriptor of the file. When it
// returns, what was written so far is in the journal.
func (h *Handle) Flush(ctx context.Context) error {
	if !h.flags.Write {
		return nil
	}
	return h.secure(ctx, h.v.onClose)
}

// Sync waits until what was written so far is in pCloud and verified, or until
// it is clear that it can't be. With the option for it, the local disk is
// enough.
func (h *Handle) Sync(ctx context.Context) error {
	return h.secure(ctx, h.v.fsync)
}

// secure records what was written and waits until it is where level says.
func (h *Handle) secure(ctx context.Context, level Durability) error {
	if err := h.v.record(ctx, h.n, h.c); err != nil {
		return err
	}
	var err error
	switch level {
	case OnDisk:
		err = h.v.syncSpool(h.c)
	case InCloud:
		err = h.v.settle(ctx, h.n.id)
	}
	if err != nil {
		return err
	}
	return h.takeError()
}

// syncSpool brings the local bytes of a file to the disk. Their record is there
// already.
func (v *Volume) syncSpool(c *contentState) error {
	sp := v.pinSpool(c)
	if sp == nil {
		return nil
	}
	defer v.unpinSpool(sp)
	if err := v.journal.SyncSpool(sp.name); err != nil {
		return spoolError("sync the spool file", err)
	}
	return nil
}

// takeError returns a permanent failure once.
func (h *Handle) takeError() error {
	h.v.mu.Lock()
	defer h.v.mu.Unlock()
	n := h.n
	if h.heard == n.errCount {
		return nil
	}
	h.heard = n.errCount
	n.errHeard = true
	return n.err
}

// Allocate makes sure that the file has at least off+size bytes, unless
// keepSize, and that the spool has room for them where it can tell.
func (h *Handle) Allocate(ctx context.Context, off, size int64, keepSize bool) error {
	if !h.flags.Write {
		return ErrBadHandle
	}
	if off+size <= h.c.size.Load() {
		return nil
	}
	if keepSize {
		return h.v.reserveQuota(ctx, h.c, off+size)
	}
	return h.truncate(ctx, off+size)
}

// Seek finds data and holes (SEEK_DATA, SEEK_HOLE). A file in pCloud is all
// data.
func (h *Handle) Seek(_ context.Context, off int64, whence int) (int64, error) {
	size := h.c.size.Load()
	if off < 0 || off >= size {
		return 0, syscall.ENXIO
	}
	if sp := h.v.pinSpool(h.c); sp != nil {
		defer h.v.unpinSpool(sp)
		return seekHole(sp.f, off, whence)
	}
	if whence == seekHoleWhence {
		return size, nil
	}
	return off, nil
}

// Release ends the use of the handle. It never waits for the network. An error
// of recording what nobody flushed is logged: nobody is left to hear it.
func (h *Handle) Release() {
	h.release.Do(func() {
		h.ra.Stop()
		v := h.v
		v.mu.Lock()
		if h.flags.Write {
			h.c.writers--
		}
		// The last one has the turn for the asking.
		record, name := h.flags.Write && h.c.writers == 0 && h.c.dirty, h.n.name
		v.mu.Unlock()
		if record {
			if err := v.record(context.Background(), h.n, h.c); err != nil {
				v.log.Error("what was written can't be recorded", "file", name, "err", err)
			}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		h.n.handles--
		if h.flags.Write {
			if p := h.c.put; p != nil && h.c.writers == 0 {
				p.closed = true
				p.notBefore = time.Now().Add(v.settleTime)
			}
		}
		v.dropContent(h.c)
		v.unpin(h.n)
		v.kickLocked()
	})
}
