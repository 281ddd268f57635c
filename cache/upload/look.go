package upload

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
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
	at    *remote.Entry  // the file that has the name; nil if there is none
	ours  bool           // it has the bytes that are wanted
	twins []remote.Entry // files with the same bytes under conflict names of the target
	names map[string]bool
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

func (u *Uploader) lookOnce(ctx context.Context, w want) (sight, error) {
	s := sight{names: make(map[string]bool)}
	f, err := u.o.Remote.List(ctx, w.Parent)
	if err != nil {
		return s, err
	}
	for _, e := range f.Contents {
		s.names[e.Name] = true
		if e.Folder {
			continue
		}
		switch {
		case e.Name == w.Name:
			now, same, err := u.holds(ctx, e, w)
			if err != nil {
				return s, err
			}
			s.at, s.ours = &now, same
		case e.Size == w.size && conflictName(w.Name, e.Name):
			now, same, err := u.holds(ctx, e, w)
			if err != nil {
				return s, err
			}
			if same {
				s.twins = append(s.twins, now)
			}
		}
	}
	return s, nil
}

// holds says whether the file e has the bytes of w, and what it looks like by
// the time that this is known. A file that goes away meanwhile has not.
func (u *Uploader) holds(ctx context.Context, e remote.Entry, w want) (remote.Entry, bool, error) {
	if e.Size != w.size {
		return e, false, nil
	}
	now, sums, err := u.o.Remote.Checksum(ctx, e.FileID)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	// The reply may be short of anything that the listing had.
	if now.Hash != e.Hash {
		e.Hash, e.Size, e.Modified = now.Hash, now.Size, now.Modified
	}
	return e, e.Size == w.size && sums.SHA1 == w.sha1, nil
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

// outcome says whether an upload of w, whose reply was lost, has taken effect.
//
// The bytes at the name are no proof while the condition holds: they may have
// been there before. Then it counts whether the time was set. If it was not, a
// repetition is harmless, because the condition holds.
func (s sight) outcome(w want) (Result, bool) {
	switch {
	case s.ours && (!s.met(w.If) || sameTime(*s.at, w)):
		return Result{Entry: *s.at, SHA1: w.sha1}, true
	case !s.ours && !s.met(w.If) && len(s.twins) > 0:
		return Result{Entry: s.oldest(), SHA1: w.sha1, Conflicted: true}, true
	}
	return Result{}, false
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
// attempt of the same upload, the copy is deleted.
func (u *Uploader) conflicted(ctx context.Context, w want, e remote.Entry) Result {
	both := Result{Entry: e, SHA1: w.sha1, Conflicted: true}
	s, err := u.look(ctx, w)
	// The listing may lag behind what the server decided by.
	for n := 1; err == nil && s.met(w.If) && n < u.o.Tries; n++ {
		if u.pause(ctx, n) != nil {
			return both
		}
		s, err = u.look(ctx, w)
	}
	if err != nil {
		u.o.Log.Warn("conflict not examined", slog.String("name", e.Name), slog.Any("err", err))
		return both
	}
	var keep Result
	switch {
	case s.ours && s.at.FileID != e.FileID:
		keep = Result{Entry: *s.at, SHA1: w.sha1}
	case !s.ours && len(s.twins) > 0 && s.oldest().FileID < e.FileID:
		// Two who clean up at once must not each delete the other's copy, so
		// only the younger goes.
		keep = Result{Entry: s.oldest(), SHA1: w.sha1, Conflicted: true}
	default:
		return both
	}
	if err := u.deleteCopy(ctx, w, e); err != nil {
		u.o.Log.Warn("second copy stays", slog.String("name", e.Name), slog.Any("err", err))
	}
	return keep
}

// deleteCopy deletes e, which an upload of w has just made, after another look
// whether it is still that.
func (u *Uploader) deleteCopy(ctx context.Context, w want, e remote.Entry) error {
	return u.retry(ctx, func() error {
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

// Find says whether t already has the bytes of src, or whether they are there
// under a conflict name because the condition of t does not hold. It is for
// uploads of which only a journal knows that they were begun; calling Single or
// Publish again without it is safe too, but costs another transfer.
func (u *Uploader) Find(ctx context.Context, t remote.UploadTarget, src Source) (Result, bool, error) {
	w, err := wanted(ctx, t, src)
	if err != nil {
		return Result{}, false, err
	}
	s, err := u.look(ctx, w)
	if err != nil {
		return Result{}, false, err
	}
	r, ok := s.outcome(w)
	return r, ok, nil
}

// wanted reads all of src.
func wanted(ctx context.Context, t remote.UploadTarget, src Source) (want, error) {
	w := want{UploadTarget: t, size: src.Size()}
	var err error
	w.sha1, err = digest(ctx, src, w.size)
	return w, err
}
