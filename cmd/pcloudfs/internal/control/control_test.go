package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	f.status = cache.Status{Pending: 3, Bytes: 5, LastError: "no route"}
	w.serve(f)
	c := w.connect()
	require.Equal(t, State{Info: w.info(), Queue: f.status}, c.State())
	require.NoError(t, f.Unmount(false))
	st, err := c.Status(t.Context())
	require.NoError(t, err)
	require.True(t, st.Draining)
}

func TestQueueWithRates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	since := time.Unix(5, 0).UTC()
	f.items = []cache.QueueItem{
		{ID: 1, Op: "put", Path: "a/b", Bytes: 1 << 20, State: cache.StateActive, Since: since},
		{ID: 2, Op: "remove", Path: "c", State: cache.StateParked, Reason: "no", Since: since},
	}
	w.serve(f)
	c := w.connect()
	items, err := c.Queue(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, items, 2)
	require.Equal(t, f.items[1], items[1].QueueItem)
	require.Zero(t, items[0].Rate, "not asked for")
	items, err = c.Queue(t.Context(), time.Millisecond)
	require.NoError(t, err)
	require.Positive(t, items[0].Rate)
	require.Zero(t, items[1].Rate)
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	before := []cache.QueueItem{{ID: 1, Sent: 100}, {ID: 2, Sent: 100}, {ID: 3, Sent: 100}, {ID: 4, Sent: 100}}
	after := []cache.QueueItem{
		{ID: 1, Sent: 300, State: cache.StateActive},
		{ID: 2, Sent: 50, State: cache.StateActive},   // began anew
		{ID: 3, Sent: 200, State: cache.StatePending}, // stopped
		{ID: 5, Sent: 500, State: cache.StateActive},  // new
	}
	require.Equal(t, map[uint64]int64{1: 100}, measure(before, after, 2*time.Second))
}

func TestRetryAndDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	w.serve(f)
	c := w.connect()
	require.NoError(t, c.Retry(t.Context()))
	require.NoError(t, c.Retry(t.Context(), 3, 4))
	require.Equal(t, []uint64{3, 4}, f.retried)
	require.NoError(t, c.Drop(t.Context(), 1))
	require.ErrorIs(t, c.Drop(t.Context(), 2), cache.ErrActive)
	require.EqualError(t, c.Drop(t.Context(), 3), "the disk is on fire")
}

func TestSave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	w.serve(f)
	c := w.connect()
	var buf bytes.Buffer
	require.NoError(t, c.Save(t.Context(), 1, &buf))
	require.Equal(t, "some bytes", buf.String())
	require.ErrorIs(t, c.Save(t.Context(), 2, &buf), cache.ErrNoItem)

	f.saveErr = errors.New("read error")
	require.Error(t, c.Save(t.Context(), 1, io.Discard), "half of it is not all of it")
}

func TestFlushWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	f.status = cache.Status{Parked: 1}
	w.serve(f)
	c := w.connect()
	var seen int
	end, err := c.Flush(t.Context(), func(e Event) {
		require.Equal(t, f.status, *e.Queue)
		if seen++; seen == 1 {
			close(f.flushed)
		}
	})
	require.NoError(t, err)
	require.Equal(t, End{Left: Left{Parked: 1}}, end)
	require.Positive(t, seen)
}

func TestCloseEndsAFlush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	s := w.serve(f)
	c := w.connect()
	closed := make(chan struct{})
	end, err := c.Flush(t.Context(), func(Event) {
		go func() {
			defer close(closed)
			s.Close()
		}()
	})
	require.NoError(t, err)
	require.Contains(t, end.Error, "canceled")
	<-closed
}

func TestUnmountWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	s := w.serve(f)
	c := w.connect()
	events := 0
	end, err := c.Unmount(t.Context(), UnmountRequest{Lazy: true}, func(Event) {
		if events++; events == 1 {
			f.end(nil)
		}
	})
	require.NoError(t, err)
	require.Zero(t, end)
	require.True(t, f.lazy)
	s.Close()
	_, err = Connect(t.Context(), mountpoint, w.search)
	require.ErrorIs(t, err, ErrNone)
	_, known := w.search.Remembered(mountpoint)
	require.False(t, known, "nothing is left, so there is nothing to remember")
}

func TestUnmountThatDoesNotWait(t *testing.T) {
	t.Parallel()
	for _, req := range []UnmountRequest{{Now: true}, {Timeout: 0.01}} {
		t.Run(fmt.Sprintf("%+v", req), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.serve(newFake())
			end, err := w.connect().Unmount(t.Context(), req, func(Event) {})
			require.NoError(t, err)
			require.Equal(t, End{Left: Left{Pending: 2, Parked: 1, Bytes: 7, Reason: "full"}}, end)
			require.Equal(t, 3, end.Left.Count())
			s.Close()
			info, known := w.search.Remembered(mountpoint)
			require.True(t, known)
			require.Equal(t, w.info(), info)
			w.search.Forget(info)
			_, known = w.search.Remembered(mountpoint)
			require.False(t, known)
		})
	}
}

func TestBusyMountStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	f.unmount = fmt.Errorf("unmount /mnt/cloud: %w", syscall.EBUSY)
	w.serve(f)
	c := w.connect()
	_, err := c.Unmount(t.Context(), UnmountRequest{Now: true}, func(Event) {})
	require.ErrorIs(t, err, ErrBusy)
	select {
	case <-f.ended:
		t.Fatal("what is still mounted must not be hurried")
	default:
	}
}

func TestClientThatLeavesStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFake()
	w.serve(f)
	c := w.connect()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.Unmount(ctx, UnmountRequest{Timeout: 3600}, func(Event) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	st, err := c.Status(t.Context())
	require.NoError(t, err)
	require.True(t, st.Draining, "the mount goes on")
	select {
	case <-f.ended:
		t.Fatal("nobody asked it to end")
	default:
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(newFake())
	c := w.connect()
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "/v1/retry", `{"ids":["x"]}`},
		{"POST", "/v1/retry", `{"ids":[` + strings.Repeat("1,", maxRequest) + `1]}`},
		{"POST", "/v1/unmount", ``},
		{"GET", "/v1/items/x/content", ""},
		{"DELETE", "/v1/items/-1", ""},
		{"GET", "/v1/unmount", ""},
		{"GET", "/", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://mount"+tt.path, strings.NewReader(tt.body))
		require.NoError(t, err)
		resp, err := c.http.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		require.GreaterOrEqual(t, resp.StatusCode, 400, tt.path)
		require.Less(t, resp.StatusCode, 500, tt.path)
	}
}

func TestEndOf(t *testing.T) {
	t.Parallel()
	left := &cache.LeftError{Pending: 1, Bytes: 2}
	require.Equal(t, &End{}, endOf(nil))
	require.Equal(t, &End{Left: Left{Pending: 1, Bytes: 2}}, endOf(errors.Join(nil, left)))
	require.Equal(t, &End{Error: "odd"}, endOf(errors.New("odd")))
	both := endOf(errors.Join(errors.New("odd"), left))
	require.Equal(t, 1, both.Left.Pending)
	require.Contains(t, both.Error, "odd")
}
