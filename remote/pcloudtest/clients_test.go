package pcloudtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// The tests of this file repeat the requests of other people's clients to the
// letter (pCloud API 13.1 and 13.2).

// duplicatiItem has the types that Duplicati reads strictly.
type duplicatiItem struct {
	IsFolder       *bool           `json:"isfolder"`
	Name           *string         `json:"name"`
	FolderID       *uint64         `json:"folderid"`
	FileID         *uint64         `json:"fileid"`
	ParentFolderID *uint64         `json:"parentfolderid"`
	Size           *int64          `json:"size"`
	Hash           *uint64         `json:"hash"`
	Comments       *int32          `json:"comments"`
	Category       *int32          `json:"category"`
	Created        *string         `json:"created"`
	Modified       *string         `json:"modified"`
	Icon           *string         `json:"icon"`
	ID             *string         `json:"id"`
	Contents       []duplicatiItem `json:"contents"`
}

type duplicatiReply[M any] struct {
	Result   *int     `json:"result"`
	Metadata M        `json:"metadata"`
	FileIDs  []uint64 `json:"fileids"`
	Hosts    []string `json:"hosts"`
	Path     string   `json:"path"`
}

// duplicati sends a request as Duplicati does: two slashes, a header that is
// really called UserAgent, and the token as Bearer.
func duplicati[M any](c *client, method, target string, body io.Reader) duplicatiReply[M] {
	c.Helper()
	r := c.request(method, "https://"+c.srv.APIAddr()+"//"+target, body)
	r.Header.Del("Connection")
	r.Header["UserAgent"] = []string{"Duplicati Pcloud Client 2.1"}
	if body != nil {
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, b := c.do(r)
	require.Equal(c, http.StatusOK, resp.StatusCode)
	var v duplicatiReply[M]
	require.NoError(c, json.Unmarshal(b, &v), "%s", b)
	require.NotNil(c, v.Result, "a reply without result counts as success")
	return v
}

func (i duplicatiItem) complete(tb testing.TB) {
	tb.Helper()
	for _, p := range []any{i.Name, i.ParentFolderID, i.Comments, i.Created, i.Modified, i.Icon, i.ID, i.IsFolder} {
		require.NotNil(tb, p, "%+v", i)
	}
	if *i.IsFolder {
		require.NotNil(tb, i.FolderID)
	} else {
		require.NotNil(tb, i.FileID)
		require.NotNil(tb, i.Size)
		require.NotNil(tb, i.Hash)
		require.NotNil(tb, i.Category)
	}
	_, err := time.Parse(time.RFC1123Z, *i.Modified)
	require.NoError(tb, err)
	require.Len(tb, *i.Modified, 31)
}

func TestDuplicatiBackup(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	// The folder's chain of parents, from folder 0.
	root := duplicati[duplicatiItem](c, "GET", "listfolder?folderid=0", nil)
	require.Empty(t, root.Metadata.Contents)
	var id uint64
	for _, name := range []string{"My Backups", "disk"} {
		q := url.Values{"folderid": {itoa(id)}, "name": {name}}
		made := duplicati[duplicatiItem](c, "GET", "createfolderifnotexists?"+strings.ReplaceAll(q.Encode(), "+", "%20"), nil)
		made.Metadata.complete(t)
		id = *made.Metadata.FolderID
	}

	up := duplicati[[]duplicatiItem](c, "POST", "uploadfile?folderid="+itoa(id)+"&filename=duplicati-b1.dblock.zip.aes&nopartial=1",
		bytes.NewReader([]byte("volume")))
	require.Len(t, up.Metadata, 1)
	up.Metadata[0].complete(t)
	require.Equal(t, *up.Metadata[0].FileID, up.FileIDs[0])

	list := duplicati[duplicatiItem](c, "GET", "listfolder?folderid="+itoa(id), nil)
	require.Len(t, list.Metadata.Contents, 1)
	list.Metadata.Contents[0].complete(t)
	require.Equal(t, "duplicati-b1.dblock.zip.aes", *list.Metadata.Contents[0].Name)
	file := itoa(*list.Metadata.Contents[0].FileID)

	link := duplicati[any](c, "GET", "getfilelink?fileid="+file, nil)
	require.NotEmpty(t, link.Hosts)
	// The download carries the token, which the content host has no use for.
	resp, b := c.do(c.request("GET", "https://"+link.Hosts[0]+link.Path, nil))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "volume", string(b))

	moved := duplicati[duplicatiItem](c, "GET", "renamefile?fileid="+file+"&toname=b2&tofolderid="+itoa(id), nil)
	moved.Metadata.complete(t)
	gone := duplicati[duplicatiItem](c, "GET", "deletefile?fileid="+file, nil)
	gone.Metadata.complete(t)
	require.Equal(t, 2009, *duplicati[any](c, "GET", "deletefile?fileid="+file, nil).Result)
}

