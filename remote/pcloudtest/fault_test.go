package pcloudtest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func (c *client) faults(rules ...pcloudtest.Rule) {
	c.Helper()
	require.NoError(c, c.srv.SetFaults(rules))
}

// broken makes a request that gets no answer. Bodies keep the HTTP client
// from trying again by itself.
func (c *client) broken(method string, kv ...any) {
	c.Helper()
	r := c.request("POST", c.url(method, kv...), strings.NewReader("body"))
	resp, err := c.http.Do(r)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	require.Error(c, err)
}

func TestFaultsThatAnswer(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	c.faults(
		pcloudtest.Rule{Method: "createfolder", Do: pcloudtest.FaultAPI, Code: 4000, Count: 1},
		pcloudtest.Rule{Method: "createfolder", Do: pcloudtest.FaultHTTP, Code: 503, Count: 1, Skip: 0},
	)
	c.fails(4000, "createfolder", "folderid", 0, "name", "a")
	resp, body := c.do(c.request("GET", c.url("createfolder", "folderid", 0, "name", "a"), nil))
	require.Equal(t, 503, resp.StatusCode)
	require.Contains(t, string(body), "<html>")
	c.ok("createfolder", "folderid", 0, "name", "a")

	require.Error(t, c.srv.SetFaults([]pcloudtest.Rule{{Do: "nonsense"}}))
}

func TestFaultsThatBreakTheConnection(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	c.faults(pcloudtest.Rule{Method: "createfolder", Do: pcloudtest.FaultResetBefore})
	c.broken("createfolder", "folderid", 0, "name", "before")
	c.faults(pcloudtest.Rule{Method: "createfolder", Do: pcloudtest.FaultResetAfter})
	c.broken("createfolder", "folderid", 0, "name", "after")
	c.faults(pcloudtest.Rule{Method: "createfolder", Do: pcloudtest.FaultTruncate})
	c.broken("createfolder", "folderid", 0, "name", "truncated")
	c.faults()
	require.ElementsMatch(t, []string{"after", "truncated"}, c.ok("listfolder", "folderid", 0).names())
}

