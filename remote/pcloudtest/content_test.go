package pcloudtest_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func TestFileLinks(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	f := c.put(0, "a file (ä).txt", "0123456789").file()
	id := f.num("fileid")
	v := c.ok("getfilelink", "fileid", id)
	require.Regexp(t, regexp.MustCompile(`^/[0-9A-Za-z]{68}/`), v["path"])
	require.Equal(t, f["hash"], v["hash"])
	require.Equal(t, uint64(10), v.num("size"))
	require.Equal(t, []any{c.srv.ContentAddr()}, v["hosts"])
	expires, err := time.Parse(time.RFC1123Z, v.str("expires"))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(6*time.Hour), expires, time.Minute)
	name, err := url.PathUnescape(v.str("path")[70:])
	require.NoError(t, err)
	require.Equal(t, "a file (ä).txt", name)
	require.NotContains(t, c.ok("getfilelink", "fileid", id, "skipfilename", 1).str("path")[1:], "/")

	c.fails(1004, "getfilelink")
	c.fails(2009, "getfilelink", "fileid", 12)
	c.fails(2009, "getfilelink", "path", "/none")
	c.fails(2002, "getfilelink", "path", "/none/none")
	c.fails(1005, "getfilelink", "fileid", id, "contenttype", "a\r\nb")
	c.fails(2044, "getvideolink", "fileid", id)
	c.fails(2044, "getaudiolink", "fileid", id)
	slow := c.call("getfilelink", "fileid", id, "maxspeed", 1)
	require.Equal(t, uint64(2011), slow.num("result"))
	require.Contains(t, slow, "minspeed")
	c.ok("getvideolink", "fileid", c.put(0, "v.mp4", "x").file().num("fileid"))
	c.ok("getaudiolink", "fileid", c.put(0, "a.mp3", "x").file().num("fileid"))
}

func TestForeignPagesGetNoLinks(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	id := c.put(0, "f", "x").file().num("fileid")
	for value, code := range map[string]uint64{
		"https://evil.example/": 7010, "https://pcloud.com.evil.example": 7010, "https://my.pcloud.com/": 0,
	} {
		for _, h := range []string{"Referer", "Origin"} {
			r := c.request("GET", c.url("getfilelink", "fileid", id), nil)
			r.Header.Set(h, value)
			require.Equal(t, code, c.api(r).num("result"), value)
		}
	}
}

func TestContentHost(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	id := c.put(0, "f.txt", "0123456789").file().num("fileid")
	u := c.link(id)

	resp, body := c.get(u)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "0123456789", body)
	require.Equal(t, int64(10), resp.ContentLength)
	require.Equal(t, "text/plain", resp.Header.Get("Content-Type"))
	require.Equal(t, "timeout=1800", resp.Header.Get("Keep-Alive"))

	for rng, want := range map[string]string{
		"bytes=2-4": "234", "bytes=7-": "789", "bytes=-3": "789", "bytes=0-99": "0123456789",
	} {
		resp, body = c.get(u, "Range", rng)
		require.Equal(t, http.StatusPartialContent, resp.StatusCode, rng)
		require.Equal(t, want, body)
		require.Regexp(t, `^bytes \d-9?\d?/10$`, resp.Header.Get("Content-Range"))
	}
	resp, _ = c.get(u, "Range", "bytes=10-")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, resp.StatusCode)
	resp, body = c.get(u, "Range", "bytes=0-1,4-5")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "0123456789", body)

	resp, body = c.get(u, "Authorization", "Bearer nonsense", "Cookie", "dwltag=nonsense", "X-Range-Next", "1-2, 3-4")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "0123456789", body)

	resp, b := c.do(c.request(http.MethodHead, u, nil))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, int64(10), resp.ContentLength)
	require.Empty(t, b)

	resp, _ = c.get(c.link(id, "forcedownload", 1))
	require.Equal(t, "application/octet-stream", resp.Header.Get("Content-Type"))
	resp, _ = c.get(c.link(id, "contenttype", "image/png"))
	require.Equal(t, "image/png", resp.Header.Get("Content-Type"))

	empty := c.form(nil, "empty", "").file().num("fileid")
	resp, body = c.get(c.link(empty))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Empty(t, body)
}

func TestContentHostClosesUnlessAsked(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	u, err := url.Parse(c.link(c.put(0, "f", "x").file().num("fileid")))
	require.NoError(t, err)
	conn, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: c.srv.CertPool()})
	require.NoError(t, err)
	defer conn.Close()
	br := bufio.NewReader(conn)
	resp, _ := exchange(t, conn, br, "GET "+u.Path+" HTTP/1.1\nHost: x\nConnection: Keep-Alive\n\n")
	require.False(t, resp.Close)
	resp, body := exchange(t, conn, br, "GET "+u.Path+" HTTP/1.1\nHost: x\n\n")
	require.True(t, resp.Close)
	require.Equal(t, "x", body)
	closed(t, br)
}

