package pcloudtest_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// Quirks with tests elsewhere: BlockTimeout, AnyClientIP, LinksFollowOverwrite,
// KeepOAuthState, RefuseBasicAuth; and the default of AcceptChunked and
// UnknownMethodError.

// quirk runs f on a server without and with a quirk.
func quirk(t *testing.T, set func(*pcloudtest.Quirks), f func(t *testing.T, c, account *client, on bool)) {
	t.Helper()
	for name, on := range map[string]bool{"off": false, "on": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var q pcloudtest.Quirks
			if on {
				set(&q)
			}
			c, account := newServer(t, pcloudtest.Options{Quirks: q})
			f(t, c, account, on)
		})
	}
}

// pick is the result code that is expected.
func pick(on bool, with, without uint64) uint64 {
	if on {
		return with
	}
	return without
}

func TestQuirkAcceptChunked(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{Quirks: pcloudtest.Quirks{AcceptChunked: true}})
	for _, m := range []string{"PUT", "POST"} {
		r := c.request(m, c.url("uploadfile", "filename", m), io.MultiReader(strings.NewReader("chunked")))
		require.Equal(t, uint64(7), c.api(r).file().num("size"))
	}
	id := c.ok("upload_create").num("uploadid")
	c.api(c.request("PUT", c.url("upload_write", "uploadid", id, "uploadoffset", 0), io.MultiReader(strings.NewReader("chunked")))).mustBeOK(t)
	require.Equal(t, uint64(7), c.ok("upload_info", "uploadid", id).num("size"))
}

func TestQuirkAcceptEmptyRaw(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.AcceptEmptyRaw = true }, func(t *testing.T, c, _ *client, on bool) {
		v := c.api(c.request("PUT", c.url("uploadfile", "filename", "f"), http.NoBody))
		require.Equal(t, pick(on, 0, 2088), v.num("result"))
		require.Equal(t, pick(on, 0, 2055), c.call("stat", "path", "/f").num("result"))
	})
}

func TestQuirkUnknownMethodError(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{Quirks: pcloudtest.Quirks{UnknownMethodError: true}})
	c.fails(1, "nosuchmethod")
}

func TestQuirkRenameToSelf2049(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.RenameToSelf2049 = true }, func(t *testing.T, c, _ *client, on bool) {
		id := c.put(0, "f", "x").file().num("fileid")
		require.Equal(t, pick(on, 2049, 0), c.call("renamefile", "fileid", id, "tofolderid", 0, "toname", "f").num("result"))
	})
}

func TestQuirkRenameIfExistsFrom2(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.RenameIfExistsFrom2 = true }, func(t *testing.T, c, _ *client, on bool) {
		c.put(0, "f.txt", "x")
		want := map[bool]string{false: "f (1).txt", true: "f (2).txt"}[on]
		require.Equal(t, want, c.put(0, "f.txt", "y", "renameifexists", 1).file()["name"])
	})
}

func TestQuirkReviveDeleted(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.ReviveDeleted = true }, func(t *testing.T, c, _ *client, on bool) {
		id := c.put(0, "f", "old").file().num("fileid")
		c.ok("deletefile", "fileid", id)
		again := c.put(0, "f", "new").file().num("fileid")
		require.Equal(t, on, id == again)
		require.Len(t, c.ok("listrevisions", "fileid", again)["revisions"], int(pick(on, 1, 0)))
	})
}

func TestQuirkUploadExpiry(t *testing.T) {
	t.Parallel()
	for limit, code := range map[time.Duration]uint64{0: 0, time.Hour: 2067} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newServer(t, pcloudtest.Options{InProcess: true, Quirks: pcloudtest.Quirks{UploadExpiry: limit}})
			id := c.ok("upload_create").num("uploadid")
			time.Sleep(59 * time.Minute)
			c.ok("upload_info", "uploadid", id)
			time.Sleep(2 * time.Minute)
			require.Equal(t, code, c.call("upload_info", "uploadid", id).num("result"))
		})
	}
}

func TestQuirkOverwriteUploads(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.OverwriteUploads = true }, func(t *testing.T, c, _ *client, on bool) {
		id := c.ok("upload_create").num("uploadid")
		c.write(id, 0, "hello world").mustBeOK(t)
		require.Equal(t, pick(on, 0, 2068), c.write(id, 6, "WO").num("result"))
		require.Equal(t, uint64(2068), c.write(id, 12, "x").num("result"))
		want := "hello world"
		if on {
			want = "hello WOrld"
			c.write(id, 0, "J").mustBeOK(t)
			want = strings.Replace(want, "h", "J", 1)
		}
		require.Equal(t, hexSHA1(want), c.ok("upload_info", "uploadid", id)["sha1"])
		c.ok("upload_save", "uploadid", id, "folderid", 0, "name", "f")
		require.Zero(t, c.srv.Stats().UploadSessions)
	})
}

