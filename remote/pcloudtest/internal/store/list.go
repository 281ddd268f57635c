package store

import (
	"cmp"
	"slices"
)

// item is one line of a listing.
type item struct {
	rec   *record
	depth int
}

// List visits the folder itself (depth 0), then what is in it, each folder
// before its contents, siblings in an order that has no meaning but is the
// same each time. It is a snapshot; no lock is held during visit. Errors: 2005,
// 2003, and what visit returns.
func (v *View) List(id uint64, o ListOptions, visit func(n Node, depth int) error) error {
	var items []item
	err := v.a.read(func() error {
		r, err := v.reach(key{true, v.inner(id)}, CodeNoFolder, v.fresh)
		if err != nil {
			return err
		}
		items = v.collect(r, o)
		return nil
	})
	if err != nil {
		return err
	}
	for _, it := range items {
		n := v.node(it.rec)
		if n.Deleted {
			n.Parent = n.OrigParent
		}
		if err := visit(n, it.depth); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) collect(top *record, o ListOptions) []item {
	var deleted map[uint64][]*record // by the folder they were deleted from
	if o.ShowDeleted {
		deleted = map[uint64][]*record{}
		for _, r := range v.a.tree.trash {
			deleted[r.orig] = append(deleted[r.orig], r)
		}
	}
	items := []item{{top, 0}}
	var visit func(id uint64, depth int)
	visit = func(id uint64, depth int) {
		rs := v.a.seenChildren(id, v.fresh)
		rs = append(rs, deleted[id]...)
		v.a.shuffle(rs)
		for _, r := range rs {
			if o.NoFiles && !r.folder {
				continue
			}
			items = append(items, item{r, depth})
			if o.Recursive && r.folder {
				visit(r.id, depth+1)
			}
		}
	}
	visit(top.id, 1)
	return items
}

// shuffle orders siblings without meaning, as the service does (pCloud API 13.3).
func (a *Account) shuffle(rs []*record) {
	rank := func(r *record) uint64 {
		x := r.id ^ a.seed
		if r.folder {
			x = ^x
		}
		return mix(x)
	}
	slices.SortFunc(rs, func(x, y *record) int { return cmp.Compare(rank(x), rank(y)) })
}