func itoa(n uint64) string { return json.Number(query("n", n)[2:]).String() }

// post is a call as rclone makes it: everything in the query, no body.
func (c *client) post(method, name string, kv ...any) reply {
	c.Helper()
	r := c.request(method, c.url(name, kv...), nil)
	r.Header.Del("Connection")
	v := c.api(r)
	v.mustBeOK(c)
	return v
}

func TestRcloneCopy(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	c.post("GET", "listfolder", "folderid", 0)
	dir := c.post("POST", "createfolder", "folderid", 0, "name", "dir").meta().num("folderid")
	r := c.request("PUT", c.url("uploadfile", "filename", "f.txt", "folderid", dir, "nopartial", 1, "mtime", 1700000000), strings.NewReader("data"))
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	up := c.api(r)
	require.Len(t, up["metadata"], 1)
	require.NotEmpty(t, up["checksums"])
	id := up.file().num("fileid")

	empty := c.form(map[string]string{"folderid": itoa(dir), "filename": "empty", "nopartial": "1", "mtime": "1700000000"}, "empty", "")
	require.Zero(t, empty.file().num("size"))

	require.Equal(t, hexSHA1("data"), c.post("GET", "checksumfile", "fileid", id)["sha1"])
	set := c.post("PUT", "copyfile", "fileid", id, "folderid", dir, "tofolderid", dir, "toname", "f.txt", "ctime", 5, "mtime", 5).meta()
	require.Equal(t, id, set.num("fileid"))
	c.post("POST", "renamefile", "fileid", id, "toname", "g.txt", "tofolderid", 0)
	link := c.post("POST", "getfilepublink", "fileid", id)
	require.True(t, strings.HasPrefix(link.str("link"), "https://"))
	c.post("POST", "getfolderpublink", "folderid", dir)
	require.NotZero(t, c.post("POST", "userinfo").num("quota"))
	require.NotZero(t, c.post("GET", "diff", "last", 0).num("diffid"), "with 0 rclone would ask again without a pause")
	c.post("POST", "deletefile", "fileid", id)
	c.post("POST", "deletefolderrecursive", "folderid", dir)
	c.with("").post("POST", "trash_clear", "folderid", 0, "username", c.srv.Email(), "password", c.srv.Password())
}

func TestOpendalByPath(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	c := app.with("")
	login := []any{"username", c.srv.Email(), "password", c.srv.Password()}
	call := func(name string, kv ...any) reply {
		return c.api(c.request("POST", c.url(name, append(login, kv...)...), http.NoBody))
	}
	call("createfolderifnotexists", "path", "/od").mustBeOK(t)
	r := c.request("PUT", c.url("uploadfile", append(login, "path", "/od", "filename", "f")...), strings.NewReader("x"))
	c.api(r).mustBeOK(t)
	m := call("stat", "path", "/od/f").meta()
	require.Equal(t, "/od/f", m["path"])
	require.Equal(t, "/od/f", call("listfolder", "path", "/od").meta().list("contents")[0]["path"])
	call("copyfile", "path", "/od/f", "topath", "/od/g").mustBeOK(t)
	call("renamefile", "path", "/od/g", "topath", "/od/h").mustBeOK(t)
	call("renamefolder", "path", "/od", "topath", "/do").mustBeOK(t)
	call("getfilelink", "path", "/do/h").mustBeOK(t)
	call("deletefile", "path", "/do/h").mustBeOK(t)
	call("deletefile", "path", "/do/f").mustBeOK(t)
	call("deletefolder", "path", "/do").mustBeOK(t)
	require.Equal(t, uint64(2055), call("stat", "path", "/do").num("result"))
	require.Equal(t, uint64(2005), call("listfolder", "path", "/do").num("result"))
}

// What jdrouet's decoder insists on in every entry, and that it tells files
// from folders by which id is there.
func TestJdrouetEntries(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	c.put(0, "f", "x")
	c.ok("createfolder", "folderid", 0, "name", "d")
	v := c.ok("listfolder", "path", "/", "no_files", 0, "no_shares", 1)
	for _, e := range append(v.meta().list("contents"), v.meta()) {
		for _, k := range []string{"name", "id", "isfolder", "ismine", "isshared", "icon", "thumb", "created", "modified"} {
			require.Contains(t, e, k)
		}
		require.NotEqual(t, e["fileid"] == nil, e["folderid"] == nil)
	}
	c.fails(2005, "listfolder", "path", "/f")
	c.ok("checksumfile", "path", "/f")
}