func TestQuirkKeepSavedUploads(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.KeepSavedUploads = true }, func(t *testing.T, c, _ *client, on bool) {
		id := c.ok("upload_create").num("uploadid")
		c.write(id, 0, "x").mustBeOK(t)
		c.ok("upload_save", "uploadid", id, "folderid", 0, "name", "f")
		require.Equal(t, pick(on, 0, 2067), c.call("upload_save", "uploadid", id, "folderid", 0, "name", "f").num("result"))
	})
}

func TestQuirkLinkExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newServer(t, pcloudtest.Options{InProcess: true, Quirks: pcloudtest.Quirks{LinkExpiry: time.Minute}})
		u := c.link(c.put(0, "f", "x").file().num("fileid"))
		time.Sleep(62 * time.Second)
		resp, _ := c.get(u)
		require.Equal(t, http.StatusGone, resp.StatusCode)
	})
}

func TestQuirkMissingPath2055(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.MissingPath2055 = true }, func(t *testing.T, c, _ *client, on bool) {
		for _, call := range [][]string{
			{"stat", "/none/f"}, {"getfilelink", "/f"}, {"deletefile", "/f"}, {"listfolder", "/d"}, {"createfolder", "/none/d"},
		} {
			code := c.call(call[0], "path", call[1]).num("result")
			require.Equal(t, on, code == 2055, "%v: %d", call, code)
		}
	})
}

func TestQuirkRecursiveRoots(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.RecursiveRootPath = true }, func(t *testing.T, c, account *client, on bool) {
		require.Equal(t, pick(on, 0, 1101), account.call("listfolder", "path", "/", "recursive", 1).num("result"))
		c.fails(1101, "listfolder", "folderid", 0, "recursive", 1)
	})
	quirk(t, func(q *pcloudtest.Quirks) { q.RecursiveAppRoot = true }, func(t *testing.T, c, account *client, on bool) {
		require.Equal(t, pick(on, 0, 1101), c.call("listfolder", "folderid", 0, "recursive", 1).num("result"))
		account.fails(1101, "listfolder", "folderid", 0, "recursive", 1)
	})
}

func TestQuirkNotFoundOutside(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.NotFoundOutside = true }, func(t *testing.T, c, account *client, on bool) {
		file := account.put(0, "f", "x").file().num("fileid")
		dir := account.ok("createfolder", "folderid", 0, "name", "d").meta().num("folderid")
		require.Equal(t, pick(on, 2009, 2003), c.call("stat", "fileid", file).num("result"))
		require.Equal(t, pick(on, 2005, 2003), c.call("listfolder", "folderid", dir).num("result"))
		c.fails(2003, "trash_clear", "folderid", 0)
	})
}

func TestQuirkPartialUploads(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.PartialUploads = true }, func(t *testing.T, c, _ *client, on bool) {
		half(t, c, "/uploadfile?filename=f&nopartial=1")
		require.Equal(t, pick(on, 0, 2055), c.call("stat", "path", "/f").num("result"))
	})
}

func TestQuirkOAuthSetFileMtime2003(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.OAuthSetFileMtime2003 = true }, func(t *testing.T, c, _ *client, on bool) {
		id := c.put(0, "f", "x").file().num("fileid")
		require.Equal(t, pick(on, 2003, 0), c.call("setfilemtime", "fileid", id, "newtm", 1).num("result"))
	})
}

func TestQuirkConflictSpace(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.ConflictSpace = true }, func(t *testing.T, c, _ *client, on bool) {
		c.put(0, "f.txt", "x")
		want := map[bool]string{false: "f{CONFLICTED}.txt", true: "f {CONFLICTED}.txt"}[on]
		require.Equal(t, want, c.put(0, "f.txt", "y", "ifhash", "new").file()["name"])
	})
}

func TestQuirkStickyConnection(t *testing.T) {
	t.Parallel()
	quirk(t, func(q *pcloudtest.Quirks) { q.StickyConnection = true }, func(t *testing.T, c, _ *client, on bool) {
		conn := dialRaw(t, c.srv)
		br := bufio.NewReader(conn)
		get := func(target string) reply {
			_, body := exchange(t, conn, br, "GET "+target+" HTTP/1.1\nHost: x\nConnection: keep-alive\n\n")
			return decode(t, []byte(body))
		}
		get("/stat?path=/&filtermeta=name&access_token=" + c.token).mustBeOK(t)
		v := get("/stat?path=/&access_token=nonsense")
		require.Equal(t, pick(on, 0, 2094), v.num("result"))
		if on {
			require.Equal(t, reply{"name": "/"}, v.meta())
			require.Equal(t, uint64(1000), get("/stat?path=/&logout=1").num("result"))
		}
	})
}
