package upload

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// least is from how many chunks on a file goes up in several streams.
const least = 4

// send brings all segments into their sessions.
func (t *transfer) send(ctx context.Context) error {
	if _, ok := t.u.o.Remote.(joiner); !ok && len(t.segs) > 1 {
		t.single(ctx)
	}
	for !t.ready() {
		if err := t.lookAtAll(ctx); err != nil {
			return err
		}
		work := t.work
		if t.worthwhile() {
			work = t.together
		}
		if err := work(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lookAtAll finds out where the sessions end, so that what is left can be
// divided.
func (t *transfer) lookAtAll(ctx context.Context) error {
	for _, g := range t.segs {
		for g.id != 0 && !g.agree {
			err := t.resume(ctx, g)
			if err != nil {
				err = t.mend(ctx, g, err)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// worthwhile says whether several streams may be of use.
func (t *transfer) worthwhile() bool {
	return t.u.o.Streams > 1 && t.u.joiner() != nil && t.size-t.confirmed() >= least*t.u.o.Chunk
}

// together works with the help of other goroutines.
func (t *transfer) together(ctx context.Context) error {
	// Smaller ones for smaller files, so that all streams end at the same time.
	chunk := t.u.o.Chunk
	t.piece = max(1, chunk/8, min(chunk, (t.size-t.confirmed())/int64(2*t.u.o.Streams)))
	t.saves, t.sent, t.changed = make(chan chan error), make(chan struct{}), make(chan struct{}, 1)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.work(gctx) })
	g.Go(func() error { return t.recruit(gctx, g) })
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	for {
		select {
		case answer := <-t.saves:
			answer <- t.save(t.state())
		case err := <-done:
			t.saves, t.sent, t.changed = nil, nil, nil
			return err
		}
	}
}

// recruit divides the file and starts helpers, if there are streams to spare
// and the server joins what they send.
func (t *transfer) recruit(ctx context.Context, g *errgroup.Group) error {
	if !t.u.streams.spare(ctx, t.sent) {
		return nil
	}
	ok := t.u.canJoin(ctx)
	t.u.streams.end(helping)
	if !ok {
		return nil
	}
	t.divide()
	for range t.u.o.Streams - 2 {
		g.Go(func() error { return t.help(ctx) })
	}
	return t.help(ctx)
}

// help sends chunks while there are streams to spare.
func (t *transfer) help(ctx context.Context) error {
	for t.u.streams.spare(ctx, t.sent) {
		more, err := t.workOnce(ctx)
		t.u.streams.end(helping)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// work sends chunks until all are sent, by whomever.
func (t *transfer) work(ctx context.Context) error {
	for {
		more, err := t.workOnce(ctx)
		if err != nil || t.ready() {
			return err
		}
		if more {
			continue
		}
		select {
		case <-t.changed: // a helper may have to wait before it goes on
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// workOnce sends one chunk of some segment. It returns false if there is none.
func (t *transfer) workOnce(ctx context.Context) (bool, error) {
	g := t.take()
	if g == nil {
		return false, nil
	}
	err := t.step(ctx, g)
	if err != nil {
		err = t.mend(ctx, g, err)
	}
	t.put(g)
	return true, err
}

// ready says whether all bytes are in sessions.
func (t *transfer) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.allReady()
}

func (t *transfer) allReady() bool {
	return !slices.ContainsFunc(t.segs, func(g *segment) bool { return !t.isReady(g) })
}

// isReady says that nothing has to be sent for g: it is full, or what it is to
// have has been joined to the first one. mu is held.
func (t *transfer) isReady(g *segment) bool {
	return g.full() || g != t.main && t.main.agree && g.end <= t.main.stop()
}

// take returns a segment that needs another chunk: the first that nobody works
// at, or else the second half of the longest. It returns nil if there is none.
func (t *transfer) take() *segment {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, g := range t.segs {
		if g.busy || t.isReady(g) {
			continue
		}
		if g.id == 0 && i > 0 {
			if l := t.neighbour(i); l != nil {
				l.end = g.end
				t.segs = slices.Delete(t.segs, i, i+1)
				g = l
			} else if t.alone {
				continue
			}
		}
		g.busy = true
		return g
	}
	if t.alone {
		return nil
	}
	return t.split()
}

// neighbour returns the segment whose session can as well take what the i-th is
// to have, nil if there is none. mu is held.
func (t *transfer) neighbour(i int) *segment {
	for _, l := range []*segment{t.main, t.segs[i-1]} {
		reaches := l.stop() == t.segs[i].off || l == t.main && l.stop() > t.segs[i].off
		if !l.busy && l.full() && reaches {
			return l
		}
	}
	return nil
}

// split cuts off half of what the longest segment still has to send. mu is
// held.
func (t *transfer) split() *segment {
	var long *segment
	for _, g := range t.segs {
		if g.busy && (long == nil || g.end-g.next > long.end-long.next) {
			long = g
		}
	}
	if long == nil || long.end-long.next < t.piece {
		return nil
	}
	return t.cut(long, long.end-(long.end-long.next)/2)
}

// cut makes what g has from at a segment of its own. mu is held.
func (t *transfer) cut(g *segment, at int64) *segment {
	n := t.segment(Part{Offset: at}, g.end)
	n.busy = true
	g.end = at
	t.segs = slices.Insert(t.segs, slices.Index(t.segs, g)+1, n)
	return n
}

// put gives back what take has given.
func (t *transfer) put(g *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.busy = false
	if t.sent == nil {
		return
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
	if !t.allReady() {
		return
	}
	select {
	case <-t.sent:
	default:
		close(t.sent)
	}
}

// divide cuts a file that goes up in one segment into equal ones, which all
// should end at the same time.
func (t *transfer) divide() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alone = false
	if len(t.segs) > 1 {
		return
	}
	left := t.size - t.main.stop()
	k := min(int64(t.u.o.Streams), left/t.piece)
	for i, g := int64(1), t.main; i < k; i++ {
		if at := t.main.stop() + left/k*i; at > g.off && at >= g.next && at < g.end {
			g = t.cut(g, at)
			g.busy = false
		}
	}
}
