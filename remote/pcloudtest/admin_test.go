package pcloudtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// admin makes a call of the admin API and decodes the answer into v.
func (c *client) admin(status int, method, path, body string, v any) {
	c.Helper()
	r := c.with("").request(method, c.url("_admin/"+path), strings.NewReader(body))
	r.Header.Set("X-Emulator-Admin", c.srv.AccountToken())
	resp, b := c.do(r)
	require.Equal(c, status, resp.StatusCode, "%s", b)
	if v != nil {
		require.NoError(c, json.Unmarshal(b, v), "%s", b)
	}
}

func TestAdminAPI(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{App: "a"})
	c.put(0, "f", "hello")
	c.ok("upload_create")
	c.get(c.link(c.ok("stat", "path", "/f").meta().num("fileid")))

	var stats map[string]json.RawMessage
	c.admin(200, "GET", "stats", "", &stats)
	for _, k := range []string{"requests", "bytes_in", "bytes_out", "connections", "upload_sessions"} {
		require.Contains(t, stats, k)
	}
	var st pcloudtest.Stats
	c.admin(200, "GET", "stats", "", &st)
	require.Equal(t, map[string]int64{"uploadfile": 1, "upload_create": 1, "stat": 1, "getfilelink": 1, "content": 1}, st.Requests)
	require.Greater(t, st.BytesIn, int64(5))
	require.Greater(t, st.BytesOut, int64(5))
	require.Equal(t, int64(2), st.Connections)
	require.Equal(t, int64(1), st.UploadSessions)

	c.admin(200, "POST", "stats/reset", "", nil)
	c.admin(200, "GET", "stats", "", &st)
	require.Equal(t, int64(1), st.UploadSessions, "a state, not a count")
	var after pcloudtest.Stats
	c.admin(200, "GET", "stats", "", &after)
	require.Empty(t, after.Requests)

	var tree []map[string]any
	c.admin(200, "GET", "tree", "", &tree)
	require.Len(t, tree, 1)
	require.Equal(t, "/Applications/a/f", tree[0]["path"])
	require.Equal(t, hexSHA1("hello"), tree[0]["sha1"])
	require.Contains(t, tree[0], "fileid")
	require.Contains(t, tree[0], "hash")
	require.Contains(t, tree[0], "size")

	c.admin(200, "POST", "faults", `[{"method":"stat","do":"api","code":5000,"count":1}]`, nil)
	c.fails(5000, "stat", "path", "/f")
	c.admin(200, "POST", "faults", `[{"method":"stat","do":"api","code":5000}]`, nil)
	c.admin(200, "POST", "faults", `[]`, nil)
	c.ok("stat", "path", "/f")
	c.admin(400, "POST", "faults", `[{"do":"explode"}]`, nil)
	c.admin(400, "POST", "faults", `{`, nil)

	var shape pcloudtest.Shape
	c.admin(200, "POST", "shape", `{"rtt":"1ms","up":"100mbit","conn_down":12500000}`, &shape)
	require.Equal(t, pcloudtest.Shape{RTT: time.Millisecond, Up: 12500000, ConnDown: 12500000}, shape)
	c.admin(400, "POST", "shape", `{"rtt":"fast"}`, nil)
	c.admin(404, "GET", "nothing", "", nil)
	c.admin(405, "GET", "faults", "", nil)
}

func TestAdminAPIIsHidden(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	for _, token := range []string{"", "wrong", c.srv.AppToken()} {
		r := c.request("POST", c.url("_admin/stats/reset"), http.NoBody)
		if token != "" {
			r.Header.Set("X-Emulator-Admin", token)
		}
		_, err := c.http.Do(r)
		require.ErrorIs(t, err, io.EOF)
	}
}
