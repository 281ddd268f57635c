package cache

import (
	"context"
	"io/fs"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// Unlink removes a file's name. Open handles go on working.
func (v *Volume) Unlink(ctx context.Context, dir NodeID, name string) error {
	if v.readOnly {
		return ErrReadOnly
	}
	at, err := v.find(ctx, dir, name)
	if err != nil {
		return err
	}
	if at.id == 0 {
		v.mu.Unlock()
		return fs.ErrNotExist
	}
	n, err := v.node(at.id, at.entry)
	if err != nil {
		v.mu.Unlock()
		return err
	}
	defer v.release(n)
	if n.folder {
		v.mu.Unlock()
		return ErrIsFolder
	}
	commit := v.unlink(n, dir, name)
	v.mu.Unlock()
	return commit()
}

// unlink takes the name from a file. Volume.mu is held.
func (v *Volume) unlink(n *node, dir NodeID, name string) func() error {
	now := time.Now()
	v.touch(dir, now)
	n.unlinked, n.ctime = true, now
	var drop, add []*pending
	if !n.inCloud && foldable(n.queue) && !n.replaces() && !n.leftBehind() {
		drop = append(drop, n.queue...) // pCloud never hears of it
		var done func()
		add, done = v.replacedBy(n, place{dir, name})
		defer done()
	} else {
		p := newRemove(n, dir, name)
		refused := false
		for _, q := range n.queue {
			refused = q.refused() || (refused && !n.inCloud) // then nothing that follows is possible
			if !refused || q.started {
				continue
			}
			drop = append(drop, q) // moot, but for what it was to replace
			if q.Op != opRename {
				continue
			}
			if q.over != nil {
				add = append(add, v.removeReplaced(q.over, place{q.Parent, q.Name}, place{dir, name}))
			}
			if p.OldName == "" && (q.OldParent != dir || q.OldName != name) { // where pCloud has it
				p.OldParent, p.OldName = q.OldParent, q.OldName
				p.claims = append(p.claims, v.sameClaim(q.OldParent, q.OldName))
			}
		}
		add = append(add, p)
	}
	commit := v.submit(drop, add...)
	v.displace(n)
	if len(add) == 0 {
		v.free(dir, name)
	}
	return commit
}

// dropPuts returns the intents of a node that are moot when it is removed.
func dropPuts(n *node) (drop []*pending) {
	for _, p := range n.queue {
		if p.foldable() && (p.Op == opPut || p.Op == opTimes) {
			drop = append(drop, p)
		}
	}
	return drop
}

func newRemove(n *node, dir NodeID, name string) *pending {
	p := &pending{n: n, claims: []claim{{dir, name, 0}}}
	p.Op, p.Folder, p.Parent, p.Name = opRemove, n.folder, dir, name
	p.remember(n)
	return p
}

// release unpins a node without Volume.mu held.
func (v *Volume) release(n *node) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unpin(n)
}

// Rmdir removes an empty folder.
func (v *Volume) Rmdir(ctx context.Context, dir NodeID, name string) error {
	if v.readOnly {
		return ErrReadOnly
	}
	at, err := v.find(ctx, dir, name)
	if err != nil {
		return err
	}
	done, err := v.rmdir(at, dir, name, nil)
	v.mu.Unlock()
	if done == nil && err == nil {
		done, err = v.rmdirListed(ctx, at, dir, name)
	}
	if err != nil {
		return err
	}
	return done()
}

// rmdirListed lists a folder to see whether it is empty, and removes it.
func (v *Volume) rmdirListed(ctx context.Context, at found, dir NodeID, name string) (func() error, error) {
	list, err := v.listChild(ctx, at.id)
	if err != nil {
		return nil, err
	}
	defer v.mu.Unlock()
	if now := v.peek(dir, name); now.known { // otherwise there was no room for both listings
		at = now
	}
	return v.rmdir(at, dir, name, list)
}

