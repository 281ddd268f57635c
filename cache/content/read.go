package content

import (
	"context"
	"fmt"
)

// firstFetch is the least that a read which may be the start of a sequential
// one asks for, in bytes.
const firstFetch = 128 << 10

// ReadAt reads from the version k, which is size bytes long, at off. The count
// is shorter than len(p) only at the end of the file, without an error, or
// beside one. It returns at once when ctx ends; the bytes of p are then
// undefined.
//
// ra is the state of the open handle that reads; without one the read counts
// as random.
func (s *Store) ReadAt(ctx context.Context, k Key, size int64, p []byte, off int64, ra *Readahead) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read file %d: negative offset %d", k.File, off)
	}
	if off >= size || len(p) == 0 {
		return 0, nil
	}
	p = p[:min(int64(len(p)), size-off)]
	n := 0
	for first := true; n < len(p); first = false {
		r := request{key: k, size: size, off: off + int64(n), n: int64(len(p) - n), ra: ra, first: first}
		e, err := s.acquire(ctx, r)
		if err != nil {
			return n, err
		}
		m, err := s.copy(ctx, e, p[n:], r.off)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// request is what is left of a read.
type request struct {
	key     Key
	size    int64
	off, n  int64
	ra      *Readahead
	first   bool // nothing of the read has been served yet
	waiting bool // acquire was here before
}

// acquire returns the extent that holds the block at r.off, held for the
// caller, and starts its fetch if there is none. It waits only for memory. A
// reader holds one extent at a time, so readers cannot wait for each other.
func (s *Store) acquire(ctx context.Context, r request) (*extent, error) {
	for {
		e, freed, err := s.tryAcquire(&r)
		if e != nil || err != nil {
			return e, err
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// tryAcquire is acquire without waiting: if there is no memory it returns
// neither extent nor error, but the channel that tells when to try again.
func (s *Store) tryAcquire(r *request) (*extent, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	if r.ra != nil && r.first && !r.waiting {
		s.note(r.ra, r.key, r.size, r.off, r.n)
	}
	r.waiting = true
	f := s.fileOf(r.key, r.size)
	e := f.blocks[r.off/s.o.BlockSize]
	switch {
	case e == nil:
		if e = s.start(f, r.off/s.o.BlockSize, s.missing(f, r), nil); e == nil {
			return nil, s.freed, nil
		}
	case e.finished:
		s.stats.Hits++
	default:
		s.stats.Shared++
	}
	s.hold(e)
	if r.ra != nil {
		s.fill(r.ra)
	}
	return e, nil, nil
}

// missing returns how many blocks to fetch for a read whose first block is not
// there. s.mu is held.
func (s *Store) missing(f *file, r *request) int64 {
	n := r.n
	if r.ra != nil && r.ra.mayBeSequential() {
		n = max(n, firstFetch)
	}
	return s.gap(f, r.off/s.o.BlockSize, min(r.off+n, f.size))
}

// gap returns how many blocks are missing from block first on, which is one of
// them, up to the byte end of the file; no more than one request may ask for.
// s.mu is held.
func (s *Store) gap(f *file, first, end int64) int64 {
	bs := s.o.BlockSize
	last := min((end+bs-1)/bs, first+s.o.MaxFetch/bs)
	n := int64(1)
	for first+n < last && f.blocks[first+n] == nil {
		n++
	}
	return n
}

// copy waits for e, copies what it holds from off on, and lets go of it.
func (s *Store) copy(ctx context.Context, e *extent, p []byte, off int64) (int, error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.release(e)
	}()
	select {
	case <-e.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if e.err != nil {
		return 0, e.err
	}
	return copy(p, e.data[off-e.off:]), nil
}
