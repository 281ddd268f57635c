package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote"
)

// errGone says that pCloud has no such object any more, so that the change has
// nothing to apply to.
var errGone = errors.New("removed in pCloud by another client")

// apply brings one intent into pCloud. Each kind may be repeated after a lost
// reply or a crash.
func (v *Volume) apply(ctx context.Context, p *pending) error {
	switch p.Op {
	case opPut:
		return v.applyPut(ctx, p)
	case opRename:
		return v.applyRename(ctx, p)
	case opRemove:
		return v.applyRemove(ctx, p)
	case opTimes:
		return v.applyTimes(ctx, p)
	case opMkdir:
		return v.applyMkdir(ctx, p)
	}
	return fmt.Errorf("intent of unknown kind %q", p.Op)
}

// done makes the result of an applied intent known in memory, by update, which
// is called with Volume.mu held, then in the journal, and takes the intent out
// of the queue.
func (v *Volume) done(p *pending, ch journal.Change, update func()) error {
	ch.Delete = append(ch.Delete, p.Seq)
	v.mu.Lock()
	update()
	v.learned++
	p.n.changed = v.learned
	if p.Folder && p.n.unlinked {
		delete(v.dirTimes, p.n.id)
	}
	for _, q := range p.n.queue {
		if q == p || p.n.entry.Deleted {
			continue
		}
		q.rebase(p.n) // a restart must not go by what was before
		ch.Put = append(ch.Put, q.Intent)
	}
	b := v.note(ch)
	v.mu.Unlock()
	if err := v.save(b); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.remove(p)
	return nil
}

func (v *Volume) applyRename(ctx context.Context, p *pending) error {
	v.mu.Lock()
	to, ok := v.folderOf(p.Parent)
	e, inCloud := p.n.entry, p.n.inCloud
	over := p.over
	v.mu.Unlock()
	if !ok || !inCloud {
		return fmt.Errorf("rename %q: %w", p.OldName, errGone)
	}
	if over != nil {
		if err := v.secure(ctx, over); err != nil {
			return err
		}
	}
	now, err := v.renameRemote(ctx, e, to, p.Name)
	if errors.Is(err, fs.ErrNotExist) && v.isGone(ctx, e) {
		return v.vanished(p)
	}
	if err != nil {
		return fmt.Errorf("rename %q: %w", p.OldName, err)
	}
	var ch journal.Change
	var moot []*pending
	if over != nil && now.Replaced == over.entry.FileID {
		ch.Unbind = v.unbind(over.id)
		moot = v.moot(over, p.Seq, &ch)
	}
	return v.done(p, ch, func() {
		v.forgetAll(moot)
		v.replaced(over, now)
		v.learn(now, p.asked)
		p.n.entry = now
	})
}

// replaced notes what became of a file that was to be replaced by a rename.
// Volume.mu is held.
func (v *Volume) replaced(over *node, now remote.Entry) {
	if over == nil || !over.inCloud {
		return
	}
	if now.Replaced != over.entry.FileID { // moved away by others, or the reply was lost
		over.unlinked = false
		v.meta.Drop(over.entry.ParentID)
		v.meta.Drop(now.ParentID)
		return
	}
	gone := over.entry
	gone.Deleted = true
	v.learn(gone, 0)
}

// renameRemote moves an entry and finds out what a lost reply said.
func (v *Volume) renameRemote(ctx context.Context, e remote.Entry, to remote.FolderID, name string) (remote.Entry, error) {
	var now remote.Entry
	var err error
	if e.Folder {
		now, err = v.remote.RenameFolder(ctx, e.FolderID, to, name)
	} else {
		now, err = v.remote.RenameFile(ctx, e.FileID, to, name)
	}
	var re *remote.Error
	if err == nil || !errors.As(err, &re) || !re.Uncertain() {
		return now, err
	}
	found, ferr := v.look(ctx, e)
	if ferr == nil && found.ParentID == to && found.Name == name {
		return found, nil
	}
	return now, err
}

// look asks pCloud where an entry is now.
func (v *Volume) look(ctx context.Context, e remote.Entry) (remote.Entry, error) {
	if !e.Folder {
		return v.remote.Stat(ctx, e.FileID)
	}
	f, err := v.remote.List(ctx, e.FolderID)
	return f.Entry, err
}

// isGone says that pCloud is sure not to have an entry any more.
func (v *Volume) isGone(ctx context.Context, e remote.Entry) bool {
	_, err := v.look(ctx, e)
	return errors.Is(err, fs.ErrNotExist)
}

// vanished ends the change of something that another client has removed. Bytes
// that were written here become a new file.
func (v *Volume) vanished(p *pending) error {
	n := p.n
	v.log.Warn("removed in pCloud by another client", "op", p.Op, "name", p.Name)
	return v.done(p, journal.Change{Unbind: v.unbind(n.id)}, func() {
		gone := n.entry
		gone.Deleted = true
		v.tell(gone, time.Now())
		if p.over != nil {
			p.over.unlinked = false // it keeps its name
		}
		c := n.content
		if c != nil && !n.unlinked && (c.dirty || c.put != nil) {
			n.inCloud, n.entry, c.base = false, remote.Entry{}, version{}
			v.place(n)
		} else if len(n.queue) == 1 {
			n.unlinked = true
		}
	})
}

