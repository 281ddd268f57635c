package pcloudtest

import (
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// trashMethods work for password logins only (pCloud API 7.19).
func trashMethods() map[string]method {
	return map[string]method{
		"trash_list":        {run: (*call).trashList, access: password},
		"trash_clear":       {run: (*call).trashClear, access: password},
		"trash_restore":     {run: (*call).trashRestore, access: password},
		"trash_restorepath": {run: (*call).trashRestorePath, access: password},
	}
}

func (c *call) trashList() error {
	id, _, err := c.folderID("folderid")
	if err != nil {
		return err
	}
	o := store.ListOptions{Recursive: c.params.bool("recursive"), NoFiles: c.params.bool("nofiles")}
	m, err := c.list(func(visit func(store.Node, int) error) error { return c.view.TrashList(id, o, visit) })
	if err != nil {
		return err
	}
	c.add("metadata", m)
	return nil
}

// trashed reads which deleted item a call is about.
func (c *call) trashed() (id uint64, folder bool, err error) {
	id, ok, err := c.fileID("fileid")
	if ok || err != nil {
		return id, false, err
	}
	id, ok, err = c.folderID("folderid")
	if err == nil && !ok {
		err = fail(1053, "Please provide 'fileid' or 'folderid'.")
	}
	return id, true, err
}

func (c *call) trashClear() error {
	id, folder, err := c.trashed()
	if err != nil {
		return err
	}
	return c.view.TrashClear(id, folder)
}

func (c *call) trashRestorePath() error {
	id, folder, err := c.trashed()
	if err != nil {
		return err
	}
	n, to, err := c.view.TrashRestorePath(id, folder)
	if err != nil {
		return err
	}
	c.meta(n)
	c.add("destination", &metadata{node: to, path: c.pathOf(to)})
	return nil
}

func (c *call) trashRestore() error {
	id, folder, err := c.trashed()
	if err != nil {
		return err
	}
	var to *uint64
	if t, ok, err := c.folderID("restoreto"); err != nil {
		return err
	} else if ok {
		to = &t
	}
	nodes, err := c.view.TrashRestore(id, folder, to)
	if err != nil {
		return err
	}
	if len(nodes) == 1 && id != 0 {
		c.meta(nodes[0])
		return nil
	}
	all := list{}
	for _, n := range nodes {
		all = append(all, &metadata{node: n})
	}
	c.add("restored", all)
	return nil
}
