package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// slot is a name in a folder that pending changes decide about.
type slot struct {
	node NodeID // 0: the name is free, whatever pCloud says
	refs int    // pending intents and nodes that need it
}

// claim makes the overlay answer for a slot. Volume.mu is held.
func (v *Volume) claim(dir NodeID, name string, id NodeID) {
	names := v.slots[dir]
	if names == nil {
		names = make(map[string]*slot)
		v.slots[dir] = names
	}
	s := names[name]
	if s == nil {
		s = &slot{}
		names[name] = s
	}
	s.node = id
	s.refs++
}

// sameClaim is a claim of a slot for what has it already. Volume.mu is held.
func (v *Volume) sameClaim(dir NodeID, name string) claim {
	c := claim{dir: dir, name: name}
	if s := v.slots[dir][name]; s != nil {
		c.node = s.node
	}
	return c
}

// unclaim takes back one claim; the last one gives the slot back to pCloud's
// view of it. Volume.mu is held.
func (v *Volume) unclaim(dir NodeID, name string) {
	s := v.slots[dir][name]
	if s == nil {
		return
	}
	if s.refs--; s.refs == 0 {
		delete(v.slots[dir], name)
		if len(v.slots[dir]) == 0 {
			delete(v.slots, dir)
			if !v.dirTimes[dir].set {
				delete(v.dirTimes, dir) // pCloud's own time is right by now
			}
		}
	}
}

// free marks a claimed slot as free. Volume.mu is held.
func (v *Volume) free(dir NodeID, name string) {
	if s := v.slots[dir][name]; s != nil {
		s.node = 0
	}
}

// found is the answer of peek.
type found struct {
	id    NodeID       // 0: no such name
	entry remote.Entry // what pCloud says, when the overlay does not decide
	known bool         // false: the folder has to be listed first
}

// peek looks a name up in memory alone. Volume.mu is held.
func (v *Volume) peek(dir NodeID, name string) found {
	if s := v.slots[dir][name]; s != nil {
		return found{id: s.node, known: true}
	}
	fid, ok := v.folderOf(dir)
	if !ok {
		return found{known: true} // made here, and all that is in it
	}
	if hidden(name) {
		return found{known: true}
	}
	e, ok, known := v.meta.Lookup(fid, name)
	if !known {
		return found{}
	}
	if !ok {
		if e, ok = v.peekRendered(fid, name); !ok {
			return found{known: true}
		}
	}
	return found{id: v.nodeOf(e), entry: e, known: true}
}

// peekRendered finds an entry that is shown under another name than its own.
func (v *Volume) peekRendered(dir remote.FolderID, name string) (remote.Entry, bool) {
	folder, id, ok := unrendered(name)
	if !ok {
		return remote.Entry{}, false
	}
	var e remote.Entry
	shadowed := false
	if folder {
		e, ok = v.meta.Folder(remote.FolderID(id))
	} else {
		e, ok = v.meta.File(remote.FileID(id))
		_, shadowed, _ = v.meta.LookupFolder(dir, e.Name)
	}
	if !ok || e.ParentID != dir || rendered(e, shadowed) != name {
		return remote.Entry{}, false
	}
	return e, true
}

// find looks a name up and lists the folder for it if need be. It returns with
// Volume.mu held unless there is an error.
func (v *Volume) find(ctx context.Context, dir NodeID, name string) (found, error) {
	for range 3 {
		v.mu.Lock()
		if f := v.peek(dir, name); f.known {
			return f, nil
		}
		v.mu.Unlock()
		if err := v.load(ctx, dir); err != nil {
			return found{}, err
		}
	}
	// The listing does not stay long enough (a cache smaller than the folder,
	// or a folder in constant change): take the answer of a fresh one.
	return v.findFresh(ctx, dir, name)
}

func (v *Volume) findFresh(ctx context.Context, dir NodeID, name string) (found, error) {
	fid, _ := v.folderOf(dir)
	entries, err := v.listNow(ctx, fid)
	if err != nil {
		return found{}, err
	}
	if f := v.peek(dir, name); f.known {
		return f, nil
	}
	f := found{known: true}
	folders := folderNames(entries)
	for _, e := range entries {
		if rendered(e, !e.Folder && folders[e.Name]) == name {
			f.id, f.entry = v.nodeOf(e), e
		}
	}
	return f, nil
}

