package store

import "io"

// SessionFromFile appends n bytes from offset srcOff of a file to a session
// (pCloud API 8.5); hash chooses the version, nil the current one. A range
// beyond the end is 2068. Other errors: 2003, 2009, 2067.
func (v *View) SessionFromFile(id uint64, off int64, file uint64, hash *uint64, srcOff, n int64) error {
	if _, err := v.a.session(id); err != nil {
		return err
	}
	c, _, err := v.OpenContent(file, hash, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	return v.a.appendRange(id, off, c, c.Size(), srcOff, n)
}

// SessionFromSession appends n bytes from offset srcOff of session src, which
// may be the same. A range beyond the end is 2068. Other errors: 2067.
func (a *Account) SessionFromSession(id uint64, off int64, src uint64, srcOff, n int64) error {
	s, err := a.session(src)
	if err != nil {
		return err
	}
	r, size, err := a.openSession(s)
	if err != nil {
		return err
	}
	defer r.Close()
	return a.appendRange(id, off, r, size, srcOff, n)
}

func (a *Account) appendRange(id uint64, off int64, r io.ReaderAt, size, srcOff, n int64) error {
	if srcOff < 0 || n < 0 || srcOff > size || n > size-srcOff {
		return fail(CodeUploadOffset)
	}
	return a.WriteSession(id, off, io.NewSectionReader(r, srcOff, n), n)
}

// openSession reads what a session has now.
func (a *Account) openSession(s *session) (reader, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil, 0, fail(CodeNoUpload)
	}
	if s.mem != nil {
		return nopCloser{s.mem.snapshot()}, s.size, nil
	}
	f, err := openRead(a.sessionPath(s.id))
	return f, s.size, err
}

// snapshot is the memory as it is, whatever is appended later: pieces only
// grow, and never within what the snapshot has of them.
func (m *memory) snapshot() *memory {
	return &memory{pieces: append([][]byte(nil), m.pieces...), size: m.size}
}
