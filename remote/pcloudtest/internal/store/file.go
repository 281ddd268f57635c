package store

import "time"

// CheckPut reports what a Put of size bytes (-1: unknown) would be refused for,
// before the bytes are there: 2001, 2003, 2005, 2008.
func (v *View) CheckPut(parent uint64, name string, size int64) error {
	return v.a.read(func() error {
		p, err := v.putTarget(parent, name)
		if err != nil {
			return err
		}
		if old := v.a.tree.child(p.id, name, false); old != nil {
			size -= old.size()
		}
		return v.a.room(size)
	})
}

func (v *View) putTarget(parent uint64, name string) (*record, error) {
	p, err := v.folder(parent)
	if err != nil {
		return nil, err
	}
	return p, checkName(name)
}

// Put stores b under a name. It takes b over, also when it fails.
//
// A file of that name is overwritten in place: it keeps its id and creation
// time, and its old content becomes a revision. The same content again changes
// only the times (pCloud API 7.8). Conditions divert the content to another
// name instead (8.6). Errors: 2001, 2003, 2005, 2008.
func (v *View) Put(parent uint64, name string, b *Blob, o PutOptions) (n Node, err error) {
	defer b.Release()
	content, done := v.recognize(parent, name, b.b)
	defer done()
	err = v.a.update(func(t *txn) error {
		n, err = v.put(t, parent, name, content, o)
		return err
	})
	return n, err
}

func (v *View) put(t *txn, parent uint64, name string, b *blob, o PutOptions) (Node, error) {
	p, err := v.putTarget(parent, name)
	if err != nil {
		return Node{}, err
	}
	name, conflicted := t.a.divert(p.id, name, o)
	modified, created := times(t.now, o.Modified, o.Created)
	var r *record
	if old := t.a.tree.child(p.id, name, false); old != nil {
		r, err = t.replace(old, b, stamp(created, old.created), modified)
	} else {
		r, err = t.addFile(p.id, name, b, stamp(created, t.now), modified)
	}
	if err != nil {
		return Node{}, err
	}
	n := v.node(r)
	n.Conflicted = conflicted
	return n, nil
}

// times returns the modification time to set and the creation time asked for,
// which counts only together with the former.
func times(now int64, modified, created *time.Time) (int64, *time.Time) {
	if modified == nil {
		return now, nil
	}
	return seconds(*modified), created
}

// divert returns the name that a content really gets, and whether that is
// because its condition failed.
func (a *Account) divert(parent uint64, name string, o PutOptions) (string, bool) {
	taken := func(name string) bool { return a.tree.child(parent, name, false) != nil }
	old := a.tree.child(parent, name, false)
	switch {
	case o.IfNew && old != nil,
		o.IfHash != nil && (old == nil || old.blob.hash != *o.IfHash):
		return a.conflictName(name, taken), true
	case o.RenameIfExists && old != nil:
		return a.numbered(name, taken), false
	}
	return name, false
}

// addFile makes a file whose name is free.
func (t *txn) addFile(parent uint64, name string, b *blob, created, modified int64) (*record, error) {
	if err := t.a.room(b.size); err != nil {
		return nil, err
	}
	if t.a.quirks.ReviveDeleted {
		if d := t.a.tree.lost(parent, name); d != nil {
			return t.revive(d, b, modified)
		}
	}
	r := &record{id: t.a.next(&t.a.ids.File), parent: parent, name: name, blob: b,
		created: created, modified: modified}
	t.put(r)
	t.touch(parent)
	t.created(r)
	return r, nil
}

// replace gives a file another content and times.
func (t *txn) replace(old *record, b *blob, created, modified int64) (*record, error) {
	c := *old
	c.created, c.modified = created, modified
	if !old.blob.same(b) {
		if err := t.a.room(b.size - old.size()); err != nil {
			return nil, err
		}
		t.addRevision(old.id, old.blob, old.modified)
		c.blob = b
	}
	t.put(&c)
	t.modified(&c)
	return &c, nil
}

// lost finds the deleted file that had a name in a folder, the latest first.
func (t *tree) lost(parent uint64, name string) *record {
	var found *record
	for _, r := range t.trash {
		if !r.folder && r.orig == parent && r.name == name && (found == nil || r.id > found.id) {
			found = r
		}
	}
	return found
}

// revive brings a deleted file back with a new content (Quirks.ReviveDeleted).
func (t *txn) revive(d *record, b *blob, modified int64) (*record, error) {
	c := *d
	c.deleted, c.orig, c.parent, c.modified = false, 0, d.orig, modified
	if !d.blob.same(b) {
		t.addRevision(d.id, d.blob, d.modified)
		c.blob = b
	}
	t.put(&c)
	t.touch(c.parent)
	t.created(&c)
	return &c, nil
}

// DeleteFile moves a file to the trash (pCloud API 7.16). Errors: 2003, 2009.
func (v *View) DeleteFile(id uint64) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.file(id)
		if err != nil {
			return err
		}
		t.deleteTop(r)
		n = v.node(r.gone())
		return nil
	})
	return n, err
}

// SetMtime sets the modification or the creation time. With old, nothing
// happens unless that is the present value (pCloud API 7.15). Errors: 2003, 2009.
func (v *View) SetMtime(id uint64, tm time.Time, isCreated bool, old *time.Time) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.file(id)
		if err != nil {
			return err
		}
		c := *r
		field := &c.modified
		if isCreated {
			field = &c.created
		}
		if old == nil || seconds(*old) == *field {
			*field = seconds(tm)
			t.put(&c)
			t.modified(&c)
		}
		n = v.node(&c)
		return nil
	})
	return n, err
}
