package pcloudtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func TestFolderMethods(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	a := c.ok("createfolder", "folderid", 0, "name", "a").meta()
	c.fails(2004, "createfolder", "folderid", 0, "name", "a")
	c.fails(2001, "createfolder", "folderid", 0, "name", "x/y")
	c.fails(2002, "createfolder", "folderid", 999999, "name", "x")
	c.fails(2002, "createfolder", "path", "/none/x")
	c.fails(1001, "createfolder", "name", "x")
	c.fails(1017, "createfolder", "folderid", "abc", "name", "x")

	again := c.ok("createfolderifnotexists", "folderid", 0, "name", "a")
	require.Equal(t, false, again["created"])
	require.Equal(t, a.num("folderid"), again.meta().num("folderid"))
	b := c.ok("createfolderifnotexists", "path", "/a/b")
	require.Equal(t, true, b["created"])
	require.Equal(t, "/a/b", b.meta()["path"])
	require.Equal(t, "d0", c.ok("createfolderifnotexists", "path", "/").meta()["id"])

	c.fails(2006, "deletefolder", "folderid", a.num("folderid"))
	c.fails(2007, "deletefolder", "folderid", 0)
	c.fails(2005, "deletefolder", "path", "/none")
	c.fails(1002, "deletefolder")

	moved := c.ok("renamefolder", "folderid", b.meta().num("folderid"), "tofolderid", 0, "toname", "c").meta()
	require.Equal(t, "c", moved["name"])
	require.Zero(t, moved.num("parentfolderid"))
	require.NotContains(t, moved, "path")
	c.ok("renamefolder", "path", "/c", "topath", "/a/")
	c.ok("stat", "path", "/a/c")
	c.fails(2043, "renamefolder", "path", "/a", "topath", "/a/c/")
	c.fails(2042, "renamefolder", "folderid", 0, "toname", "x")
	c.fails(1037, "renamefolder", "path", "/a")

	c.put(moved.num("folderid"), "f", "data")
	c.ok("createfolder", "folderid", 0, "name", "copies")
	c.ok("copyfolder", "path", "/a", "topath", "/copies")
	require.Equal(t, uint64(4), c.ok("stat", "path", "/copies/a/c/f").meta().num("size"))
	c.fails(1016, "copyfolder", "path", "/a")

	gone := c.ok("deletefolderrecursive", "path", "/a")
	require.Equal(t, uint64(1), gone.num("deletedfiles"))
	require.Equal(t, uint64(2), gone.num("deletedfolders"))
	c.fails(2005, "deletefolderrecursive", "folderid", a.num("folderid"))
	d := c.ok("createfolder", "folderid", 0, "name", "d").meta()
	require.Equal(t, true, c.ok("deletefolder", "folderid", d.num("folderid")).meta()["isdeleted"])
}

func TestListFolder(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	sub := c.ok("createfolder", "folderid", 0, "name", "sub").meta().num("folderid")
	c.put(0, "top.txt", "1")
	deep := c.ok("createfolder", "folderid", sub, "name", "deep").meta().num("folderid")
	f := c.put(deep, "leaf.txt", "22").file().num("fileid")

	flat := c.ok("listfolder", "folderid", 0)
	require.ElementsMatch(t, []string{"sub", "top.txt"}, flat.names())
	for _, e := range flat.meta().list("contents") {
		require.Equal(t, "/"+e.str("name"), e["path"])
		require.NotContains(t, e, "contents", "only the listed folder has contents")
	}
	require.Equal(t, []string{"sub"}, c.ok("listfolder", "folderid", 0, "nofiles", 1).names())

	tree := c.ok("listfolder", "folderid", sub, "recursive", 1).meta()
	require.NotContains(t, tree, "path")
	inner := tree.list("contents")[0]
	require.Equal(t, "leaf.txt", inner.list("contents")[0]["name"])
	require.NotContains(t, inner, "path")

	empty := c.ok("createfolder", "folderid", 0, "name", "empty").meta().num("folderid")
	require.Equal(t, []any{}, c.ok("listfolder", "folderid", empty).meta()["contents"])
	require.Equal(t, []any{}, c.ok("listfolder", "folderid", empty, "recursive", 1).meta()["contents"])

	c.fails(1101, "listfolder", "folderid", 0, "recursive", 1)
	c.fails(2005, "listfolder", "folderid", 987654)
	c.fails(2005, "listfolder", "path", "/top.txt")
	c.fails(2005, "listfolder", "path", "/none/none")
	c.fails(1002, "listfolder")

	c.ok("deletefile", "fileid", f)
	require.Empty(t, c.ok("listfolder", "folderid", deep).names())
	deleted := c.ok("listfolder", "folderid", deep, "showdeleted", 1).meta().list("contents")
	require.Equal(t, true, deleted[0]["isdeleted"])
}
