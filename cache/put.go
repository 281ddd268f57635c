package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cache/upload"
	"github.com/pcloudfs/pcloudfs/remote"
)

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
		p.Upload = st.Journal()
		b := v.note(journal.Change{Put: []journal.Intent{p.Intent}})
		v.mu.Unlock()
		return v.save(b)
	}
	if p.Upload != nil && p.session.ID == 0 {
		p.session = upload.Recorded(p.Upload)
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
	moot := v.moot(p.n, p.Seq, &ch) // pCloud has newer bytes now
	if !res.Conflicted && p.over != nil {
		moot = append(moot, v.moot(p.over, p.Seq, &ch)...)
	}
	return v.done(p, ch, func() {
		v.forgetAll(moot)
		v.learn(e, p.asked)
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
