package upload

import (
	"cmp"
	"slices"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote"
)

// State is how far an upload is. The zero value is "not begun".
type State struct {
	ID   remote.UploadID // the session that will get the name
	Size int64           // bytes of it that the server has confirmed
	Done bool            // all of the file, and verified
	SHA1 remote.SHA1     // of all bytes, once Done

	// Parts are sessions with later ranges of the file, in order of offset.
	// They are joined to the first one in the end.
	Parts []Part

	// Gone is how many bytes at the beginning the source no longer has, and
	// Hash the state of their SHA-1. See [Growing.Release].
	Gone int64
	Hash []byte
}

// Part is a session for a range of a file.
type Part struct {
	ID     remote.UploadID
	Offset int64 // in the file
	Size   int64 // bytes that the server has confirmed
}

// Sent returns how many bytes of the file the server has, in all sessions.
func (st State) Sent() int64 {
	n := st.Size
	for _, p := range st.Parts {
		n += max(0, min(p.Size, p.Offset+p.Size-st.Size)) // less what is joined
	}
	return n
}

// Journal returns what a journal has to keep of st; nil for the zero value.
func (st State) Journal() *journal.Upload {
	if st.ID == 0 && len(st.Parts) == 0 && st.Gone == 0 {
		return nil
	}
	u := &journal.Upload{ID: st.ID, Size: st.Size, Done: st.Done, SHA1: st.SHA1, Gone: st.Gone, Hash: st.Hash}
	for _, p := range st.Parts {
		u.Parts = append(u.Parts, journal.UploadPart(p))
	}
	return u
}

// Recorded is the inverse of [State.Journal].
func Recorded(u *journal.Upload) State {
	if u == nil {
		return State{}
	}
	st := State{ID: u.ID, Size: u.Size, Done: u.Done, SHA1: u.SHA1, Gone: u.Gone, Hash: u.Hash}
	for _, p := range u.Parts {
		st.Parts = append(st.Parts, Part(p))
	}
	return st
}

// usable returns the parts that make sense for a file of size bytes.
func (st State) usable(size int64) []Part {
	parts := slices.SortedFunc(slices.Values(st.Parts), func(a, b Part) int { return cmp.Compare(a.Offset, b.Offset) })
	last := max(0, st.Gone)
	return slices.DeleteFunc(parts, func(p Part) bool {
		bad := p.ID == 0 || p.Offset <= last || p.Offset >= size
		if !bad {
			last = p.Offset
		}
		return bad
	})
}
