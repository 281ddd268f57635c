package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// extent is a run of blocks that is fetched with one request. It holds memory
// from its creation until it is finished, unreachable and unread.
//
// The fields below the data are guarded by Store.mu.
type extent struct {
	first, blocks int64 // numbers of blocks
	off, size     int64 // bytes of the file

	// data and err belong to the fetch until done is closed and are constant
	// afterwards.
	data []byte
	err  error
	done chan struct{}

	cancel   context.CancelFunc
	finished bool       // done is closed
	freed    bool       // its memory no longer counts
	file     *file      // nil: unreachable, because forgotten, evicted or failed
	readers  int        // waiting for it or copying from it
	owner    *Readahead // in flight on behalf of this handle; nil if a reader asked for it
}

// start makes an extent of the given blocks of f, none of which may exist, and
// begins to fetch it. It returns nil if there is no memory. s.mu is held.
func (s *Store) start(f *file, first, blocks int64, owner *Readahead) *extent {
	off := first * s.o.BlockSize
	n := min(blocks*s.o.BlockSize, f.size-off)
	if !s.makeRoom(n) {
		return nil
	}
	e := &extent{
		first: first, blocks: blocks, off: off, size: n,
		done: make(chan struct{}),
		file: f, owner: owner,
	}
	// Only now: making room may have removed the last block of f.
	s.files[f.key] = f
	for b := range blocks {
		f.blocks[first+b] = e
	}
	s.used += n
	s.stats.Fetches++
	s.stats.Fetched += n
	if owner != nil {
		s.prefetch++
		if owner.ahead == nil {
			owner.ahead = make(map[*extent]struct{})
		}
		owner.ahead[e] = struct{}{}
	}
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(s.ctx)
	s.wg.Go(func() {
		e.err = s.fetch(ctx, f, e)
		s.finish(e)
	})
	return e
}

// fetch fills e.data.
func (s *Store) fetch(ctx context.Context, f *file, e *extent) error {
	e.data = make([]byte, e.size)
	n, err := s.o.Fetch.ReadAt(ctx, f.key.File, f.key.Hash, f.size, e.data, e.off)
	switch {
	case s.ctx.Err() != nil:
		return ErrClosed
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("read %d bytes at %d of file %d: %w", len(e.data), e.off, f.key.File, err)
	case n != len(e.data):
		return fmt.Errorf("read %d bytes at %d of file %d: got %d: %w", len(e.data), e.off, f.key.File, n, io.ErrUnexpectedEOF)
	}
	return nil
}

// finish records the outcome of a fetch and lets the readers go on.
func (s *Store) finish(e *extent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.cancel()
	e.finished = true
	ra := s.disown(e)
	if e.err != nil {
		s.unlink(e)
	}
	close(e.done)
	s.settle(e)
	switch {
	case ra == nil:
	case e.err != nil:
		s.o.Log.Debug("read-ahead failed", slog.Any("err", e.err))
		s.reset(ra)
	default:
		s.fill(ra)
	}
}

// disown ends the read-ahead that e is, if it is one, and returns for whom it
// was. s.mu is held.
func (s *Store) disown(e *extent) *Readahead {
	ra := e.owner
	if ra != nil {
		e.owner = nil
		s.prefetch--
		delete(ra.ahead, e)
	}
	return ra
}

// hold keeps e from being evicted or cancelled until release. s.mu is held.
func (s *Store) hold(e *extent) {
	e.readers++
	s.lru.Remove(e)
}

// release undoes hold. s.mu is held.
func (s *Store) release(e *extent) {
	e.readers--
	s.settle(e)
}

// unlink makes an extent unreachable for new readers. s.mu is held.
func (s *Store) unlink(e *extent) {
	f := e.file
	if f == nil {
		return
	}
	e.file = nil
	for b := range e.blocks {
		delete(f.blocks, e.first+b)
	}
	if len(f.blocks) == 0 && s.files[f.key] == f {
		delete(s.files, f.key)
	}
	s.lru.Remove(e)
	s.settle(e)
}

// settle decides what becomes of an extent that nobody reads: it stays if it is
// complete, is cancelled if it is under way and of no use, and otherwise its
// memory is free. It may be called at any time; s.mu is held.
func (s *Store) settle(e *extent) {
	switch {
	case e.readers > 0:
	case !e.finished:
		if e.owner == nil || e.file == nil {
			e.cancel()
			s.unlink(e)
		}
	case e.file != nil:
		s.lru.Add(e, struct{}{})
		s.wake() // it can be evicted
	case !e.freed:
		e.freed = true
		s.used -= e.size
		s.wake()
	}
}
