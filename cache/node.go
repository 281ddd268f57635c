package cache

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// node is a file or folder that has state beyond what pCloud tells about it:
// open handles, pending intents, or a name that only exists here. Others are
// known by their number alone. Fields are guarded by Volume.mu.
type node struct {
	id     NodeID
	folder bool

	inCloud bool         // has a pCloud id
	entry   remote.Entry // what pCloud last told; for its id and times when inCloud

	parent   NodeID // where it is
	name     string // as shown there
	unlinked bool   // lost its name

	pins    int        // handles, pending intents and other reasons to keep it
	handles int        // open handles
	placed  bool       // its slot is kept in the overlay because pCloud has no such name yet
	over    *node      // what its next put replaces in pCloud: the former owner of the name
	queue   []*pending // its intents, oldest first

	atime, mtime, ctime time.Time // zero: as pCloud says
	birth               time.Time

	content *contentState // of a file that was opened or has a pending put

	// A permanent failure, which every handle reports once: also one that was
	// opened later, if nobody has heard of it or if it lasts.
	err      error
	errCount uint64 // failures so far
	errHeard bool

	changed uint64 // Volume.learned when a change of it was last applied
}

// version names the bytes of a file in pCloud.
type version struct {
	file remote.FileID
	hash remote.Hash
	size int64
}

func versionOf(e remote.Entry) version {
	return version{file: e.FileID, hash: e.Hash, size: e.Size}
}

// contentState is the bytes of a file as its handles see them: a version in pCloud
// until something is written, a spool file from then on. A file that is
// replaced by others gets another content; handles keep theirs.
type contentState struct {
	base version // what is changed: the last version known to be in pCloud; zero for a new file; guarded by Volume.mu

	// turn is held by whoever changes the bytes or waits for the base to be
	// fetched. It is a channel so that waiting for it ends with a context.
	turn chan struct{}

	local *spool // nil: the bytes are those of base; guarded by Volume.mu
	size  atomic.Int64

	tag uint64 // Attr.Version: the same as long as all changes come from here

	// Guarded by Volume.mu.
	dirty   bool     // changed since the last put was recorded
	users   int      // handles, and the node while it is its content
	writers int      // open handles for writing
	put     *pending // recorded and not yet applied
	charged int64    // bytes counted in Volume.charged
	spooled int64    // bytes counted in Volume.spooled
}

func newContent(base version, tag uint64) *contentState {
	c := &contentState{base: base, tag: tag, turn: make(chan struct{}, 1), users: 1}
	c.size.Store(base.size)
	return c
}

// lock takes the turn to change the content.
func (c *contentState) lock(ctx context.Context) error {
	select { // also when the context has ended
	case c.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *contentState) unlock() { <-c.turn }

// spool is a local file of the journal. Its first frozen bytes belong to a
// recorded put and must not change; appending is fine.
type spool struct {
	name string
	f    *os.File

	// Guarded by Volume.mu.
	refs   int   // contents and pending puts that use it
	frozen int64 // bytes that a pending put still needs
}

func (n *node) attr() Attr {
	a := Attr{ID: n.id, Folder: n.folder, Nlink: 1,
		Mtime: n.entry.Modified, Birth: n.entry.Created}
	if n.folder {
		a.Nlink = 2
	}
	if n.unlinked {
		a.Nlink = 0
	}
	if !n.birth.IsZero() {
		a.Birth = n.birth
	}
	if !n.mtime.IsZero() {
		a.Mtime = n.mtime
	}
	a.Ctime, a.Atime = a.Mtime, a.Mtime
	if n.ctime.After(a.Ctime) {
		a.Ctime = n.ctime
	}
	if !n.atime.IsZero() {
		a.Atime = n.atime
	}
	if n.folder {
		return a
	}
	a.Size = n.entry.Size
	a.Version = uint64(n.entry.Hash)
	if c := n.content; c != nil {
		a.Size = c.size.Load()
		a.Version = c.tag
	}
	a.Blocks = blocks(a.Size)
	return a
}

func attrOf(id NodeID, e remote.Entry) Attr {
	a := Attr{ID: id, Folder: e.Folder, Size: e.Size, Blocks: blocks(e.Size), Nlink: 1,
		Mtime: e.Modified, Ctime: e.Modified, Atime: e.Modified, Birth: e.Created, Version: uint64(e.Hash)}
	if e.Folder {
		a.Nlink = 2
	}
	return a
}

func blocks(size int64) int64 { return (size + 511) / 512 }
