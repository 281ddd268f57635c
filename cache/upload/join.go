package upload

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// joinBytes is how much one request may ask the server to copy, so that it
// answers in time.
const joinBytes = 64 << 20

// joiner is the part of remote.Client that appends one session to another.
type joiner interface {
	WriteUploadFromUpload(ctx context.Context, id remote.UploadID, off int64, src remote.UploadID, srcOff, n int64) error
}

// joins remembers whether the server joins sessions.
type joins struct {
	proven atomic.Bool
	until  atomic.Int64 // unix time until which it counts as refused; 0: never was
}

func (j *joins) refused(err error, log *slog.Logger) {
	j.proven.Store(false)
	j.until.Store(time.Now().Add(refusal).Unix())
	log.Info("files go up in one stream", slog.Any("err", err))
}

// joiner returns what joins sessions, nil if nothing does.
func (u *Uploader) joiner() joiner {
	j, ok := u.o.Remote.(joiner)
	if !ok || time.Now().Unix() < u.joins.until.Load() {
		return nil
	}
	return j
}

// canJoin says whether sessions can be joined. The first time it tries that
// with two small ones, because to find out in the end would be expensive: all
// parts would have to be sent again.
func (u *Uploader) canJoin(ctx context.Context) bool {
	j := u.joiner()
	if j == nil {
		return false
	}
	if u.joins.proven.Load() {
		return true
	}
	err := u.tryJoin(ctx, j)
	switch {
	case err == nil:
		u.joins.proven.Store(true)
	case ctx.Err() != nil, temporary(err), errors.Is(err, remote.ErrNoUpload), errors.Is(err, remote.ErrUploadOffset):
		u.o.Log.Debug("join not tried", slog.Any("err", err))
	default:
		u.joins.refused(err, u.o.Log)
	}
	return err == nil
}

func (u *Uploader) tryJoin(ctx context.Context, j joiner) error {
	const text = "ab"
	var ids [len(text)]remote.UploadID
	defer func() {
		for err := range u.each(len(ids), func(i int) error { return u.abandon(ctx, ids[i]) }) {
			u.o.Log.Debug("upload session stays", slog.Any("err", err))
		}
	}()
	for err := range u.each(len(ids), func(i int) (err error) {
		if ids[i], err = u.o.Remote.CreateUpload(ctx, 1); err != nil {
			return err
		}
		return u.o.Remote.WriteUpload(ctx, ids[i], 0, strings.NewReader(text[i:i+1]), 1)
	}) {
		return err
	}
	if err := j.WriteUploadFromUpload(ctx, ids[0], 1, ids[1], 0, 1); err != nil {
		return err
	}
	info, err := u.o.Remote.UploadInfo(ctx, ids[0])
	if err == nil && (info.Size != int64(len(text)) || info.SHA1 != sha1.Sum([]byte(text))) {
		err = fmt.Errorf("joined session: %w", ErrMismatch)
	}
	return err
}

// each calls f with all numbers below n at the same time and yields its errors.
func (u *Uploader) each(n int, f func(int) error) iter.Seq[error] {
	return func(yield func(error) bool) {
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { errs[i] = f(i) })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil && !yield(err) {
				return
			}
		}
	}
}

// join appends all segments to the first. It returns false if something has to
// be sent again before.
func (t *transfer) join(ctx context.Context) (bool, error) {
	for t.main.stop() < t.size {
		g := t.following()
		j, ok := t.u.o.Remote.(joiner)
		if g == nil || !ok {
			t.single(ctx)
			return false, nil
		}
		at := t.main.stop()
		n := min(joinBytes, g.end-at)
		err := j.WriteUploadFromUpload(ctx, t.main.id, at, g.id, at-g.off, n)
		if err != nil {
			return false, t.notJoined(ctx, err)
		}
		if err := t.confirm(t.main, t.main.p, at+n); err != nil {
			return false, err
		}
	}
	return true, nil
}

// following returns the segment that has what the first one lacks, nil if there
// is none.
func (t *transfer) following() *segment {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.main.stop()
	for _, g := range t.segs[1:] {
		if g.full() && g.off <= at && at < g.end {
			return g
		}
	}
	return nil
}

// notJoined decides what a failure to join means.
func (t *transfer) notJoined(ctx context.Context, err error) error {
	gone := errors.Is(err, remote.ErrNoUpload)
	if gone {
		t.noJoins++
	}
	t.mu.Lock()
	for _, g := range t.segs {
		g.agree = false // look at all of them
	}
	t.mu.Unlock()
	switch {
	case ctx.Err() != nil, temporary(err), errors.Is(err, remote.ErrUploadOffset):
		return err
	case gone && t.noJoins <= restarts:
		return nil // the look shows which one
	}
	t.u.joins.refused(err, t.u.o.Log)
	t.single(ctx)
	return nil
}

// single goes on with the first segment alone.
func (t *transfer) single(ctx context.Context) {
	t.mu.Lock()
	t.alone = true
	t.mu.Unlock()
	t.dropParts(ctx)
}
