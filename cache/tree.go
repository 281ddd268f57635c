package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote"
)

// treeMin is how many removals in a row are worth to be made one call.
const treeMin = 4

// tree finds the longest run of removals at the head of the queue, beginning
// at i, that together remove one folder with all that is in it. Volume.mu is
// held.
func (v *Volume) tree(i int, now time.Time) []*pending {
	last := -1
	for j := i; j < len(v.queue); j++ {
		p := v.queue[j]
		if p.Op != opRemove || p.started || !p.committed || p.Parked != "" || p.held() || p.notBefore.After(now) || !p.n.inCloud || p.n.read() {
			break
		}
		if p.Folder && v.allBelow(v.queue[i:j], p.n.id) {
			last = j
		}
	}
	if last-i+1 < treeMin {
		return nil
	}
	return append([]*pending(nil), v.queue[i:last+1]...)
}

func (v *Volume) allBelow(ps []*pending, dir NodeID) bool {
	// Removals come in post-order: the first is the deepest on its way, and
	// the others are checked because nothing says that they have to.
	for _, p := range ps {
		if !v.below(p.Parent, dir) {
			return false
		}
	}
	return true
}

// errStrangers says that a folder holds something that nobody removed here.
var errStrangers = errors.New("folder holds more than was removed")

// applyTree removes a folder and what is in it by one call, after a look that
// nothing else is there.
func (v *Volume) applyTree(ctx context.Context, group []*pending) error {
	top := group[len(group)-1]
	mine := make(map[NodeID]bool, len(group))
	v.mu.Lock()
	for _, p := range group {
		mine[pcloudNode(p.n.entry)] = true
	}
	id := top.n.entry.FolderID
	v.mu.Unlock()
	err := v.remote.ListTree(ctx, id, func(e remote.Entry) error {
		if !mine[pcloudNode(e)] {
			return errStrangers
		}
		return nil
	})
	if err == nil {
		_, _, err = v.remote.DeleteFolderTree(ctx, id)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %q and what is in it: %w", top.Name, err)
	}
	var ch journal.Change
	for _, p := range group {
		ch.Delete = append(ch.Delete, p.Seq)
		ch.Unbind = append(ch.Unbind, v.unbind(p.n.id)...)
	}
	v.mu.Lock()
	for _, p := range group {
		e := p.n.entry
		e.Deleted = true
		v.learn(e, p.asked)
	}
	b := v.note(ch)
	v.mu.Unlock()
	if err := v.save(b); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range group {
		v.remove(p)
	}
	return nil
}
