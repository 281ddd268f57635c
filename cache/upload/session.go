package upload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// restarts is how often one Transfer begins a session anew.
const restarts = 3

// refusal is how long ErrNoSessions is remembered.
const refusal = time.Hour

// Transfer brings the bytes of src into an upload session and verifies them
// with the size and SHA-1 that the server reports (pCloud API 8). It continues
// the session of st if that exists and holds a beginning of src, and begins
// another one otherwise.
//
// save, if not nil, is called with each state that is worth keeping, from the
// calling goroutine; its error ends the transfer. progress, if not nil, is told
// how many bytes have been read for sending; it must be quick and may be called
// from other goroutines, one at a time, and not after Transfer has returned.
//
// The state returned is valid also beside an error. Errors that are temporary
// (remote.ErrTemporary) are returned after Options.Tries attempts without
// progress; ErrNoSessions when Whole has to be used.
func (u *Uploader) Transfer(ctx context.Context, src Source, st State, save func(State) error, progress func(sent int64)) (State, error) {
	if time.Now().Unix() < u.refused.Load() {
		return State{}, ErrNoSessions
	}
	if save == nil {
		save = func(State) error { return nil }
	}
	t := &transfer{u: u, src: src, size: src.Size(), st: st, save: save, progress: progress, p: newPrefix(src)}
	t.st.Done = false
	err := t.run(ctx)
	return t.st, err
}

// Abandon deletes the session of st, if there is one.
func (u *Uploader) Abandon(ctx context.Context, st State) error {
	if st.ID == 0 {
		return nil
	}
	err := u.o.Remote.DeleteUpload(ctx, st.ID)
	if errors.Is(err, remote.ErrNoUpload) {
		return nil
	}
	return err
}

// transfer is one call of Transfer.
type transfer struct {
	u        *Uploader
	src      Source
	size     int64
	st       State
	save     func(State) error
	progress func(int64)

	p     *prefix // of the bytes that the session is known to have, if agreed
	agree bool    // the session ends at p.n and was seen or made by us
}

// errRestart wraps the reason why a session is of no use.
type errRestart struct{ error }

func (e errRestart) Unwrap() error { return e.error }

