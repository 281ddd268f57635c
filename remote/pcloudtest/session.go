package pcloudtest

import (
	"io"
	"sync"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// renamedSessions maps the upload ids that clients hold to those of the
// account, where they differ: with Quirks.OverwriteUploads a session that was
// written to in the middle is replaced by another one.
type renamedSessions struct {
	mu  sync.Mutex // guards ids; a leaf
	ids map[uint64]uint64
}

func (r *renamedSessions) real(id uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.ids[id]; ok {
		return n
	}
	return id
}

func (r *renamedSessions) set(id, real uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = make(map[uint64]uint64)
	}
	r.ids[id] = real
}

// sessionWrite writes n bytes of r, or all if n is -1, at an offset that must
// be the end of the session.
func (c *call) sessionWrite(id uint64, off int64, r io.Reader, n int64) error {
	a := c.s.account
	real := c.s.sessions.real(id)
	if !c.s.o.Quirks.OverwriteUploads {
		return a.WriteSession(real, off, r, n)
	}
	size, _, err := a.SessionInfo(real)
	if err != nil {
		return err
	}
	if off >= size {
		return a.WriteSession(real, off, r, n)
	}
	return c.sessionOverwrite(id, real, off, size, r, n)
}

// sessionOverwrite replaces part of a session by composing a new one.
func (c *call) sessionOverwrite(id, old uint64, off, size int64, r io.Reader, n int64) error {
	a := c.s.account
	next, err := a.CreateSession(-1)
	if err != nil {
		return err
	}
	if off > 0 {
		if err := a.SessionFromSession(next, 0, old, 0, off); err != nil {
			return err
		}
	}
	if err := a.WriteSession(next, off, r, n); err != nil {
		return err
	}
	end, _, err := a.SessionInfo(next)
	if err != nil {
		return err
	}
	if end < size {
		if err := a.SessionFromSession(next, end, old, end, size-end); err != nil {
			return err
		}
	}
	c.s.sessions.set(id, next)
	return a.DeleteSession(old)
}

// sessionSave makes a file of a session, which ends with it unless
// Quirks.KeepSavedUploads says otherwise.
func (c *call) sessionSave(id, parent uint64, name string, o store.PutOptions) (store.Node, error) {
	a := c.s.account
	real := c.s.sessions.real(id)
	if !c.s.o.Quirks.KeepSavedUploads {
		return c.view.SaveSession(real, parent, name, o)
	}
	size, _, err := a.SessionInfo(real)
	if err != nil {
		return store.Node{}, err
	}
	twin, err := a.CreateSession(-1)
	if err != nil {
		return store.Node{}, err
	}
	if size > 0 {
		if err := a.SessionFromSession(twin, 0, real, 0, size); err != nil {
			return store.Node{}, err
		}
	}
	return c.view.SaveSession(twin, parent, name, o)
}
