package pcloudtest_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// dialRaw opens a TLS connection to the API host to write requests by hand.
func dialRaw(tb testing.TB, srv *pcloudtest.Server) net.Conn {
	tb.Helper()
	c, err := tls.Dial("tcp", srv.APIAddr(), &tls.Config{RootCAs: srv.CertPool(), NextProtos: []string{"h2", "http/1.1"}})
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close() })
	return c
}

// exchange writes a request and reads one response with its body.
func exchange(tb testing.TB, c net.Conn, br *bufio.Reader, request string) (*http.Response, string) {
	tb.Helper()
	_, err := io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n"))
	require.NoError(tb, err)
	resp, err := http.ReadResponse(br, nil)
	require.NoError(tb, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return resp, string(b)
}

// closed tells that the server ended the connection without another byte.
func closed(tb testing.TB, br *bufio.Reader) {
	tb.Helper()
	_, err := br.ReadByte()
	require.Error(tb, err)
}

func TestReplyHasTheHeadersOfTheService(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	c := dialRaw(t, app.srv)
	br := bufio.NewReader(c)

	resp, body := exchange(t, c, br, "GET /stat?path=/&access_token="+app.token+" HTTP/1.1\nHost: x\nConnection: Keep-Alive\n\n")
	require.Equal(t, "CloudHTTPd-API v1.1", resp.Header.Get("Server"))
	require.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"))
	require.Equal(t, "private, max-age=0", resp.Header.Get("Cache-Control"))
	require.Equal(t, "Accept-Encoding", resp.Header.Get("Vary"))
	require.Equal(t, "timeout=1800", resp.Header.Get("Keep-Alive"))
	require.Equal(t, "keep-alive", resp.Header.Get("Connection"))
	require.Empty(t, resp.Header.Values("X-Error"))
	require.Equal(t, int64(len(body)), resp.ContentLength)
	require.NotEmpty(t, resp.Header.Get("Date"))
	tag := resp.Header.Get("Etag")
	require.Regexp(t, regexp.MustCompile(`^"[0-9A-Za-z]{28}"$`), tag)

	again, _ := exchange(t, c, br, "GET /stat?path=/&access_token="+app.token+" HTTP/1.1\nHost: x\nConnection: keep-alive\n\n")
	require.Equal(t, tag, again.Header.Get("Etag"), "the tag depends on the body alone")

	other, _ := exchange(t, c, br, "GET /stat?path=/nothing&access_token="+app.token+" HTTP/1.1\nHost: x\nConnection: keep-alive\n\n")
	require.NotEqual(t, tag, other.Header.Get("Etag"))
	require.Equal(t, "2055", other.Header.Get("X-Error"))
	require.Equal(t, http.StatusOK, other.StatusCode, "an error is not an HTTP error and keeps the connection")

	last, _ := exchange(t, c, br, "GET /getip HTTP/1.1\nHost: x\n\n")
	require.True(t, last.Close)
	require.Empty(t, last.Header.Get("Keep-Alive"))
	closed(t, br)
}

func TestOnlyHTTP1IsNegotiated(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	c := dialRaw(t, app.srv).(*tls.Conn)
	require.NoError(t, c.Handshake())
	require.Empty(t, c.ConnectionState().NegotiatedProtocol)
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	c := dialRaw(t, app.srv)
	br := bufio.NewReader(c)
	one := "GET /getip?id=one HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
	_, err := io.WriteString(c, one+strings.Replace(one, "one", "two", 1))
	require.NoError(t, err)
	for _, id := range []string{"one", "two"} {
		resp, err := http.ReadResponse(br, nil)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, id, decode(t, b)["id"])
	}
}

func TestRepliesAreIndentedWithEscapedSlashes(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	_, b := app.do(app.request("GET", app.url("listfolder", "path", "/"), nil))
	require.Contains(t, string(b), "{\n\t\"result\": 0,\n\t\"metadata\": {\n\t\t\"path\": \"\\/\",\n")
	require.NotRegexp(t, regexp.MustCompile(`[^\\]/`), string(b))
}

func TestDispatchIgnoresSlashesAndHTTPMethod(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	for _, m := range []string{"GET", "POST", "PUT"} {
		for _, slashes := range []string{"/", "//", "///"} {
			u := "https://" + app.srv.APIAddr() + slashes + "listfolder?folderid=0"
			app.api(app.request(m, u, nil)).mustBeOK(t)
		}
	}
}

