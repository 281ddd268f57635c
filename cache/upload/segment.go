package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"

	"github.com/pcloudfs/pcloudfs/remote"
)

// segment is a range of the source that goes into one session. While it is busy
// it belongs to one goroutine, which changes it under transfer.mu, because
// others look at it.
type segment struct {
	off int64 // of the session's first byte in the source

	fails, begun int   // in a row without progress; sessions that were given up
	most         int64 // what the server had when fails was reset

	id    remote.UploadID // 0: not begun
	size  int64           // bytes that the server has confirmed
	end   int64           // where it shall end, in the source
	next  int64           // as far, in the source, as the server may have bytes, or soon will
	read  int64           // as far, in the source, as they have been read
	p     *prefix         // of the bytes that the session is known to have, if agreed
	agree bool            // the session ends at p.n and was seen or made by us
	busy  bool
}

// segment makes one that reaches to end.
func (t *transfer) segment(p Part, end int64) *segment {
	g := &segment{off: p.Offset, end: end, id: p.ID, size: p.Size, next: p.Offset + p.Size, read: p.Offset + p.Size}
	g.p = t.empty(g)
	return g
}

// empty is what is known of the bytes of g without having read any.
func (t *transfer) empty(g *segment) *prefix {
	if g.off == 0 {
		return t.floor.clone()
	}
	return newPrefix(io.NewSectionReader(t.src, g.off, math.MaxInt64-g.off))
}

// stop is where the session ends in the source.
func (g *segment) stop() int64 { return g.off + g.size }

// full says that the session has all that it shall have. transfer.mu is held.
func (g *segment) full() bool { return g.id != 0 && g.agree && g.stop() == g.end }

// reset forgets the session.
func (t *transfer) reset(g *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.id, g.size, g.next, g.read = 0, 0, g.off, g.off
	g.p, g.agree = t.empty(g), false
}

func (t *transfer) doubt(g *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.agree = false
}

// confirmed returns how many bytes the server has.
func (t *transfer) confirmed() (n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.segs {
		n += g.size
	}
	return n
}

// step brings g one chunk further.
func (t *transfer) step(ctx context.Context, g *segment) error {
	if g.id == 0 {
		if err := t.begin(ctx, g); err != nil {
			return t.refused(ctx, g, err)
		}
	}
	if !g.agree {
		if err := t.resume(ctx, g); err != nil {
			return err
		}
	}
	if n := t.reserve(g); n > 0 {
		if err := t.chunk(ctx, g, n); err != nil {
			return t.refused(ctx, g, err)
		}
	}
	if !g.agree {
		return t.resume(ctx, g) // a part that is complete
	}
	return nil
}

// begin makes a session.
func (t *transfer) begin(ctx context.Context, g *segment) error {
	t.mu.Lock()
	size := g.end - g.off
	t.mu.Unlock()
	if g == t.main {
		size = t.size
	}
	id, err := t.u.o.Remote.CreateUpload(ctx, size)
	if err != nil {
		return err
	}
	t.mu.Lock()
	g.id, g.p, g.agree = id, t.empty(g), true
	if g != t.main && t.sums == nil && t.whole == nil {
		t.sums = t.newSum()
	}
	t.mu.Unlock()
	return t.keep()
}

// refused decides what a failure at the beginning of a session means. err may
// be nil.
func (t *transfer) refused(ctx context.Context, g *segment, err error) error {
	if g.size > 0 || !refuses(err) {
		return err
	}
	if g == t.main {
		err = t.u.refusal(err)
		if ferr := t.forget(ctx, g, err); ferr != nil {
			return ferr
		}
		return err
	}
	// It does not want so many. The rest can do without this one.
	t.u.joins.refused(err, t.u.o.Log)
	t.mu.Lock()
	t.alone = true
	t.mu.Unlock()
	return t.forget(ctx, g, err)
}

