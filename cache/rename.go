package cache

import (
	"context"
	"io/fs"
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
	for {
		// Both listings have to be in memory at the same moment.
		if _, err := v.find(ctx, newDir, newName); err != nil {
			return err
		}
		v.mu.Unlock()
		src, err := v.find(ctx, dir, name)
		if err != nil {
			return err
		}
		dst := v.peek(newDir, newName)
		commit, missing, err := v.rename(src, dst, place{dir, name}, place{newDir, newName}, noReplace)
		v.mu.Unlock()
		switch {
		case err != nil:
			return err
		case missing != 0:
			if err := v.load(ctx, missing); err != nil {
				return err
			}
		default:
			return commit()
		}
	}
}

// place is a name in a folder.
type place struct {
	dir  NodeID
	name string
}

// rename checks and does a rename in memory. It returns a folder that has to
// be listed first, or the function that records the change. Volume.mu is held.
func (v *Volume) rename(src, dst found, from, to place, noReplace bool) (commit func() error, missing NodeID, err error) {
	switch {
	case src.id == 0:
		return nil, 0, fs.ErrNotExist
	case !dst.known:
		return nil, to.dir, nil
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
		if missing, err = v.mayReplace(n, old); missing != 0 || err != nil {
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
	case !n.inCloud && foldable(n.queue):
		commit = v.renameLocal(n, old, from, to)
	default:
		commit = v.renameFile(n, old, from, to)
	}
	return commit, 0, nil
}

// mayReplace says whether n can take the name of old, as POSIX has it; a
// folder that must be listed to know that is returned. Volume.mu is held.
func (v *Volume) mayReplace(n, old *node) (missing NodeID, err error) {
	switch {
	case n.folder && !old.folder:
		return 0, ErrNotFolder
	case !n.folder && old.folder:
		return 0, ErrIsFolder
	case !n.folder:
		return 0, nil
	}
	switch empty, known := v.empty(old.id); {
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
	var add []*pending
	recorded := len(drop) > 0
	if left := n.over; left != nil {
		// It had replaced a file of pCloud under the old name: that is gone now.
		n.over = nil
		add = append(add, newRemove(left, from.dir, from.name))
		defer v.unpin(left)
	}
	v.displace(n)
	v.free(from.dir, from.name)
	n.parent, n.name = to.dir, to.name
	if old != nil {
		drop = append(drop, v.takeOver(n, old)...)
	}
	v.place(n)
	if recorded {
		p := v.newPut(n, n.content)
		for _, q := range drop {
			if q.n == n && q.Op == opPut {
				p.Modified, p.Size = q.Modified, q.Size
				p.sp, p.Spool, p.c = q.sp, q.Spool, q.c
			}
		}
		add = append(add, p)
	}
	return v.submit(drop, add...)
}

// takeOver lets a file that is only here take the name of another. What pCloud
// has under the name will be replaced by the file's put; puts of the other that
// have not begun are dropped and returned. Volume.mu is held.
func (v *Volume) takeOver(n, old *node) (drop []*pending) {
	if !old.inCloud && foldable(old.queue) {
		drop = append(drop, old.queue...)
		n.over, old.over = old.over, nil
	} else {
		drop = dropPuts(old)
		n.over = old
		old.pins++
	}
	v.displace(old)
	return drop
}

// renameFile moves a file that is in pCloud or on its way there. Volume.mu is
// held.
func (v *Volume) renameFile(n, old *node, from, to place) func() error {
	p := newRename(n, from, to)
	var drop []*pending
	if old != nil {
		if !old.inCloud && foldable(old.queue) {
			drop = append(drop, old.queue...)
			p.over, old.over = old.over, nil
			if p.over != nil {
				defer v.unpin(p.over) // the intent has a pin of its own
			}
		} else {
			drop = dropPuts(old)
			p.over = old
		}
		v.displace(old)
	}
	v.relocate(n, to)
	return v.submit(drop, p)
}
