package store

// TrashList visits the trash (id 0) or a deleted folder in it, as List does
// (pCloud API 7.19). Only what was deleted from within the view is there.
// Errors: 2005, and what visit returns.
func (v *View) TrashList(id uint64, o ListOptions, visit func(n Node, depth int) error) error {
	var items []item
	err := v.a.read(func() error {
		top, err := v.trashFolder(id)
		if err != nil {
			return err
		}
		items = v.collectTrash(top, o)
		return nil
	})
	if err != nil {
		return err
	}
	for _, it := range items {
		n := v.node(it.rec)
		n.Parent = it.rec.parent // a place in the trash, which has its own top
		if err := visit(n, it.depth); err != nil {
			return err
		}
	}
	return nil
}

// trashFolder finds a deleted folder; id 0 is the top, shown as the root.
func (v *View) trashFolder(id uint64) (*record, error) {
	if id == 0 {
		root := v.a.tree.folder(0)
		return &record{folder: true, id: v.root, name: "/", created: root.created, modified: root.modified}, nil
	}
	return v.trashed(key{true, id})
}

// trashed finds a deleted item: 2005 or 2009.
func (v *View) trashed(k key) (*record, error) {
	r := v.a.tree.trash[k]
	if r == nil || !v.a.tree.below(r.orig, v.root) {
		if k.folder {
			return nil, fail(CodeNoFolder)
		}
		return nil, fail(CodeNoFile)
	}
	return r, nil
}

func (v *View) collectTrash(top *record, o ListOptions) []item {
	place := map[uint64][]*record{}
	for _, r := range v.a.tree.trash {
		if v.a.tree.below(r.orig, v.root) {
			place[r.parent] = append(place[r.parent], r)
		}
	}
	items := []item{{top, 0}}
	var visit func(id uint64, depth int)
	visit = func(id uint64, depth int) {
		v.a.shuffle(place[id])
		for _, r := range place[id] {
			if o.NoFiles && !r.folder {
				continue
			}
			items = append(items, item{r, depth})
			if o.Recursive && r.folder {
				visit(r.id, depth+1)
			}
		}
	}
	if top.deleted {
		visit(top.id, 1)
	} else {
		visit(0, 1)
	}
	return items
}

// trashTree returns a deleted item and all that lies in it, parents first.
func (t *tree) trashTree(r *record) []*record {
	out := []*record{r}
	if !r.folder {
		return out
	}
	for _, c := range t.trashed(r.id) {
		out = append(out, t.trashTree(c)...)
	}
	return out
}

// trashTops returns what the call is about: the item, or for folder 0 all that
// lies at the top of the trash.
func (v *View) trashTops(id uint64, folder bool) ([]*record, error) {
	if id != 0 || !folder {
		r, err := v.trashed(key{folder, id})
		return []*record{r}, err
	}
	var tops []*record
	for _, r := range v.a.tree.trashed(0) {
		if v.a.tree.below(r.orig, v.root) {
			tops = append(tops, r)
		}
	}
	return tops, nil
}

// TrashClear removes deleted items for good, with their revisions; folder 0 is
// everything (pCloud API 7.19). Errors: 2005, 2009.
func (v *View) TrashClear(id uint64, folder bool) error {
	return v.a.update(func(t *txn) error {
		tops, err := v.trashTops(id, folder)
		if err != nil {
			return err
		}
		for _, top := range tops {
			for _, r := range v.a.tree.trashTree(top) {
				t.purge(r)
			}
		}
		return nil
	})
}

// purge removes a deleted record and its revisions.
func (t *txn) purge(r *record) {
	t.set(r.key(), nil)
	if r.folder {
		return
	}
	for _, rev := range t.a.revs[r.id] {
		t.unref(rev.blob)
	}
	if len(t.a.revs[r.id]) > 0 {
		t.setRevisions(r.id, nil)
	}
}

// TrashRestorePath tells where TrashRestore would put an item. Errors: 2005, 2009.
func (v *View) TrashRestorePath(id uint64, folder bool) (n, destination Node, err error) {
	err = v.a.read(func() error {
		r, err := v.trashed(key{folder, id})
		if err != nil {
			return err
		}
		n, destination = v.node(r), v.node(v.restoreTo(r))
		return nil
	})
	return n, destination, err
}

// restoreTo is the folder an item was deleted from, or else the view's root.
func (v *View) restoreTo(r *record) *record {
	if f := v.a.tree.folder(r.orig); f != nil && v.a.tree.below(f.id, v.root) {
		return f
	}
	return v.a.tree.folder(v.root)
}

// TrashRestore brings deleted items back with all that is in them, to folder
// *to if given; folder 0 is everything. A name that is taken gets a number. It
// stops where the quota does, keeping what was restored (pCloud API 7.19).
// Errors: 2003, 2005, 2008, 2009.
func (v *View) TrashRestore(id uint64, folder bool, to *uint64) (restored []Node, err error) {
	err = v.a.update(func(t *txn) error {
		tops, err := v.trashTops(id, folder)
		if err != nil {
			return err
		}
		for _, top := range tops {
			dst := v.restoreTo(top)
			if to != nil {
				if dst, err = v.folder(*to); err != nil {
					return err
				}
			}
			if dst == nil {
				return fail(CodeNoFolder)
			}
			r, err := t.restore(top, dst.id)
			if err != nil {
				return err
			}
			restored = append(restored, v.node(r))
		}
		return nil
	})
	return restored, err
}

func (t *txn) restore(top *record, parent uint64) (*record, error) {
	all := t.a.tree.trashTree(top)
	if !t.a.quirks.TrashCounts {
		var size int64
		for _, r := range all {
			size += r.size()
		}
		if err := t.a.room(size); err != nil {
			return nil, err
		}
	}
	name := top.name
	taken := func(name string) bool { return t.a.tree.child(parent, name, top.folder) != nil }
	if taken(name) {
		name = t.a.numbered(name, taken)
	}
	var first *record
	for _, r := range all {
		c := *r
		c.deleted, c.orig = false, 0
		if r != top {
			t.put(&c)
			t.arrived(&c)
			continue
		}
		c.parent, c.name = parent, name
		first = &c
		t.put(&c)
		t.created(&c)
	}
	t.touch(parent)
	return first, nil
}
