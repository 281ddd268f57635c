package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/pcloudfs/pcloudfs/remote"
)

// conflictMark is what pCloud puts into the name of a file whose condition did
// not hold (pCloud API 8.6).
const conflictMark = "{CONFLICTED}"

// want is a target with the bytes that it shall get.
type want struct {
	remote.UploadTarget
	size int64
	sha1 remote.SHA1
}

// sight is what the folder of a target looks like.
type sight struct {
	at    *remote.Entry            // the file that has the name; nil if there is none
	ours  bool                     // it has the bytes that are wanted
	twins []remote.Entry           // files with the same bytes under conflict names of the target
	names map[string]remote.FileID // all that are taken; 0 for folders
	files map[remote.FileID]bool
}

// look lists the folder of w and compares what matters there. It repeats
// temporary failures.
func (u *Uploader) look(ctx context.Context, w want) (s sight, err error) {
	err = u.retry(ctx, func() error {
		s, err = u.lookOnce(ctx, w)
		return err
	})
	return s, err
}

// lookUntil looks until it sees what must be there, or has looked Tries times:
// a listing may lag behind what the server knows. It is patient with failures.
func (u *Uploader) lookUntil(ctx context.Context, w want, ok func(sight) bool) (s sight, err error) {
	for n := 1; ; n++ {
		err = u.insist(ctx, func() error {
			s, err = u.lookOnce(ctx, w)
			return err
		})
		if err != nil || ok(s) || n >= u.o.Tries {
			return s, err
		}
		if err := u.pause(ctx, n); err != nil {
			return s, err
		}
	}
}

func (u *Uploader) lookOnce(ctx context.Context, w want) (sight, error) {
	s := sight{names: make(map[string]remote.FileID), files: make(map[remote.FileID]bool)}
	f, err := u.o.Remote.List(ctx, w.Parent)
	if err != nil {
		return s, err
	}
	for _, e := range f.Contents {
		if e.Folder {
			if _, ok := s.names[e.Name]; !ok {
				s.names[e.Name] = 0
			}
			continue
		}
		s.names[e.Name] = e.FileID
		s.files[e.FileID] = true
		isAt := e.Name == w.Name
		if !isAt && (e.Size != w.size || !conflictName(w.Name, e.Name)) {
			continue
		}
		now, same, err := u.holds(ctx, e, w)
		switch {
		case err != nil:
			return s, err
		case isAt:
			s.at, s.ours = &now, same
		case same:
			s.twins = append(s.twins, now)
		}
	}
	return s, nil
}

// holds says whether e is still there, under its name, and has the bytes of w,
// and what it looks like by the time that this is known.
func (u *Uploader) holds(ctx context.Context, e remote.Entry, w want) (remote.Entry, bool, error) {
	if e.Size != w.size {
		return e, false, nil
	}
	now, sums, err := u.o.Remote.Checksum(ctx, e.FileID)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err != nil || now.Name != e.Name || now.ParentID != e.ParentID {
		return e, false, err
	}
	return now, now.Size == w.size && sums.SHA1 == w.sha1, nil
}

// met says whether the condition of w would hold with what has the name now.
func (s sight) met(c remote.Condition) bool {
	switch {
	case c == remote.Condition{}:
		return true
	case c == remote.IfNew():
		return s.at == nil
	}
	return s.at != nil && c == remote.IfHash(s.at.Hash)
}

// outcome says whether an upload of w, whose reply was lost, has taken effect,
// at the name or as a conflict copy.
//
// The bytes at the name are no proof while the condition holds: they may have
// been there before. Then it counts whether the time was set. If it was not, a
// repetition is harmless, because the condition holds.
func (s sight) outcome(w want) bool {
	if s.ours {
		return !s.met(w.If) || sameTime(*s.at, w)
	}
	return !s.met(w.If) && len(s.twins) > 0
}

func (s sight) oldest() remote.Entry {
	e := s.twins[0]
	for _, t := range s.twins[1:] {
		if t.FileID < e.FileID {
			e = t
		}
	}
	return e
}

func sameTime(e remote.Entry, w want) bool {
	return w.Modified.IsZero() || e.Modified.Unix() == w.Modified.Unix()
}

// conflictName says whether name is one that pCloud could give to a file that
// was to be called base: the mark after the stem, and perhaps a number. Where
// exactly is not known, so the test is generous; what it accepts is compared
// byte by byte before anything follows from it.
func conflictName(base, name string) bool {
	ext := ""
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		ext = base[i:]
	}
	return marked(strings.TrimSuffix(base, ext), ext, name) || marked(base, "", name)
}

