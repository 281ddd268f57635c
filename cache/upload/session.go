package upload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// restarts is how often one call begins a session anew.
const restarts = 3

// refusal is how long it is remembered that the server refuses something.
const refusal = time.Hour

// Transfer brings the bytes of src into an upload session and verifies them
// with the size and SHA-1 that the server reports (pCloud API 8). It continues
// the sessions of st if they exist and hold what src has there, and begins
// others otherwise. A large file goes up in several sessions at a time, which
// are joined in the end (Options.Streams).
//
// save, if not nil, is called with each state that is worth keeping, from the
// calling goroutine; its error ends the transfer. progress, if not nil, is told
// how many bytes have been read for sending; it must be quick and may be called
// from other goroutines, one at a time, and not after Transfer has returned.
//
// The state returned is valid also beside an error. Errors that are temporary
// (remote.ErrTemporary) are returned after Options.Tries attempts without
// progress; ErrNoSessions when Whole has to be used; ErrBytesGone when the
// session cannot be continued although st.Gone says that it must.
func (u *Uploader) Transfer(ctx context.Context, src Source, st State, save func(State) error, progress func(sent int64)) (State, error) {
	if st.Gone == 0 && time.Now().Unix() < u.refused.Load() {
		return State{}, ErrNoSessions
	}
	t, err := u.newTransfer(src, st)
	if err != nil {
		return st, err
	}
	t.steady, t.progress = func() error { return t.sameSize(src) }, progress
	if save != nil {
		t.save = save
	}
	return t.complete(ctx)
}

// Abandon deletes the sessions of st, if there are any.
func (u *Uploader) Abandon(ctx context.Context, st State) error {
	err := u.abandon(ctx, st.ID)
	for _, p := range st.Parts {
		err = errors.Join(err, u.abandon(ctx, p.ID))
	}
	return err
}

func (u *Uploader) abandon(ctx context.Context, id remote.UploadID) error {
	if id == 0 {
		return nil
	}
	err := u.o.Remote.DeleteUpload(ctx, id)
	if errors.Is(err, remote.ErrNoUpload) {
		return nil
	}
	return err
}

// transfer brings size bytes of src into sessions. It is used by one goroutine,
// which may let others work for it.
type transfer struct {
	u        *Uploader
	src      Source
	size     int64
	piece    int64        // how much one request carries
	floor    *prefix      // of the bytes that the source no longer has
	steady   func() error // complains if the source has changed
	save     func(State) error
	progress func(int64)

	main    *segment        // the first one; its session gets the name
	saves   chan chan error // other goroutines ask for a save; nil: there are none
	noJoins int             // joins that failed because a session was gone
	newSum  func() *summer  // of what follows what main has
	whole   *prefix         // of all bytes, once summed
	sum     remote.SHA1     // of a verified session
	done    bool

	mu      sync.Mutex    // guards the rest and what segment says
	segs    []*segment    // in order of offset
	alone   bool          // no segment is begun beside the others
	sums    *summer       // while there are several segments
	sent    chan struct{} // closed when all segments are
	changed chan struct{} // gets something when a segment was given back

	telling sync.Mutex // held while progress is called; after mu
}

func (u *Uploader) newTransfer(src Source, st State) (*transfer, error) {
	floor, err := restorePrefix(src, st.Hash, st.Gone)
	if err == nil && st.Gone > 0 && st.ID == 0 {
		err = errors.New("no session is known")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBytesGone, err)
	}
	t := &transfer{
		u: u, src: src, size: src.Size(), piece: u.o.Chunk, floor: floor, alone: true,
		steady: func() error { return nil }, save: func(State) error { return nil },
	}
	t.main = t.segment(Part{ID: st.ID, Size: st.Size}, t.size)
	t.segs = []*segment{t.main}
	for _, p := range st.usable(t.size) {
		t.segs[len(t.segs)-1].end = p.Offset
		t.segs = append(t.segs, t.segment(p, t.size))
	}
	return t, nil
}

func (t *transfer) sameSize(src Source) error {
	if n := src.Size(); n != t.size {
		return fmt.Errorf("%w: it had %d bytes, now %d", ErrSourceChanged, t.size, n)
	}
	return nil
}

// state is what has to be kept.
func (t *transfer) state() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := State{ID: t.main.id, Size: t.main.size, Done: t.done, SHA1: t.sum, Gone: t.floor.n}
	if t.floor.n > 0 {
		st.Hash = t.floor.marshal()
	}
	for _, g := range t.segs[1:] {
		if g.id != 0 {
			st.Parts = append(st.Parts, Part{ID: g.id, Offset: g.off, Size: g.size})
		}
	}
	return st
}

// keep saves the state.
func (t *transfer) keep() error {
	if t.saves == nil {
		return t.save(t.state())
	}
	answer := make(chan error)
	t.saves <- answer
	return <-answer
}

