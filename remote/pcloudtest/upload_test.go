package pcloudtest_test

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func TestUploadForms(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	raw := func(method, kind, name string) reply {
		r := c.request(method, c.url("uploadfile", "folderid", 0, "filename", name), strings.NewReader("hello"))
		r.Header.Set("Content-Type", kind)
		return c.api(r)
	}
	for name, v := range map[string]reply{
		"put":      raw("PUT", "application/octet-stream", "put"),
		"put-type": raw("PUT", "application/x-www-form-urlencoded", "put-type"),
		"post":     raw("POST", "application/octet-stream", "post"),
		"multi":    c.form(map[string]string{"folderid": "0"}, "multi", "hello"),
	} {
		v.mustBeOK(t)
		require.Equal(t, name, v.file()["name"])
		require.Equal(t, uint64(5), v.file().num("size"))
		require.Equal(t, v.file()["fileid"], v["fileids"].([]any)[0])
		require.Equal(t, hexSHA1("hello"), v.list("checksums")[0]["sha1"])
	}
	several := c.form(nil, "one", "1", "two", "", "three", "333")
	several.mustBeOK(t)
	require.Len(t, several["fileids"], 3)
	require.Len(t, several["checksums"], 3)
	require.Zero(t, several.list("metadata")[1].num("size"))

	require.Equal(t, uint64(2001), c.form(nil, "a/b", "x").num("result"))
	require.Equal(t, uint64(2088), c.form(map[string]string{"folderid": "0"}).num("result"))
	for _, m := range []string{"PUT", "POST"} {
		v := c.api(c.request(m, c.url("uploadfile", "filename", "empty"), http.NoBody))
		require.Equal(t, uint64(2088), v.num("result"), m)
	}
	form := c.request("POST", c.url("uploadfile", "filename", "x"), strings.NewReader(url.Values{"a": {"b"}}.Encode()))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, uint64(2088), c.api(form).num("result"))
	c.fails(2055, "stat", "path", "/empty")

	missing := c.api(c.request("PUT", c.url("uploadfile", "folderid", 77, "filename", "x"), strings.NewReader("x")))
	require.Equal(t, uint64(2005), missing.num("result"))
}

func TestUploadNames(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	for _, name := range []string{" lead", "trail ", "dot.", "ä€漢\U0001F600.txt", "a;b&c=d+e%20", `quo"te`, strings.Repeat("n", 255)} {
		require.Equal(t, name, c.put(0, name, "x").file()["name"])
		got := c.form(nil, name, "xy")
		got.mustBeOK(t)
		require.Equal(t, name, got.file()["name"])
	}
}

func TestConditionalUploads(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	first := c.put(0, "f.txt", "1", "ifhash", "new").file()
	require.NotContains(t, first, "conflicted")
	second := c.put(0, "f.txt", "2", "ifhash", first["hash"]).file()
	require.Equal(t, first["fileid"], second["fileid"])
	lost := c.put(0, "f.txt", "3", "ifhash", first["hash"]).file()
	require.Equal(t, true, lost["conflicted"])
	require.Contains(t, lost.str("name"), "{CONFLICTED}")
	require.Equal(t, "f (1).txt", c.put(0, "f.txt", "4", "renameifexists", 1).file()["name"])
}

// half sends a request whose body ends before its announced length.
func half(t *testing.T, c *client, target string) {
	t.Helper()
	conn := dialRaw(t, c.srv)
	_, err := io.WriteString(conn, "PUT "+target+"&access_token="+c.token+
		" HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 10\r\n\r\nhello")
	require.NoError(t, err)
	require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "2041", resp.Header.Get("X-Error"))
}

func TestBrokenUploads(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	half(t, c, "/uploadfile?filename=partial")
	require.Equal(t, uint64(5), c.ok("stat", "path", "/partial").meta().num("size"))
	half(t, c, "/uploadfile?filename=nothing&nopartial=1")
	c.fails(2055, "stat", "path", "/nothing")

	id := c.ok("upload_create").num("uploadid")
	half(t, c, "/upload_write?uploadoffset=0&uploadid="+c.ok("upload_info", "uploadid", id, "id", id)["id"].(interface{ String() string }).String())
	info := c.ok("upload_info", "uploadid", id)
	require.Equal(t, uint64(5), info.num("size"), "what arrived stays")
	require.Equal(t, hexSHA1("hello"), info["sha1"])
}

// write appends to an upload session.
func (c *client) write(id uint64, off int, data string) reply {
	c.Helper()
	return c.api(c.request("PUT", c.url("upload_write", "uploadid", id, "uploadoffset", off), strings.NewReader(data)))
}

func TestUploadSessions(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	id := c.ok("upload_create", "filesize", 11).num("uploadid")
	require.Equal(t, int64(1), c.srv.Stats().UploadSessions)
	c.write(id, 0, "hello").mustBeOK(t)
	require.Equal(t, uint64(2068), c.write(id, 0, "hello").num("result"))
	require.Equal(t, uint64(2068), c.write(id, 6, "x").num("result"))
	require.Equal(t, uint64(2067), c.write(id+1, 0, "x").num("result"))
	c.fails(2067, "upload_info")

	src := c.put(0, "src", "xx world").file()
	c.ok("upload_writefromfile", "uploadid", id, "uploadoffset", 5, "fileid", src.num("fileid"), "hash", src["hash"], "offset", 2, "count", 6)
	other := c.ok("upload_create").num("uploadid")
	c.ok("upload_writefromupload", "uploadid", other, "uploadoffset", 0, "readuploadid", id, "offset", 0, "count", 11)
	info := c.ok("upload_info", "uploadid", other)
	require.Equal(t, uint64(11), info.num("size"))
	require.Equal(t, hexSHA1("hello world"), info["sha1"])
	require.Contains(t, info, "md5")

	m := c.ok("upload_save", "uploadid", other, "folderid", 0, "name", "joined", "mtime", 1000000000).meta()
	require.Equal(t, "joined", m["name"])
	require.Equal(t, "Sun, 09 Sep 2001 01:46:40 +0000", m["modified"])
	c.fails(2067, "upload_save", "uploadid", other, "folderid", 0, "name", "joined")
	_, body := c.get(c.link(m.num("fileid")))
	require.Equal(t, "hello world", body)

	c.ok("upload_delete", "uploadid", id)
	c.fails(2067, "upload_info", "uploadid", id)
	empty := c.ok("upload_create").num("uploadid")
	require.Zero(t, c.ok("upload_save", "uploadid", empty, "folderid", 0, "name", "empty").meta().num("size"))
	require.Zero(t, c.srv.Stats().UploadSessions)
}

func TestQuotaIsKept(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{Quota: 100})
	v := c.api(c.request("PUT", c.url("uploadfile", "filename", "big"), strings.NewReader(strings.Repeat("x", 101))))
	require.Equal(t, uint64(2008), v.num("result"))
	c.put(0, "fits", strings.Repeat("x", 60))
	require.Equal(t, uint64(2008), c.form(nil, "big", strings.Repeat("x", 60)).num("result"))
	u := c.ok("userinfo")
	require.Equal(t, uint64(100), u.num("quota"))
	require.Equal(t, uint64(60), u.num("usedquota"))
}
