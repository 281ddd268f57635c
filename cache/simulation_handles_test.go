package cache

import (
	"slices"

	"github.com/stretchr/testify/require"
)

// simHandle is an open file of a history.
type simHandle struct {
	*Handle
	f *simFile
}

const simHandles = 5

func (s *simulation) someHandle() *simHandle {
	if len(s.handles) == 0 {
		return nil
	}
	return s.handles[s.rng.IntN(len(s.handles))]
}

func (s *simulation) hasWriter(f *simFile) bool {
	return slices.ContainsFunc(s.handles, func(h *simHandle) bool { return h.f == f && h.flags.Write })
}

// openHandle opens a file, or makes one, for later.
func (s *simulation) openHandle() {
	if len(s.handles) >= simHandles {
		return
	}
	flags := OpenFlags{Read: true, Write: s.rng.IntN(3) > 0}
	if s.rng.IntN(3) == 0 {
		p := s.somePath()
		if s.dirs[p] || s.files[p] != nil {
			return
		}
		s.note("create and keep %s", p)
		dir, name := s.walk(s.v, p)
		h, _, err := s.v.Create(s.Context(), dir, name, OpenFlags{Read: true, Write: true, Exclusive: true})
		require.NoError(s, err)
		f := &simFile{}
		s.files[p] = f
		s.handles = append(s.handles, &simHandle{h, f})
		return
	}
	p, ok := s.someFile()
	if !ok {
		return
	}
	s.note("open and keep %s write=%v", p, flags.Write)
	dir, name := s.walk(s.v, p)
	a, err := s.v.Lookup(s.Context(), dir, name)
	require.NoError(s, err)
	h, _, err := s.v.OpenFile(s.Context(), a.ID, flags)
	require.NoError(s, err)
	s.handles = append(s.handles, &simHandle{h, s.files[p]})
}

func (s *simulation) writeHandle() {
	h := s.someHandle()
	if h == nil || !h.flags.Write {
		return
	}
	off, data := s.somewhere(h.f), s.bytes()
	s.note("write %d bytes at %d through a handle of a file of %d", len(data), off, len(h.f.data))
	_, err := h.WriteAt(s.Context(), []byte(data), int64(off))
	if s.tolerated(err) {
		return
	}
	h.f.data = spliced(h.f.data, data, off)
}

func (s *simulation) readHandle() {
	h := s.someHandle()
	if h == nil {
		return
	}
	s.note("read through a handle")
	p := make([]byte, len(h.f.data)+10)
	n, err := h.ReadAt(s.Context(), p, 0)
	if !s.tolerated(err) {
		require.Equal(s, h.f.data, string(p[:n]))
	}
}

func (s *simulation) flushHandle() {
	h := s.someHandle()
	if h == nil {
		return
	}
	s.ever[h.f.data] = true
	if s.rng.IntN(2) == 0 {
		s.note("flush a handle")
		s.tolerated(h.Flush(s.Context()))
	} else {
		s.note("fsync a handle")
		s.tolerated(h.Sync(s.Context()))
	}
	if h.flags.Write {
		s.record(h.f)
	}
}

func (s *simulation) closeHandle() {
	h := s.someHandle()
	if h == nil {
		return
	}
	s.ever[h.f.data] = true
	if s.rng.IntN(2) == 0 {
		s.note("close a handle")
		s.tolerated(h.Flush(s.Context()))
		if h.flags.Write {
			s.record(h.f)
		}
	} else {
		s.note("release a handle")
	}
	h.Release()
	i := slices.Index(s.handles, h)
	s.handles = slices.Delete(s.handles, i, i+1)
	if h.flags.Write && !s.hasWriter(h.f) {
		s.record(h.f)
	}
}
