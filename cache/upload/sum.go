package upload

import (
	"context"
	"sync"
)

// summer computes the SHA-1 of a source beside the transfer, at its pace, so
// that a large file is not read at once.
type summer struct {
	fed    chan int64
	done   chan struct{}
	cancel context.CancelFunc
	once   sync.Once

	p   *prefix // until done only for the goroutine
	err error
}

// sum starts one that continues p to size bytes.
func sum(ctx context.Context, p *prefix, size int64) *summer {
	ctx, cancel := context.WithCancel(ctx)
	s := &summer{fed: make(chan int64, 16), done: make(chan struct{}), cancel: cancel, p: p}
	go func() {
		defer close(s.done)
		for n := range s.fed {
			if s.err == nil {
				s.err = p.extend(ctx, min(size, p.n+n))
			}
		}
		if s.err == nil {
			s.err = p.extend(ctx, size)
		}
	}()
	return s
}

// feed allows it n more bytes.
func (s *summer) feed(n int64) {
	if s != nil {
		s.fed <- n
	}
}

// finish lets it go to the end and returns the digest.
func (s *summer) finish() (*prefix, error) {
	s.once.Do(func() { close(s.fed) })
	<-s.done
	return s.p, s.err
}

// stop ends it.
func (s *summer) stop() {
	if s != nil {
		s.cancel()
		_, _ = s.finish()
	}
}
