package store

import (
	"cmp"
	"slices"
)

// tree is the account's files and folders, live and deleted, with an index of
// the live ones by place and name.
type tree struct {
	live  map[key]*record
	trash map[key]*record
	dirs  map[uint64]*dir // by folder id; absent while a folder is empty
}

// dir finds the live children of a folder. A file and a folder may share a
// name, two of a kind may not (pCloud API 6).
type dir struct {
	files, folders map[string]uint64
}

func newTree() tree {
	return tree{live: map[key]*record{}, trash: map[key]*record{}, dirs: map[uint64]*dir{}}
}

func (d *dir) kind(folder bool) *map[string]uint64 {
	if folder {
		return &d.folders
	}
	return &d.files
}

// get returns the record of k, live or deleted, or nil.
func (t *tree) get(k key) *record {
	if r := t.live[k]; r != nil {
		return r
	}
	return t.trash[k]
}

func (t *tree) folder(id uint64) *record { return t.live[key{true, id}] }

// child returns the live file or folder of that name in a folder, or nil.
func (t *tree) child(parent uint64, name string, folder bool) *record {
	d := t.dirs[parent]
	if d == nil {
		return nil
	}
	id, ok := (*d.kind(folder))[name]
	if !ok {
		return nil
	}
	return t.live[key{folder, id}]
}

// empty reports whether a folder has no live children.
func (t *tree) empty(id uint64) bool { return t.dirs[id] == nil }

// children returns the live children of a folder in no particular order.
func (t *tree) children(id uint64) []*record {
	d := t.dirs[id]
	if d == nil {
		return nil
	}
	out := make([]*record, 0, len(d.files)+len(d.folders))
	for _, c := range d.folders {
		out = append(out, t.live[key{true, c}])
	}
	for _, c := range d.files {
		out = append(out, t.live[key{false, c}])
	}
	return out
}

// walk returns the live subtree of a folder without the folder itself, each
// folder before its contents, in the order in which they were made.
func (t *tree) walk(id uint64) []*record {
	var out []*record
	var visit func(id uint64)
	visit = func(id uint64) {
		c := t.children(id)
		sortByID(c)
		for _, r := range c {
			out = append(out, r)
			if r.folder {
				visit(r.id)
			}
		}
	}
	visit(id)
	return out
}

// trashed returns what lies directly in the trash folder id (0: its top).
func (t *tree) trashed(id uint64) []*record {
	var out []*record
	for _, r := range t.trash {
		if r.parent == id {
			out = append(out, r)
		}
	}
	sortByID(out)
	return out
}

func sortByID(rs []*record) {
	slices.SortFunc(rs, func(a, b *record) int {
		if a.folder != b.folder {
			if a.folder {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.id, b.id)
	})
}

// set replaces what k has by r; nil removes it.
func (t *tree) set(k key, r *record) {
	if old := t.live[k]; old != nil {
		if r == nil || r.deleted || r.parent != old.parent || r.name != old.name {
			t.unindex(old)
		}
		if r == nil || r.deleted {
			delete(t.live, k)
		}
	}
	if r == nil || !r.deleted {
		delete(t.trash, k)
	}
	switch {
	case r == nil:
	case r.deleted:
		t.trash[k] = r
	default:
		t.live[k] = r
		t.index(r)
	}
}

func (t *tree) index(r *record) {
	if r.folder && r.id == 0 {
		return
	}
	d := t.dirs[r.parent]
	if d == nil {
		d = &dir{}
		t.dirs[r.parent] = d
	}
	m := d.kind(r.folder)
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[r.name] = r.id
}

func (t *tree) unindex(r *record) {
	d := t.dirs[r.parent]
	if d == nil {
		return
	}
	delete(*d.kind(r.folder), r.name)
	if len(d.files)+len(d.folders) == 0 {
		delete(t.dirs, r.parent)
	}
}

// below reports whether something in folder id lies within folder root, which
// may be id itself.
func (t *tree) below(id, root uint64) bool {
	for id != root {
		if id == 0 {
			return false
		}
		r := t.get(key{true, id})
		if r == nil {
			return false
		}
		id = r.home()
	}
	return true
}

// mix is a 64-bit finalizer: every bit of the result depends on every bit of x.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
