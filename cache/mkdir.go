package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cache/metadata"
	"github.com/pcloudfs/pcloudfs/remote"
)

// mkdirTries is how often a folder is tried to be made when the answers of
// pCloud do not tell whether it was.
const mkdirTries = 5

// Mkdir makes a folder. pCloud confirms it before Mkdir returns, unless the
// volume was opened with MkdirJournal.
func (v *Volume) Mkdir(ctx context.Context, dir NodeID, name string) (Attr, error) {
	if v.readOnly {
		return Attr{}, ErrReadOnly
	}
	if err := checkName(name); err != nil {
		return Attr{}, err
	}
	if v.lazyMkdir {
		return v.mkdirLater(ctx, dir, name)
	}
	if err := v.clearSlot(ctx, dir, name); err != nil {
		return Attr{}, err
	}
	if err := v.settleFolder(ctx, dir); err != nil {
		return Attr{}, err
	}
	parent, ok := v.folderOf(dir)
	if !ok {
		return Attr{}, fs.ErrNotExist
	}
	// Not ctx: a signal must not leave the caller in doubt about a lock. The
	// client's own time limits end the wait.
	v.mu.Lock()
	asked := v.events
	v.mu.Unlock()
	before := v.meta.Begin(parent)
	e, err := v.createFolder(context.WithoutCancel(ctx), parent, name)
	if err != nil {
		v.meta.Drop(parent) // the call may have taken effect
		return Attr{}, fmt.Errorf("make folder %q: %w", name, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.newFolder(e, before, asked)
	return v.attr(v.nodeOf(e), e), nil
}

// newFolder makes a folder known that was made after a moment: it is empty,
// unless the change feed has told otherwise. Volume.mu is held.
func (v *Volume) newFolder(e remote.Entry, before metadata.Token, asked uint64) {
	v.learn(e, asked)
	v.meta.Put(before.Of(e.FolderID), remote.Folder{Entry: e})
}

// settleFolder waits until a folder that an earlier volume made in the queue
// is in pCloud.
func (v *Volume) settleFolder(ctx context.Context, dir NodeID) error {
	if _, ok := v.folderOf(dir); ok {
		return nil
	}
	return v.settle(ctx, dir)
}

// clearSlot makes sure that a name is free here and that pCloud has been told
// so.
func (v *Volume) clearSlot(ctx context.Context, dir NodeID, name string) error {
	f, err := v.find(ctx, dir, name)
	if err != nil {
		return err
	}
	s := v.slots[dir][name]
	v.mu.Unlock()
	switch {
	case f.id != 0:
		return fs.ErrExist
	case s == nil:
		return nil
	}
	err = v.await(ctx, func() uint64 {
		var last uint64
		for _, p := range v.queue {
			for _, c := range p.claims {
				if c.dir == dir && c.name == name && p.Parked == "" && !v.blocked(p) {
					p.forced = true
					last = max(last, p.Seq)
				}
			}
		}
		return last
	}, v.syncTimeout)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.slots[dir][name] != nil {
		return fmt.Errorf("%w: pCloud refuses to give up what had the name %q", ErrBusy, name)
	}
	return nil
}

// createFolder looks after a lost reply whether the folder is there. It can
// not tell who made it, so it says that it exists when in doubt: a lock must
// never be given to two.
func (v *Volume) createFolder(ctx context.Context, parent remote.FolderID, name string) (remote.Entry, error) {
	for try := 1; ; try++ {
		e, err := v.remote.CreateFolder(ctx, parent, name)
		if err == nil || !uncertain(err) {
			return e, err
		}
		there, found, ferr := v.findFolder(ctx, parent, name)
		switch {
		case ferr != nil, try == mkdirTries:
			return e, err
		case found:
			return there, fmt.Errorf("%w, made by this or another client", fs.ErrExist)
		}
		select {
		case <-time.After(time.Duration(try) * 500 * time.Millisecond):
		case <-v.ctx.Done():
			return e, err
		}
	}
}

func (v *Volume) findFolder(ctx context.Context, parent remote.FolderID, name string) (remote.Entry, bool, error) {
	f, err := v.remote.List(ctx, parent)
	if err != nil {
		return remote.Entry{}, false, err
	}
	for _, e := range f.Contents {
		if e.Folder && e.Name == name {
			return e, true, nil
		}
	}
	return remote.Entry{}, false, nil
}

// uncertain says whether a failed call may have taken effect.
func uncertain(err error) bool {
	var re *remote.Error
	return errors.As(err, &re) && re.Uncertain()
}

// mkdirLater makes a folder in the queue.
func (v *Volume) mkdirLater(ctx context.Context, dir NodeID, name string) (Attr, error) {
	id := v.journal.NextNode()
	f, err := v.find(ctx, dir, name)
	if err != nil {
		return Attr{}, err
	}
	if f.id != 0 {
		v.mu.Unlock()
		return Attr{}, fs.ErrExist
	}
	now := time.Now()
	n := &node{id: id, folder: true, parent: dir, name: name, mtime: now, ctime: now, birth: now}
	v.nodes[id] = n
	v.place(n)
	v.touch(dir, now)
	p := &pending{n: n, claims: []claim{{dir, name, id}}}
	p.Op, p.Folder, p.Parent, p.Name, p.Born = opMkdir, true, dir, name, now
	p.notBefore = now.Add(v.settleTime)
	commit := v.submit(nil, p)
	a := v.attr(id, remote.Entry{})
	v.mu.Unlock()
	return a, commit()
}

// applyMkdir makes a folder in pCloud. One that exists by now serves as well:
// nobody was promised that it was new.
func (v *Volume) applyMkdir(ctx context.Context, p *pending) error {
	v.mu.Lock()
	parent, ok := v.folderOf(p.Parent)
	v.mu.Unlock()
	if !ok {
		return fmt.Errorf("make folder %q: %w", p.Name, errGone)
	}
	before := v.meta.Begin(parent)
	e, err := v.remote.CreateFolder(ctx, parent, p.Name)
	isNew := err == nil
	if errors.Is(err, fs.ErrExist) || uncertain(err) {
		var found bool
		var ferr error
		if e, found, ferr = v.findFolder(ctx, parent, p.Name); found {
			err = ferr
		}
	}
	if err != nil {
		return fmt.Errorf("make folder %q: %w", p.Name, err)
	}
	ch := journal.Change{Bind: []journal.Binding{{Node: p.n.id, Folder: true, FolderID: e.FolderID}}}
	return v.done(p, ch, func() {
		if isNew {
			v.newFolder(e, before, p.asked)
		} else {
			v.learn(e, p.asked)
		}
		n := p.n
		n.inCloud, n.entry = true, e
		v.displace(n)
	})
}
