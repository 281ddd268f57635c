package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pcloudfs/pcloudfs/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const kib = 1 << 10

// byteAt is the content of every file, each different.
func byteAt(k Key, off int64) byte {
	x := uint64(off)*0x9E3779B97F4A7C15 + uint64(k.File)*31 + uint64(k.Hash)*17
	return byte(x >> 29)
}

// server is a Fetcher that makes up its files.
type server struct {
	latency time.Duration
	rate    int64 // bytes per second of one request; 0: unlimited

	// fail, if set, decides what becomes of a request: nil, an error, or
	// errShort for too few bytes.
	fail func(off int64, n int) error

	// slow, if set, gives the latency of the n-th request instead.
	slow func(n int) time.Duration

	// hook, if set, runs at the beginning of each request.
	hook func()

	mu        sync.Mutex
	requests  []fetched
	inFlight  int
	most      int   // requests in flight at once
	bytes     int64 // being fetched
	cancelled int
}

type fetched struct {
	off int64
	n   int
}

var errShort = errors.New("short")

func (s *server) ReadAt(ctx context.Context, id remote.FileID, h remote.Hash, size int64, p []byte, off int64) (int, error) {
	if s.hook != nil {
		s.hook()
	}
	s.mu.Lock()
	s.requests = append(s.requests, fetched{off, len(p)})
	s.inFlight++
	s.bytes += int64(len(p))
	s.most = max(s.most, s.inFlight)
	d := s.latency
	if s.slow != nil {
		d = s.slow(len(s.requests))
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inFlight--
		s.bytes -= int64(len(p))
		if ctx.Err() != nil {
			s.cancelled++
		}
	}()
	if s.rate > 0 {
		d += time.Duration(int64(len(p)) * int64(time.Second) / s.rate)
	}
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if off < 0 || off+int64(len(p)) > size {
		return 0, fmt.Errorf("asked for %d bytes at %d of %d", len(p), off, size)
	}
	if s.fail != nil {
		err := s.fail(off, len(p))
		if err == errShort {
			return len(p) - 1, nil
		}
		if err != nil {
			return 0, err
		}
	}
	for i := range p {
		p[i] = byteAt(Key{id, h}, off+int64(i))
	}
	if off+int64(len(p)) == size && off%2 == 0 {
		return len(p), io.EOF // both are allowed
	}
	return len(p), nil
}

func (s *server) setLatency(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// newStore returns a store that is closed before the test ends.
func newStore(t *testing.T, o Options) *Store {
	s := New(o)
	t.Cleanup(s.Close)
	return s
}

// read reads and compares; it returns the error of the read.
func read(ctx context.Context, s *Store, k Key, size, off int64, n int, ra *Readahead) error {
	p := make([]byte, n)
	m, err := s.ReadAt(ctx, k, size, p, off, ra)
	if err != nil {
		return err
	}
	if want := max(0, min(int64(n), size-off)); int64(m) != want {
		return fmt.Errorf("wrong: %d bytes at %d of %d, want %d", m, off, size, want)
	}
	for i, b := range p[:m] {
		if b != byteAt(k, off+int64(i)) {
			return fmt.Errorf("wrong: byte at %d of %v", off+int64(i), k)
		}
	}
	return nil
}

func TestEdges(t *testing.T) {
	t.Parallel()
	f := &server{}
	s := newStore(t, Options{Fetch: f})
	k := Key{1, 2}
	for _, c := range []struct {
		size, off int64
		n         int
	}{{0, 0, 10}, {10, 10, 1}, {10, 100, 1}, {10, 0, 0}} {
		require.NoError(t, read(t.Context(), s, k, c.size, c.off, c.n, nil))
	}
	require.Zero(t, f.count(), "nothing to read, nothing to fetch")
	for _, c := range []struct {
		size, off int64
		n         int
	}{{1, 0, 1}, {10, 9, 10}, {64 * kib, 0, 64 * kib}, {64*kib + 1, 64 * kib, 5}, {200 * kib, 63 * kib, 70 * kib}} {
		require.NoError(t, read(t.Context(), s, k, c.size, c.off, c.n, nil), "%+v", c)
	}
	_, err := s.ReadAt(t.Context(), k, 10, make([]byte, 1), -1, nil)
	require.Error(t, err)
}

func TestRandomReadsFetchTheirBlocksOnly(t *testing.T) {
	t.Parallel()
	f := &server{}
	s := newStore(t, Options{Fetch: f, BlockSize: 64 * kib})
	var ra Readahead
	defer ra.Stop()
	const size = 1 << 30
	for i, off := range []int64{500 << 20, 10 << 20, 900 << 20, 300 << 20} {
		require.NoError(t, read(t.Context(), s, Key{1, 1}, size, off, 64*kib, &ra))
		n := 64 * kib
		if i == 0 {
			n = firstFetch // it may be the beginning of something
		}
		require.Equal(t, fetched{off, n}, f.requests[i])
	}
	require.NoError(t, read(t.Context(), s, Key{1, 1}, size, 10<<20, 64*kib, &ra))
	require.Len(t, f.requests, 4, "it was there")
}

func TestOneFetchForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Second}
		s := newStore(t, Options{Fetch: f})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := read(t.Context(), s, Key{1, 1}, 1<<20, 70_000, 100, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, f.count())
		require.EqualValues(t, 49, s.Stats().Shared)
		require.NoError(t, read(t.Context(), s, Key{1, 2}, 1<<20, 70_000, 100, nil))
		require.Equal(t, 2, f.count(), "another version is another file")
	})
}

func TestCancelledReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Hour}
		s := newStore(t, Options{Fetch: f})
		k := Key{1, 1}
		wait := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() { done <- read(ctx, s, k, 1<<20, 0, 10, nil) }()
			synctest.Wait()
			return done
		}
		ctx1, cancel1 := context.WithCancel(t.Context())
		ctx2, cancel2 := context.WithCancel(t.Context())
		one, two := wait(ctx1), wait(ctx2)
		start := time.Now()
		cancel1()
		require.ErrorIs(t, <-one, context.Canceled)
		require.Zero(t, time.Since(start), "gone at once")
		synctest.Wait()
		require.Zero(t, f.cancelled, "somebody still waits for it")
		cancel2()
		require.ErrorIs(t, <-two, context.Canceled)
		synctest.Wait()
		require.Equal(t, 1, f.cancelled, "nobody waits any more")
		require.Zero(t, s.Stats().Bytes)

		f.setLatency(0)
		require.NoError(t, read(t.Context(), s, k, 1<<20, 0, 10, nil), "and nothing is left of it")
	})
}

func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("connection reset")
		for name, c := range map[string]struct{ give, want error }{
			"error": {broken, broken},
			"short": {errShort, io.ErrUnexpectedEOF},
		} {
			fail := true
			f := &server{fail: func(int64, int) error {
				if fail {
					return c.give
				}
				return nil
			}}
			s := New(Options{Fetch: f})
			require.ErrorIs(t, read(t.Context(), s, Key{1, 1}, 1<<20, 0, 10, nil), c.want, name)
			require.Zero(t, s.Stats().Bytes, name)
			fail = false
			require.NoError(t, read(t.Context(), s, Key{1, 1}, 1<<20, 0, 10, nil), name)
			s.Close()
		}
	})
}

func TestForgetDuringARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Second}
		s := newStore(t, Options{Fetch: f})
		done := make(chan error)
		go func() { done <- read(t.Context(), s, Key{1, 1}, 1<<20, 0, 10, nil) }()
		synctest.Wait()
		s.Forget(Key{1, 1})
		require.NoError(t, <-done)
		require.Zero(t, s.Stats().Bytes)
		require.NoError(t, read(t.Context(), s, Key{1, 1}, 1<<20, 0, 10, nil))
		require.Equal(t, 2, f.count())
	})
}

func TestAnotherSizeIsAnotherFile(t *testing.T) {
	t.Parallel()
	f := &server{}
	s := newStore(t, Options{Fetch: f})
	require.NoError(t, read(t.Context(), s, Key{1, 1}, 100, 0, 200, nil))
	require.NoError(t, read(t.Context(), s, Key{1, 1}, 150, 0, 200, nil))
	require.EqualValues(t, 150, s.Stats().Bytes)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Hour}
		s := New(Options{Fetch: f})
		done := make(chan error)
		go func() { done <- read(t.Context(), s, Key{1, 1}, 1<<20, 0, 10, nil) }()
		synctest.Wait()
		s.Close()
		require.ErrorIs(t, <-done, ErrClosed)
		require.ErrorIs(t, read(t.Context(), s, Key{1, 1}, 1<<20, 0, 10, nil), ErrClosed)
		require.Zero(t, s.Stats().Bytes)
		s.Close()
	})
}

// TestWaitForMemoryEnds: memory that is in use only by requests becomes free
// for others when these have succeeded.
func TestWaitForMemoryEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Second}
		s := newStore(t, Options{Fetch: f, MaxBytes: 1, BlockSize: 4 * kib})
		done := make(chan error)
		for i := range 17 {
			go func() { done <- read(t.Context(), s, Key{remote.FileID(i), 1}, 4*kib, 0, 4*kib, nil) }()
		}
		synctest.Wait()
		require.Equal(t, 16, f.count(), "one has to wait")
		for range 17 {
			require.NoError(t, <-done)
		}
	})
}

// TestLittleMemory lets more readers wait for blocks than there is room for.
func TestLittleMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: 10 * time.Millisecond}
		s := newStore(t, Options{Fetch: f, MaxBytes: 1, BlockSize: 4 * kib}) // sixteen blocks
		f.hook = func() {
			if b := s.Stats().Bytes; b > 64*kib {
				t.Errorf("%d bytes held", b)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if err := read(ctx, s, Key{remote.FileID(i), 1}, 1<<20, int64(i)*kib, 60*kib, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		f.setLatency(time.Hour)
		for i := range 100 { // all the room is taken, and many wait for some
			wg.Go(func() { _ = read(ctx, s, Key{remote.FileID(i), 2}, 1<<20, 0, 60*kib, nil) })
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		synctest.Wait()
		require.Zero(t, f.inFlight)
	})
}
