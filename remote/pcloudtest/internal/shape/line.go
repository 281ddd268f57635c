package shape

import (
	"net"
	"os"
	"sync"
	"time"
)

// line is one direction of a connection: a bounded queue whose contents come
// out no earlier than their time. One goroutine at a time may push and one may
// pop (see gate).
type line struct {
	mu    sync.Mutex // guards the fields up to the channels; a leaf
	queue []segment
	size  int   // bytes in queue
	limit int   // push waits while size has reached it
	end   error // given to the reader after the queue: no more will be pushed
	endAt time.Time
	gone  error // given to the writer: nobody will read
	abort error // given to both at once

	filled, drained chan struct{} // capacity 1: something changed for the reader, for the writer
}

// segment is data that is due at a time.
type segment struct {
	data []byte
	due  time.Time // zero: at once
}

func newLine(limit int) *line {
	return &line{limit: limit, filled: make(chan struct{}, 1), drained: make(chan struct{}, 1)}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push queues a copy of p, waiting for room. It may store less than p and says
// how much.
func (l *line) push(p []byte, due time.Time, limit int, expired <-chan struct{}) (int, error) {
	for {
		if isClosed(expired) {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := l.tryPush(p, due, limit)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-l.drained:
		case <-expired:
		}
	}
}

func (l *line) tryPush(p []byte, due time.Time, limit int) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.abort != nil {
		return 0, l.abort
	}
	if l.gone != nil {
		return 0, l.gone
	}
	if l.end != nil {
		return 0, net.ErrClosed
	}
	if limit > 0 {
		l.limit = limit
	}
	n := min(len(p), l.limit-l.size)
	if n <= 0 {
		return 0, nil
	}
	l.queue = append(l.queue, segment{data: append([]byte(nil), p[:n]...), due: due})
	l.size += n
	poke(l.filled)
	return n, nil
}

// pop waits for data that is due and moves it to p.
func (l *line) pop(p []byte, expired <-chan struct{}) (int, error) {
	for {
		if isClosed(expired) {
			return 0, os.ErrDeadlineExceeded
		}
		n, wait, err := l.tryPop(p)
		if n > 0 || err != nil {
			return n, err
		}
		if err := l.await(wait, expired); err != nil {
			return 0, err
		}
	}
}

// await waits for a change of the line, but no longer than wait when that is
// positive.
func (l *line) await(wait time.Duration, expired <-chan struct{}) error {
	var due <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-l.filled:
	case <-due:
	case <-expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// tryPop returns data, an error, or the time until there is something to
// look at (0: unknown).
func (l *line) tryPop(p []byte) (n int, wait time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.abort != nil {
		return 0, 0, l.abort
	}
	now := time.Now()
	for len(l.queue) > 0 && n < len(p) {
		s := &l.queue[0]
		if s.due.After(now) {
			if n == 0 {
				wait = s.due.Sub(now)
			}
			break
		}
		c := copy(p[n:], s.data)
		n, l.size, s.data = n+c, l.size-c, s.data[c:]
		if len(s.data) == 0 {
			l.queue[0] = segment{}
			l.queue = l.queue[1:]
		}
	}
	if n > 0 {
		poke(l.drained)
		return n, 0, nil
	}
	if wait == 0 && l.end != nil {
		if l.endAt.After(now) {
			return 0, l.endAt.Sub(now), nil
		}
		return 0, 0, l.end
	}
	return 0, wait, nil
}

// finish ends the line for the writer: the reader gets what is queued and then
// err, not before due.
func (l *line) finish(err error, due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end == nil {
		l.end, l.endAt = err, due
	}
	poke(l.filled)
	poke(l.drained)
}

// leave ends the line for the reader, who closes: what is queued is dropped,
// writers get gone, and reads that wait get err whatever was to come.
func (l *line) leave(err, gone error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone == nil {
		l.gone = gone
	}
	l.end, l.endAt = err, time.Time{}
	l.queue, l.size = nil, 0
	poke(l.filled)
	poke(l.drained)
}

// kill ends the line at once for both sides.
func (l *line) kill(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.abort == nil {
		l.abort = err
	}
	l.queue, l.size = nil, 0
	poke(l.filled)
	poke(l.drained)
}

// gate lets one goroutine through at a time. Unlike on a mutex, waiting for it
// is durable blocking in a synctest bubble and ends with a deadline.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) enter(expired <-chan struct{}) error {
	if isClosed(expired) {
		return os.ErrDeadlineExceeded
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-expired:
		return os.ErrDeadlineExceeded
	}
}

func (g gate) leave() { <-g }
