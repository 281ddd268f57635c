package fs

import (
	"context"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// owner is what pCloud cannot hold of a file or folder.
type owner struct {
	mode     uint32 // permission bits and sticky, never set-ID
	uid, gid uint32
}

// modeBits are the bits of a mode that are kept. Without set-user-ID and
// set-group-ID there is nothing to clear on writes (HANDLE_KILLPRIV_V2).
const modeBits = 0o1777

// owners remembers modes and owners for as long as the mount lives, by NodeID
// because the kernel may forget a node and look it up again. Only what differs
// from the defaults takes memory.
type owners struct {
	file, folder owner // defaults

	mu   sync.Mutex // leaf
	byID map[cache.NodeID]owner
}

func newOwners(o Options) *owners {
	return &owners{
		file:   owner{mode: 0o666 &^ o.Umask, uid: o.UID, gid: o.GID},
		folder: owner{mode: 0o777 &^ o.Umask, uid: o.UID, gid: o.GID},
		byID:   make(map[cache.NodeID]owner),
	}
}

func (s *owners) standard(folder bool) owner {
	if folder {
		return s.folder
	}
	return s.file
}

func (s *owners) get(id cache.NodeID, folder bool) owner {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.byID[id]; ok {
		return o
	}
	return s.standard(folder)
}

// update changes the owner of id by fn.
func (s *owners) update(id cache.NodeID, folder bool, fn func(*owner)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.byID[id]
	if !ok {
		o = s.standard(folder)
	}
	fn(&o)
	o.mode &= modeBits
	if o == s.standard(folder) {
		delete(s.byID, id)
	} else {
		s.byID[id] = o
	}
}

func (s *owners) forget(id cache.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}

// made notes mode and owner of a node just created: the mode that was asked for
// (the kernel has applied the caller's umask), and the caller.
func (s *owners) made(ctx context.Context, a cache.Attr, mode uint32) {
	s.update(a.ID, a.Folder, func(o *owner) {
		o.mode = mode
		if c, ok := fuse.FromContext(ctx); ok {
			o.uid, o.gid = c.Uid, c.Gid
		}
	})
}
