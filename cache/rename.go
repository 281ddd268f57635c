package cache

import (
	"context"
	"io/fs"
	"slices"
	"time"
)

// Rename moves a file or folder, replacing a file by a file or an empty folder
// by a folder unless noReplace is set. Open handles of both go on working.
func (v *Volume) Rename(ctx context.Context, dir NodeID, name string, newDir NodeID, newName string, noReplace bool) error {
	if v.readOnly {
		return ErrReadOnly
	}
	if err := checkName(newName); err != nil {
		return err
	}
	from, to := place{dir, name}, place{newDir, newName}
	if err := v.recordBeforeReplace(ctx, from, to); err != nil {
		return err
	}
	// Both listings have to be in memory at the same moment, if there is room.
	at, err := v.find(ctx, newDir, newName)
	if err != nil {
		return err
	}
	v.mu.Unlock()
	src, err := v.find(ctx, dir, name)
	if err != nil {
		return err
	}
	dst := at
	if now := v.peek(newDir, newName); now.known {
		dst = now
	}
	commit, missing, err := v.rename(src, dst, from, to, noReplace, nil)
	v.mu.Unlock()
	if missing != 0 && err == nil {
		commit, err = v.renameListed(ctx, src, dst, from, to, noReplace, missing)
	}
	if err != nil {
		return err
	}
	return commit()
}

// renameListed lists a folder that is to be replaced, and renames.
func (v *Volume) renameListed(ctx context.Context, src, dst found, from, to place, noReplace bool, missing NodeID) (func() error, error) {
	list, err := v.listChild(ctx, missing)
	if err != nil {
		return nil, err
	}
	defer v.mu.Unlock()
	if now := v.peek(from.dir, from.name); now.known {
		src = now
	}
	if now := v.peek(to.dir, to.name); now.known {
		dst = now
	}
	commit, missing, err := v.rename(src, dst, from, to, noReplace, list)
	if missing != 0 && err == nil { // another folder has the name by now
		err = ErrNotEmpty
	}
	return commit, err
}

// recordBeforeReplace brings bytes that were not closed into the journal before
// they replace others, which may be the only ones that were.
func (v *Volume) recordBeforeReplace(ctx context.Context, from, to place) error {
	at, err := v.find(ctx, to.dir, to.name)
	if err != nil {
		return err
	}
	src := v.peek(from.dir, from.name)
	n := v.nodes[src.id]
	if at.id == 0 || at.id == src.id || n == nil || n.content == nil || !n.content.dirty {
		v.mu.Unlock()
		return nil
	}
	c := n.content
	v.mu.Unlock()
	return v.record(ctx, n, c)
}

// place is a name in a folder.
type place struct {
	dir  NodeID
	name string
}

// rename checks and does a rename in memory. It returns a folder that has to
// be listed first, or the function that records the change. Volume.mu is held.
func (v *Volume) rename(src, dst found, from, to place, noReplace bool, list *listing) (commit func() error, missing NodeID, err error) {
	switch {
	case src.id == 0:
		return nil, 0, fs.ErrNotExist
	case src.id == dst.id:
		return func() error { return nil }, 0, nil
	case dst.id != 0 && noReplace:
		return nil, 0, fs.ErrExist
	}
	n, err := v.node(src.id, src.entry)
	if err != nil {
		return nil, 0, err
	}
	defer v.unpin(n)
	if n.folder && v.below(to.dir, n.id) {
		return nil, 0, ErrLoop
	}
	var old *node // what has the new name
	if dst.id != 0 {
		if old, err = v.node(dst.id, dst.entry); err != nil {
			return nil, 0, err
		}
		defer v.unpin(old)
		if missing, err = v.mayReplace(n, old, list); missing != 0 || err != nil {
			return nil, missing, err
		}
	}
	now := time.Now()
	v.touch(from.dir, now)
	v.touch(to.dir, now)
	n.ctime = now
	if old != nil {
		old.unlinked, old.ctime = true, now
	}
	switch {
	case n.folder:
		commit = v.renameFolder(n, old, from, to)
	case !n.inCloud && v.foldable(n.queue) && !n.replaces() && !n.leftBehind():
		commit = v.renameLocal(n, old, from, to)
	default:
		commit = v.renameFile(n, old, from, to)
	}
	return commit, 0, nil
}

// mayReplace says whether n can take the name of old, as POSIX has it; a
// folder that must be listed to know that is returned. Volume.mu is held.
func (v *Volume) mayReplace(n, old *node, list *listing) (missing NodeID, err error) {
	switch {
	case n.folder && !old.folder:
		return 0, ErrNotFolder
	case !n.folder && old.folder:
		return 0, ErrIsFolder
	case !n.folder:
		return 0, nil
	}
	switch empty, known := v.empty(old.id, list); {
	case !known:
		return old.id, nil
	case !empty:
		return 0, ErrNotEmpty
	}
	return 0, nil
}

// renameFolder removes an empty folder at the destination first: pCloud never
// replaces folders (pCloud API 7.4).
func (v *Volume) renameFolder(n, old *node, from, to place) func() error {
	var add []*pending
	if old != nil {
		add = append(add, newRemove(old, to.dir, to.name))
	}
	p := newRename(n, from, to)
	v.relocate(n, to)
	if old != nil {
		v.displace(old)
	}
	return v.submit(nil, append(add, p)...)
}

