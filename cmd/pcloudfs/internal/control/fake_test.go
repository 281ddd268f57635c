package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
)

// fakeMount is a mount with a queue that moves only when a test says so.
type fakeMount struct {
	mu       sync.Mutex
	items    []cache.QueueItem
	status   cache.Status
	retried  []uint64
	saveErr  error         // after the bytes
	unmount  error         // what Unmount returns
	lazy     bool          // what it was asked for last
	flushed  chan struct{} // closed to let Flush return
	hurry    chan struct{}
	ended    chan struct{}
	result   error
	draining bool
}

func newFake() *fakeMount {
	return &fakeMount{flushed: make(chan struct{}), hurry: make(chan struct{}), ended: make(chan struct{})}
}

func (f *fakeMount) Queue() []cache.QueueItem {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.items {
		if f.items[i].State == cache.StateActive {
			f.items[i].Sent += 1000 // something moves between two looks
		}
	}
	return append([]cache.QueueItem(nil), f.items...)
}

func (f *fakeMount) Status() cache.Status { return f.status }

func (f *fakeMount) Flush(ctx context.Context) error {
	select {
	case <-f.flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeMount) Retry(ids ...uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retried = append(f.retried, ids...)
	return nil
}

func (f *fakeMount) Save(id uint64, w io.Writer) error {
	if id != 1 {
		return fmt.Errorf("%w with bytes", cache.ErrNoItem)
	}
	if _, err := io.WriteString(w, "some bytes"); err != nil {
		return err
	}
	return f.saveErr
}

func (f *fakeMount) Drop(id uint64) error {
	switch id {
	case 1:
		return nil
	case 2:
		return cache.ErrActive
	}
	return errors.New("the disk is on fire")
}

func (f *fakeMount) Unmount(lazy bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lazy = lazy
	if f.unmount == nil {
		f.draining = true
	}
	return f.unmount
}

func (f *fakeMount) Draining() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.draining
}

func (f *fakeMount) Hurry() {
	f.end(&cache.LeftError{Pending: 2, Parked: 1, Bytes: 7, Reason: "full"})
}

func (f *fakeMount) end(result error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.ended:
	default:
		f.result = result
		close(f.ended)
	}
}

func (f *fakeMount) Ended() <-chan struct{} { return f.ended }
func (f *fakeMount) Result() error          { return f.result }

// world is a runtime directory with mounts.
type world struct {
	*testing.T
	dir    string
	search Search
}

func newWorld(t *testing.T) *world {
	dir := filepath.Join(t.TempDir(), "run")
	getenv := func(key string) string {
		if key == EnvDir {
			return dir
		}
		return ""
	}
	require.Equal(t, dir, Dir(getenv, 1))
	return &world{t, dir, NewSearch(getenv, os.Getuid(), os.Getuid())}
}

const mountpoint = "/mnt/cloud"

func (w *world) info() Info {
	return Info{Mountpoint: mountpoint, Source: "pcloud://api.pcloud.com/x", CacheDir: w.dir, PID: os.Getpid()}
}

func (w *world) serve(f *fakeMount) *Server {
	w.Helper()
	s, err := Serve(w.dir, w.info(), f, slog.New(slog.DiscardHandler))
	require.NoError(w, err)
	w.Cleanup(func() {
		f.end(nil)
		s.Close()
	})
	return s
}

func (w *world) connect() *Client {
	w.Helper()
	c, err := Connect(w.Context(), mountpoint, w.search)
	require.NoError(w, err)
	w.Cleanup(c.Close)
	return c
}
