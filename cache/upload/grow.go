package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"time"
)

// Growing sends a file while it is still being appended to. What was sent may
// leave the local file before the rest exists, so that a file may become larger
// than the place for it.
//
// Advance, Release, Finish and Abandon must not run at the same time; State and
// Invalidate may be called at any time and never wait for the network.
type Growing struct {
	u    *Uploader
	src  io.ReaderAt
	save func(State) error

	mu      sync.Mutex // guards the rest
	st      State
	p       *prefix // of the bytes of the session, if agreed; nil: not known
	agree   bool
	useless []State // to be deleted
	edition int     // counts calls of Invalidate
	cancel  context.CancelFunc
}

// Grow begins to send what is appended to src, or goes on from a state that was
// saved. It makes no calls.
//
// save, if not nil, is called with each state that is worth keeping, by the
// goroutine that called a method; its error ends that call.
func (u *Uploader) Grow(src io.ReaderAt, st State, save func(State) error) *Growing {
	if save == nil {
		save = func(State) error { return nil }
	}
	return &Growing{u: u, src: src, st: st, save: save}
}

// State returns how far the upload is.
func (g *Growing) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.st
}

// Advance sends whole chunks of the first upto bytes, which will not change any
// more; if they do, Invalidate has to be called before. Errors are those of
// Transfer, and ErrSourceChanged if Invalidate was called meanwhile. After any
// error Advance may be called again.
func (g *Growing) Advance(ctx context.Context, upto int64) error {
	st := g.State()
	chunk := g.u.o.Chunk
	n := st.Size + max(0, upto-st.Size)/chunk*chunk
	if n == st.Size {
		return nil
	}
	return g.call(ctx, grown{g.src, n}, func(ctx context.Context, t *transfer) error { return t.work(ctx) })
}

// Release says how many bytes at the beginning of the source may be given up,
// after comparing what the server has with what was sent; after an error, no
// more than before. When it returns, the state that goes on without them has
// been saved. From then on the session is the only place that has them, and
// losing it is ErrBytesGone.
func (g *Growing) Release(ctx context.Context) (int64, error) {
	st := g.State()
	if st.Size == st.Gone {
		return st.Gone, nil
	}
	// The session may have more than is known.
	err := g.call(ctx, grown{g.src, math.MaxInt64}, func(ctx context.Context, t *transfer) error {
		for t.main.id != 0 {
			err := t.resume(ctx, t.main)
			if err == nil {
				t.floor = t.main.p.clone()
				return t.keep()
			}
			if err := t.mend(ctx, t.main, err); err != nil {
				return err
			}
		}
		return nil // it was of no use
	})
	if err != nil {
		return st.Gone, err
	}
	return g.State().Gone, nil
}

// Invalidate says that bytes that Advance was given have changed, or are about
// to. What was sent is given up, and Advance begins anew. It returns
// ErrBytesGone if that is not possible, because Release was called; the change
// must not be made then.
func (g *Growing) Invalidate() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.st.Gone > 0 {
		return ErrBytesGone
	}
	g.edition++
	if g.cancel != nil {
		g.cancel()
	}
	if g.st.ID != 0 {
		g.useless = append(g.useless, g.st)
	}
	g.st, g.p, g.agree = State{}, nil, false
	return nil
}

// Finish sends the rest of the file, which is complete now, and verifies all of
// it, as Transfer does, whose arguments and results it has. The state is for
// Publish. After an error Finish can be called again, or Transfer with the
// state.
func (g *Growing) Finish(ctx context.Context, src Source, save func(State) error, progress func(sent int64)) (State, error) {
	if save != nil {
		g.save = save
	}
	err := g.call(ctx, src, func(ctx context.Context, t *transfer) error {
		t.steady, t.progress = func() error { return t.sameSize(src) }, progress
		_, err := t.complete(ctx)
		return err
	})
	return g.State(), err
}

// Abandon deletes the sessions of the upload.
func (g *Growing) Abandon(ctx context.Context) error {
	err := g.tidy(ctx)
	return errors.Join(err, g.u.Abandon(ctx, g.State()))
}

// call lets f work with a transfer that continues what was sent.
func (g *Growing) call(ctx context.Context, src Source, f func(context.Context, *transfer) error) error {
	if err := g.tidy(ctx); err != nil {
		g.u.o.Log.Warn("upload session stays", slog.Any("err", err))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, edition, err := g.begin(src, cancel)
	if err != nil {
		return err
	}
	t.save = func(st State) error {
		if err := g.note(t, st, edition); err != nil {
			return err
		}
		return g.save(st)
	}
	err = f(ctx, t)
	if nerr := g.note(t, t.state(), edition); nerr != nil {
		return nerr
	}
	return err
}

func (g *Growing) begin(src Source, cancel context.CancelFunc) (*transfer, int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.st.Gone == 0 && time.Now().Unix() < g.u.refused.Load() {
		return nil, 0, ErrNoSessions
	}
	t, err := g.u.newTransfer(src, g.st)
	if err != nil {
		return nil, 0, err
	}
	if m := t.main; g.p != nil && m.id != 0 {
		m.p, m.agree = g.p.over(src), g.agree && m.stop() <= t.size
		if m.agree {
			m.next = m.stop()
		}
	}
	g.cancel = cancel
	return t, g.edition, nil
}

// note takes over what t has reached, unless it is about an older edition.
func (g *Growing) note(t *transfer, st State, edition int) error {
	t.mu.Lock()
	p, agree := t.main.p, t.main.agree
	t.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.edition != edition {
		g.useless = append(g.useless, st)
		return fmt.Errorf("%w: it was written to", ErrSourceChanged)
	}
	g.st, g.p, g.agree = st, p, agree
	return nil
}

// tidy deletes the sessions that are of no use any more.
func (g *Growing) tidy(ctx context.Context) (err error) {
	g.mu.Lock()
	all := g.useless
	g.useless = nil
	g.mu.Unlock()
	for _, st := range all {
		err = errors.Join(err, g.u.Abandon(ctx, st))
	}
	return err
}

// grown is the part of a growing source that does not change.
type grown struct {
	io.ReaderAt
	size int64
}

func (s grown) Size() int64 { return s.size }