func TestLinksThatDoNotWork(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	host := "https://" + c.srv.ContentAddr() + "/"
	for path, status := range map[string]int{
		"": 404, "short": 404, strings.Repeat("x", 68): 410, strings.Repeat("x", 68) + "/name": 410,
	} {
		resp, body := c.get(host + path)
		require.Equal(t, status, resp.StatusCode, path)
		if status == 410 {
			require.Contains(t, body, "<title>Invalid link</title>")
		}
	}
	id := c.put(0, "f", "x").file().num("fileid")
	u := c.link(id)
	c.ok("deletefile", "fileid", id)
	resp, _ := c.get(u)
	require.Equal(t, 404, resp.StatusCode)
}

func TestLinksExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newServer(t, pcloudtest.Options{InProcess: true})
		u := c.link(c.put(0, "f", "x").file().num("fileid"))
		time.Sleep(6*time.Hour - 2*time.Second)
		resp, _ := c.get(u)
		require.Equal(t, 200, resp.StatusCode)
		time.Sleep(4 * time.Second)
		resp, body := c.get(u)
		require.Equal(t, 410, resp.StatusCode)
		require.Contains(t, body, "Invalid link")
	})
}

// getFrom fetches a link from another address of this machine.
func (c *client) getFrom(ip, u string, header ...string) int {
	c.Helper()
	tr := c.srv.Transport()
	defer tr.CloseIdleConnections()
	tr.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext
	d := *c
	d.http = &http.Client{Transport: tr}
	resp, _ := d.get(u, header...)
	return resp.StatusCode
}

func TestLinksAreBoundToTheClientAddress(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skip("no second loopback address: ", err)
	} else {
		l.Close()
	}
	bound, _ := newServer(t, pcloudtest.Options{})
	v := bound.ok("getfilelink", "fileid", bound.put(0, "f", "x").file().num("fileid"))
	u := "https://" + bound.srv.ContentAddr() + v.str("path")
	require.Equal(t, 410, bound.getFrom("127.0.0.2", u))
	require.Equal(t, 200, bound.getFrom("127.0.0.2", u, "Cookie", "dwltag="+v.str("dwltag")))
	require.Equal(t, 200, bound.getFrom("127.0.0.1", u))

	free, _ := newServer(t, pcloudtest.Options{Quirks: pcloudtest.Quirks{AnyClientIP: true}})
	require.Equal(t, 200, free.getFrom("127.0.0.2", free.link(free.put(0, "f", "x").file().num("fileid"))))
}

func TestLinksServeTheirOwnVersion(t *testing.T) {
	t.Parallel()
	for follow, want := range map[bool]int{false: 200, true: 404} {
		c, _ := newServer(t, pcloudtest.Options{Quirks: pcloudtest.Quirks{LinksFollowOverwrite: follow}})
		old := c.put(0, "f", "old").file()
		u := c.link(old.num("fileid"))
		c.put(0, "f", "newer")
		resp, body := c.get(u)
		require.Equal(t, want, resp.StatusCode)
		if want == 200 {
			require.Equal(t, "old", body)
		}
		_, body = c.get(c.link(old.num("fileid")))
		require.Equal(t, "newer", body)
		if !follow {
			_, body = c.get(c.link(old.num("fileid"), "hash", old["hash"]))
			require.Equal(t, "old", body, "a version can be asked for by its hash")
		}
	}
}

func TestContentHostNames(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{ContentHosts: []string{"p-emu1.pcloud.com", "p-emu2.pcloud.com"}})
	id := c.put(0, "f", "x").file().num("fileid")
	require.Equal(t, []any{"p-emu1.pcloud.com", "p-emu2.pcloud.com"}, c.ok("getfilelink", "fileid", id)["hosts"])
	_, body := c.get(c.link(id))
	require.Equal(t, "x", body, "the transport knows the way")

	wild, _ := newServer(t, pcloudtest.Options{Listen: "0.0.0.0:0", ContentListen: "0.0.0.0:0"})
	_, port, err := net.SplitHostPort(wild.srv.APIAddr())
	require.NoError(t, err)
	id = wild.put(0, "f", "x").file().num("fileid")
	r := wild.request("GET", "https://localhost:"+port+"/getfilelink?"+query("fileid", id), nil)
	require.Contains(t, wild.api(r)["hosts"].([]any)[0], "localhost:")
}