// rmdir returns nothing when the folder has to be listed first. Volume.mu is
// held.
func (v *Volume) rmdir(at found, dir NodeID, name string, list *listing) (func() error, error) {
	if at.id == 0 {
		return nil, fs.ErrNotExist
	}
	n, err := v.node(at.id, at.entry)
	if err != nil {
		return nil, err
	}
	defer v.unpin(n)
	if !n.folder {
		return nil, ErrNotFolder
	}
	switch empty, known := v.empty(n.id, list); {
	case !known:
		return nil, nil
	case !empty:
		return nil, ErrNotEmpty
	}
	n.unlinked = true
	v.touch(dir, time.Now())
	if !n.inCloud && foldable(n.queue) && !v.needed(n.id) {
		commit := v.submit(slices.Clone(n.queue)) // pCloud never hears of it
		delete(v.dirTimes, n.id)
		v.displace(n)
		v.free(dir, name)
		return commit, nil
	}
	commit := v.submit(nil, newRemove(n, dir, name))
	v.displace(n)
	return commit, nil
}

// needed says whether pending intents refer to a folder as the place of
// something. Volume.mu is held.
func (v *Volume) needed(dir NodeID) bool {
	return slices.ContainsFunc(v.queue, func(p *pending) bool {
		return p.Parent == dir || (p.Op == opRename && p.OldParent == dir)
	})
}

// SetAttr changes the size and times of a node.
func (v *Volume) SetAttr(ctx context.Context, id NodeID, ch Changes) (Attr, error) {
	if v.readOnly {
		return Attr{}, ErrReadOnly
	}
	if ch.Size != nil {
		if err := v.resize(ctx, id, *ch.Size); err != nil {
			return Attr{}, err
		}
	}
	e, err := v.locate(ctx, id)
	if err != nil {
		return Attr{}, err
	}
	n, err := v.node(id, e)
	if err != nil {
		v.mu.Unlock()
		return Attr{}, err
	}
	defer v.release(n)
	commit := func() error { return nil }
	if ch.Atime != nil {
		n.atime = *ch.Atime
	}
	if ch.Mtime != nil {
		commit = v.setMtime(n, *ch.Mtime)
	}
	n.ctime = time.Now()
	v.mu.Unlock()
	if err := commit(); err != nil {
		return Attr{}, err
	}
	v.mu.Lock()
	a := v.attr(id, remote.Entry{})
	v.mu.Unlock()
	return a, nil
}

// resize cuts or extends a file. Without an open handle that will be closed
// later, the new version is recorded at once.
func (v *Volume) resize(ctx context.Context, id NodeID, size int64) error {
	h, _, err := v.OpenFile(ctx, id, OpenFlags{Write: true, Truncate: size == 0})
	if err != nil {
		return err
	}
	defer h.Release()
	if size != 0 && size != h.c.size.Load() {
		if err := h.truncate(ctx, size); err != nil {
			return err
		}
	}
	v.mu.Lock()
	alone := h.c.writers == 1
	v.mu.Unlock()
	if alone {
		return v.record(ctx, h.n, h.c)
	}
	return nil
}

// dirTimesMax is how many modification times of folders are remembered that
// were set here and that pCloud has no place for.
const dirTimesMax = 100_000

// setMtime changes a modification time, with the next or a recorded put where
// there is one. Volume.mu is held.
func (v *Volume) setMtime(n *node, t time.Time) func() error {
	n.mtime = t
	switch {
	case n.folder:
		for id := range v.dirTimes {
			if len(v.dirTimes) < dirTimesMax {
				break
			}
			delete(v.dirTimes, id)
		}
		v.dirTimes[n.id] = dirTime{t: t, set: true}
		return func() error { return nil } // pCloud sets a folder's time itself
	case n.unlinked, n.content != nil && n.content.dirty:
		return func() error { return nil }
	}
	if c := n.content; c != nil && c.put != nil && c.put.foldable() {
		c.put.Modified = t
		return v.rewrite(c.put)
	}
	if n.inCloud && len(n.queue) == 0 && n.entry.Modified.Unix() == t.Unix() {
		return func() error { return nil }
	}
	p := &pending{n: n}
	p.remember(n)
	p.Op, p.Modified, p.Parent, p.Name = opTimes, t, n.parent, n.name
	var drop []*pending
	for _, q := range n.queue {
		if q.Op == opTimes && q.foldable() {
			drop = append(drop, q)
		}
	}
	return v.submit(drop, p)
}
