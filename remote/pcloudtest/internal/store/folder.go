package store

import "slices"

// CreateFolder makes a folder in parent. If it is there already, that is 2004,
// or with ifNotExists the folder is returned with created false (pCloud API
// 7.1, 7.2). Other errors: 2001, 2002, 2003.
func (v *View) CreateFolder(parent uint64, name string, ifNotExists bool) (n Node, created bool, err error) {
	if err := checkName(name); err != nil {
		return Node{}, false, err
	}
	err = v.a.update(func(t *txn) error {
		p, err := v.reach(key{true, v.inner(parent)}, CodeParentMissing, true)
		if err != nil {
			return err
		}
		r := v.a.tree.child(p.id, name, true)
		switch {
		case r == nil:
			r, created = t.makeFolder(p.id, name), true
		case !ifNotExists:
			return fail(CodeExists)
		}
		n = v.node(r)
		return nil
	})
	return n, created, err
}

func (t *txn) makeFolder(parent uint64, name string) *record {
	r := &record{folder: true, id: t.a.next(&t.a.ids.Folder), parent: parent, name: name,
		created: t.now, modified: t.now}
	t.put(r)
	t.touch(parent)
	t.created(r)
	return r
}

// RenameFolder moves a folder with all that is in it; name "" keeps the name. A
// folder never replaces another (2004); the place where it is already is fine
// (pCloud API 7.4). Other errors: 2001, 2003, 2005, 2042, 2043.
func (v *View) RenameFolder(id, parent uint64, name string) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.folder(id)
		if err != nil {
			return err
		}
		if r.id == v.root {
			return fail(CodeRenameRoot)
		}
		p, err := v.folder(parent)
		if err != nil {
			return err
		}
		if name == "" {
			name = r.name
		}
		if err := checkName(name); err != nil {
			return err
		}
		if v.a.tree.below(p.id, r.id) {
			return fail(CodeIntoDescendant)
		}
		switch there := v.a.tree.child(p.id, name, true); {
		case there == r:
			n = v.node(r)
			return nil
		case there != nil:
			return fail(CodeExists)
		}
		n = v.node(t.move(r, p.id, name, 0))
		return nil
	})
	return n, err
}

// move gives a record another place, which must be free.
func (t *txn) move(r *record, parent uint64, name string, replaced uint64) *record {
	c := *r
	c.parent, c.name = parent, name
	t.put(&c)
	if r.parent != parent {
		t.touch(r.parent)
		t.touch(parent)
	}
	t.moved(r, &c, replaced)
	return &c
}

// DeleteFolder moves an empty folder to the trash. Deleted items do not keep it
// from being empty (pCloud API 7.5). Errors: 2003, 2005, 2006, 2007.
func (v *View) DeleteFolder(id uint64) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.deletable(id)
		if err != nil {
			return err
		}
		if !v.a.tree.empty(r.id) {
			return fail(CodeNotEmpty)
		}
		t.deleteTop(r)
		n = v.node(r.gone())
		return nil
	})
	return n, err
}

// DeleteTree moves a folder with all that is in it to the trash and counts
// both, the folder itself included (pCloud API 7.6). Errors: 2003, 2005, 2007.
func (v *View) DeleteTree(id uint64) (files, folders int, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.deletable(id)
		if err != nil {
			return err
		}
		below := v.a.tree.walk(r.id)
		for _, c := range slices.Backward(below) {
			if t.deleted(c); c.folder {
				folders++
			} else {
				files++
			}
		}
		folders++
		t.deleteTop(r)
		for _, c := range below {
			d := *c
			d.deleted, d.orig = true, c.parent
			t.put(&d)
		}
		return nil
	})
	return files, folders, err
}

func (v *View) deletable(id uint64) (*record, error) {
	r, err := v.folder(id)
	if err == nil && r.id == v.root {
		return nil, fail(CodeDeleteRoot)
	}
	return r, err
}

// deleteTop moves a record to the top of the trash.
func (t *txn) deleteTop(r *record) {
	t.deleted(r)
	d := *r
	d.deleted, d.orig, d.parent = true, r.parent, 0
	t.put(&d)
	t.touch(r.parent)
}
