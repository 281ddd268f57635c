package pcloudtest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// events are the types and names of the entries of a diff.
func (v reply) events() []string {
	var out []string
	for _, e := range v.list("entries") {
		s := e.str("event")
		if m, ok := e["metadata"].(map[string]any); ok {
			s += " " + m["name"].(string)
		}
		out = append(out, s)
	}
	return out
}

func TestDiff(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	start := c.ok("diff", "last", 0)
	require.Empty(t, start["entries"])
	id := start.num("diffid")
	require.NotZero(t, id)

	dir := c.ok("createfolder", "folderid", 0, "name", "dir").meta().num("folderid")
	f := c.put(dir, "f", "x").file().num("fileid")
	c.ok("renamefile", "fileid", f, "toname", "g")
	c.ok("deletefile", "fileid", f)
	v := c.ok("diff", "diffid", id)
	last := v.list("entries")[len(v.list("entries"))-1]
	require.Equal(t, "deletefile", last["event"])
	require.Equal(t, true, reply(last["metadata"].(map[string]any))["isdeleted"])
	require.Equal(t, v["diffid"], last["diffid"])
	require.Contains(t, v.events(), "createfolder dir")
	_, err := time.Parse(time.RFC1123Z, last.str("time"))
	require.NoError(t, err)

	again := c.ok("diff", "diffid", v["diffid"])
	require.Equal(t, v["diffid"], again["diffid"])
	require.Equal(t, []any{}, again["entries"])

	first := c.ok("diff", "diffid", id, "limit", 1)
	require.Len(t, first["entries"], 1)
	require.Equal(t, first["diffid"], first.list("entries")[0]["diffid"])
	require.Len(t, c.ok("diff", "last", 1)["entries"], 1)

	state := c.ok("diff")
	require.Contains(t, state.events(), "createfolder dir")
	require.Contains(t, state.events(), "modifyuserinfo")
	for _, e := range state.list("entries") {
		if e["event"] == "modifyuserinfo" {
			require.Contains(t, e["userinfo"], "quota")
		}
	}
	require.Empty(t, c.ok("diff", "after", time.Now().Add(time.Hour).Unix())["entries"])
	c.fails(1013, "diff", "after", "whenever")
}

func TestBlockedDiffEndsWithAnEvent(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	id := c.ok("diff", "last", 0).num("diffid")
	done := make(chan reply)
	go func() { done <- c.call("diff", "diffid", id, "block", 1) }()
	c.ok("createfolder", "folderid", 0, "name", "news")
	require.Equal(t, []string{"createfolder news"}, (<-done).events())
}

func TestBlockedDiffEndsInTime(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]time.Duration{0: time.Minute, 5 * time.Second: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newServer(t, pcloudtest.Options{InProcess: true, Quirks: pcloudtest.Quirks{BlockTimeout: limit}})
			id := c.ok("diff", "last", 0).num("diffid")
			began := time.Now()
			v := c.ok("diff", "diffid", id, "block", 1)
			require.Equal(t, want, time.Since(began))
			require.Equal(t, id, v.num("diffid"))
			require.Empty(t, v["entries"])
		})
	}
}

func TestBlockedDiffEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newServer(t, pcloudtest.Options{InProcess: true})
		id := c.ok("diff", "last", 0).num("diffid")
		ctx, cancel := context.WithCancel(t.Context())
		r := c.request("GET", c.url("diff", "diffid", id, "block", 1), nil).WithContext(ctx)
		failed := make(chan error)
		go func() {
			_, err := c.http.Do(r)
			failed <- err
		}()
		synctest.Wait()
		began := time.Now()
		cancel()
		require.Error(t, <-failed)
		require.NoError(t, c.srv.Close())
		require.Zero(t, time.Since(began), "Close had nothing to wait for")
	})
}

func TestCloseEndsBlockedDiff(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	id := c.ok("diff", "last", 0).num("diffid")
	conn := dialRaw(t, c.srv)
	fmt.Fprintf(conn, "GET /diff?block=1&diffid=%d&access_token=%s HTTP/1.1\r\nHost: x\r\n\r\n", id, c.token)
	require.NoError(t, c.srv.Close())
	closed(t, bufio.NewReader(conn))
}

func TestBlockedDiffEndsWithTheNextRequest(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	id := c.ok("diff", "last", 0).num("diffid")
	conn := dialRaw(t, c.srv)
	fmt.Fprintf(conn, "GET /diff?block=1&diffid=%d&access_token=%s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", id, c.token)
	// The second request must not arrive together with the first.
	require.Eventually(t, func() bool { return c.srv.Stats().Requests["diff"] == 2 }, 10*time.Second, time.Millisecond)
	fmt.Fprint(conn, "GET /getip?id=next HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
	br := bufio.NewReader(conn)
	for _, want := range []string{`"entries": []`, `"id": "next"`} {
		resp, err := http.ReadResponse(br, nil)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(b), want)
	}
}
