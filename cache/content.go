package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/content"
	"github.com/pcloudfs/pcloudfs/remote"
)

// fetchChunk is how much of a file is asked for at a time when all of it is
// brought here to be changed.
const fetchChunk = 4 << 20

// readContent reads from the local bytes of a file or from its version in
// pCloud. It returns fewer bytes than asked only at the end of the file.
func (v *Volume) readContent(ctx context.Context, c *contentState, p []byte, off int64, ra *content.Readahead) (int, error) {
	sp, base := v.pinContent(c)
	if sp != nil {
		defer v.unpinSpool(sp)
		n, err := sp.f.ReadAt(p, off)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return n, err
	}
	if off >= base.size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), base.size-off)]
	n, err := v.blocks.ReadAt(ctx, content.Key{File: base.file, Hash: base.hash}, base.size, p, off, ra)
	switch {
	case errors.Is(err, io.EOF) && n == len(p):
		err = nil
	case errors.Is(err, remote.ErrVersionGone), errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: %w", ErrStale, err)
	}
	return n, err
}

// pinSpool keeps the spool file of a content open while it is used; nil when
// the bytes are in pCloud only.
func (v *Volume) pinSpool(c *contentState) *spool {
	sp, _ := v.pinContent(c)
	return sp
}

// pinContent is pinSpool that also says which version is in pCloud.
func (v *Volume) pinContent(c *contentState) (*spool, version) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.local != nil {
		c.local.refs++
	}
	return c.local, c.base
}

func (v *Volume) unpinSpool(sp *spool) {
	v.mu.Lock()
	last := v.unrefSpool(sp)
	v.mu.Unlock()
	v.removeSpools(last)
}

// unrefSpool takes back one reference and returns the spool file when it was
// the last, to be removed after Volume.mu, which is held, is given up.
func (v *Volume) unrefSpool(sp *spool) *spool {
	if sp.refs--; sp.refs > 0 {
		return nil
	}
	return sp
}

// removeSpools closes and removes spool files that nothing needs any more.
func (v *Volume) removeSpools(sps ...*spool) {
	for _, sp := range sps {
		if sp == nil {
			continue
		}
		sp.f.Close()
		if err := v.journal.RemoveSpool(sp.name); err != nil {
			v.log.Warn("spool file stays", "spool", sp.name, "err", err)
		}
	}
}

// dropContent gives up one use of a content. Volume.mu is held; a spool file
// that becomes free is removed by the volume soon.
func (v *Volume) dropContent(c *contentState) {
	if c.users--; c.users > 0 {
		return
	}
	defer v.discharge(c)
	if c.local == nil {
		return
	}
	if sp := v.unrefSpool(c.local); sp != nil {
		v.garbage = append(v.garbage, sp)
		v.kickLocked()
	}
	c.local = nil
}

// materialize makes sure that the bytes are in a spool file that may be
// changed from offset off on. The caller has the content's turn. keep is how
// many bytes of the present content matter.
func (v *Volume) materialize(ctx context.Context, c *contentState, off, keep int64) (*spool, error) {
	v.mu.Lock()
	old := c.local
	frozen := old != nil && old.frozen > off
	v.mu.Unlock()
	switch {
	case old == nil:
		return v.fetch(ctx, c, keep)
	case frozen:
		return v.thaw(c, old, keep)
	}
	return old, nil
}

// fetch brings the first keep bytes of a file here.
func (v *Volume) fetch(ctx context.Context, c *contentState, keep int64) (*spool, error) {
	name, f, err := v.journal.NewSpool()
	if err != nil {
		return nil, spoolError("make a spool file", err)
	}
	sp := &spool{name: name, f: f, refs: 1}
	v.mu.Lock()
	keep = min(keep, c.base.size)
	v.mu.Unlock()
	if err := v.copyBase(ctx, c, f, keep); err != nil {
		v.removeSpools(sp)
		return nil, err
	}
	v.mu.Lock()
	c.local = sp
	v.mu.Unlock()
	return sp, nil
}

func (v *Volume) copyBase(ctx context.Context, c *contentState, f *os.File, keep int64) error {
	var ra content.Readahead
	defer ra.Stop()
	buf := make([]byte, min(fetchChunk, keep))
	for off := int64(0); off < keep; {
		n, err := v.readContent(ctx, c, buf[:min(int64(len(buf)), keep-off)], off, &ra)
		if err != nil {
			return fmt.Errorf("fetch the file to change it: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("fetch the file to change it: %w", io.ErrUnexpectedEOF)
		}
		if _, err := f.WriteAt(buf[:n], off); err != nil {
			return spoolError("write the spool file", err)
		}
		off += int64(n)
	}
	return nil
}

// thaw gives a content a spool file of its own because the present one belongs
// to a recorded put.
func (v *Volume) thaw(c *contentState, old *spool, keep int64) (*spool, error) {
	var name string
	var f *os.File
	var err error
	if keep == 0 {
		name, f, err = v.journal.NewSpool()
	} else {
		name, f, err = v.journal.CloneSpool(old.name)
	}
	if err != nil {
		return nil, spoolError("copy a spool file", err)
	}
	sp := &spool{name: name, f: f, refs: 1}
	v.mu.Lock()
	c.local = sp
	last := v.unrefSpool(old)
	v.mu.Unlock()
	v.removeSpools(last)
	return sp, nil
}

// truncate changes the length of a file. The caller has the content's turn.
func (v *Volume) truncate(ctx context.Context, n *node, c *contentState, size int64) error {
	if size < 0 {
		return fs.ErrInvalid
	}
	cur := c.size.Load()
	if err := v.reserveQuota(ctx, c, size); err != nil {
		return err
	}
	sp, err := v.materialize(ctx, c, min(size, cur), min(size, cur))
	if err != nil {
		return err
	}
	if err := sp.f.Truncate(size); err != nil {
		return spoolError("truncate the spool file", err)
	}
	v.modified(n, c, size)
	return nil
}

// modified notes a change of the local bytes.
func (v *Volume) modified(n *node, c *contentState, size int64) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	c.size.Store(size)
	c.dirty = true
	v.charge(c, size)
	n.mtime, n.ctime = now, now
}

// spoolError tells a full disk from other trouble with the cache directory.
func spoolError(op string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%s: %w: %w", op, ErrNoSpace, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}
