package store

// CopyFile copies a file, or one of its versions, to a name (pCloud API 7.14).
// A file that is there is overwritten as by Put; a copy onto itself changes the
// times only. Errors: 2001, 2003, 2004, 2005, 2008, 2009, 2029.
func (v *View) CopyFile(id, parent uint64, name string, o CopyOptions) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.file(id)
		if err != nil {
			return err
		}
		b, err := v.a.version(r, o.Hash, o.Revision)
		if err != nil {
			return err
		}
		if name == "" {
			name = r.name
		}
		p, err := v.putTarget(parent, name)
		if err != nil {
			return err
		}
		if o.NoOver && v.a.tree.child(p.id, name, false) != nil {
			return fail(CodeExists)
		}
		n, err = v.put(t, parent, name, b, PutOptions{Modified: o.Modified, Created: o.Created})
		return err
	})
	return n, err
}

// RenameFile moves a file; name "" keeps the name. A file that is there is
// replaced at once: the moved one keeps its id, the reply's Replaced is the
// other's, and the other's content and revisions become revisions of the moved
// one (pCloud API 7.17). Errors: 2001, 2003, 2005, 2009, 2049.
func (v *View) RenameFile(id, parent uint64, name string) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.file(id)
		if err != nil {
			return err
		}
		if name == "" {
			name = r.name
		}
		p, err := v.putTarget(parent, name)
		if err != nil {
			return err
		}
		there := v.a.tree.child(p.id, name, false)
		if there == r {
			if v.a.quirks.SelfRename2049 {
				return fail(CodeSameFile)
			}
			n = v.node(r)
			return nil
		}
		var replaced uint64
		if there != nil {
			replaced = there.id
			t.absorb(r, there)
		}
		n = v.node(t.move(r, p.id, name, replaced))
		n.Replaced = replaced
		return nil
	})
	return n, err
}

// absorb makes a file's content and revisions revisions of another and removes
// it. Whoever sees it also sees the move that takes its name.
func (t *txn) absorb(into, from *record) {
	t.mergeRevisions(into.id, from.id)
	t.addRevision(into.id, from.blob, from.modified)
	t.set(from.key(), nil)
	t.touch(from.parent)
}