func TestParametersComeFromQueryFormAndCookie(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	for _, n := range []string{"query", "form", "cookie"} {
		app.ok("createfolder", "folderid", 0, "name", n)
	}
	list := func(path string, form url.Values, cookie string) string {
		r := app.request("POST", app.url("stat", "path", path), strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != "" {
			r.Header.Set("Cookie", "path="+cookie)
		}
		return app.api(r).meta().str("name")
	}
	require.Equal(t, "query", list("/query", nil, ""))
	require.Equal(t, "form", list("/query", url.Values{"path": {"/form"}}, ""))
	require.Equal(t, "cookie", list("/query", url.Values{"path": {"/form"}}, "/cookie"))

	body, kind := multipartBody(t, map[string]string{"path": "/form"})
	r := app.request("POST", app.url("stat", "path", "/query"), body)
	r.Header.Set("Content-Type", kind)
	require.Equal(t, "form", app.api(r).meta().str("name"))
}

func TestOddQueriesAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	for raw, want := range map[string]string{
		"name=a+b":                          "a b",
		"name=c%2Bd":                        "c+d",
		"name=e;f":                          "e;f",
		"name=100%":                         "100%",
		"name=first&name=not":               "first",
		"name=%C3%A4%E2%82%AC&no_files=1&x": "ä€",
	} {
		r := app.request("GET", app.url("createfolderifnotexists")+"?folderid=0&"+raw, nil)
		v := app.api(r)
		v.mustBeOK(t)
		require.Equal(t, want, v.meta().str("name"), raw)
	}
}

func TestIDIsEchoed(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	require.Equal(t, "abc", app.ok("getip", "id", "abc")["id"])
	require.Equal(t, uint64(17), app.ok("getip", "id", 17).num("id"))
	require.Equal(t, "x1", app.call("stat", "path", "/no", "id", "x1")["id"])
	require.NotContains(t, app.ok("getip"), "id")
}

func TestGlobalParametersShapeMetadata(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	app.put(0, "a.pdf", "x", "mtime", 1700000000)

	plain := app.ok("stat", "path", "/a.pdf").meta()
	require.Equal(t, "Tue, 14 Nov 2023 22:13:20 +0000", plain["modified"])
	require.Equal(t, "document", plain["icon"])

	stamped := app.ok("stat", "path", "/a.pdf", "timeformat", "timestamp").meta()
	require.Equal(t, uint64(1700000000), stamped.num("modified"))

	require.Equal(t, uint64(17), app.ok("stat", "path", "/a.pdf", "iconformat", "id").meta().num("icon"))

	require.Equal(t, reply{"name": "a.pdf"}, app.ok("stat", "path", "/a.pdf", "filtermeta", "name").meta())
	listing := app.ok("listfolder", "folderid", 0, "filterfilemeta", "name,x", "filterfoldermeta", "isfolder").meta()
	require.Equal(t, true, listing["isfolder"])
	require.NotContains(t, listing, "name")
	require.Equal(t, []any{map[string]any{"name": "a.pdf"}}, listing["contents"])
	require.Contains(t, app.ok("stat", "path", "/a.pdf", "filtermeta", "0").meta(), "fileid")
}

func TestTimesBefore1970ComeAsTwosComplement(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	for mtime, want := range map[string]string{
		"18446744073709465216":            "Wed, 31 Dec 1969 00:00:00 +0000",
		"-86400":                          "Wed, 31 Dec 1969 00:00:00 +0000",
		"20260901100000":                  "Tue, 01 Sep 2026 10:00:00 +0000",
		"2026-09-01T12:00:00+02:00":       "Tue, 01 Sep 2026 10:00:00 +0000",
		"Tue, 01 Sep 2026 10:00:00 +0000": "Tue, 01 Sep 2026 10:00:00 +0000",
	} {
		require.Equal(t, want, app.put(0, "f", "x", "mtime", mtime).file()["modified"], mtime)
	}
	v := app.api(app.request("PUT", app.url("uploadfile", "filename", "f", "mtime", "yesterday"), strings.NewReader("x")))
	require.Equal(t, uint64(1013), v.num("result"))
}

func TestUnknownMethodClosesTheConnection(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	for _, path := range []string{"/", "/nosuchmethod", "/_admin/stats", "/listfolder/x"} {
		c := dialRaw(t, app.srv)
		_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
		require.NoError(t, err)
		closed(t, bufio.NewReader(c))
	}
	require.Equal(t, int64(4), app.srv.Stats().Requests["unknown"])
}

func TestChunkedBodyIsRefusedAndCloses(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	c := dialRaw(t, app.srv)
	br := bufio.NewReader(c)
	resp, _ := exchange(t, c, br, "PUT /uploadfile?filename=f&access_token="+app.token+
		" HTTP/1.1\nHost: x\nConnection: keep-alive\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n")
	require.Equal(t, http.StatusLengthRequired, resp.StatusCode)
	require.True(t, resp.Close)
	closed(t, br)
	app.fails(2055, "stat", "path", "/f")
}

func TestCertificateIsForLocalAndRealNames(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "api.pcloud.com", "eapi.pcloud.com", "p-lux4.pcloud.com"} {
		c, err := tls.Dial("tcp", app.srv.APIAddr(), &tls.Config{RootCAs: app.srv.CertPool(), ServerName: name})
		require.NoError(t, err, name)
		c.Close()
	}
	_, err := tls.Dial("tcp", app.srv.APIAddr(), &tls.Config{RootCAs: app.srv.CertPool(), ServerName: "example.com"})
	require.Error(t, err)
}
