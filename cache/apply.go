package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cache/upload"
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

// source gives the bytes of a put to package upload.
type source struct {
	io.ReaderAt
	size int64
}

func (s source) Size() int64 { return s.size }

func (p *pending) source() source {
	if p.sp == nil {
		return source{bytes.NewReader(nil), 0}
	}
	return source{io.NewSectionReader(p.sp.f, 0, p.Size), p.Size}
}

// send brings the bytes of a large put into an upload session.
func (v *Volume) send(ctx context.Context, p *pending) error {
	save := func(st upload.State) error {
		v.mu.Lock()
		p.session = st
		p.Upload = &journal.Upload{ID: st.ID, Size: st.Size}
		b := v.note(journal.Change{Put: []journal.Intent{p.Intent}})
		v.mu.Unlock()
		return v.save(b)
	}
	if p.Upload != nil && p.session.ID == 0 {
		p.session = upload.State{ID: p.Upload.ID, Size: p.Upload.Size}
	}
	progress := func(sent int64) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.progress++
		p.progress = sent
	}
	st, err := v.up.Transfer(ctx, p.source(), p.session, save, progress)
	whole := errors.Is(err, upload.ErrNoSessions)
	if err != nil && !whole {
		return fmt.Errorf("upload %q: %w", p.Name, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	p.session, p.sent, p.whole = st, true, whole
	return nil
}

// target says where a put goes and on what condition.
func (v *Volume) target(p *pending) (remote.UploadTarget, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	parent, ok := v.folderOf(p.Parent)
	if !ok {
		return remote.UploadTarget{}, fmt.Errorf("folder of %q: %w", p.Name, fs.ErrNotExist)
	}
	t := remote.UploadTarget{Parent: parent, Name: p.Name, Modified: p.Modified, If: remote.IfNew()}
	switch {
	case p.n.inCloud:
		// Where and as pCloud has it, which may not be as shown.
		t.Parent, t.Name = p.n.entry.ParentID, p.n.entry.Name
		t.If = remote.IfHash(p.c.base.hash)
	case p.over != nil && p.over.inCloud && !p.over.moving():
		t.Name = p.over.entry.Name
		t.If = remote.IfHash(p.over.entry.Hash)
	case p.Base != nil && p.over == nil:
		t.If = remote.IfHash(p.Base.Hash)
	}
	if !p.Born.IsZero() && !p.n.inCloud {
		t.Created = p.Born
	}
	return t, nil
}

func (v *Volume) applyPut(ctx context.Context, p *pending) error {
	if p.over != nil {
		if err := v.secure(ctx, p.over); err != nil {
			return err
		}
	}
	if err := v.learnBase(ctx, p); err != nil {
		return err
	}
	t, err := v.target(p)
	if err != nil {
		return err
	}
	if p.recovered || p.Tries > 0 {
		// An earlier attempt may have done it: a conditional put must not be
		// repeated blindly (pCloud API 7.21).
		res, ok, err := v.up.Find(ctx, t, p.source())
		if err != nil {
			return fmt.Errorf("look for %q: %w", p.Name, err)
		}
		if ok {
			return v.putDone(p, res)
		}
	}
	var res upload.Result
	switch {
	case p.whole:
		res, err = v.up.Whole(ctx, t, p.source())
	case p.sent:
		res, err = v.up.Publish(ctx, t, p.session)
	default:
		res, err = v.up.Single(ctx, t, p.source())
	}
	if errors.Is(err, remote.ErrNoUpload) {
		v.mu.Lock()
		p.sent, p.whole, p.session, p.Upload = false, false, upload.State{}, nil
		v.mu.Unlock()
	}
	if err == nil && res.Conflicted {
		res, err = v.unconflict(ctx, t, res)
	}
	if err != nil {
		return fmt.Errorf("upload %q: %w", p.Name, err)
	}
	return v.putDone(p, res)
}

// unconflict gives a file its name after all when nobody has it: what was to
// be replaced had been removed by another client.
func (v *Volume) unconflict(ctx context.Context, t remote.UploadTarget, res upload.Result) (upload.Result, error) {
	f, err := v.remote.List(ctx, t.Parent)
	if err != nil {
		return res, err
	}
	for _, e := range f.Contents {
		if !e.Folder && e.Name == t.Name {
			return res, nil
		}
	}
	e, err := v.renameRemote(ctx, res.Entry, t.Parent, t.Name)
	if err != nil {
		return res, err
	}
	return upload.Result{Entry: e, SHA1: res.SHA1}, nil
}

// learnBase asks pCloud for the version that a recovered put replaces, when
// the journal does not know what became of an earlier put of the same file.
func (v *Volume) learnBase(ctx context.Context, p *pending) error {
	v.mu.Lock()
	n, hash := p.n, p.c.base.hash
	if !n.inCloud && p.over != nil {
		n, hash = p.over, p.over.entry.Hash
	}
	id, known := n.entry.FileID, !n.inCloud || hash != 0
	v.mu.Unlock()
	if known {
		return nil
	}
	now, err := v.remote.Stat(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the condition will find that out
	}
	if err != nil {
		return fmt.Errorf("look for %q: %w", p.Name, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n.entry = now
	if n == p.n {
		p.c.base = versionOf(now)
	}
	return nil
}

// putDone notes that pCloud has the bytes of a put.
func (v *Volume) putDone(p *pending, res upload.Result) error {
	e := res.Entry
	if res.Conflicted {
		v.log.Warn("another client changed the file at the same time; both versions are kept", "name", p.Name, "ours", e.Name)
		v.meta.Drop(e.ParentID)
	}
	ch := journal.Change{Bind: v.bindings(p.n.id, e.FileID)}
	if p.over != nil && p.over.entry.FileID == e.FileID {
		ch.Unbind = v.unbind(p.over.id)
	}
	return v.done(p, ch, func() {
		v.learn(e)
		v.settled(p, e, res.Conflicted)
	})
}

// settled brings a node up to date after its put. Volume.mu is held.
func (v *Volume) settled(p *pending, e remote.Entry, conflicted bool) {
	n := p.n
	v.sentBytes += p.Size
	n.inCloud, n.entry = true, e
	if conflicted && p.over != nil {
		p.over.unlinked = false // it has its name still
	}
	if n.over != nil && n.over == p.over {
		v.unpin(n.over)
		n.over = nil
	}
	if c := p.c; c != nil {
		c.base = versionOf(e)
		v.space.Used += c.charged // until pCloud is asked again
		v.charge(c, c.size.Load())
	}
	v.displace(n) // a pending rename has claims of its own
	if conflicted && !n.unlinked && n.parent == p.Parent && n.name == p.Name {
		n.name = e.Name
	}
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
	if over != nil {
		ch.Unbind = v.unbind(over.id)
	}
	return v.done(p, ch, func() {
		if over != nil && over.inCloud {
			gone := over.entry
			gone.Deleted = true
			v.learn(gone)
		}
		v.learn(now)
		p.n.entry = now
	})
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
	open := n.handles > 0 && c != nil && c.local == nil && c.base.size > 0
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
	if errors.Is(err, ErrStale) {
		return nil // too late: pCloud does not have them any more
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
	moot := v.parkedOf(p.n)
	for _, q := range moot {
		ch.Delete = append(ch.Delete, q.Seq)
	}
	return v.done(p, ch, func() {
		v.learn(e)
		for _, q := range moot {
			v.remove(q)
		}
		if over := p.n.over; over != nil {
			p.n.over = nil
			v.unpin(over)
		}
	})
}

// parkedOf returns what pCloud had refused about a node.
func (v *Volume) parkedOf(n *node) (parked []*pending) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range n.queue {
		if p.Parked != "" {
			parked = append(parked, p)
		}
	}
	return parked
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
		v.learn(now)
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
