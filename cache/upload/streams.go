package upload

import (
	"context"
	"sync"
)

// streams counts what is being sent at a time, over all files. Each file has
// one stream that never waits; others help while there are less than most.
type streams struct {
	most int

	mu   sync.Mutex // guards the rest
	busy [2]int
	less chan struct{} // closed when there are less
}

// role is what a stream is for its file.
type role int

const (
	leading role = iota
	helping
)

func newStreams(most int) *streams { return &streams{most: most, less: make(chan struct{})} }

// first begins the first stream of a file.
func (s *streams) first() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[leading]++
}

// spare waits until another stream may be begun. It returns false if stop is
// closed or ctx ends before.
func (s *streams) spare(ctx context.Context, stop <-chan struct{}) bool {
	for {
		s.mu.Lock()
		if s.busy[leading]+s.busy[helping] < s.most {
			s.busy[helping]++
			s.mu.Unlock()
			return true
		}
		less := s.less
		s.mu.Unlock()
		select {
		case <-less:
		case <-stop:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// end ends a stream.
func (s *streams) end(r role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[r]--
	close(s.less)
	s.less = make(chan struct{})
}