func (t *transfer) run(ctx context.Context) error {
	fails, begun, most := 0, 0, int64(0)
	for {
		err := t.advance(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if t.st.Size > most {
			most, fails = t.st.Size, 0
		}
		var again errRestart
		switch {
		case errors.As(err, &again):
			if begun++; begun > restarts {
				return again.error
			}
			if err := t.forget(ctx, again.error); err != nil {
				return err
			}
			continue // at once
		case errors.Is(err, remote.ErrUploadOffset), temporary(err):
			if fails++; fails >= t.u.o.Tries {
				return err
			}
		default:
			return err
		}
		t.u.o.Log.Debug("transfer interrupted", slog.Int64("bytes", t.st.Size), slog.Any("err", err))
		if t.u.pause(ctx, fails) != nil {
			return err
		}
	}
}

// advance goes from any state to the end, or as far as it can.
func (t *transfer) advance(ctx context.Context) error {
	if t.st.ID == 0 {
		if err := t.begin(ctx); err != nil {
			return err
		}
	}
	if !t.agree {
		if err := t.resume(ctx); err != nil {
			return err
		}
	}
	for t.st.Size < t.size {
		if err := t.chunk(ctx); err != nil {
			return err
		}
	}
	return t.verify(ctx)
}

// begin makes a session.
func (t *transfer) begin(ctx context.Context) error {
	id, err := t.u.o.Remote.CreateUpload(ctx, t.size)
	if err != nil {
		return t.u.refusal(err)
	}
	t.st = State{ID: id}
	t.p, t.agree = newPrefix(t.src), true
	return t.save(t.st)
}

// forget gives up the session.
func (t *transfer) forget(ctx context.Context, reason error) error {
	t.u.o.Log.Info("upload session starts over", slog.Int64("bytes", t.st.Size), slog.Any("err", reason))
	if !errors.Is(reason, remote.ErrNoUpload) {
		if err := t.u.Abandon(ctx, t.st); err != nil {
			t.u.o.Log.Warn("upload session stays", slog.Any("err", err))
		}
	}
	t.st, t.agree = State{}, false
	return t.save(t.st)
}

// resume finds out where the session ends and whether what it has is the
// beginning of the source.
func (t *transfer) resume(ctx context.Context) error {
	// A wrong answer would cost all that was sent: ask twice.
	for last := false; ; last = true {
		info, err := t.u.o.Remote.UploadInfo(ctx, t.st.ID)
		if errors.Is(err, remote.ErrNoUpload) {
			return errRestart{err}
		}
		if err != nil {
			return err
		}
		if p, err := t.prefixAt(ctx, info.Size); err != nil {
			return err
		} else if p != nil && p.sum() == info.SHA1 {
			t.p, t.agree = p, true
			return t.confirm(info.Size)
		}
		if last {
			return errRestart{fmt.Errorf("session of %d bytes is no beginning of the source: %w", info.Size, ErrMismatch)}
		}
	}
}

// prefixAt returns the SHA-1 of the first n bytes of the source; nil if it has
// fewer.
func (t *transfer) prefixAt(ctx context.Context, n int64) (*prefix, error) {
	if n < 0 || n > t.size {
		return nil, nil
	}
	p := newPrefix(t.src)
	if t.p.n <= n {
		p = t.p.clone()
	}
	return p, p.extend(ctx, n)
}

// confirm notes that the session has the first n bytes.
func (t *transfer) confirm(n int64) error {
	if t.st.Size == n {
		return nil
	}
	t.st.Size = n
	return t.save(t.st)
}

// chunk sends the next bytes.
func (t *transfer) chunk(ctx context.Context) error {
	off := t.st.Size
	n := min(t.u.o.Chunk, t.size-off)
	s := newSender(t.p, t.progress)
	err := t.u.o.Remote.WriteUpload(ctx, t.st.ID, off, s, n)
	if rerr := s.close(); rerr != nil {
		return rerr
	}
	if t.src.Size() != t.size {
		return fmt.Errorf("%w: it had %d bytes, now %d", ErrSourceChanged, t.size, t.src.Size())
	}
	if err != nil {
		t.agree = false // part of the chunk may have arrived
		if errors.Is(err, remote.ErrNoUpload) {
			return errRestart{err}
		}
		if off > 0 {
			return err
		}
		if err = t.u.refusal(err); errors.Is(err, ErrNoSessions) {
			if ferr := t.forget(ctx, err); ferr != nil {
				return ferr
			}
		}
		return err
	}
	p, err := s.prefix(ctx, off+n)
	if err != nil {
		t.agree = false
		return err
	}
	t.p = p
	return t.confirm(off + n)
}

// verify compares the complete session with the source.
func (t *transfer) verify(ctx context.Context) error {
	want := t.p.sum()
	for last := false; ; last = true {
		info, err := t.u.o.Remote.UploadInfo(ctx, t.st.ID)
		switch {
		case errors.Is(err, remote.ErrNoUpload):
			return errRestart{err}
		case err != nil:
			return err
		case info.Size == t.size && info.SHA1 == want:
			t.st.Done, t.st.SHA1 = true, want
			return t.save(t.st)
		case last:
			if err := unchanged(ctx, t.src, t.size, want); err != nil {
				return err
			}
			return errRestart{fmt.Errorf("session: %w", ErrMismatch)}
		}
	}
}

// unchanged compares the source with what was hashed while it was sent.
func unchanged(ctx context.Context, src Source, size int64, want remote.SHA1) error {
	got, err := digest(ctx, src, size)
	if err != nil {
		return err
	}
	if got != want || src.Size() != size {
		return fmt.Errorf("%w: its bytes are not those that were sent", ErrSourceChanged)
	}
	return nil
}

// refusal turns the answers that mean "not for you" into ErrNoSessions and
// remembers it for a while: access denied, and all that say that the request is
// not understood (2003 and class 1xxx, except missing credentials and races).
func (u *Uploader) refusal(err error) error {
	var e *remote.Error
	if !errors.As(err, &e) || e.Result != 2003 && (e.Result <= 1000 || e.Result >= 1900) {
		return err
	}
	u.refused.Store(time.Now().Add(refusal).Unix())
	return fmt.Errorf("%w: %w", ErrNoSessions, err)
}
