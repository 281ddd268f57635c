package upload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/pcloudfs/pcloudfs/remote"
)

// Publish gives a session that Transfer has verified its name (pCloud API 8.6).
// After a lost reply it looks whether that happened before it repeats anything.
//
// An error that matches remote.ErrNoUpload means that the session is gone and
// the name does not have its bytes: Transfer has to begin again, from the zero
// State; it is ErrBytesGone instead if that is not possible. After any other
// error Publish may be called again. It may also be called with a state of which
// it is not known whether it was published.
func (u *Uploader) Publish(ctx context.Context, t remote.UploadTarget, st State) (Result, error) {
	if !st.Done || st.ID == 0 {
		return Result{}, ErrNotVerified
	}
	r, err := u.publish(ctx, t, st)
	if st.Gone > 0 && errors.Is(err, remote.ErrNoUpload) {
		// Not wrapped: it must not look as if a new session could help.
		err = fmt.Errorf("save %q: %w: %v", t.Name, ErrBytesGone, err)
	}
	return r, err
}

func (u *Uploader) publish(ctx context.Context, t remote.UploadTarget, st State) (Result, error) {
	w := want{UploadTarget: t, size: st.Size, sha1: st.SHA1}
	for n := 1; ; n++ {
		e, err := u.o.Remote.SaveUpload(ctx, st.ID, t)
		switch {
		case err == nil:
			return u.saved(ctx, w, e)
		case ctx.Err() != nil:
			return Result{}, err
		case uncertain(err), errors.Is(err, remote.ErrNoUpload):
			if r, done, lerr := u.afterSave(ctx, w, st, err); done || lerr != nil {
				return r, lerr
			}
		case !temporary(err):
			return Result{}, err
		}
		if n >= u.o.Tries || u.pause(ctx, n) != nil {
			return Result{}, err
		}
	}
}

// saved judges the reply to a save.
func (u *Uploader) saved(ctx context.Context, w want, e remote.Entry) (Result, error) {
	if e.Size != w.size {
		// What was verified is not what was stored. The name is not ours to
		// repair: say so, and leave the session's fate to the caller.
		return Result{Entry: e}, fmt.Errorf("save %q: %w: stored %d bytes of %d", w.Name, ErrMismatch, e.Size, w.size)
	}
	if e.Conflicted {
		return u.conflicted(ctx, w, e)
	}
	return Result{Entry: e, SHA1: w.sha1}, nil
}

// afterSave finds out what a save has done that failed with cause. An error
// means that there is no point in repeating it.
func (u *Uploader) afterSave(ctx context.Context, w want, st State, cause error) (Result, bool, error) {
	for n := 1; ; n++ {
		if n > 1 || uncertain(cause) {
			// The server may still be at it, and show the file late.
			if u.pause(ctx, n) != nil {
				return Result{}, false, cause
			}
		}
		s, err := u.look(ctx, w)
		if err != nil {
			return Result{}, false, fmt.Errorf("save %q: outcome unknown: %w", w.Name, err)
		}
		if s.outcome(w) {
			u.o.Log.Debug("save had taken effect", slog.String("name", w.Name))
			r, err := u.tidy(ctx, w, s, 0)
			return r, err == nil, err
		}
		gone := errors.Is(cause, remote.ErrNoUpload)
		if !gone {
			err = u.retry(ctx, func() error {
				_, err := u.o.Remote.UploadInfo(ctx, st.ID)
				return err
			})
			switch {
			case err == nil:
				return Result{}, false, nil // it did not
			case !errors.Is(err, remote.ErrNoUpload):
				return Result{}, false, fmt.Errorf("save %q: outcome unknown: %w", w.Name, err)
			}
		}
		if n >= u.o.Tries {
			return Result{}, false, fmt.Errorf("save %q: %w", w.Name, remote.ErrNoUpload)
		}
	}
}
