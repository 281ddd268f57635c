package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// mismatches is how often a file is sent because the server's digest is wrong.
const mismatches = 3

// undoTime is how long a call may go on after its context to repair damage.
const undoTime = time.Minute

// Single uploads src with one request (pCloud API 7.8). The server's digest in
// the reply is compared with what was sent; if it is wrong the file is sent
// again at once, and after the third time what was stored is taken back and the
// error is ErrMismatch.
//
// Errors that are temporary (remote.ErrTemporary) are returned after
// Options.Tries attempts.
func (u *Uploader) Single(ctx context.Context, t remote.UploadTarget, src Source) (Result, error) {
	s := &single{u: u, t: t, next: t, src: src, size: src.Size()}
	r, err := s.run(ctx)
	if err != nil && s.bad != nil {
		if uerr := s.undo(ctx); uerr != nil {
			u.o.Log.Error("damaged file stays", slog.String("name", s.bad.Name), slog.Any("err", uerr))
		}
	}
	return r, err
}

// single is one call of Single.
type single struct {
	u    *Uploader
	t    remote.UploadTarget
	next remote.UploadTarget // t, or t with the condition that bad is there
	src  Source
	size int64
	bad  *remote.Entry // a damaged file that we made
}

func (s *single) run(ctx context.Context) (Result, error) {
	wrong := 0
	for n := 1; ; n++ {
		e, sha1, err := s.send(ctx)
		switch {
		case err == nil:
			return s.stored(ctx, e, sha1)
		case ctx.Err() != nil, errors.Is(err, ErrSourceChanged):
			return Result{}, err
		case errors.Is(err, ErrMismatch):
			if r, ok, merr := s.mismatch(ctx, e); ok || merr != nil {
				return r, merr
			}
			if wrong++; wrong >= mismatches {
				return Result{}, err
			}
			continue // at once: the damaged file is visible
		case uncertain(err):
			if r, ok, lerr := s.afterLoss(ctx); ok || lerr != nil {
				return r, lerr
			}
		case !temporary(err):
			return Result{}, err
		}
		if n >= s.u.o.Tries || s.u.pause(ctx, n) != nil {
			return Result{}, err
		}
	}
}

