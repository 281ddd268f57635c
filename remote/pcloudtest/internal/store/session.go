package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// session is an upload in progress (pCloud API 8).
type session struct {
	id      uint64
	created int64 // unix seconds

	// mu guards the rest, is held while bytes are stored, and comes before
	// Account.mu. It is not held while waiting for the client's bytes.
	mu       sync.Mutex
	size     int64
	recorded int64 // size that a restart finds
	dig      *digester
	mem      *memory // nil with a directory
	gone     bool    // saved, deleted or dropped
}

func (a *Account) sessionPath(id uint64) string {
	return filepath.Join(a.dir, "sessions", fmt.Sprintf("%016x", id))
}

// CreateSession starts an upload (pCloud API 8.2). size is what the client
// announced, or -1; without room for it that is 2008.
func (a *Account) CreateSession(size int64) (id uint64, err error) {
	s := &session{created: a.clock(), dig: a.newDigester()}
	err = a.read(func() error {
		if err := a.room(size); err != nil {
			return err
		}
		s.id = a.next(&a.ids.Session)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if a.db == nil {
		s.mem = &memory{}
	} else if err := os.WriteFile(a.sessionPath(s.id), nil, 0o600); err != nil {
		return 0, fmt.Errorf("create upload: %w", err)
	}
	err = a.read(func() error {
		if err := a.saveNewSession(s); err != nil {
			return err
		}
		a.upload[s.id] = s
		return nil
	})
	return s.id, err
}

// session finds a live session: 2067.
func (a *Account) session(id uint64) (s *session, err error) {
	expired := false
	err = a.read(func() error {
		if s = a.upload[id]; s == nil {
			return fail(CodeNoUpload)
		}
		age := a.clock() - s.created
		expired = a.quirks.SessionExpiry > 0 && age > int64(a.quirks.SessionExpiry.Seconds())
		return nil
	})
	if expired {
		a.endSession(s)
		return nil, fail(CodeNoUpload)
	}
	return s, err
}

// WriteSession appends n bytes of r (n -1: all until io.EOF) at offset off,
// which must be the session's size (pCloud API 8.3). Bytes that came before r
// broke stay; its error is returned, io.ErrUnexpectedEOF for an early end.
// Other errors: 2067, 2068.
func (a *Account) WriteSession(id uint64, off int64, r io.Reader, n int64) error {
	s, err := a.session(id)
	if err != nil {
		return err
	}
	w := &sessionWriter{a: a, s: s, off: off}
	defer w.close()
	// Refuse a wrong offset before reading what may be a long body.
	if err := w.write(nil); err != nil {
		return err
	}
	if n >= 0 {
		r = io.LimitReader(r, n)
	}
	buf := make([]byte, 128<<10)
	for {
		k, rerr := r.Read(buf)
		if err := w.write(buf[:k]); err != nil {
			return err
		}
		if rerr == io.EOF {
			break
		}
		if rerr != nil {
			return errors.Join(w.record(), fmt.Errorf("write upload: %w", rerr))
		}
	}
	if err := w.record(); err != nil {
		return err
	}
	if n >= 0 && w.off-off < n {
		return fmt.Errorf("write upload: %w", io.ErrUnexpectedEOF)
	}
	return nil
}

// sessionWriter appends to a session on behalf of one request.
type sessionWriter struct {
	a    *Account
	s    *session
	off  int64 // where this request's next byte goes
	file *os.File
}

func (w *sessionWriter) write(p []byte) error {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return fail(CodeNoUpload)
	case s.size != w.off:
		return fail(CodeUploadOffset)
	case len(p) == 0:
		return nil
	case s.mem != nil:
		s.mem.append(p)
	default:
		n, err := w.writeFile(p)
		if err != nil {
			// Forget the partial write: the next one goes over it.
			return fmt.Errorf("write upload: %d bytes: %w", n, err)
		}
	}
	s.dig.write(p)
	s.size += int64(len(p))
	w.off = s.size
	return nil
}

func (w *sessionWriter) writeFile(p []byte) (int, error) {
	if w.file == nil {
		f, err := os.OpenFile(w.a.sessionPath(w.s.id), os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		w.file = f
	}
	return w.file.WriteAt(p, w.off)
}

// record makes what was written survive a restart.
func (w *sessionWriter) record() error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.a.record(w.s)
}

func (w *sessionWriter) close() {
	if w.file != nil {
		w.file.Close() // nothing is buffered, so nothing can be lost
	}
}

// record saves a session's size; s.mu is held.
func (a *Account) record(s *session) error {
	if s.gone || s.recorded == s.size {
		return nil
	}
	if err := a.saveSession(s); err != nil {
		return err
	}
	s.recorded = s.size
	return nil
}

// SessionInfo returns the size of a session and the digests of its bytes so
// far (pCloud API 8.4): 2067.
func (a *Account) SessionInfo(id uint64) (size int64, sums Sums, err error) {
	s, err := a.session(id)
	if err != nil {
		return 0, Sums{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return 0, Sums{}, fail(CodeNoUpload)
	}
	// What was reported must still be there after a restart.
	if err := a.record(s); err != nil {
		return 0, Sums{}, err
	}
	return s.size, s.dig.sums(), nil
}

// SaveSession makes a session's bytes the content of a file as Put does and
// ends the session (pCloud API 8.6). A refused save leaves the session as it
// was. Errors: 2067, and those of Put.
func (v *View) SaveSession(id, parent uint64, name string, o PutOptions) (n Node, err error) {
	a := v.a
	s, err := a.session(id)
	if err != nil {
		return Node{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return Node{}, fail(CodeNoUpload)
	}
	if s.mem != nil {
		s.mem.clip()
	}
	b := a.newBlob(&blob{mem: s.mem}, s.size, s.dig)
	if s.mem == nil {
		// A second name for the bytes: whichever way a crash leaves them, the
		// next Open removes the one that nothing refers to.
		if err := a.place(os.Link, a.sessionPath(id), b.b.id); err != nil {
			return Node{}, fmt.Errorf("save upload: %w", err)
		}
	}
	defer b.Release()
	content, done := v.recognize(parent, name, b.b)
	defer done()
	err = a.update(func(t *txn) error {
		if n, err = v.put(t, parent, name, content, o); err != nil {
			return err
		}
		delete(a.upload, id)
		t.sessions = append(t.sessions, s)
		return nil
	})
	if err != nil {
		return Node{}, err
	}
	a.forget(s)
	return n, nil
}

// forget ends a session that the maps and the metadata file do not have any
// more; s.mu is held.
func (a *Account) forget(s *session) {
	s.gone = true
	if s.mem == nil {
		a.removeFile(a.sessionPath(s.id))
	}
	s.mem = nil
}

// endSession removes a session that is not saved.
func (a *Account) endSession(s *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return fail(CodeNoUpload)
	}
	err := a.update(func(t *txn) error {
		delete(a.upload, s.id)
		t.sessions = append(t.sessions, s)
		return nil
	})
	if err == nil {
		a.forget(s)
	}
	return err
}

// DeleteSession abandons an upload (pCloud API 8.8): 2067 if there is none.
func (a *Account) DeleteSession(id uint64) error {
	s, err := a.session(id)
	if err != nil {
		return err
	}
	return a.endSession(s)
}

// Sessions counts the live sessions.
func (a *Account) Sessions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.upload)
}

// DropSessions loses all sessions, as a server may.
func (a *Account) DropSessions() {
	a.mu.Lock()
	all := make([]*session, 0, len(a.upload))
	for _, s := range a.upload {
		all = append(all, s)
	}
	a.mu.Unlock()
	for _, s := range all {
		_ = a.endSession(s) // one that ended by itself is as good
	}
}
