package pcloudtest

import (
	"path"
	"strings"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

func folderMethods() map[string]method {
	return map[string]method{
		"listfolder":              {run: (*call).listFolder, access: users},
		"createfolder":            {run: (*call).createFolder, access: users},
		"createfolderifnotexists": {run: (*call).createFolderIfNotExists, access: users},
		"renamefolder":            {run: (*call).renameFolder, access: users},
		"deletefolder":            {run: (*call).deleteFolder, access: users},
		"deletefolderrecursive":   {run: (*call).deleteFolderRecursive, access: users},
		"copyfolder":              {run: (*call).copyFolder, access: users},
	}
}

// id reads an id parameter. ok is false when there is none; one that is no
// number is refused with code.
func (c *call) id(name string, code int, message string) (n uint64, ok bool, err error) {
	v, ok := c.params[name]
	if !ok || v == "" {
		return 0, false, nil
	}
	if n, err = parseNumber(v); err != nil {
		return 0, true, fail(code, message)
	}
	return n, true, nil
}

func (c *call) folderID(name string) (uint64, bool, error) {
	return c.id(name, 1017, "Invalid 'folderid' provided.")
}

func (c *call) fileID(name string) (uint64, bool, error) {
	return c.id(name, 1018, "Invalid 'fileid' provided.")
}

// folder finds the folder that folderid or path names; the id wins.
func (c *call) folder() (n store.Node, byPath bool, err error) {
	id, ok, err := c.folderID("folderid")
	if err != nil {
		return n, false, err
	}
	if ok {
		n, err = c.view.FolderByID(id)
		return n, false, err
	}
	if p, ok := c.params["path"]; ok {
		n, err = c.view.FolderByPath(p)
		return n, true, c.missing(err)
	}
	return n, false, fail(1002, "No full path or folderid provided.")
}

// missing applies the quirk about paths that lead nowhere.
func (c *call) missing(err error) error {
	if err == nil || !c.s.o.Quirks.MissingPath2055 {
		return err
	}
	switch code, _, _ := refusal(err); code {
	case 2002, 2005, 2009, 2010:
		return fail(2055, "File or folder not found.")
	}
	return err
}

func (c *call) listFolder() error {
	n, byPath, err := c.folder()
	if err != nil {
		return err
	}
	o := store.ListOptions{
		Recursive:   c.params.bool("recursive"),
		ShowDeleted: c.params.bool("showdeleted"),
		NoFiles:     c.params.bool("nofiles"),
	}
	if o.Recursive && n.Root && !c.rootRecursionAllowed(byPath) {
		return fail(1101, "Recursive listing of the root folder is not supported.")
	}
	m, err := c.list(func(visit func(store.Node, int) error) error { return c.view.List(n.ID, o, visit) })
	if err != nil {
		return err
	}
	if !o.Recursive || byPath {
		m.path = c.pathOf(n)
	}
	if !o.Recursive {
		for _, child := range m.contents {
			child.path = path.Join(m.path, child.node.Name)
		}
	}
	c.add("metadata", m)
	return nil
}

// rootRecursionAllowed tells whether the root may be listed with everything
// below it: not since April 2026, as far as is known (pCloud API 7.3).
func (c *call) rootRecursionAllowed(byPath bool) bool {
	q := c.s.o.Quirks
	return byPath && q.RecursiveRootPath || c.who.kind == appToken && q.RecursiveAppRoot
}

// list turns a walk, in which each folder comes before its contents, into a
// tree.
func (c *call) list(walk func(visit func(n store.Node, depth int) error) error) (*metadata, error) {
	var open []*metadata // from the listed folder to the last visited one
	err := walk(func(n store.Node, depth int) error {
		m := &metadata{node: n}
		open = open[:min(depth, len(open))]
		if depth > 0 {
			parent := open[depth-1]
			parent.listed = true
			parent.contents = append(parent.contents, m)
		}
		open = append(open, m)
		return c.ctx().Err()
	})
	if err != nil {
		return nil, err
	}
	open[0].listed = true
	return open[0], nil
}

// newFolder finds where createfolder is to make a folder: folderid and name,
// or path.
func (c *call) newFolder() (parent uint64, name string, byPath bool, err error) {
	id, ok, err := c.folderID("folderid")
	if err != nil {
		return 0, "", false, err
	}
	if name, there := c.params["name"]; ok && there {
		return id, name, false, nil
	}
	p, ok := c.params["path"]
	if !ok {
		return 0, "", false, fail(1001, "No full path or name/folderid provided.")
	}
	n, name, err := c.view.ParentByPath(p)
	return n.ID, name, true, c.missing(err)
}

func (c *call) createFolder() error {
	parent, name, byPath, err := c.newFolder()
	if err != nil {
		return err
	}
	n, _, err := c.view.CreateFolder(parent, name, false)
	if err != nil {
		return c.parentMissing(err)
	}
	c.metaAt(n, byPath)
	return nil
}

func (c *call) createFolderIfNotExists() error {
	parent, name, byPath, err := c.newFolder()
	if err != nil {
		return err
	}
	if byPath && name == "" { // the root
		n, err := c.view.FolderByID(parent)
		if err != nil {
			return err
		}
		c.add("created", false)
		c.metaAt(n, true)
		return nil
	}
	n, created, err := c.view.CreateFolder(parent, name, true)
	if err != nil {
		return c.parentMissing(err)
	}
	c.add("created", created)
	c.metaAt(n, byPath)
	return nil
}

// parentMissing is how the methods that make a folder call a parent that does
// not exist (table at the end of pCloud API 12).
func (c *call) parentMissing(err error) error {
	if code, _, _ := refusal(err); code == 2005 {
		return fail(2002, "A component of parent directory does not exist.")
	}
	return err
}

// destination reads where something is to be moved or copied: topath, or
// tofolderid and toname. An empty name keeps the name; without tofolderid the
// parent is that of the source.
func (c *call) destination(parent uint64) (to uint64, name string, err error) {
	if p, ok := c.params["topath"]; ok {
		n, name, err := c.view.TargetByPath(p)
		return n.ID, name, c.missing(err)
	}
	id, ok, err := c.folderID("tofolderid")
	if err != nil {
		return 0, "", err
	}
	name, named := c.params["toname"]
	if !ok && !named {
		return 0, "", fail(1037, "Please provide at least one of 'topath', 'tofolderid' or 'toname'.")
	}
	if named && name == "" {
		return 0, "", fail(2001, "Invalid file/folder name.")
	}
	if ok {
		parent = id
	}
	return parent, name, nil
}

func (c *call) renameFolder() error {
	n, _, err := c.folder()
	if err != nil {
		return err
	}
	to, name, err := c.destination(n.Parent)
	if err != nil {
		return err
	}
	n, err = c.view.RenameFolder(n.ID, to, name)
	if err != nil {
		return err
	}
	c.meta(n)
	return nil
}

func (c *call) deleteFolder() error {
	n, _, err := c.folder()
	if err != nil {
		return err
	}
	if n, err = c.view.DeleteFolder(n.ID); err != nil {
		return err
	}
	c.meta(n)
	return nil
}

func (c *call) deleteFolderRecursive() error {
	n, _, err := c.folder()
	if err != nil {
		return err
	}
	files, folders, err := c.view.DeleteTree(n.ID)
	if err != nil {
		return err
	}
	c.add("deletedfiles", files)
	c.add("deletedfolders", folders)
	return nil
}

// copyFolder copies a tree into a folder (pCloud API 7.7). topath names that
// folder.
func (c *call) copyFolder() error {
	n, _, err := c.folder()
	if err != nil {
		return err
	}
	to, ok, err := c.folderID("tofolderid")
	if err != nil {
		return err
	}
	if p, there := c.params["topath"]; !ok && there {
		if p != "/" {
			p = strings.TrimSuffix(p, "/")
		}
		t, err := c.view.FolderByPath(p)
		if err != nil {
			return c.missing(err)
		}
		to, ok = t.ID, true
	}
	if !ok {
		return fail(1016, "No full topath or tofolderid provided.")
	}
	n, err = c.view.CopyFolder(n.ID, to, store.CopyFolderOptions{
		NoOver:       c.params.bool("noover"),
		SkipExisting: c.params.bool("skipexisting"),
		ContentOnly:  c.params.bool("copycontentonly"),
	})
	if err != nil {
		return err
	}
	c.meta(n)
	return nil
}