// send makes one request. ErrMismatch comes with the damaged file, if known.
func (s *single) send(ctx context.Context) (e remote.Entry, sum remote.SHA1, err error) {
	tx := newSender(newPrefix(s.src), nil)
	e, sums, err := s.u.o.Remote.UploadFile(ctx, s.next, tx, s.size)
	if rerr := tx.close(); rerr != nil {
		if err == nil || errors.Is(err, remote.ErrMismatch) {
			s.bad = &e // made of something else than the source
		}
		return e, sum, rerr
	}
	if errors.Is(err, remote.ErrMismatch) {
		return e, sum, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	if err != nil {
		return e, sum, err
	}
	p, err := tx.prefix(ctx, s.size)
	if err != nil {
		return e, sum, err
	}
	sum = p.sum()
	if sums.SHA1 != sum || e.Size != s.size {
		return e, sum, fmt.Errorf("upload %q: %w: sha1 %s of %d bytes, want %s of %d", s.t.Name, ErrMismatch, sums.SHA1, e.Size, sum, s.size)
	}
	return e, sum, nil
}

// stored is the end of a request that did what it should.
func (s *single) stored(ctx context.Context, e remote.Entry, sha1 remote.SHA1) (Result, error) {
	if e.Conflicted {
		// If there was a damaged file, somebody has overwritten it.
		s.bad = nil
		w := want{UploadTarget: s.t, size: s.size, sha1: sha1}
		return s.u.conflicted(ctx, w, e)
	}
	return Result{Entry: e, SHA1: sha1}, nil
}

// want returns what is to be at the name, for comparisons after a failure.
func (s *single) want(ctx context.Context) (want, error) {
	w, err := wanted(ctx, s.next, s.src)
	if err == nil && w.size != s.size {
		err = fmt.Errorf("%w: it had %d bytes, now %d", ErrSourceChanged, s.size, w.size)
	}
	return w, err
}

// afterLoss finds out whether a request whose reply was lost took effect.
func (s *single) afterLoss(ctx context.Context) (Result, bool, error) {
	w, err := s.want(ctx)
	if err != nil {
		return Result{}, false, err
	}
	// The server may still be at it.
	if err := s.u.pause(ctx, 1); err != nil {
		return Result{}, false, err
	}
	v, err := s.u.look(ctx, w)
	if err != nil {
		return Result{}, false, fmt.Errorf("upload %q: outcome unknown: %w", s.t.Name, err)
	}
	if !v.outcome(w) {
		return Result{}, false, nil
	}
	s.bad = nil
	r, err := s.u.tidy(ctx, w, v, 0)
	return r, err == nil, err
}

// mismatch deals with a file e that the server stored with other bytes than
// were sent, as it says. If it is wrong about that, the upload is done.
func (s *single) mismatch(ctx context.Context, e remote.Entry) (Result, bool, error) {
	w, err := s.want(ctx)
	if err != nil {
		s.bad = &e
		return Result{}, false, err
	}
	s.u.o.Log.Warn("digest in the reply is wrong", slog.String("name", e.Name))
	var now remote.Entry
	var same bool
	err = s.u.retry(ctx, func() (err error) {
		now, same, err = s.u.holds(ctx, e, w)
		return err
	})
	if err != nil {
		s.bad = &e
		return Result{}, false, fmt.Errorf("upload %q: damaged: %w", s.t.Name, err)
	}
	if same && now.Hash == e.Hash {
		r, err := s.stored(ctx, e, w.sha1)
		return r, true, err
	}
	s.bad = &e
	if e.Conflicted {
		// It is not at the name, so nothing has changed there.
		if err := s.undo(ctx); err != nil {
			return Result{}, false, fmt.Errorf("upload %q: damaged copy: %w", s.t.Name, err)
		}
		s.bad = nil
	} else if s.t.If != (remote.Condition{}) {
		s.next.If = remote.IfHash(e.Hash)
	}
	return Result{}, false, nil
}

// reverter is the part of remote.Client that brings back an older version.
type reverter interface {
	Revisions(ctx context.Context, id remote.FileID) ([]remote.Revision, error)
	RevertRevision(ctx context.Context, id remote.FileID, r remote.RevisionID) (remote.Entry, error)
}

// undo takes the damaged file away, if it still is what we made: a new file is
// deleted, an overwritten one gets the version back that it had. Neither can be
// made conditional: what somebody else puts there between the look and the
// deletion stays in pCloud only as an older version.
func (s *single) undo(ctx context.Context) error {
	if s.bad.FileID == 0 {
		return nil
	}
	// Also when the caller has given up: the damage can be seen.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	return s.u.insist(ctx, func() error {
		err := s.undoOnce(ctx, *s.bad)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func (s *single) undoOnce(ctx context.Context, bad remote.Entry) error {
	remove := func() error { return s.u.o.Remote.DeleteFile(ctx, bad.FileID) }
	if !bad.Conflicted && s.t.If != remote.IfNew() {
		old, err := s.older(ctx, bad.FileID)
		if err != nil {
			return err
		}
		remove = old
	}
	now, err := s.u.o.Remote.Stat(ctx, bad.FileID)
	if err != nil || now.Hash != bad.Hash {
		return err
	}
	return remove()
}

// older returns what brings back the version that the target's condition names.
func (s *single) older(ctx context.Context, id remote.FileID) (func() error, error) {
	r, ok := s.u.o.Remote.(reverter)
	if !ok || s.t.If == (remote.Condition{}) {
		return nil, errors.New("no older version is known")
	}
	all, err := r.Revisions(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if s.t.If == remote.IfHash(v.Hash) {
			return func() error {
				_, err := r.RevertRevision(ctx, id, v.ID)
				return err
			}, nil
		}
	}
	return nil, errors.New("the older version is gone")
}
