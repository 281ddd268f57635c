package store

import "strings"

// View is what a token sees of an account: one folder, as folder 0, and what
// is in it (pCloud API 4.3).
type View struct {
	a     *Account
	root  uint64 // id in the account
	bit   uint64 // mask of the events it sees; see feed.go
	fresh bool
}

// View returns the account as seen by a token confined to folder root; 0 is
// the whole account. The events it sees are those since the first call with
// that folder.
func (a *Account) View(root uint64) *View {
	return &View{a: a, root: root, bit: a.viewBit(root)}
}

// Fresh returns the view without the delays of DelayVisibility: as seen by the
// server that made the changes.
func (v *View) Fresh() *View {
	c := *v
	c.fresh = true
	return &c
}

// folder finds a live folder by the view's id: 2005, or 2003 outside.
func (v *View) folder(id uint64) (*record, error) {
	return v.reach(key{true, v.inner(id)}, CodeNoFolder, true)
}

// file finds a live file: 2009, or 2003 outside.
func (v *View) file(id uint64) (*record, error) {
	return v.reach(key{false, id}, CodeNoFile, true)
}

// inner translates the view's folder number to the account's.
func (v *View) inner(id uint64) uint64 {
	if id == 0 {
		return v.root
	}
	return id
}

func (v *View) reach(k key, missing int, fresh bool) (*record, error) {
	r := v.a.seen(k, fresh)
	if r == nil {
		return nil, fail(missing)
	}
	if !(k.folder && k.id == v.root) && !v.a.tree.below(r.parent, v.root) {
		return nil, fail(CodeAccessDenied)
	}
	return r, nil
}

// FileByID returns a file; 2009, or 2003 for one outside of the view.
func (v *View) FileByID(id uint64) (n Node, err error) {
	return v.lookup(func() (*record, error) { return v.reach(key{false, id}, CodeNoFile, v.fresh) })
}

// FolderByID returns a folder; 2005, or 2003 for one outside of the view.
func (v *View) FolderByID(id uint64) (n Node, err error) {
	return v.lookup(func() (*record, error) {
		return v.reach(key{true, v.inner(id)}, CodeNoFolder, v.fresh)
	})
}

// Resolve finds a file or folder as stat does (pCloud API 7.11, 12): 2055, 2002
// if a parent is missing, 2010 without a leading slash. A file comes before a
// folder of the same name.
func (v *View) Resolve(path string) (Node, error) {
	return v.lookup(func() (*record, error) {
		parent, name, err := v.split(path)
		if err != nil {
			return nil, err
		}
		if name == "" {
			return parent, nil
		}
		for _, folder := range []bool{false, true} {
			if r := v.a.seenChild(parent.id, name, folder, v.fresh); r != nil {
				return r, nil
			}
		}
		return nil, fail(CodeNotFound)
	})
}

// FileByPath finds the file of a file method (pCloud API 12): 2009, 2002 if a
// parent is missing, 2010 without a leading slash.
func (v *View) FileByPath(path string) (Node, error) {
	return v.lookup(func() (*record, error) {
		parent, name, err := v.split(path)
		if err != nil {
			return nil, err
		}
		if r := v.a.seenChild(parent.id, name, false, v.fresh); r != nil {
			return r, nil
		}
		return nil, fail(CodeNoFile)
	})
}

// FolderByPath finds the folder of a folder method: 2005 whatever is wrong with
// the path (pCloud API 12).
func (v *View) FolderByPath(path string) (Node, error) {
	return v.lookup(func() (*record, error) { return v.folderAt(path) })
}

func (v *View) folderAt(path string) (*record, error) {
	parent, name, err := v.split(path)
	if err != nil {
		return nil, fail(CodeNoFolder)
	}
	if name == "" {
		return parent, nil
	}
	if r := v.a.seenChild(parent.id, name, true, v.fresh); r != nil {
		return r, nil
	}
	return nil, fail(CodeNoFolder)
}

// ParentByPath splits the path of something to be made into its parent, which
// must exist (2002), and its name. 2010 without a leading slash.
func (v *View) ParentByPath(path string) (parent Node, name string, err error) {
	parent, err = v.lookup(func() (r *record, err error) {
		r, name, err = v.split(path)
		return r, err
	})
	return parent, name, err
}

// TargetByPath is ParentByPath for the topath of a copy or move (pCloud API
// 7.17): with a trailing slash the whole path is the folder (2005) and name is
// "", which means that the name is kept.
func (v *View) TargetByPath(path string) (parent Node, name string, err error) {
	if !strings.HasSuffix(path, "/") {
		return v.ParentByPath(path)
	}
	parent, err = v.lookup(func() (*record, error) {
		if _, _, err := v.split(path); err != nil {
			return nil, err
		}
		return v.folderAt(path)
	})
	return parent, "", err
}

// Path returns where a node is within the view ("/a/b").
func (v *View) Path(n Node) (string, error) {
	if n.Root {
		return "/", nil
	}
	path := "/" + n.Name
	err := v.a.read(func() error {
		for id := v.inner(n.Parent); id != v.root; {
			r := v.a.seen(key{true, id}, v.fresh)
			if r == nil {
				return fail(CodeNoFolder)
			}
			if id == 0 {
				return fail(CodeAccessDenied)
			}
			path, id = "/"+r.name+path, r.parent
		}
		return nil
	})
	return path, err
}

// split walks all but the last component of a path; name is "" for the root.
func (v *View) split(path string) (parent *record, name string, err error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, "", fail(CodeInvalidPath)
	}
	if parent, err = v.reach(key{true, v.root}, CodeParentMissing, v.fresh); err != nil {
		return nil, "", err
	}
	rest = strings.Trim(rest, "/")
	for {
		part, more, ok := strings.Cut(rest, "/")
		if !ok {
			return parent, part, nil
		}
		if part != "" {
			parent = v.a.seenChild(parent.id, part, true, v.fresh)
			if parent == nil {
				return nil, "", fail(CodeParentMissing)
			}
		}
		rest = more
	}
}

func (v *View) lookup(find func() (*record, error)) (n Node, err error) {
	err = v.a.read(func() error {
		r, err := find()
		if err == nil {
			n = v.node(r)
		}
		return err
	})
	return n, err
}
