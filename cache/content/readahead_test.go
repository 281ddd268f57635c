package content

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// TestHeadProbe: a look at the beginning of a file costs no more than twice
// what was looked at, and one small request.
func TestHeadProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Millisecond}
		s := newStore(t, Options{Fetch: f})
		for _, n := range []int{1, 4 * kib, 128 * kib, 1 << 20} {
			var ra Readahead
			k := Key{remote.FileID(n), 1}
			before := s.Stats().Fetched
			for off := 0; off < n; off += 64 * kib {
				require.NoError(t, read(t.Context(), s, k, 1<<30, int64(off), min(n, 64*kib), &ra))
			}
			ra.Stop()
			require.LessOrEqual(t, s.Stats().Fetched-before, int64(max(2*n, 0)+firstFetch), "after reading %d bytes", n)
		}
	})
}

// TestSequentialFillsTheLink reads a file at 50 ms and 20 Mbit/s per connection:
// five connections have to be busy all the time.
func TestSequentialFillsTheLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: 50 * time.Millisecond, rate: 2_500_000}
		s := newStore(t, Options{Fetch: f})
		const size = 64 << 20
		var ra Readahead
		defer ra.Stop()
		start := time.Now()
		for off := int64(0); off < size; off += 128 * kib {
			require.NoError(t, read(t.Context(), s, Key{1, 1}, size, off, 128*kib, &ra))
		}
		took := time.Since(start).Seconds()
		require.Less(t, took, float64(size)/(5*2_500_000)/0.9)
		require.EqualValues(t, size, s.Stats().Fetched, "everything once")
		require.LessOrEqual(t, f.most, s.o.Prefetches+1)
	})
}

// TestReadsOutOfOrder: the kernel sends the reads of one sequential reader from
// several threads.
func TestReadsOutOfOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: 50 * time.Millisecond, rate: 2_500_000}
		s := newStore(t, Options{Fetch: f})
		const size, step = 32 << 20, 128 * kib
		rnd := rand.New(rand.NewPCG(1, 1))
		var ra Readahead
		defer ra.Stop()
		for off := int64(0); off < size; off += 4 * step {
			var wg sync.WaitGroup
			for _, i := range rnd.Perm(4) {
				wg.Go(func() {
					if err := read(t.Context(), s, Key{1, 1}, size, off+int64(i)*step, step, &ra); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		require.EqualValues(t, size, s.Stats().Fetched, "everything once")
		require.Greater(t, f.most, 3, "it was taken for sequential")
	})
}

// TestPrefetchErrorsAreSilent: what nobody has asked for does not fail anybody.
func TestPrefetchErrorsAreSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Millisecond}
		f.fail = func(off int64, n int) error {
			if off+int64(n) > 4<<20 {
				return errors.New("no")
			}
			return nil
		}
		s := newStore(t, Options{Fetch: f})
		var ra Readahead
		defer ra.Stop()
		for off := int64(0); off < 3<<20; off += 128 * kib {
			require.NoError(t, read(t.Context(), s, Key{1, 1}, 64<<20, off, 128*kib, &ra))
			time.Sleep(time.Second) // all of the read-ahead ends
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		require.Less(t, ra.run, int64(3<<20), "it began anew after the failure")
	})
}

// sequential makes a reader that has a window, with fetches that never end.
func sequential(t *testing.T, s *Store, f *server) *Readahead {
	t.Helper()
	ra := new(Readahead)
	for off := int64(0); off < 4<<20; off += 128 * kib {
		require.NoError(t, read(t.Context(), s, Key{1, 1}, 1<<30, off, 128*kib, ra))
	}
	f.setLatency(time.Hour)
	time.Sleep(time.Second)
	for off := int64(4 << 20); ; off += 128 * kib {
		s.mu.Lock()
		there := s.files[Key{1, 1}].blocks[off/s.o.BlockSize]
		s.mu.Unlock()
		if there == nil || !there.finished {
			break
		}
		require.NoError(t, read(t.Context(), s, Key{1, 1}, 1<<30, off, 128*kib, ra))
	}
	synctest.Wait()
	require.Positive(t, f.inFlight, "there is read-ahead")
	return ra
}

func TestStopEndsReadahead(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stop", "jump", "forget", "close"} {
		synctest.Test(t, func(t *testing.T) {
			f := &server{latency: time.Millisecond}
			s := New(Options{Fetch: f})
			ra := sequential(t, s, f)
			defer s.Close()
			switch how {
			case "stop":
				ra.Stop()
			case "jump":
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				require.Error(t, read(ctx, s, Key{1, 1}, 1<<30, 900<<20, 10, ra))
			case "forget":
				s.Forget(Key{1, 1})
			case "close":
				s.Close()
			}
			synctest.Wait()
			require.Zero(t, f.inFlight, how)
			require.Zero(t, s.prefetch, how)
			ra.Stop()
			require.Zero(t, s.streams, how)
			if how == "close" || how == "forget" {
				require.Zero(t, s.Stats().Bytes, how)
			}
		})
	}
}

// TestReaderOutlivesStop: what a reader waits for is not cancelled because it
// was begun as read-ahead of somebody who left.
func TestReaderOutlivesStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Millisecond}
		s := newStore(t, Options{Fetch: f})
		ra := sequential(t, s, f)
		var off int64
		s.mu.Lock()
		for e := range ra.ahead {
			off = e.off
		}
		s.mu.Unlock()
		done := make(chan error)
		go func() { done <- read(t.Context(), s, Key{1, 1}, 1<<30, off, 10, nil) }()
		synctest.Wait()
		ra.Stop()
		require.NoError(t, <-done)
	})
}

// TestStreamsShareMemory: many slow sequential readers of a fast server must
// not evict what was fetched for each other before it is read.
func TestStreamsShareMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{latency: time.Millisecond}
		s := newStore(t, Options{Fetch: f, MaxBytes: 2 << 20, BlockSize: 16 * kib})
		const size, readers = 1 << 20, 8
		var wg sync.WaitGroup
		for i := range readers {
			wg.Go(func() {
				var ra Readahead
				defer ra.Stop()
				for off := int64(0); off < size; off += 32 * kib {
					if err := read(t.Context(), s, Key{remote.FileID(i), 1}, size, off, 32*kib, &ra); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, s.Stats().Fetched, int64(readers*size*21/20))
	})
}

// TestSlowRequestDoesNotStopTheOthers: while the reader waits for one slow
// request, the window behind it is filled.
func TestSlowRequestDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &server{slow: func(n int) time.Duration {
			if n == 20 {
				return time.Minute
			}
			return 10 * time.Millisecond
		}}
		s := newStore(t, Options{Fetch: f, BlockSize: 16 * kib, MaxFetch: 64 * kib, Prefetches: 3})
		done := make(chan error)
		var ra Readahead
		defer ra.Stop()
		go func() {
			for off := int64(0); off < 32<<20; off += 64 * kib {
				if err := read(t.Context(), s, Key{1, 1}, 32<<20, off, 64*kib, &ra); err != nil {
					done <- err
				}
			}
			close(done)
		}()
		time.Sleep(50 * time.Second)
		s.mu.Lock()
		ahead := ra.asked - ra.pos
		window := ra.window
		s.mu.Unlock()
		require.Greater(t, window, int64(512*kib))
		require.GreaterOrEqual(t, ahead, window-64*kib, "read-ahead goes on to the end of the window")
		require.NoError(t, <-done)
	})
}
