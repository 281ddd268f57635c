package upload

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// fake is pCloud as far as a Remote sees it, with one folder. Every call asks
// fault what shall go wrong.
type fake struct {
	rnd       *rand.Rand
	byContent bool          // hashes are a function of the content, as pCloud's may be
	oddNames  bool          // conflict names that nobody knows
	lag       time.Duration // listings show what was so long ago
	fault     func(method string) fault
	before    func(method string) // runs before the call, without the lock

	mu       sync.Mutex
	files    map[remote.FileID]*version
	sessions map[remote.UploadID][]byte
	next     uint64
	shots    []shot
	shown    map[string][][]byte // everything that ever was at a name
	received int64               // bytes of bodies
	calls    []string
}

type version struct {
	remote.Entry
	data []byte
	old  []*version
}

// shot is a listing from a moment on.
type shot struct {
	since   time.Time
	entries []remote.Entry
}

// fault is what happens to one call.
type fault int

const (
	fine       fault = iota
	refused          // no effect, and that is certain
	lostBefore       // no effect, but nobody knows
	lostAfter        // took effect, but nobody knows
	late             // takes effect after the error was returned
	partly           // a part of the body arrives
	garbled          // the digest in the reply is wrong
	corrupt          // other bytes are stored, with their digest
	forgotten        // the session is lost
	forbidden        // result 2003
	nonsense         // took effect, and the reply makes no sense
)

// lost is an error whose effect is unknown.
type lost struct {
	method string
	is     error
}

func (e lost) Error() string        { return e.method + ": reply lost" }
func (e lost) Uncertain() bool      { return true }
func (e lost) Is(target error) bool { return target == e.is }

func result(method string, code int) error { return &remote.Error{Method: method, Result: code} }

func newFake(seed uint64) *fake {
	return &fake{
		rnd:      rand.New(rand.NewPCG(seed, 1)),
		fault:    func(string) fault { return fine },
		before:   func(string) {},
		files:    make(map[remote.FileID]*version),
		sessions: make(map[remote.UploadID][]byte),
		shown:    make(map[string][][]byte),
		next:     1000,
	}
}