func marked(stem, ext, name string) bool {
	const room = len(" (1000000)  ") + len(conflictMark)
	if !strings.HasPrefix(name, stem) || !strings.HasSuffix(name, ext) || len(name) < len(stem)+len(ext) {
		return false
	}
	mid := name[len(stem) : len(name)-len(ext)]
	return len(mid) <= room && strings.Contains(mid, conflictMark)
}

// conflicted is the end of an upload that the server stored as e under another
// name, because the condition did not hold. If what is in the way is an earlier
// attempt of the same upload, the copy is deleted. An error means that this
// could not be found out for now; the upload can be called again.
func (u *Uploader) conflicted(ctx context.Context, w want, e remote.Entry) (Result, error) {
	// A listing that has the copy has what was there before it, too.
	s, err := u.lookUntil(ctx, w, func(s sight) bool { return !s.met(w.If) && s.files[e.FileID] })
	switch {
	case err != nil && (ctx.Err() != nil || temporary(err)):
		return Result{}, fmt.Errorf("upload %q: conflict not examined: %w", w.Name, err)
	case err != nil:
		u.o.Log.Warn("conflict not examined", slog.String("name", e.Name), slog.Any("err", err))
		return Result{Entry: e, SHA1: w.sha1, Conflicted: true}, nil
	case s.ours && s.at.FileID == e.FileID:
		return Result{Entry: e, SHA1: w.sha1}, nil // it was renamed since
	}
	if !slices.ContainsFunc(s.twins, func(t remote.Entry) bool { return t.FileID == e.FileID }) {
		s.twins = append(s.twins, e) // an unexpected name, or not in the listing yet
	}
	return u.tidy(ctx, w, s, e.FileID)
}

// tidy ends an upload of which attempts may have become conflict copies. It
// keeps the bytes at the name, if they are there, and otherwise the oldest
// copy, and deletes the other copies that the upload has made: made, and those
// that also have its time. Two who tidy up at once keep the same one. After an
// error the upload can be called again.
func (u *Uploader) tidy(ctx context.Context, w want, s sight, made remote.FileID) (Result, error) {
	keep := Result{SHA1: w.sha1, Conflicted: !s.ours}
	if s.ours {
		keep.Entry = *s.at
	} else {
		keep.Entry = s.oldest()
		keep.Entry.Conflicted = true
	}
	for _, e := range s.twins {
		same := !w.Modified.IsZero() && sameTime(e, w)
		if e.FileID == keep.Entry.FileID || e.FileID != made && !same {
			continue
		}
		err := u.deleteCopy(ctx, w, e)
		if err != nil && (ctx.Err() != nil || temporary(err)) {
			return Result{}, fmt.Errorf("upload %q: delete the second copy: %w", w.Name, err)
		}
		if err != nil {
			u.o.Log.Warn("second copy stays", slog.String("name", e.Name), slog.Any("err", err))
		}
	}
	return keep, nil
}

// deleteCopy deletes e, a second copy of the bytes of w, after another look
// whether it still is that.
func (u *Uploader) deleteCopy(ctx context.Context, w want, e remote.Entry) error {
	return u.insist(ctx, func() error {
		now, same, err := u.holds(ctx, e, w)
		if err != nil || !same || now.Hash != e.Hash {
			return err
		}
		err = u.o.Remote.DeleteFile(ctx, e.FileID)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// Find says whether an upload of src to t has taken effect: the name has the
// bytes, or they are there under a conflict name and the condition of t does not
// hold. It removes second copies. It is for uploads of which only a journal
// knows that they were begun; calling Single or Publish again without it is safe
// too, but costs a transfer.
func (u *Uploader) Find(ctx context.Context, t remote.UploadTarget, src Source) (Result, bool, error) {
	w, err := wanted(ctx, t, src)
	if err != nil {
		return Result{}, false, err
	}
	s, err := u.look(ctx, w)
	if err != nil {
		return Result{}, false, err
	}
	if !s.outcome(w) {
		return Result{}, false, nil
	}
	r, err := u.tidy(ctx, w, s, 0)
	return r, err == nil, err
}

// wanted reads all of src.
func wanted(ctx context.Context, t remote.UploadTarget, src Source) (want, error) {
	w := want{UploadTarget: t, size: src.Size()}
	var err error
	w.sha1, err = digest(ctx, src, w.size)
	return w, err
}
