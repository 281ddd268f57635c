package store

import "time"

// key addresses a record: files and folders are numbered separately.
type key struct {
	folder bool
	id     uint64
}

// record is the state of one file or folder. It is never changed once it is in
// the tree; a mutation puts a changed copy in its place.
type record struct {
	id     uint64
	parent uint64 // folder, or for deleted ones the place in the trash
	orig   uint64 // deleted only: folder it was deleted from
	name   string
	blob   *blob // content; nil for folders
	// created and modified are unix seconds.
	created, modified int64
	folder, deleted   bool
}

func (r *record) key() key { return key{r.folder, r.id} }

// home is the folder that the record belongs to, also while it is in the trash.
func (r *record) home() uint64 {
	if r.deleted {
		return r.orig
	}
	return r.parent
}

func (r *record) size() int64 {
	if r.blob == nil {
		return 0
	}
	return r.blob.size
}

// gone returns the record as deletions report it: still in its folder.
func (r *record) gone() *record {
	c := *r
	c.deleted, c.orig = true, r.home()
	c.parent = c.orig
	return &c
}

// seconds converts to the resolution of the server's clock.
func seconds(t time.Time) int64 { return t.Unix() }

// stamp chooses the time that a caller asked for, or else the given one.
func stamp(t *time.Time, otherwise int64) int64 {
	if t == nil {
		return otherwise
	}
	return seconds(*t)
}

// node shows a record as the view sees it.
func (v *View) node(r *record) Node {
	if r.folder && r.id == v.root {
		return Node{Folder: true, Root: true, Name: "/",
			Created: time.Unix(r.created, 0).UTC(), Modified: time.Unix(r.modified, 0).UTC()}
	}
	n := Node{
		ID: r.id, Folder: r.folder, Parent: v.outer(r.parent), Name: r.name,
		Created: time.Unix(r.created, 0).UTC(), Modified: time.Unix(r.modified, 0).UTC(),
		Deleted: r.deleted,
	}
	if r.deleted {
		n.OrigParent = v.outer(r.orig)
	}
	if r.blob != nil {
		n.Size, n.Hash = r.blob.size, r.blob.hash
	}
	return n
}

// outer translates a folder id to the view's numbering.
func (v *View) outer(id uint64) uint64 {
	if id == v.root {
		return 0
	}
	return id
}