func newRename(n *node, from, to place) *pending {
	p := &pending{n: n, claims: []claim{{from.dir, from.name, 0}, {to.dir, to.name, n.id}}}
	p.Op, p.Folder = opRename, n.folder
	p.OldParent, p.OldName, p.Parent, p.Name = from.dir, from.name, to.dir, to.name
	p.remember(n)
	return p
}

// renameLocal moves a file that pCloud does not know yet: only its put will
// ever be seen there, under the new name. Volume.mu is held.
func (v *Volume) renameLocal(n, old *node, from, to place) func() error {
	drop := append([]*pending(nil), n.queue...)
	recorded := len(drop) > 0
	// What it had replaced under the old name is gone now.
	add, done := v.replacedBy(n, from)
	defer done()
	v.displace(n)
	v.free(from.dir, from.name)
	n.parent, n.name = to.dir, to.name
	if old != nil {
		moot, more, done := v.takeOver(n, old, to)
		defer done()
		drop, add = append(drop, moot...), append(add, more...)
	}
	v.place(n)
	if recorded {
		p := v.newPut(n, n.content)
		for _, q := range drop {
			if q.n == n && q.Op == opPut {
				p.Modified, p.Size = q.Modified, q.Size
				p.sp, p.Spool, p.c = q.sp, q.Spool, q.c
				p.closed, p.wanted = q.closed, q.wanted
			}
		}
		add = append(add, p)
	}
	return v.submit(drop, add...)
}

// leftBehind says whether a file is to replace another at a place where it is not
// any more: what came there since relies on that. Volume.mu is held.
func (n *node) leftBehind() bool {
	return slices.ContainsFunc(n.queue, func(p *pending) bool {
		return p.over != nil && (p.Parent != n.parent || p.Name != n.name)
	})
}

// replacedBy returns the removals of what a file that is only here was to replace
// at a place, which it leaves now, or at places where it was before, and what is
// to be called once they are in the queue. Volume.mu is held.
func (v *Volume) replacedBy(n *node, at place) (add []*pending, done func()) {
	where := at
	for _, p := range n.queue {
		switch {
		case p.over == nil:
		case p.over == n.over:
			where = place{p.Parent, p.Name}
		case p.Op == opRename:
			add = append(add, v.removeReplaced(p.over, place{p.Parent, p.Name}, at))
		}
	}
	left := n.over
	if left == nil {
		return add, func() {}
	}
	n.over = nil // its pin goes over to the removal
	return append(add, v.removeReplaced(left, where, at)), func() { v.unpin(left) }
}

// removeReplaced returns the removal of a file that was to be replaced somewhere.
// If that is not the place which becomes free now, others may have it already.
// Volume.mu is held.
func (v *Volume) removeReplaced(n *node, where, free place) *pending {
	p := newRemove(n, where.dir, where.name)
	if where != free {
		p.claims = []claim{v.sameClaim(where.dir, where.name)}
	}
	return p
}

// takeOver lets a file that is only here take the name of another. What pCloud
// has under the name will be replaced by the file's put; puts of the other that
// have not begun are dropped and returned. Volume.mu is held.
func (v *Volume) takeOver(n, old *node, at place) (drop, add []*pending, done func()) {
	done = func() {}
	if !old.inCloud && v.foldable(old.queue) && !old.leftBehind() {
		drop = append(drop, old.queue...)
		n.over, add, done = v.inherit(old, at)
	} else {
		n.over = old
	}
	if n.over != nil {
		n.over.pins++
	}
	v.displace(old)
	return drop, add, done
}

// inherit returns what a file that is only here was to replace at the place where
// it is replaced itself, and the removals of what it was to replace where it was
// before. done is called when all is in the queue. Volume.mu is held.
func (v *Volume) inherit(old *node, at place) (over *node, add []*pending, done func()) {
	over = old.over
	for _, p := range old.queue {
		switch where := (place{p.Parent, p.Name}); {
		case p.over == nil:
		case where == at:
			over = p.over
		case p.over == over:
			over = nil
			fallthrough
		default:
			add = append(add, v.removeReplaced(p.over, where, at))
		}
	}
	left := old.over
	old.over = nil
	if left == nil {
		return over, add, func() {}
	}
	return over, add, func() { v.unpin(left) }
}

// renameFile moves a file that is in pCloud or on its way there. Volume.mu is
// held.
func (v *Volume) renameFile(n, old *node, from, to place) func() error {
	p := newRename(n, from, to)
	add := []*pending{p}
	var drop []*pending
	for _, q := range n.queue { // what pCloud refused under the old name is tried under the new one
		if n.inCloud && q.Op == opPut && q.Parked != "" && q.c == n.content {
			drop = append(drop, q)
		}
	}
	if old != nil {
		if !old.inCloud && v.foldable(old.queue) && !old.leftBehind() {
			drop = append(drop, old.queue...)
			over, more, done := v.inherit(old, to)
			defer done()
			p.over, add = over, append(more, add...)
		} else {
			p.over = old
		}
		v.displace(old)
	}
	v.relocate(n, to)
	return v.submit(drop, append(add, v.again(n, drop)...)...)
}

// again returns a put of the newest bytes of a node that are among dropped ones,
// under its present name. Volume.mu is held.
func (v *Volume) again(n *node, drop []*pending) (add []*pending) {
	for _, q := range drop {
		if q.n == n && q.Op == opPut {
			p := v.newPut(n, q.c)
			p.over = nil
			p.Modified, p.Size = q.Modified, q.Size
			p.sp, p.Spool = q.sp, q.Spool
			p.closed, p.wanted = q.closed, q.wanted
			add = []*pending{p}
		}
	}
	return add
}