// do runs one call: effect is its effect, under the lock.
func (f *fake) do(ctx context.Context, method string, effect func(k fault) error) error {
	f.before(method)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	time.Sleep(time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.fault(method)
	f.calls = append(f.calls, fmt.Sprintf("%s:%d", method, k))
	switch k {
	case refused:
		return result(method, 4010)
	case forbidden:
		return result(method, 2003)
	case lostBefore:
		return lost{method, remote.ErrTemporary}
	case late:
		time.AfterFunc(200*time.Millisecond, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			_ = effect(late)
		})
		return lost{method, remote.ErrTemporary}
	}
	err := effect(k)
	if k == lostAfter || k == partly {
		err = lost{method, remote.ErrTemporary}
	}
	if k == nonsense {
		err = lost{method, remote.ErrProtocol}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
	return err
}

func (f *fake) id() uint64 { f.next++; return f.next }

func (f *fake) hash(data []byte) remote.Hash {
	if f.byContent {
		s := sha1.Sum(data)
		return remote.Hash(binary.BigEndian.Uint64(s[:]))
	}
	return remote.Hash(f.id() | 1<<63)
}

// named returns the file of that name. f.mu is held.
func (f *fake) named(name string) *version {
	for _, v := range f.files {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// changed takes a listing and notes what can be seen. f.mu is held.
func (f *fake) changed() {
	var all []remote.Entry
	for _, v := range f.files {
		all = append(all, v.Entry)
		seen := f.shown[v.Name]
		if len(seen) == 0 || !bytes.Equal(seen[len(seen)-1], v.data) {
			f.shown[v.Name] = append(seen, v.data)
		}
	}
	f.shots = append(f.shots, shot{time.Now(), all})
}

// store does what pCloud does with an upload (pCloud API 7.8, 8.6). f.mu is held.
func (f *fake) store(t remote.UploadTarget, data []byte) remote.Entry {
	name, at := t.Name, f.named(t.Name)
	ok := t.If == remote.Condition{} || t.If == remote.IfNew() && at == nil ||
		at != nil && t.If == remote.IfHash(at.Hash)
	if !ok {
		mark := conflictMark
		if f.oddNames {
			mark = " in conflict"
		}
		name, at = t.Name+mark, nil
		for n := 1; f.named(name) != nil; n++ {
			name = fmt.Sprintf("%s%s (%d)", t.Name, mark, n)
		}
	}
	if at == nil {
		at = &version{Entry: remote.Entry{Name: name, FileID: remote.FileID(f.id()), ParentID: t.Parent}}
		f.files[at.FileID] = at
	} else if !bytes.Equal(at.data, data) {
		old := *at
		at.old = append(at.old, &old)
	}
	if !bytes.Equal(at.data, data) || at.Hash == 0 {
		at.Hash = f.hash(data)
	}
	at.data, at.Size = data, int64(len(data))
	at.Modified = t.Modified
	if t.Modified.IsZero() {
		at.Modified = time.Now()
	}
	at.Modified = at.Modified.Truncate(time.Second)
	f.changed()
	e := at.Entry
	e.Conflicted = !ok
	return e
}

// write is somebody else who overwrites a file.
func (f *fake) write(name string, data []byte) remote.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.store(remote.UploadTarget{Name: name, Modified: time.Unix(1, 0)}, data)
}

func (f *fake) List(ctx context.Context, id remote.FolderID) (folder remote.Folder, err error) {
	err = f.do(ctx, "listfolder", func(fault) error {
		for _, s := range f.shots {
			if time.Since(s.since) >= f.lag {
				folder.Contents = slices.Clone(s.entries)
				f.rnd.Shuffle(len(s.entries), func(i, j int) {
					folder.Contents[i], folder.Contents[j] = folder.Contents[j], folder.Contents[i]
				})
			}
		}
		return nil
	})
	return folder, err
}

func (f *fake) Stat(ctx context.Context, id remote.FileID) (e remote.Entry, err error) {
	err = f.do(ctx, "stat", func(fault) error {
		v := f.files[id]
		if v == nil {
			return result("stat", 2009)
		}
		e = v.Entry
		return nil
	})
	return e, err
}

func (f *fake) Checksum(ctx context.Context, id remote.FileID) (e remote.Entry, s remote.Checksums, err error) {
	err = f.do(ctx, "checksumfile", func(fault) error {
		v := f.files[id]
		if v == nil {
			return result("checksumfile", 2009)
		}
		e, s.SHA1 = v.Entry, sha1.Sum(v.data)
		return nil
	})
	return e, s, err
}

func (f *fake) RenameFile(ctx context.Context, id remote.FileID, to remote.FolderID, name string) (e remote.Entry, err error) {
	err = f.do(ctx, "renamefile", func(k fault) error {
		v := f.files[id]
		if v == nil {
			return result("renamefile", 2009)
		}
		old := f.named(name)
		if old != nil && old != v {
			delete(f.files, old.FileID)
		}
		v.Name = name
		f.changed()
		if k == late {
			return nil
		}
		e = v.Entry
		if old != nil && old != v {
			e.Replaced = old.FileID
		}
		return nil
	})
	return e, err
}

func (f *fake) DeleteFile(ctx context.Context, id remote.FileID) error {
	return f.do(ctx, "deletefile", func(fault) error {
		if f.files[id] == nil {
			return result("deletefile", 2009)
		}
		delete(f.files, id)
		f.changed()
		return nil
	})
}

// body reads as a transport does: in pieces, and some of it twice.
func (f *fake) body(r io.ReaderAt, off, n int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := make([]byte, n)
	for at := int64(0); at < n; {
		m := min(1+f.rnd.Int64N(40), n-at)
		if _, err := r.ReadAt(b[at:at+m], off+at); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if at += m; f.rnd.IntN(20) == 0 {
			at = f.rnd.Int64N(at)
		}
	}
	return b, nil
}

// spoil changes a byte, or adds one to nothing.
func (f *fake) spoil(b []byte) []byte {
	if len(b) == 0 {
		return []byte{'!'}
	}
	b[f.rnd.IntN(len(b))] ^= 0x55
	return b
}

func (f *fake) UploadFile(ctx context.Context, t remote.UploadTarget, r io.ReaderAt, size int64) (e remote.Entry, s remote.Checksums, err error) {
	b, err := f.body(r, 0, size)
	if err != nil {
		return e, s, err
	}
	err = f.do(ctx, "uploadfile", func(k fault) error {
		f.received += size
		if k == partly { // nopartial=1: a part is nothing
			return nil
		}
		if k == corrupt {
			b = f.spoil(b)
		}
		made := f.store(t, b)
		if k == late {
			return nil
		}
		e, s.SHA1 = made, sha1.Sum(b)
		if k == garbled {
			s.SHA1[3]++
		}
		if (k == corrupt || k == garbled) && f.rnd.IntN(2) == 0 {
			return fmt.Errorf("uploadfile: %w", remote.ErrMismatch) // as remote.Client does
		}
		return nil
	})
	if uncertain(err) {
		e, s = remote.Entry{}, remote.Checksums{}
	}
	return e, s, err
}

func (f *fake) CreateUpload(ctx context.Context, size int64) (id remote.UploadID, err error) {
	err = f.do(ctx, "upload_create", func(fault) error {
		id = remote.UploadID(f.id())
		f.sessions[id] = []byte{}
		return nil
	})
	return id, err
}

func (f *fake) WriteUpload(ctx context.Context, id remote.UploadID, off int64, r io.ReaderAt, n int64) error {
	b, err := f.body(r, off, n)
	if err != nil {
		return err
	}
	return f.do(ctx, "upload_write", func(k fault) error {
		if k == forgotten {
			delete(f.sessions, id)
		}
		have, ok := f.sessions[id]
		switch {
		case !ok:
			return result("upload_write", 2067)
		case int64(len(have)) != off:
			return result("upload_write", 2068)
		case k == partly:
			b = b[:f.rnd.Int64N(n+1)]
		case k == corrupt:
			b = f.spoil(b)
		}
		f.received += int64(len(b))
		f.sessions[id] = append(have, b...)
		return nil
	})
}

// joining is a fake that also joins sessions.
type joining struct{ *fake }

func (f joining) WriteUploadFromUpload(ctx context.Context, id remote.UploadID, off int64, src remote.UploadID, srcOff, n int64) error {
	return f.do(ctx, "upload_writefromupload", func(k fault) error {
		if k == forgotten {
			delete(f.sessions, []remote.UploadID{id, src}[f.rnd.IntN(2)])
		}
		have, ok := f.sessions[id]
		from, ok2 := f.sessions[src]
		switch {
		case !ok || !ok2:
			return result("upload_writefromupload", 2067)
		case int64(len(have)) != off, srcOff+n > int64(len(from)):
			return result("upload_writefromupload", 2068)
		}
		b := slices.Clone(from[srcOff : srcOff+n])
		switch k {
		case partly:
			b = b[:f.rnd.Int64N(n+1)]
		case corrupt:
			b = f.spoil(b)
		}
		f.sessions[id] = append(have, b...)
		return nil
	})
}

func (f *fake) UploadInfo(ctx context.Context, id remote.UploadID) (st remote.UploadStatus, err error) {
	err = f.do(ctx, "upload_info", func(k fault) error {
		if k == forgotten {
			delete(f.sessions, id)
		}
		b, ok := f.sessions[id]
		if !ok {
			return result("upload_info", 2067)
		}
		st.Size, st.SHA1 = int64(len(b)), sha1.Sum(b)
		if k == garbled {
			st.SHA1[7]++
		}
		return nil
	})
	return st, err
}

func (f *fake) SaveUpload(ctx context.Context, id remote.UploadID, t remote.UploadTarget) (e remote.Entry, err error) {
	err = f.do(ctx, "upload_save", func(k fault) error {
		// What comes late must not touch the results.
		if k == forgotten {
			delete(f.sessions, id)
		}
		b, ok := f.sessions[id]
		if !ok {
			return result("upload_save", 2067)
		}
		delete(f.sessions, id)
		saved := f.store(t, b)
		if k != late {
			e = saved
		}
		return nil
	})
	return e, err
}

func (f *fake) DeleteUpload(ctx context.Context, id remote.UploadID) error {
	return f.do(ctx, "upload_delete", func(fault) error {
		delete(f.sessions, id)
		return nil
	})
}

func (f *fake) Revisions(ctx context.Context, id remote.FileID) (all []remote.Revision, err error) {
	err = f.do(ctx, "listrevisions", func(fault) error {
		for i, v := range f.files[id].old {
			all = append(all, remote.Revision{ID: remote.RevisionID(i), Size: v.Size, Hash: v.Hash})
		}
		return nil
	})
	return all, err
}

func (f *fake) RevertRevision(ctx context.Context, id remote.FileID, r remote.RevisionID) (e remote.Entry, err error) {
	err = f.do(ctx, "revertrevision", func(fault) error {
		v := f.files[id]
		old := v.old[r]
		v.data, v.Size, v.Hash = old.data, old.Size, old.Hash
		f.changed()
		e = v.Entry
		return nil
	})
	return e, err
}

// holding returns the names under which data can be seen, sorted.
func (f *fake) holding(data []byte) (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.files {
		if bytes.Equal(v.data, data) {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names
}

// at returns the bytes of a name; nil if there is no file.
func (f *fake) at(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.named(name); v != nil {
		return v.data
	}
	return nil
}
