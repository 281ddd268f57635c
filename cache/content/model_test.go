package content

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

var (
	seeds = flag.Int("content.seeds", 150, "histories to run")
	seed1 = flag.Uint64("content.seed", 0, "the only history to run")
)

var errInjected = errors.New("injected")

// TestHistories lets readers of all kinds loose on one store whose fetches fail,
// stall and end short. No read may ever return a wrong byte, no more memory may
// be held than allowed, and at the end nothing may be left.
func TestHistories(t *testing.T) {
	t.Parallel()
	first, n := uint64(1), *seeds
	if *seed1 != 0 {
		first, n = *seed1, 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		synctest.Test(t, func(t *testing.T) {
			if err := history(t.Context(), seed); err != nil {
				t.Fatalf("%v\nrepeat with -content.seed=%d", err, seed)
			}
		})
	}
}

// trouble collects what goes wrong in several goroutines.
type trouble struct {
	mu   sync.Mutex
	errs []error
}

func (tr *trouble) add(err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.errs = append(tr.errs, err)
}

func history(ctx context.Context, seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, 0))
	var tr trouble
	bs := int64(1) << (8 + rnd.IntN(5))
	f := &server{latency: time.Duration(rnd.IntN(20)) * time.Millisecond, rate: int64(rnd.IntN(3)) << 20}
	s := New(Options{
		Fetch: f, BlockSize: bs, MaxBytes: bs * int64(16+rnd.IntN(200)),
		MaxFetch: bs * int64(1+rnd.IntN(20)), MaxWindow: bs * int64(1+rnd.IntN(64)), Prefetches: 1 + rnd.IntN(6),
	})
	f.hook = func() {
		if b := s.Stats().Bytes; b > s.o.MaxBytes {
			tr.add(fmt.Errorf("%d bytes held, %d allowed", b, s.o.MaxBytes))
		}
	}
	faults := rnd.IntN(2) == 0
	var fmu sync.Mutex
	frnd := rand.New(rand.NewPCG(seed, 1))
	f.fail = func(int64, int) error {
		fmu.Lock()
		defer fmu.Unlock()
		if !faults || frnd.IntN(8) > 0 {
			return nil
		}
		return []error{errInjected, errShort}[frnd.IntN(2)]
	}
	var wg sync.WaitGroup
	ras := make([]Readahead, 4) // shared by some readers
	for i := range 1 + rnd.IntN(12) {
		r := &reader{s: s, rnd: rand.New(rand.NewPCG(seed, uint64(100+i))), shared: ras, faults: faults}
		wg.Go(func() {
			if err := r.run(ctx); err != nil {
				tr.add(err)
			}
		})
	}
	wg.Wait()
	for i := range ras {
		ras[i].Stop()
	}
	synctest.Wait()
	switch st := s.Stats(); {
	case len(tr.errs) > 0:
	case f.inFlight != 0 || f.bytes != 0:
		tr.add(fmt.Errorf("%d requests in flight that nobody waits for", f.inFlight))
	case s.prefetch != 0 || s.streams != 0:
		tr.add(fmt.Errorf("%d prefetches and %d streams left", s.prefetch, s.streams))
	case st.Bytes != s.reachable():
		tr.add(fmt.Errorf("%d bytes counted, %d reachable", st.Bytes, s.reachable()))
	}
	s.Close()
	if st := s.Stats(); st.Bytes != 0 || len(s.files) != 0 {
		tr.add(fmt.Errorf("%d bytes, %d files left after Close", st.Bytes, len(s.files)))
	}
	return errors.Join(tr.errs...)
}

// reachable counts the bytes that readers can find, each extent once.
func (s *Store) reachable() (n int64) {
	seen := make(map[*extent]bool)
	for _, f := range s.files {
		for _, e := range f.blocks {
			if !seen[e] {
				seen[e] = true
				n += e.size
			}
		}
	}
	return n
}

// reader reads files in one manner after the other.
type reader struct {
	s      *Store
	rnd    *rand.Rand
	shared []Readahead
	faults bool
}

func (r *reader) run(ctx context.Context) error {
	for range 1 + r.rnd.IntN(6) {
		k := Key{remote.FileID(r.rnd.IntN(3)), remote.Hash(r.rnd.IntN(2))}
		size := int64(k.File)*r.s.o.BlockSize*50 + int64(k.Hash)*77 + 1
		own := new(Readahead)
		ra := own
		switch r.rnd.IntN(4) {
		case 0:
			ra = nil
		case 1:
			ra = &r.shared[r.rnd.IntN(len(r.shared))]
		}
		err := r.file(ctx, k, size, ra)
		own.Stop()
		if err != nil {
			return err
		}
		if r.rnd.IntN(10) == 0 {
			r.s.Forget(k)
		}
	}
	return nil
}

func (r *reader) file(ctx context.Context, k Key, size int64, ra *Readahead) error {
	off, step := int64(0), 1+r.rnd.IntN(int(3*r.s.o.BlockSize))
	jumps := r.rnd.IntN(3) == 0
	for range 1 + r.rnd.IntN(60) {
		if jumps && r.rnd.IntN(3) == 0 {
			off = r.rnd.Int64N(size + 10)
		}
		rctx, cancel := context.WithCancel(ctx)
		if r.rnd.IntN(10) == 0 {
			rctx, cancel = context.WithTimeout(ctx, time.Duration(r.rnd.IntN(30))*time.Millisecond)
		}
		err := read(rctx, r.s, k, size, off, step, ra)
		cut := rctx.Err() != nil
		cancel()
		switch {
		case err == nil:
			off += int64(step)
		case strings.HasPrefix(err.Error(), "wrong"):
			return err
		case cut && errors.Is(err, rctx.Err()), r.faults:
		default:
			return fmt.Errorf("read without a fault: %w", err)
		}
		if off >= size {
			return nil
		}
		if r.rnd.IntN(5) == 0 {
			time.Sleep(time.Duration(r.rnd.IntN(20)) * time.Millisecond)
		}
	}
	return nil
}
