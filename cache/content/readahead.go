package content

import "sync/atomic"

// slack is how far reads of a sequential reader may be out of order, in bytes:
// the kernel runs several requests of its own read-ahead at once.
const slack = 1 << 20

// Readahead is how one open handle reads. The zero value is ready; it must not
// be copied after the first read, and is for one file at a time, in one store.
// Stop must be called when the handle is closed. It is safe for concurrent use.
type Readahead struct {
	store   atomic.Pointer[Store] // where it was used
	stopped atomic.Bool

	// The rest is guarded by Store.mu.

	key    Key
	size   int64
	fresh  bool                 // only one read was seen
	pos    int64                // the end of what was read in a row
	run    int64                // bytes read in a row
	window int64                // how far beyond pos to fetch; 0 while not sequential
	asked  int64                // everything before was asked for already, or is behind
	ahead  map[*extent]struct{} // in flight for this handle
}

// Stop ends the read-ahead of the handle and cancels what is in flight for it
// and nobody else waits for. Reads go on to work, as random ones.
func (ra *Readahead) Stop() {
	ra.stopped.Store(true)
	s := ra.store.Load()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset(ra)
}

// mayBeSequential says whether the read that was noted last may be part of, or
// the beginning of, sequential reading. Store.mu is held.
func (ra *Readahead) mayBeSequential() bool {
	return !ra.stopped.Load() && (ra.fresh || ra.window > 0)
}

// note takes notice of a read. s.mu is held.
func (s *Store) note(ra *Readahead, k Key, size, off, n int64) {
	end := off + n
	switch {
	case ra.store.Load() == nil || ra.key != k || ra.size != size:
		ra.store.Store(s)
		s.reset(ra)
		ra.key, ra.size = k, size
		ra.fresh, ra.pos, ra.run, ra.asked = true, end, n, end
	case off > ra.pos+slack || end < ra.pos-slack:
		s.reset(ra)
		ra.pos, ra.run, ra.asked = end, n, end
	default:
		ra.fresh = false
		if end > ra.pos {
			ra.run += min(n, end-ra.pos)
			ra.pos = end
			s.widen(ra)
		}
	}
}

// certain is from how much reading in a row on it is taken to go on, in bytes.
const certain = 1 << 20

// widen sets the window to what was read in a row, and to twice that when it is
// certainly no look at the head of a file. All windows together stay below half
// of the memory, or handles would evict what was fetched for each other before
// it is read. s.mu is held.
func (s *Store) widen(ra *Readahead) {
	if ra.stopped.Load() {
		return
	}
	if ra.window == 0 {
		s.streams++
	}
	window := ra.run
	if window > certain {
		window *= 2
	}
	share := s.o.MaxBytes / 2 / int64(s.streams)
	ra.window = max(1, min(window, s.o.MaxWindow, share))
}

// reset ends sequential reading. s.mu is held.
func (s *Store) reset(ra *Readahead) {
	if ra.window > 0 {
		s.streams--
	}
	ra.fresh, ra.window, ra.run = false, 0, 0
	for e := range ra.ahead {
		s.disown(e)
		s.settle(e)
	}
}

// fill starts the requests that the window of ra has room for. s.mu is held.
func (s *Store) fill(ra *Readahead) {
	if s.closed || ra.window == 0 || ra.stopped.Load() {
		return
	}
	bs := s.o.BlockSize
	limit := min(ra.size, ra.pos+ra.window)
	chunk := min(max(ra.window/4, firstFetch), s.o.MaxFetch)
	f := s.fileOf(ra.key, ra.size)
	for ra.asked = max(ra.asked, ra.pos); ra.asked < limit; {
		b := ra.asked / bs
		if f.blocks[b] != nil {
			ra.asked = (b + 1) * bs
			continue
		}
		// A little at a time would be a request for each read.
		short := limit-ra.asked < chunk && limit < ra.size
		if short || s.prefetch >= s.o.Prefetches {
			return
		}
		n := s.gap(f, b, min(b*bs+chunk, limit))
		if s.start(f, b, n, ra) == nil {
			return
		}
		ra.asked = (b + n) * bs
	}
}
