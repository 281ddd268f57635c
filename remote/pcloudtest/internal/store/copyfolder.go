package store

// CopyFolder copies a folder with its live contents into folder to, merging
// with what has the same names there (pCloud API 7.7). Files keep their
// modification times. What was copied before an error stays. It returns the
// copy, or with ContentOnly the target. Errors: 2003, 2004, 2005, 2008, 2206,
// 2207, 2208.
func (v *View) CopyFolder(id, to uint64, o CopyFolderOptions) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		src, err := v.folder(id)
		if err != nil {
			return err
		}
		dst, err := v.reach(key{true, v.inner(to)}, CodeNoCopyTarget, true)
		if err != nil {
			return err
		}
		switch {
		case o.ContentOnly && dst.id == src.id, !o.ContentOnly && dst.id == src.parent && src.id != v.root:
			return fail(CodeCopyOntoItself)
		case v.a.tree.below(dst.id, src.id):
			return fail(CodeCopyIntoItself)
		}
		below := v.a.tree.walk(src.id)
		if !o.ContentOnly {
			dst = t.mergeFolder(dst.id, src.name)
		}
		err = t.copyRecords(below, map[uint64]uint64{src.id: dst.id}, o)
		n = v.node(v.a.tree.folder(dst.id))
		return err
	})
	return n, err
}

func (t *txn) mergeFolder(parent uint64, name string) *record {
	if r := t.a.tree.child(parent, name, true); r != nil {
		return r
	}
	return t.makeFolder(parent, name)
}

// copyRecords copies records, parents first; place maps folders to their copies.
func (t *txn) copyRecords(recs []*record, place map[uint64]uint64, o CopyFolderOptions) error {
	for _, r := range recs {
		if r.folder {
			place[r.id] = t.mergeFolder(place[r.parent], r.name).id
			continue
		}
		old := t.a.tree.child(place[r.parent], r.name, false)
		if old != nil && o.SkipExisting {
			continue
		}
		if old != nil && o.NoOver {
			return fail(CodeExists)
		}
		var err error
		if old == nil {
			_, err = t.addFile(place[r.parent], r.name, r.blob, t.now, r.modified)
		} else {
			_, err = t.replace(old, r.blob, old.created, r.modified)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
