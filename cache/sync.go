package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoProgress says that an fsync gave up waiting. What it waited for stays
// in the queue.
var ErrNoProgress = errors.New("no progress in sending to pCloud")

// settle waits until all intents of a node are applied or parked, which those
// issued before them are by then or, if they are small new files, soon.
func (v *Volume) settle(ctx context.Context, id NodeID) error {
	err := v.await(ctx, func() uint64 {
		n := v.nodes[id]
		if n == nil || n.unlinked {
			return 0
		}
		for _, p := range n.queue {
			p.wanted = true
		}
		last := v.last(n)
		v.ancestors(n.parent, func(dir NodeID) bool {
			if d := v.nodes[dir]; d != nil { // its present name is part of the file's
				last = max(last, v.last(d))
			}
			return true
		})
		return last
	}, v.syncTimeout)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := v.nodes[id]; n != nil {
		for _, p := range n.queue {
			if v.blocked(p) && !n.unlinked {
				return fmt.Errorf("%q can't be sent to pCloud: what it builds on was refused", p.Name)
			}
		}
	}
	return nil
}

// last returns the sequence number of the newest intent of a node that can
// still be applied, or 0. Volume.mu is held.
func (v *Volume) last(n *node) (last uint64) {
	for _, p := range n.queue {
		if p.Parked == "" && !v.blocked(p) {
			last = max(last, p.Seq)
		}
	}
	return last
}

// await forces everything up to the sequence number that until returns, and
// waits until it returns 0. until is called with Volume.mu held. With a limit,
// a time without any progress ends the wait.
func (v *Volume) await(ctx context.Context, until func() uint64, limit time.Duration) error {
	var timeout <-chan time.Time
	var timer *time.Timer
	if limit > 0 {
		timer = time.NewTimer(limit)
		defer timer.Stop()
		timeout = timer.C
	}
	seen := uint64(0)
	for {
		v.mu.Lock()
		last := until()
		if last == 0 {
			v.mu.Unlock()
			return nil
		}
		for _, p := range v.queue {
			if p.Seq <= last {
				p.forced = p.forced || p.Op != opRemove
			}
		}
		if v.closed {
			v.mu.Unlock()
			return fmt.Errorf("%w: the volume was closed", ErrNoProgress)
		}
		if timer != nil && v.progress != seen {
			seen = v.progress
			timer.Reset(limit)
		}
		v.kickLocked()
		ch := v.changed
		v.mu.Unlock()
		select {
		case <-ch:
		case <-timeout:
			return fmt.Errorf("%w for %v", ErrNoProgress, limit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SyncDir waits until everything that was issued so far is in pCloud, or on the
// local disk where that is what fsync means. It fails for what can't be sent and
// lies below the folder.
func (v *Volume) SyncDir(ctx context.Context, id NodeID) error {
	if err := v.recordAll(ctx); err != nil {
		return err
	}
	if v.fsync == OnDisk {
		if err := v.journal.Sync(); err != nil {
			return spoolError("sync the journal", err)
		}
		return v.parkedBelow(id)
	}
	return v.flush(ctx, id)
}

// flush waits until everything that was issued so far is in pCloud.
func (v *Volume) flush(ctx context.Context, id NodeID) error {
	v.mu.Lock()
	last := uint64(0)
	for _, p := range v.queue {
		last = max(last, p.Seq)
	}
	v.mu.Unlock()
	err := v.await(ctx, func() uint64 {
		for _, p := range v.queue {
			if p.Seq <= last && p.Parked == "" && !p.held() && !v.blocked(p) {
				return last
			}
		}
		return 0
	}, v.syncTimeout)
	if err != nil {
		return err
	}
	return v.parkedBelow(id)
}

// parkedBelow returns the failure of something below a folder.
func (v *Volume) parkedBelow(id NodeID) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.queue {
		if p.Parked != "" && (p.n.id == id || v.maybeBelow(p.Parent, id)) {
			return fmt.Errorf("%q can't be sent to pCloud: %s", p.Name, p.Parked)
		}
	}
	return nil
}

// below says whether folder is dir or lies below it, as far as memory knows.
// Volume.mu is held.
func (v *Volume) below(folder, dir NodeID) (is bool) {
	v.ancestors(folder, func(id NodeID) bool {
		is = id == dir
		return !is
	})
	return is
}

// maybeBelow is below that says yes when memory does not know. Volume.mu is
// held.
func (v *Volume) maybeBelow(folder, dir NodeID) (is bool) {
	known := v.ancestors(folder, func(id NodeID) bool {
		is = id == dir
		return !is
	})
	return is || !known
}

// ancestors calls f for a folder and those above it, up to the mounted one, as
// long as f says so. It returns false if the way is not known. Volume.mu is held.
func (v *Volume) ancestors(folder NodeID, f func(NodeID) bool) bool {
	for range 4096 { // deeper than any path; ends what a garbled tree would not
		if !f(folder) || folder == RootNode {
			return true
		}
		if n := v.nodes[folder]; n != nil {
			folder = n.parent
			continue
		}
		fid, ok := v.folderOf(folder)
		e, held := v.meta.Folder(fid)
		if !ok || !held {
			return false
		}
		folder = v.nodeOfFolder(e.ParentID)
	}
	return false
}

// recordAll records the bytes of files that nobody has open for writing and
// that are not recorded yet, because that failed. Files that are open for
// writing are left alone: what they have now is no version of theirs.
func (v *Volume) recordAll(ctx context.Context) (err error) {
	type open struct {
		n *node
		c *contentState
	}
	var dirty []open
	v.mu.Lock()
	for _, n := range v.nodes {
		if n.content != nil && n.content.dirty && n.content.writers == 0 {
			dirty = append(dirty, open{n, n.content})
		}
	}
	v.mu.Unlock()
	for _, o := range dirty {
		err = errors.Join(err, v.record(ctx, o.n, o.c))
	}
	return err
}
