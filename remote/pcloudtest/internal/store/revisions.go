package store

import (
	"cmp"
	"slices"
	"time"
)

// revision is an older content of a file. It is never changed.
type revision struct {
	id      uint64
	blob    *blob
	created int64 // modification time of the file when it had that content
}

// addRevision keeps a content as a revision; empty ones are never listed and
// so not kept (pCloud API 6).
func (t *txn) addRevision(file uint64, b *blob, created int64) {
	if b.size == 0 {
		return
	}
	t.ref(b)
	r := &revision{t.a.next(&t.a.ids.Revision), b, created}
	t.setRevisions(file, append(slices.Clip(t.a.revs[file]), r))
}

// setRevisions replaces a file's list; references are the caller's business.
func (t *txn) setRevisions(file uint64, list []*revision) {
	if len(list) == 0 {
		delete(t.a.revs, file)
	} else {
		t.a.revs[file] = list
	}
	t.revs[file] = true
}

// mergeRevisions gives a file the revisions of another.
func (t *txn) mergeRevisions(into, from uint64) {
	if len(t.a.revs[from]) == 0 {
		return
	}
	list := slices.Concat(t.a.revs[into], t.a.revs[from])
	slices.SortFunc(list, func(x, y *revision) int { return cmp.Compare(x.id, y.id) })
	t.setRevisions(into, list)
	t.setRevisions(from, nil)
}

// version finds a content of a file: by revision id (2029), by hash (2009), or
// the current one.
func (a *Account) version(r *record, hash *uint64, id uint64) (*blob, error) {
	if id != 0 {
		rev := a.revision(r.id, id)
		if rev == nil || hash != nil && rev.blob.hash != *hash {
			return nil, fail(CodeNoRevision)
		}
		return rev.blob, nil
	}
	if hash == nil || r.blob.hash == *hash {
		return r.blob, nil
	}
	for _, rev := range slices.Backward(a.revs[r.id]) {
		if rev.blob.hash == *hash {
			return rev.blob, nil
		}
	}
	return nil, fail(CodeNoFile)
}

func (a *Account) revision(file, id uint64) *revision {
	for _, rev := range a.revs[file] {
		if rev.id == id {
			return rev
		}
	}
	return nil
}

// Revisions lists a file's older contents, oldest first (pCloud API 7.18).
// Errors: 2003, 2009.
func (v *View) Revisions(id uint64) (list []Revision, n Node, err error) {
	list, n, _, err = v.revisions(id, false)
	return list, n, err
}

// RevisionsWithSums is Revisions with the digests of each.
func (v *View) RevisionsWithSums(id uint64) (list []Revision, n Node, err error) {
	list, n, held, err := v.revisions(id, true)
	if err != nil {
		return nil, Node{}, err
	}
	defer v.a.release(held...)
	for i, b := range held {
		if list[i].Sums, err = v.a.sums(b, allSums); err != nil {
			return nil, Node{}, err
		}
	}
	return list, n, nil
}

func (v *View) revisions(id uint64, hold bool) (list []Revision, n Node, held []*blob, err error) {
	err = v.a.read(func() error {
		r, err := v.reach(key{false, id}, CodeNoFile, v.fresh)
		if err != nil {
			return err
		}
		n = v.node(r)
		for _, rev := range v.a.revs[id] {
			list = append(list, Revision{ID: rev.id, Size: rev.blob.size, Hash: rev.blob.hash,
				Created: time.Unix(rev.created, 0).UTC()})
			if hold {
				rev.blob.refs++
				held = append(held, rev.blob)
			}
		}
		return nil
	})
	return list, n, held, err
}

// Revert makes a revision the current content; what was current becomes a
// revision (pCloud API 7.18). Errors: 2003, 2008, 2009, 2029.
func (v *View) Revert(id, revisionID uint64) (n Node, err error) {
	err = v.a.update(func(t *txn) error {
		r, err := v.file(id)
		if err != nil {
			return err
		}
		rev := v.a.revision(id, revisionID)
		if rev == nil {
			return fail(CodeNoRevision)
		}
		changed, err := t.replace(r, rev.blob, r.created, t.now)
		if err != nil {
			return err
		}
		list := slices.DeleteFunc(slices.Clone(v.a.revs[id]), func(x *revision) bool { return x == rev })
		t.setRevisions(id, list)
		t.unref(rev.blob)
		n = v.node(changed)
		return nil
	})
	return n, err
}
