package upload

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/pcloudfs/pcloudfs/remote"
)

// Names of files that Whole has not finished begin and end like this.
const (
	TempPrefix = ".pcloudfs-"
	TempSuffix = ".part"
)

// Whole uploads src where sessions are refused: in one request under a
// temporary name in the folder of t, which the server's digest has to confirm,
// and then by a rename, which replaces the old version in one step.
//
// The temporary name follows from target and bytes, so a repetition finds and
// uses what an interrupted call has left.
//
// A rename knows no condition. Whole checks the condition of t just before it,
// and if it does not hold gives the file a conflict name as the server would;
// what somebody else puts at the name in the moment between is replaced, and
// stays in pCloud as an older version.
func (u *Uploader) Whole(ctx context.Context, t remote.UploadTarget, src Source) (Result, error) {
	w, err := wanted(ctx, t, src)
	if err != nil {
		return Result{}, err
	}
	s, err := u.look(ctx, w)
	if err != nil {
		return Result{}, err
	}
	if s.outcome(w) {
		return u.present(ctx, w, s, s.names[tempName(w)])
	}
	temp, err := u.stage(ctx, w, src)
	if err != nil {
		return Result{}, err
	}
	return u.place(ctx, w, temp)
}

// tempName is the temporary name for w.
func tempName(w want) string {
	h := sha1.New()
	h.Write([]byte(w.Name))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(w.size)))
	h.Write(w.sha1[:])
	return TempPrefix + hex.EncodeToString(h.Sum(nil)[:8]) + TempSuffix
}

// temp is w under its temporary name.
func (w want) temp() want {
	w.Name, w.If = tempName(w), remote.Condition{}
	return w
}

// stage uploads src under its temporary name, unless it is there.
func (u *Uploader) stage(ctx context.Context, w want, src Source) (remote.Entry, error) {
	tw := w.temp()
	s, err := u.look(ctx, tw)
	if err != nil {
		return remote.Entry{}, err
	}
	if s.ours && sameTime(*s.at, tw) {
		return *s.at, nil
	}
	r, err := u.Single(ctx, tw.UploadTarget, src)
	if err == nil && r.SHA1 != w.sha1 {
		err = fmt.Errorf("%w: its bytes are not those that were sent", ErrSourceChanged)
	}
	if errors.Is(err, ErrMismatch) || errors.Is(err, ErrSourceChanged) {
		if s, err := u.look(ctx, tw); err == nil && s.at != nil {
			u.deleteTemp(ctx, tw, s.at.FileID)
		}
	}
	return r.Entry, err
}

// present ends an upload whose bytes are there already, and deletes the
// temporary file that an earlier call has left, if any.
func (u *Uploader) present(ctx context.Context, w want, s sight, temp remote.FileID) (Result, error) {
	if temp != 0 {
		if err := u.deleteTemp(ctx, w.temp(), temp); err != nil && (ctx.Err() != nil || temporary(err)) {
			return Result{}, fmt.Errorf("upload %q: delete the temporary file: %w", w.Name, err)
		}
	}
	return u.tidy(ctx, w, s, 0)
}

// deleteTemp deletes the file id, if it has the temporary name.
func (u *Uploader) deleteTemp(ctx context.Context, tw want, id remote.FileID) error {
	err := u.insist(ctx, func() error {
		now, err := u.o.Remote.Stat(ctx, id)
		if err == nil && now.Name == tw.Name {
			err = u.o.Remote.DeleteFile(ctx, id)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		u.o.Log.Warn("temporary file stays", slog.String("name", tw.Name), slog.Any("err", err))
	}
	return err
}

// place gives the staged file its name, or a conflict name.
func (u *Uploader) place(ctx context.Context, w want, temp remote.Entry) (Result, error) {
	for n := 1; ; n++ {
		s, err := u.lookUntil(ctx, w, func(s sight) bool { return s.met(w.If) })
		if err != nil {
			return Result{}, err
		}
		if s.outcome(w) {
			return u.present(ctx, w, s, temp.FileID)
		}
		name, ok := w.Name, s.met(w.If)
		if !ok {
			name = freeConflictName(w.Name, s.names)
		}
		e, err := u.o.Remote.RenameFile(ctx, temp.FileID, w.Parent, name)
		if err == nil {
			return u.placed(w, s, e), nil
		}
		// If it took effect, the next look shows it. A file that has just been
		// uploaded may not be visible yet.
		again := uncertain(err) || temporary(err) || errors.Is(err, fs.ErrNotExist)
		if ctx.Err() != nil || !again || n >= u.o.Tries {
			return Result{}, fmt.Errorf("rename the uploaded file to %q: %w", name, err)
		}
		if u.pause(ctx, n) != nil {
			return Result{}, err
		}
	}
}

func (u *Uploader) placed(w want, s sight, e remote.Entry) Result {
	if e.Replaced != 0 && (s.at == nil || s.at.FileID != e.Replaced) {
		u.o.Log.Warn("replaced a file that had just been made", slog.String("name", e.Name))
	}
	return Result{Entry: e, SHA1: w.sha1, Conflicted: e.Name != w.Name}
}

// freeConflictName makes a name as the server does for a file whose condition
// does not hold (pCloud API 8.6).
func freeConflictName(base string, taken map[string]remote.FileID) string {
	stem, ext := base, ""
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		stem, ext = base[:i], base[i:]
	}
	name := stem + conflictMark + ext
	for n := 1; ; n++ {
		if _, ok := taken[name]; !ok {
			return name
		}
		name = fmt.Sprintf("%s%s (%d)%s", stem, conflictMark, n, ext)
	}
}
