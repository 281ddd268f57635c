package pcloudtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// client is a bare HTTP client of a server, with a token.
type client struct {
	testing.TB
	srv   *pcloudtest.Server
	http  *http.Client
	token string // sent as Bearer unless empty
}

// reply is a decoded answer with its numbers as they were written.
type reply map[string]any

// newServer starts a server and returns clients for the application token
// and for the account token.
func newServer(tb testing.TB, o pcloudtest.Options) (app, account *client) {
	tb.Helper()
	srv := pcloudtest.New(tb, o)
	tr := srv.Transport()
	tb.Cleanup(tr.CloseIdleConnections)
	app = &client{TB: tb, srv: srv, token: srv.AppToken(), http: &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return app, app.with(srv.AccountToken())
}

// with returns a client with another token.
func (c *client) with(token string) *client {
	d := *c
	d.token = token
	return &d
}

// query makes a query string of alternating keys and values.
func query(kv ...any) string {
	q := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		q.Set(fmt.Sprint(kv[i]), fmt.Sprint(kv[i+1]))
	}
	return q.Encode()
}

func (c *client) url(method string, kv ...any) string {
	u := "https://" + c.srv.APIAddr() + "/" + method
	if len(kv) > 0 {
		u += "?" + query(kv...)
	}
	return u
}

func (c *client) request(method, u string, body io.Reader) *http.Request {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, u, body)
	require.NoError(c, err)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	r.Header.Set("Connection", "keep-alive")
	return r
}

// do sends a request and reads the whole answer.
func (c *client) do(r *http.Request) (*http.Response, []byte) {
	c.Helper()
	resp, err := c.http.Do(r)
	require.NoError(c, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c, err)
	return resp, b
}

// api sends a request to the API and decodes the answer.
func (c *client) api(r *http.Request) reply {
	c.Helper()
	resp, b := c.do(r)
	require.Equal(c, http.StatusOK, resp.StatusCode, "%s", b)
	return decode(c, b)
}

func decode(tb testing.TB, b []byte) reply {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v reply
	require.NoError(tb, d.Decode(&v), "%s", b)
	require.Contains(tb, v, "result", "%s", b)
	return v
}

// call makes a GET call and returns the answer, whatever it is.
func (c *client) call(method string, kv ...any) reply {
	c.Helper()
	return c.api(c.request(http.MethodGet, c.url(method, kv...), nil))
}

// ok makes a call that must succeed.
func (c *client) ok(method string, kv ...any) reply {
	c.Helper()
	v := c.call(method, kv...)
	v.mustBeOK(c)
	return v
}

// fails makes a call that must be refused with a code.
func (c *client) fails(code int, method string, kv ...any) {
	c.Helper()
	v := c.call(method, kv...)
	require.Equal(c, json.Number(strconv.Itoa(code)), v["result"], "%s %v: %v", method, kv, v)
	require.NotEmpty(c, v["error"])
}

func (v reply) mustBeOK(tb testing.TB) {
	tb.Helper()
	require.Equal(tb, json.Number("0"), v["result"], "%v", v)
	require.NotContains(tb, v, "error")
}

// put uploads data as one raw body.
func (c *client) put(folder any, name, data string, kv ...any) reply {
	c.Helper()
	kv = append([]any{"folderid", folder, "filename", name, "nopartial", 1}, kv...)
	v := c.api(c.request(http.MethodPut, c.url("uploadfile", kv...), strings.NewReader(data)))
	v.mustBeOK(c)
	return v
}

// form uploads files, given as alternating names and contents, after fields.
func (c *client) form(fields map[string]string, files ...string) reply {
	c.Helper()
	body, kind := multipartBody(c, fields, files...)
	r := c.request(http.MethodPost, c.url("uploadfile"), body)
	r.Header.Set("Content-Type", kind)
	return c.api(r)
}

func multipartBody(tb testing.TB, fields map[string]string, files ...string) (io.Reader, string) {
	tb.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k, v := range fields {
		require.NoError(tb, w.WriteField(k, v))
	}
	for i := 0; i < len(files); i += 2 {
		p, err := w.CreateFormFile("content", files[i])
		require.NoError(tb, err)
		_, err = io.WriteString(p, files[i+1])
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return &b, w.FormDataContentType()
}

// meta is the metadata object of a reply.
func (v reply) meta() reply { return reply(v["metadata"].(map[string]any)) }

// file is the metadata of the first uploaded file.
func (v reply) file() reply { return v.list("metadata")[0] }

// list is an array of objects.
func (v reply) list(key string) []reply {
	var out []reply
	for _, e := range v[key].([]any) {
		out = append(out, reply(e.(map[string]any)))
	}
	return out
}

func (v reply) num(key string) uint64 {
	n, err := strconv.ParseUint(v[key].(json.Number).String(), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (v reply) str(key string) string { return v[key].(string) }

// names are the names in the contents of a listing.
func (v reply) names() []string {
	var out []string
	for _, e := range v.meta().list("contents") {
		out = append(out, e.str("name"))
	}
	return out
}

// link asks for a link to a file and returns its URL on the first host.
func (c *client) link(fileid uint64, kv ...any) string {
	c.Helper()
	v := c.ok("getfilelink", append([]any{"fileid", fileid}, kv...)...)
	return "https://" + v["hosts"].([]any)[0].(string) + v.str("path")
}

// get fetches a link without credentials.
func (c *client) get(u string, header ...string) (*http.Response, string) {
	c.Helper()
	r := c.with("").request(http.MethodGet, u, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, b := c.do(r)
	return resp, string(b)
}