// moving says whether a rename of the node is yet to be applied. Volume.mu is
// held.
func (n *node) moving() bool {
	return slices.ContainsFunc(n.queue, func(p *pending) bool { return p.Op == opRename })
}

// secure brings the bytes of a file that is about to disappear here while
// somebody has it open.
func (v *Volume) secure(ctx context.Context, n *node) error {
	v.mu.Lock()
	c := n.content
	open := n.read()
	var size int64
	if open {
		c.users++
		size = c.base.size
	}
	v.mu.Unlock()
	if !open {
		return nil
	}
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.dropContent(c)
	}()
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	_, err := v.materialize(ctx, c, size, size)
	if err != nil && !isTemporary(err) && ctx.Err() == nil {
		v.log.Warn("an open file can't be kept for its readers", "err", err)
		return nil
	}
	return err
}

func (v *Volume) applyRemove(ctx context.Context, p *pending) error {
	if err := v.secure(ctx, p.n); err != nil {
		return err
	}
	v.mu.Lock()
	e := p.n.entry
	if !p.n.inCloud && p.n.over != nil {
		e = p.n.over.entry // which it was to replace
	}
	v.mu.Unlock()
	if e.FileID == 0 {
		e.FileID, e.FolderID = p.FileID, p.FolderID
	}
	var err error
	switch {
	case p.Folder && e.FolderID != 0:
		err = v.remote.DeleteFolder(ctx, e.FolderID)
	case !p.Folder && e.FileID != 0:
		err = v.remote.DeleteFile(ctx, e.FileID)
	} // otherwise it never got there
	switch {
	case errors.Is(err, remote.ErrNotEmpty):
		return v.undoRmdir(p, e)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil:
		return fmt.Errorf("remove %q: %w", p.Name, err)
	}
	e.Folder, e.Deleted = p.Folder, true
	ch := journal.Change{Unbind: v.unbind(p.n.id)}
	moot := v.moot(p.n, p.Seq, &ch)
	return v.done(p, ch, func() {
		v.learn(e, p.asked)
		v.forgetAll(moot)
		if over := p.n.over; over != nil {
			p.n.over = nil
			v.unpin(over)
		}
	})
}

// moot returns what pCloud has refused about a node before an intent by which it
// was removed, replaced or written anew, and adds to a change that the journal
// forgets it. What it was called before such a put counts still.
func (v *Volume) moot(n *node, before uint64, ch *journal.Change) (refused []*pending) {
	if n == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range n.queue {
		if p.Seq < before && p.refused() && !p.started && (n.unlinked || p.Op == opPut || p.Op == opTimes) {
			refused = append(refused, p)
			ch.Delete = append(ch.Delete, p.Seq)
		}
	}
	return refused
}

// forgetAll takes intents out of memory that a change makes the journal forget.
// Volume.mu is held.
func (v *Volume) forgetAll(ps []*pending) {
	for _, p := range ps {
		if slices.Contains(p.n.queue, p) {
			v.dequeue(p)
			v.batch.dropped = append(v.batch.dropped, p)
		}
	}
}

// undoRmdir gives up the removal of a folder into which another client has put
// something meanwhile: what it put there stays, and the folder shows again.
func (v *Volume) undoRmdir(p *pending, e remote.Entry) error {
	v.log.Warn("folder is not empty any more, it stays", "name", p.Name)
	v.meta.Drop(e.FolderID)
	v.meta.Drop(e.ParentID)
	return v.done(p, journal.Change{}, func() { p.n.unlinked = false })
}

func (v *Volume) applyTimes(ctx context.Context, p *pending) error {
	v.mu.Lock()
	e, inCloud := p.n.entry, p.n.inCloud
	v.mu.Unlock()
	if !inCloud {
		return fmt.Errorf("set the time of %q: %w", p.Name, errGone)
	}
	now, err := v.remote.SetTimes(ctx, e, p.Modified, e.Created)
	if errors.Is(err, fs.ErrNotExist) && v.isGone(ctx, e) {
		return v.vanished(p)
	}
	if err != nil {
		return fmt.Errorf("set the time of %q: %w", p.Name, err)
	}
	return v.done(p, journal.Change{}, func() {
		v.learn(now, p.asked)
		p.n.entry = now
	})
}

// openSpool opens the spool file of a recorded put.
func (v *Volume) openSpool(name string) (*os.File, error) {
	f, err := v.journal.OpenSpool(name)
	if err != nil {
		return nil, fmt.Errorf("open spool file %s: %w", name, err)
	}
	return f, nil
}