func TestFaultWithinTheBody(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	send := func(method string, kv ...any) {
		body := io.LimitReader(zeros{}, 1<<20)
		r := c.request("PUT", c.url(method, kv...), body)
		r.ContentLength = 1 << 20
		_, err := c.http.Do(r)
		require.Error(t, err)
	}
	c.faults(pcloudtest.Rule{Do: pcloudtest.FaultResetWithin, Method: "uploadfile", After: 100000},
		pcloudtest.Rule{Do: pcloudtest.FaultResetWithin, Method: "upload_write", After: 200000})
	send("uploadfile", "filename", "whole", "nopartial", 1)
	send("uploadfile", "filename", "part")
	id := c.ok("upload_create").num("uploadid")
	send("upload_write", "uploadid", id, "uploadoffset", 0)
	c.faults()
	c.fails(2055, "stat", "path", "/whole")
	require.Equal(t, uint64(100000), c.ok("stat", "path", "/part").meta().num("size"))
	require.Equal(t, uint64(200000), c.ok("upload_info", "uploadid", id).num("size"))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestFaultsOfReplies(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	c.faults(pcloudtest.Rule{Do: pcloudtest.FaultWrongDigest})
	v := c.put(0, "f", "hello")
	require.NotEqual(t, hexSHA1("hello"), v.list("checksums")[0]["sha1"])
	require.NotEqual(t, hexSHA1("hello"), c.ok("checksumfile", "path", "/f")["sha1"])
	c.faults()
	require.Equal(t, hexSHA1("hello"), c.ok("checksumfile", "path", "/f")["sha1"], "only the reply was wrong")
}

func TestFaultsOfLinks(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	data := strings.Repeat("0123456789", 1000)
	id := c.put(0, "f", data).file().num("fileid")

	c.faults(pcloudtest.Rule{Method: "getfilelink", Do: pcloudtest.FaultExpiredLink})
	expired := c.link(id)
	c.faults()
	resp, _ := c.get(expired)
	require.Equal(t, 410, resp.StatusCode)

	u := c.link(id)
	c.faults(pcloudtest.Rule{Method: pcloudtest.ContentMethod, Do: pcloudtest.FaultExpiredLink, Count: 1})
	resp, _ = c.get(u)
	require.Equal(t, 410, resp.StatusCode)
	c.faults(pcloudtest.Rule{Method: pcloudtest.ContentMethod, Do: pcloudtest.FaultHTTP, Code: 502, Count: 1},
		pcloudtest.Rule{Method: pcloudtest.ContentMethod, Do: pcloudtest.FaultTruncate, Count: 1, After: 77})
	resp, _ = c.get(u)
	require.Equal(t, 502, resp.StatusCode)
	resp, err := c.http.Do(c.request("GET", u, nil))
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	require.Error(t, err)
	require.Equal(t, data[:77], string(b))
	_, body := c.get(u)
	require.Equal(t, data, body)
}

func TestFaultsOfState(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	id := c.ok("upload_create").num("uploadid")
	c.faults(pcloudtest.Rule{Method: "upload_write", Do: pcloudtest.FaultLoseSession, Count: 1})
	require.Equal(t, uint64(2067), c.write(id, 0, "x").num("result"))

	cursor := c.ok("diff", "last", 0)["diffid"]
	c.ok("createfolder", "folderid", 0, "name", "d")
	c.faults(pcloudtest.Rule{Method: "diff", Do: pcloudtest.FaultResetDiff, Count: 1})
	v := c.ok("diff", "diffid", cursor)
	require.Contains(t, v.events(), "reset")
	require.NotContains(t, c.ok("diff", "diffid", v["diffid"]).events(), "reset")
}

func TestStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newServer(t, pcloudtest.Options{InProcess: true})
		c.faults(pcloudtest.Rule{Method: "stat", Do: pcloudtest.FaultStall, Delay: 10 * time.Second, Count: 1},
			pcloudtest.Rule{Method: "stat", Do: pcloudtest.FaultStall})
		began := time.Now()
		c.ok("stat", "path", "/")
		require.Equal(t, 10*time.Second, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := c.http.Do(c.request("GET", c.url("stat", "path", "/"), nil).WithContext(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestDelayedVisibility(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newServer(t, pcloudtest.Options{InProcess: true})
		c.faults(pcloudtest.Rule{Method: "uploadfile", Do: pcloudtest.FaultDelayVisibility, Delay: time.Minute, Count: 1})
		c.put(0, "late", "x")
		require.Empty(t, c.ok("listfolder", "folderid", 0).names())
		time.Sleep(61 * time.Second)
		require.Equal(t, []string{"late"}, c.ok("listfolder", "folderid", 0).names())

		c.faults(pcloudtest.Rule{Method: "createfolder", Do: pcloudtest.FaultDelayVisibility, Delay: time.Minute, Count: 1})
		c.fails(2002, "createfolder", "folderid", 77, "name", "x")
		c.ok("createfolder", "folderid", 0, "name", "prompt")
		require.Len(t, c.ok("listfolder", "folderid", 0).names(), 2, "a call without effect delays no other")
	})
}

func TestRoundTripTimeInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newServer(t, pcloudtest.Options{InProcess: true, Shape: pcloudtest.Shape{RTT: 200 * time.Millisecond, ConnUp: 1 << 20}})
		began := time.Now()
		c.ok("getip")
		require.InDelta(t, 400, time.Since(began).Milliseconds(), 10, "handshake and request")
		began = time.Now()
		c.ok("getip")
		require.InDelta(t, 200, time.Since(began).Milliseconds(), 10, "the connection was kept")
		began = time.Now()
		data := bytes.Repeat([]byte("x"), 4<<20)
		c.api(c.request("PUT", c.url("uploadfile", "filename", "f"), bytes.NewReader(data))).mustBeOK(t)
		require.InDelta(t, 4.2, time.Since(began).Seconds(), 0.5)
		require.NoError(t, c.srv.SetShape(pcloudtest.Shape{}))
		began = time.Now()
		_, body := c.get(c.link(c.ok("stat", "path", "/f").meta().num("fileid")))
		require.Len(t, body, len(data))
		require.Less(t, time.Since(began), 100*time.Millisecond)
	})
}

func TestHandlersThatPanicAreSeen(t *testing.T) {
	t.Parallel()
	tb := &recorder{TB: t}
	srv := pcloudtest.New(tb, pcloudtest.Options{})
	pcloudtest.AddPanickingMethod(srv, "bug")
	tr := srv.Transport()
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get("https://" + srv.APIAddr() + "/bug")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 500, resp.StatusCode)
	require.Equal(t, int64(1), srv.Panics())
	for _, f := range tb.cleanups {
		f()
	}
	require.True(t, tb.failed)
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	cleanups []func()
	failed   bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true }