// load makes sure that the listing of a folder is held and current.
func (v *Volume) load(ctx context.Context, dir NodeID) error {
	fid, ok := v.folderOf(dir)
	if !ok {
		return nil
	}
	_, fresh, held := v.meta.List(fid)
	if held && fresh {
		return nil
	}
	err := v.refresh(ctx, fid)
	if held && err != nil && isTemporary(err) {
		v.log.Warn("pCloud can't be reached, showing what is known", "folder", fid, "err", err)
		return v.keepStale(fid)
	}
	return err
}

func isTemporary(err error) bool { return errors.Is(err, remote.ErrTemporary) }

// flight is a listing under way that any number of callers wait for.
type flight struct {
	done chan struct{}
	err  error
}

// refresh lists a folder, once for all who ask at the same time. The request
// belongs to the volume; ctx only ends the wait.
func (v *Volume) refresh(ctx context.Context, fid remote.FolderID) error {
	v.mu.Lock()
	fl := v.flights[fid]
	if fl == nil {
		if v.closed {
			v.mu.Unlock()
			return fs.ErrClosed
		}
		fl = &flight{done: make(chan struct{})}
		v.flights[fid] = fl
		v.wg.Go(func() {
			fl.err = v.list(fid)
			v.mu.Lock()
			delete(v.flights, fid)
			v.mu.Unlock()
			close(fl.done)
		})
	}
	v.mu.Unlock()
	select {
	case <-fl.done:
		return fl.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *Volume) list(fid remote.FolderID) error {
	for range 3 {
		t := v.meta.Begin(fid)
		f, err := v.remote.List(v.ctx, fid)
		if errors.Is(err, fs.ErrNotExist) {
			v.meta.RemoveFolder(fid, time.Now())
		}
		if err != nil {
			return fmt.Errorf("list folder: %w", err)
		}
		if v.meta.Put(t, f) {
			return nil
		}
	}
	return nil
}

// Lookup finds a name in a folder.
func (v *Volume) Lookup(ctx context.Context, dir NodeID, name string) (Attr, error) {
	if len(name) > NameMax {
		return Attr{}, ErrNameTooLong
	}
	f, err := v.find(ctx, dir, name)
	if err != nil {
		return Attr{}, err
	}
	defer v.mu.Unlock()
	if f.id == 0 {
		return Attr{}, fs.ErrNotExist
	}
	return v.attr(f.id, f.entry), nil
}

// attr merges what pCloud says about a node with what is known here.
// Volume.mu is held.
func (v *Volume) attr(id NodeID, e remote.Entry) Attr {
	var a Attr
	if n := v.nodes[id]; n != nil {
		if e.Name != "" {
			v.absorb(n, e)
		}
		a = n.attr()
	} else {
		a = attrOf(id, e)
	}
	if id == RootNode {
		a.Folder, a.Nlink = true, 2
	}
	if d, ok := v.dirTimes[id]; ok && a.Folder && (d.set || d.t.After(a.Mtime)) {
		a.Mtime, a.Ctime = d.t, d.t
	}
	return a
}

// absorb takes over what pCloud says about a node, unless pending changes know
// better. A file that others have changed gets a new content; open handles
// keep the one that they have. Volume.mu is held.
func (v *Volume) absorb(n *node, e remote.Entry) {
	if !n.inCloud || n.unlinked || len(n.queue) > 0 {
		return
	}
	if !e.Modified.Equal(n.entry.Modified) {
		n.mtime = time.Time{}
	}
	n.entry = e
	if n.id != RootNode {
		n.parent, n.name = v.nodeOfFolder(e.ParentID), v.shownName(e)
	}
	c := n.content
	if c == nil || c.dirty || c.writers > 0 || c.base.hash == e.Hash {
		return
	}
	n.content = nil
	v.dropContent(c)
}

// shownName returns the name under which an entry is shown.
func (v *Volume) shownName(e remote.Entry) string {
	shadowed := false
	if !e.Folder {
		_, shadowed, _ = v.meta.LookupFolder(e.ParentID, e.Name)
	}
	return rendered(e, shadowed)
}

// Stat returns the attributes of a node.
func (v *Volume) Stat(ctx context.Context, id NodeID) (Attr, error) {
	e, err := v.locate(ctx, id)
	if err != nil {
		return Attr{}, err
	}
	defer v.mu.Unlock()
	return v.attr(id, e), nil
}

// locate makes sure that something is known about a node: either it has state
// of its own or pCloud's entry is returned. It returns with Volume.mu held
// unless there is an error.
func (v *Volume) locate(ctx context.Context, id NodeID) (remote.Entry, error) {
	for {
		v.mu.Lock()
		before := v.learned
		v.mu.Unlock()
		e, err := v.entry(ctx, id)
		v.mu.Lock()
		n := v.nodes[id]
		if errors.Is(err, fs.ErrNotExist) && n != nil && n.handles > 0 {
			return remote.Entry{}, nil // removed by others: its handles live on
		}
		if err != nil {
			v.mu.Unlock()
			return e, err
		}
		if now, ok := v.held(e); ok {
			return now, nil
		}
		if n != nil && (e.Name == "" || n.changed <= before) || n == nil && e.Name != "" {
			return e, nil
		}
		v.mu.Unlock() // it changed meanwhile
	}
}

// held returns the entry as it is known by now. Volume.mu is held.
func (v *Volume) held(e remote.Entry) (remote.Entry, bool) {
	switch {
	case e.Name == "":
		return e, false
	case e.Folder:
		return v.meta.Folder(e.FolderID)
	}
	return v.meta.File(e.FileID)
}

// entry returns what pCloud says about a node; the zero Entry if only this
// volume knows it.
func (v *Volume) entry(ctx context.Context, id NodeID) (remote.Entry, error) {
	v.mu.Lock()
	n := v.nodes[id]
	own := n != nil && (!n.inCloud || n.unlinked || len(n.queue) > 0)
	v.mu.Unlock()
	if own {
		return remote.Entry{}, nil
	}
	if fid, ok := v.folderOf(id); ok {
		return v.folderEntry(ctx, fid)
	}
	fid, ok := v.fileOf(id)
	if !ok {
		return remote.Entry{}, fs.ErrNotExist
	}
	return v.fileEntry(ctx, fid)
}

func (v *Volume) folderEntry(ctx context.Context, fid remote.FolderID) (remote.Entry, error) {
	if e, ok := v.meta.Folder(fid); ok && (fid == v.root || v.current(e)) {
		return e, nil
	}
	if err := v.refresh(ctx, fid); err != nil {
		if e, ok := v.meta.Folder(fid); ok && isTemporary(err) {
			return e, nil
		}
		return remote.Entry{}, err
	}
	if e, ok := v.meta.Folder(fid); ok {
		return e, nil
	}
	// The listing did not stay (a reset of the feed, a cache that is too small, a
	// folder in constant change).
	f, err := v.remote.List(ctx, fid)
	if err != nil {
		return remote.Entry{}, fmt.Errorf("list folder: %w", err)
	}
	return f.Entry, nil
}

func (v *Volume) fileEntry(ctx context.Context, fid remote.FileID) (remote.Entry, error) {
	e, held := v.meta.File(fid)
	if held && v.current(e) {
		return e, nil
	}
	if held { // the whole folder is as cheap as one file
		err := v.refresh(ctx, e.ParentID)
		if now, ok := v.meta.File(fid); ok && (err == nil || isTemporary(err)) {
			return now, nil
		}
	}
	e, err := v.remote.Stat(ctx, fid)
	if err != nil {
		return remote.Entry{}, fmt.Errorf("stat file: %w", err)
	}
	return e, nil
}

// current says whether the listing that e was taken from may still be relied
// upon.
func (v *Volume) current(e remote.Entry) bool {
	_, found, known := v.meta.Lookup(e.ParentID, e.Name)
	return found && known
}

// keepStale lets an aged listing serve for another while, because pCloud can't
// be asked now.
func (v *Volume) keepStale(fid remote.FolderID) error {
	t := v.meta.Begin(fid)
	entries, _, held := v.meta.List(fid)
	self, ok := v.meta.Folder(fid)
	if held && ok {
		v.meta.Put(t, remote.Folder{Entry: self, Contents: entries})
	}
	return nil
}
