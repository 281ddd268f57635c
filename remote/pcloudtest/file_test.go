package pcloudtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func TestFileMethods(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	dir := c.ok("createfolder", "folderid", 0, "name", "dir").meta().num("folderid")
	f := c.put(0, "a.txt", "hello", "mtime", 1000000000).file()
	id := f.num("fileid")

	require.NotContains(t, c.ok("stat", "fileid", id).meta(), "path")
	require.Equal(t, "/a.txt", c.ok("stat", "path", "/a.txt").meta()["path"])
	c.fails(2009, "stat", "fileid", 1)
	c.fails(2002, "stat", "path", "/none/a.txt")
	c.fails(1001, "stat")
	require.Equal(t, true, c.ok("stat", "path", "/").meta()["isfolder"])

	sum := c.ok("checksumfile", "path", "/a.txt")
	require.Equal(t, hexSHA1("hello"), sum["sha1"])
	require.Contains(t, sum, "md5")
	require.NotContains(t, sum, "sha256")
	c.fails(1004, "checksumfile")
	c.fails(2009, "checksumfile", "path", "/none")
	require.Len(t, c.ok("getfilesbychecksum", "size", 5, "sha1", hexSHA1("hello"))["metadata"], 1)

	// Onto itself: nothing but the times change.
	same := c.ok("copyfile", "fileid", id, "folderid", 0, "tofolderid", 0, "toname", "a.txt", "mtime", 1100000000, "ctime", 1100000000).meta()
	require.Equal(t, id, same.num("fileid"))
	require.Equal(t, "Tue, 09 Nov 2004 11:33:20 +0000", same["modified"])
	require.Empty(t, c.ok("listrevisions", "fileid", id)["revisions"])

	cp := c.ok("copyfile", "fileid", id, "tofolderid", dir).meta()
	require.NotEqual(t, id, cp.num("fileid"))
	require.Equal(t, f["hash"], cp["hash"])
	c.fails(2004, "copyfile", "fileid", id, "tofolderid", dir, "noover", 1)
	c.fails(1016, "copyfile", "fileid", id)
	c.fails(2009, "copyfile", "fileid", 3, "tofolderid", dir)

	c.put(dir, "b.txt", "other")
	moved := c.ok("renamefile", "fileid", id, "tofolderid", dir, "toname", "b.txt").meta()
	require.Equal(t, id, moved.num("fileid"))
	require.NotZero(t, moved.num("deletedfileid"))
	c.fails(2005, "renamefile", "fileid", id, "tofolderid", 424242)
	c.fails(2001, "renamefile", "fileid", id, "toname", "")

	set := c.ok("setfilemtime", "fileid", id, "newtm", 1200000000).meta()
	require.Equal(t, "Thu, 10 Jan 2008 21:20:00 +0000", set["modified"])
	c.fails(1013, "setfilemtime", "fileid", id)

	gone := c.ok("deletefile", "fileid", id).meta()
	require.Equal(t, true, gone["isdeleted"])
	c.fails(2009, "deletefile", "fileid", id)
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{Region: pcloudtest.EU})
	first := c.put(0, "f", "first").file()
	id := first.num("fileid")
	second := c.put(0, "f", "second!").file()
	require.Equal(t, id, second.num("fileid"))
	require.NotEqual(t, first["hash"], second["hash"])
	require.Equal(t, first["created"], second["created"])

	v := c.ok("listrevisions", "fileid", id, "showchecksums", 1)
	revs := v.list("revisions")
	require.Len(t, revs, 1)
	require.Equal(t, hexSHA1("first"), revs[0]["sha1"])
	require.Contains(t, revs[0], "sha256")
	require.NotContains(t, revs[0], "md5")
	rev := revs[0].num("revisionid")
	require.Equal(t, hexSHA1("first"), c.ok("checksumfile", "fileid", id, "revisionid", rev)["sha1"])
	_, body := c.get(c.link(id, "revisionid", rev))
	require.Equal(t, "first", body)

	c.fails(2029, "revertrevision", "fileid", id, "revisionid", 123456789)
	c.fails(2029, "revertrevision", "fileid", id)
	back := c.ok("revertrevision", "fileid", id, "revisionid", rev).meta()
	require.Equal(t, first["hash"], back["hash"])
}

func TestTrash(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	c := app.with("")
	auth := c.ok("userinfo", "username", c.srv.Email(), "password", c.srv.Password(), "getauth", 1).str("auth")
	dir := c.ok("createfolder", "auth", auth, "folderid", 0, "name", "dir").meta().num("folderid")
	f := c.put(dir, "f", "x", "auth", auth).file().num("fileid")
	c.ok("deletefile", "auth", auth, "fileid", f)

	items := c.ok("trash_list", "auth", auth).meta().list("contents")
	require.Len(t, items, 1)
	require.Equal(t, true, items[0]["isdeleted"])
	require.Equal(t, dir, items[0].num("origparentfolderid"))
	c.fails(1053, "trash_restore", "auth", auth)
	require.Equal(t, "dir", c.ok("trash_restorepath", "auth", auth, "fileid", f)["destination"].(map[string]any)["name"])
	require.Equal(t, f, c.ok("trash_restore", "auth", auth, "fileid", f).meta().num("fileid"))
	c.ok("stat", "auth", auth, "path", "/dir/f")

	c.ok("deletefile", "auth", auth, "fileid", f)
	c.ok("trash_clear", "auth", auth, "folderid", 0)
	require.Empty(t, c.ok("trash_list", "auth", auth).meta()["contents"])
	c.fails(1053, "trash_clear", "auth", auth)
}

func TestPublicLinks(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	dir := c.ok("createfolder", "folderid", 0, "name", "dir").meta().num("folderid")
	f := c.put(0, "f", "x").file().num("fileid")
	file := c.ok("getfilepublink", "fileid", f)
	require.Contains(t, file.str("link"), file.str("code"))
	require.Equal(t, file, c.ok("getfilepublink", "fileid", f))
	require.NotEqual(t, file["code"], c.ok("getfolderpublink", "folderid", dir)["code"])
	require.Contains(t, c.ok("getfilepublink", "fileid", f, "shortlink", 1), "shortlink")
	c.fails(2015, "getfolderpublink", "folderid", 0)
	c.fails(2009, "getfilepublink", "fileid", 5)
	c.fails(1013, "getfilepublink", "fileid", f, "expire", "soon")
}