// complete goes from any state to the end, or as far as it can.
func (t *transfer) complete(ctx context.Context) (State, error) {
	t.u.streams.first()
	defer t.u.streams.end(leading)
	t.newSum = func() *summer { return sum(ctx, t.main.p.over(t.src), t.size) }
	defer func() { t.sums.stop() }()
	if len(t.segs) > 1 {
		t.sums = t.newSum()
		t.sums.feed(t.confirmed())
	}
	err := t.run(ctx)
	if errors.Is(err, ErrNoSessions) && len(t.segs) > 1 {
		t.dropParts(ctx)
		err = errors.Join(err, t.save(t.state()))
	}
	return t.state(), err
}

func (t *transfer) run(ctx context.Context) error {
	for {
		if err := t.send(ctx); err != nil {
			return err
		}
		joined, err := t.join(ctx)
		if err == nil && joined {
			if err = t.verify(ctx); err == nil {
				return t.finish(ctx)
			}
		}
		if err != nil {
			if err = t.mend(ctx, t.main, err); err != nil {
				return err
			}
		}
	}
}

// errRestart wraps the reason why a session is of no use.
type errRestart struct{ error }

func (e errRestart) Unwrap() error { return e.error }

// mend decides what follows from a failure with g, and waits if it has to be
// tried again. It returns the error that ends the transfer.
func (t *transfer) mend(ctx context.Context, g *segment, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if n := t.confirmed(); n > g.most {
		g.most, g.fails = n, 0
	}
	var again errRestart
	switch {
	case errors.As(err, &again):
		if g.begun++; g.begun > restarts && !t.holdsOnly(g) {
			return again.error
		}
		return t.forget(ctx, g, again.error) // and at once
	case errors.Is(err, remote.ErrUploadOffset), temporary(err):
		if g.fails++; g.fails >= t.u.o.Tries {
			return err
		}
	default:
		return err
	}
	t.u.o.Log.Debug("transfer interrupted", slog.Int64("offset", g.off), slog.Int64("bytes", g.size), slog.Any("err", err))
	if perr := t.u.pause(ctx, g.fails); perr != nil {
		return fmt.Errorf("%w: %w", perr, err)
	}
	return nil
}

// holdsOnly says that nothing but the session of g has some of the bytes.
func (t *transfer) holdsOnly(g *segment) bool { return g == t.main && t.floor.n > 0 }

// forget gives up the session of g.
func (t *transfer) forget(ctx context.Context, g *segment, reason error) error {
	if t.holdsOnly(g) {
		// Not wrapped: it must not look as if a new session could help.
		return fmt.Errorf("%w: %v", ErrBytesGone, reason)
	}
	t.u.o.Log.Info("upload session starts over", slog.Int64("offset", g.off), slog.Int64("bytes", g.size), slog.Any("err", reason))
	if !errors.Is(reason, remote.ErrNoUpload) {
		if err := t.u.abandon(ctx, g.id); err != nil {
			t.u.o.Log.Warn("upload session stays", slog.Any("err", err))
		}
	}
	t.reset(g)
	return t.keep()
}

// verify compares the complete session with the source.
func (t *transfer) verify(ctx context.Context) error {
	want, err := t.digest()
	if err != nil {
		return err
	}
	for last := false; ; last = true {
		info, err := t.u.o.Remote.UploadInfo(ctx, t.main.id)
		switch {
		case errors.Is(err, remote.ErrNoUpload):
			return errRestart{err}
		case err != nil:
			return err
		case info.Size == t.size && info.SHA1 == want:
			t.sum = want
			return nil
		case last:
			if err := t.unchanged(ctx, want); err != nil {
				return err
			}
			t.dropParts(ctx)
			return errRestart{fmt.Errorf("session: %w", ErrMismatch)}
		}
	}
}

// digest returns the SHA-1 of all bytes, as they were when they were sent.
func (t *transfer) digest() (remote.SHA1, error) {
	switch {
	case t.main.p.n == t.size:
		return t.main.p.sum(), nil
	case t.whole != nil:
		return t.whole.sum(), nil
	case t.sums == nil:
		t.sums = t.newSum()
	}
	p, err := t.sums.finish()
	t.sums = nil
	if err != nil {
		return remote.SHA1{}, err
	}
	t.whole = p
	return p.sum(), nil
}

// unchanged compares the source with what was hashed while it was sent.
func (t *transfer) unchanged(ctx context.Context, want remote.SHA1) error {
	p := t.floor.clone()
	if err := p.extend(ctx, t.size); err != nil {
		return err
	}
	if p.sum() != want {
		return fmt.Errorf("%w: its bytes are not those that were sent", ErrSourceChanged)
	}
	return t.steady()
}

// finish ends a verified transfer.
func (t *transfer) finish(ctx context.Context) error {
	t.dropParts(ctx)
	t.done = true
	return t.save(t.state())
}

// refusal turns the answers that mean "not for you" into ErrNoSessions and
// remembers it for a while.
func (u *Uploader) refusal(err error) error {
	if !refuses(err) {
		return err
	}
	u.refused.Store(time.Now().Add(refusal).Unix())
	return fmt.Errorf("%w: %w", ErrNoSessions, err)
}

// refuses says whether err means that the server will never do such a thing:
// access denied, and all that say that the request is not understood (2003 and
// class 1xxx, except missing credentials and races).
func refuses(err error) bool {
	var e *remote.Error
	return errors.As(err, &e) && (e.Result == 2003 || e.Result > 1000 && e.Result < 1900)
}
