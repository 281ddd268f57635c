package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// These tests use sockets: they are about what net/http makes of requests.

func TestOverTheWire(t *testing.T) {
	var mu sync.Mutex
	var got []seen
	var protos, conns []string
	c, _ := newServer(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		s := see(r)
		mu.Lock()
		got, protos, conns = append(got, s), append(protos, r.Proto), append(conns, r.RemoteAddr)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/uploadfile":
			fmt.Fprint(w, uploadedHello)
		case "/getfilelink":
			fmt.Fprint(w, linkReply(r.Host))
		case "/dpZk3/nötes x.txt":
			http.ServeContent(w, r, "x", time.Time{}, strings.NewReader("hello"))
		default:
			fmt.Fprint(w, `{"result":0,"metadata":`+notesJSON+`,"quota":1}`)
		}
	})
	_, err := c.UserInfo(t.Context())
	require.NoError(t, err)
	_, err = c.RenameFile(t.Context(), 555, 1, "a b+c&d=é")
	require.NoError(t, err)
	_, err = upload(t.Context(), c, Condition{})
	require.NoError(t, err)
	p := make([]byte, 3)
	_, err = c.ReadAt(t.Context(), 1, 7, 5, p, 1)
	require.NoError(t, err)
	require.Equal(t, "ell", string(p))

	mu.Lock()
	defer mu.Unlock()
	for i, r := range got {
		require.Equal(t, "HTTP/1.1", protos[i])
		require.Equal(t, "keep-alive", r.Header.Get("Connection"))
		require.False(t, r.Chunked)
		require.Equal(t, int64(len(r.Body)), r.Length)
		for _, h := range []string{"Referer", "Origin", "Cookie", "Expect"} {
			require.Empty(t, r.Header.Get(h))
		}
		require.NotContains(t, r.Query.Encode(), testToken)
	}
	require.Equal(t, "0", got[1].Header.Get("Content-Length"), "a POST without body says so")
	require.Equal(t, "a b+c&d=é", got[1].Query.Get("toname"))
	require.Equal(t, "hello", got[2].Body)
	require.Equal(t, "Bearer "+testToken, got[3].Header.Get("Authorization"))
	require.Empty(t, got[4].Header.Get("Authorization"))
	require.Equal(t, conns[0], conns[3], "connections are used again")
	require.NotEqual(t, conns[0], conns[4], "content has its own")
}

func TestCertificatesAreVerified(t *testing.T) {
	requests := 0
	_, srv := newServer(t, Options{}, func(http.ResponseWriter, *http.Request) { requests++ })
	c, err := New(Options{BackoffMin: time.Hour, BackoffMax: time.Hour, Host: srv.Listener.Addr().String(), TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: testToken})})
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = c.UserInfo(ctx)
	require.ErrorContains(t, err, "certificate")
	require.NotErrorIs(t, err, context.DeadlineExceeded, "trying again does not help")
	require.Zero(t, requests)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	c, _ := newServer(t, Options{Attempts: 1}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/getfilelink" {
			fmt.Fprint(w, linkReply(r.Host))
			return
		}
		http.Redirect(w, r, other.URL+"/userinfo", http.StatusFound)
	})
	_, err := c.UserInfo(t.Context())
	require.Equal(t, http.StatusFound, failure(t, err).Status)
	_, err = c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0)
	require.Equal(t, http.StatusFound, failure(t, err).Status)
	require.False(t, followed)
}

func TestCompressedRepliesAreBounded(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := io.CopyN(z, letters{}, 64<<20)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	c, _ := newServer(t, Options{Attempts: 1}, func(w http.ResponseWriter, r *http.Request) {
		body := bomb.Bytes()
		if r.URL.Path == "/stat" {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			fmt.Fprint(z, `{"result":0,"metadata":`+notesJSON+`}`)
			z.Close()
			body = b.Bytes()
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(body)
	})
	_, err = c.Stat(t.Context(), 555)
	require.NoError(t, err)
	_, err = c.UserInfo(t.Context())
	require.ErrorIs(t, err, ErrProtocol)
	_, err = c.List(t.Context(), 0)
	require.ErrorIs(t, err, ErrProtocol)
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestReplyCutOffOnTheWire(t *testing.T) {
	n := 0
	c, _ := newServer(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		body := `{"result":0,"metadata":` + notesJSON + `}`
		if n++; n == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			body = body[:50]
		}
		fmt.Fprint(w, body)
	})
	e, err := c.Stat(t.Context(), 555)
	require.NoError(t, err)
	require.Equal(t, notes, e)
	require.Equal(t, 2, n)
}

// A connection that dies while it is used for a call that must not be doubled.
func TestTransportDoesNotRepeatBehindTheBack(t *testing.T) {
	var mu sync.Mutex
	n := map[string]int{}
	c, _ := newServer(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n[r.URL.Path]++
		mu.Unlock()
		if r.URL.Path == "/createfolder" {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
			return
		}
		fmt.Fprint(w, `{"result":0,"quota":1}`)
	})
	_, err := c.UserInfo(t.Context()) // so that there is a used connection
	require.NoError(t, err)
	_, err = c.CreateFolder(t.Context(), 0, "x")
	require.True(t, failure(t, err).Uncertain())
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, n["/createfolder"])
}

func TestConnectionsAreBounded(t *testing.T) {
	var mu sync.Mutex
	busy, most := 0, 0
	release := make(chan struct{})
	entered := make(chan struct{}, 100)
	c, _ := newServer(t, Options{MaxConns: 3}, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		busy++
		most = max(most, busy)
		mu.Unlock()
		entered <- struct{}{}
		<-release
		mu.Lock()
		busy--
		mu.Unlock()
		fmt.Fprint(w, `{"result":0,"quota":1,"diffid":1}`)
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.UserInfo(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	for range 3 {
		<-entered
	}
	wg.Go(func() {
		if _, err := c.WaitDiff(t.Context(), 1, 1); err != nil {
			t.Error(err)
		}
	})
	<-entered // the diff has a connection of its own
	close(release)
	wg.Wait()
	require.LessOrEqual(t, most, 4)
}

func TestUnreachableServerHasNoEffect(t *testing.T) {
	c, srv := newServer(t, Options{Attempts: 2, BackoffMin: time.Millisecond}, func(http.ResponseWriter, *http.Request) {})
	srv.Close()
	_, err := c.CreateFolder(t.Context(), 0, "x")
	e := failure(t, err)
	require.True(t, e.Temporary())
	require.False(t, e.Uncertain(), "no connection, no folder")
}

func TestCancelledUploadLeavesTheSourceAlone(t *testing.T) {
	started := make(chan struct{})
	release := make(chan struct{})
	c, _ := newServer(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 1000))
		close(started)
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	src := &guarded{}
	_, _, err := c.UploadFile(ctx, UploadTarget{Name: "x"}, src, 1<<30)
	src.mu.Lock()
	src.over = true
	src.mu.Unlock()
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, failure(t, err).Uncertain())
	c.Close()
	require.False(t, src.late)
}

// guarded notices reads after it is over.
type guarded struct {
	mu         sync.Mutex
	over, late bool
}

func (g *guarded) ReadAt(p []byte, _ int64) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late = g.late || g.over
	return len(p), nil
}