// resume finds out where the session ends and whether what it has are the bytes
// of the source.
func (t *transfer) resume(ctx context.Context, g *segment) error {
	// A wrong answer would cost all that was sent: ask twice.
	for last := false; ; last = true {
		info, err := t.u.o.Remote.UploadInfo(ctx, g.id)
		if errors.Is(err, remote.ErrNoUpload) {
			return errRestart{err}
		}
		if err != nil {
			return err
		}
		if p, err := t.prefixAt(ctx, g, info.Size); err != nil {
			return err
		} else if p != nil && p.sum() == info.SHA1 {
			return t.confirm(g, p, info.Size)
		}
		if last {
			return errRestart{fmt.Errorf("session of %d bytes is not what the source has: %w", info.Size, ErrMismatch)}
		}
	}
}

// prefixAt returns the SHA-1 of the first n bytes of g; nil if there are fewer
// or their beginning is gone.
func (t *transfer) prefixAt(ctx context.Context, g *segment, n int64) (*prefix, error) {
	t.mu.Lock()
	limit := g.end
	t.mu.Unlock()
	if g == t.main {
		limit = t.size // parts have been joined to it
	}
	if n < 0 || n > limit-g.off {
		return nil, nil
	}
	p := t.empty(g)
	if g.p.n <= n {
		p = g.p.clone()
	}
	if p.n > n {
		return nil, nil
	}
	return p, p.extend(ctx, n)
}

// confirm notes that the session has the first n bytes, of which p is.
func (t *transfer) confirm(g *segment, p *prefix, n int64) error {
	t.mu.Lock()
	news := g.size != n
	g.p, g.agree, g.size = p, true, n
	g.end = max(g.end, g.stop())
	g.next, g.read = g.stop(), g.stop()
	t.mu.Unlock()
	if !news {
		return nil
	}
	return t.keep()
}

// reserve says how many bytes shall be sent next.
func (t *transfer) reserve(g *segment) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(t.piece, g.end-g.stop())
	g.next = g.stop() + n
	return n
}

// chunk sends the next n bytes.
func (t *transfer) chunk(ctx context.Context, g *segment, n int64) error {
	s := newSender(g.p, func(at int64) { t.tell(g, at) })
	err := t.u.o.Remote.WriteUpload(ctx, g.id, g.size, s, n)
	if rerr := s.close(); rerr != nil {
		t.doubt(g)
		return rerr
	}
	if serr := t.steady(); serr != nil {
		t.doubt(g)
		return serr
	}
	if err != nil {
		t.doubt(g) // part of the chunk may have arrived
		if errors.Is(err, remote.ErrNoUpload) {
			return errRestart{err}
		}
		return err
	}
	p, err := s.prefix(ctx, g.size+n)
	if err != nil {
		t.doubt(g)
		return err
	}
	if err := t.confirm(g, p, g.size+n); err != nil {
		return err
	}
	t.mu.Lock()
	if g != t.main && g.full() {
		g.agree = false // to be verified before it is joined to anything
	}
	sums := t.sums
	t.mu.Unlock()
	sums.feed(n)
	return nil
}

// tell reports that g was read for sending up to at.
func (t *transfer) tell(g *segment, at int64) {
	if t.progress == nil {
		return
	}
	t.telling.Lock()
	defer t.telling.Unlock()
	t.mu.Lock()
	g.read = g.off + at
	n := int64(0)
	for _, s := range t.segs {
		n += s.read - s.off
	}
	t.mu.Unlock()
	t.progress(min(n, t.size))
}

// dropParts gives up all segments but the first.
func (t *transfer) dropParts(ctx context.Context) {
	t.mu.Lock()
	parts := t.segs[1:]
	t.segs = t.segs[:1:1]
	t.main.end = t.size
	t.mu.Unlock()
	for err := range t.u.each(len(parts), func(i int) error {
		return t.u.retry(ctx, func() error { return t.u.abandon(ctx, parts[i].id) })
	}) {
		t.u.o.Log.Warn("upload session stays", slog.Any("err", err))
	}
}
