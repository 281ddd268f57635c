//go:build linux

package integration

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pcloudfs/pcloudfs/remote"
)

// hash64 names the content of a file as pCloud's hash of it does, which the
// server makes of the SHA-1. 0 stands for no file.
type hash64 uint64

// hash64Of returns the hash of a content from its SHA-1.
func hash64Of(sha1 []byte) hash64 { return hash64(max(binary.BigEndian.Uint64(sha1), 1)) }

// watcher is a second client that notes every version that any file has, from
// the change feed. pCloud's hash of a version is made of its SHA-1.
type watcher struct {
	client *remote.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	seen   map[hash64]string // the name that showed it first
	events int
	err    error
}

// watch begins to follow the server.
func watch(tb testing.TB, e *emulator) *watcher {
	tb.Helper()
	pem, err := os.ReadFile(e.CA)
	require.NoError(tb, err)
	pool := x509.NewCertPool()
	require.True(tb, pool.AppendCertsFromPEM(pem))
	client, err := remote.New(remote.Options{
		Host: e.API, RootCAs: pool, UserAgent: "watcher",
		TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: e.AppToken}),
	})
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(tb.Context())
	since, err := client.LastDiff(ctx)
	require.NoError(tb, err)
	w := &watcher{client: client, cancel: cancel, done: make(chan struct{}), seen: map[hash64]string{}}
	go func() { defer close(w.done); w.follow(ctx, since) }()
	tb.Cleanup(func() {
		cancel()
		<-w.done
		client.Close()
	})
	return w
}

func (w *watcher) follow(ctx context.Context, since remote.DiffID) {
	for {
		ch, err := w.client.WaitDiff(ctx, since, 0)
		if ctx.Err() != nil {
			// What is left is read at once.
			w.drain(context.WithoutCancel(ctx), since)
			return
		}
		if err != nil || !w.note(since, ch) {
			w.fail(since, ch, err)
			return
		}
		since = ch.DiffID
	}
}

func (w *watcher) drain(ctx context.Context, since remote.DiffID) {
	for {
		ch, err := w.client.Diff(ctx, since, 0)
		if err != nil || !w.note(since, ch) {
			w.fail(since, ch, err)
			return
		}
		if len(ch.Entries) == 0 {
			return
		}
		since = ch.DiffID
	}
}

func (w *watcher) fail(since remote.DiffID, ch remote.Changes, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = fmt.Errorf("watch the server from %d, now %d: %w", since, ch.DiffID, err)
}

// note takes events; it is false if the feed has no past any more.
func (w *watcher) note(since remote.DiffID, ch remote.Changes) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range ch.Entries {
		w.events++
		if c.Entry.FileID == 0 || c.Entry.Deleted {
			continue
		}
		v := hash64(c.Entry.Hash)
		if _, ok := w.seen[v]; !ok {
			w.seen[v] = fmt.Sprintf("%s %q, %d bytes, event %d", c.Event, c.Entry.Name, c.Entry.Size, c.DiffID)
		}
	}
	return ch.DiffID >= since
}

// stop ends the watching and returns every version that was ever there.
func (w *watcher) stop(tb testing.TB) map[hash64]string {
	tb.Helper()
	w.cancel()
	<-w.done
	require.NoError(tb, w.err)
	return w.seen
}
