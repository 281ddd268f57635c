package fs_test

import (
	"context"
	"errors"
	iofs "io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/fs"
)

// fakeVolume is a volume in memory, without anything remote: what a cache.Volume
// promises, done in the plainest way.
type fakeVolume struct {
	// before, if set, is called before each operation, without locks; an error is
	// the answer to the operation. Set it before mounting or with setBefore.
	before func(ctx context.Context, op string, id cache.NodeID) error

	mu     sync.Mutex
	cond   *sync.Cond // something was counted or forgotten
	next   cache.NodeID
	nodes  map[cache.NodeID]*fakeNode
	calls  map[string]int
	forgot []cache.NodeID
	space  cache.Statfs
}

// fakeContent is one version of a file's bytes, as a handle opened it.
type fakeContent struct {
	data    []byte
	version uint64
}

type fakeNode struct {
	attr     cache.Attr
	content  *fakeContent            // files
	children map[string]cache.NodeID // folders
	parent   cache.NodeID
	open     int
}

var _ fs.Volume[*fakeHandle] = (*fakeVolume)(nil)

func newFakeVolume() *fakeVolume {
	v := &fakeVolume{
		next:  100,
		nodes: make(map[cache.NodeID]*fakeNode),
		calls: make(map[string]int),
		space: cache.Statfs{Total: 10 << 30, Free: 6 << 30, Avail: 5 << 30, Files: 7},
	}
	v.cond = sync.NewCond(&v.mu)
	v.nodes[cache.RootNode] = v.makeNode(cache.RootNode, true)
	return v
}

func (v *fakeVolume) makeNode(id cache.NodeID, folder bool) *fakeNode {
	now := time.Now()
	n := &fakeNode{attr: cache.Attr{ID: id, Folder: folder, Atime: now, Mtime: now, Ctime: now, Birth: now, Nlink: 1}}
	if folder {
		n.attr.Nlink = 2
		n.children = make(map[string]cache.NodeID)
	} else {
		n.content = &fakeContent{version: 1}
	}
	return n
}

// enter counts an operation and asks before. Then it takes the lock; leave gives
// it back.
func (v *fakeVolume) enter(ctx context.Context, op string, id cache.NodeID) error {
	v.mu.Lock()
	v.calls[op]++
	v.cond.Broadcast()
	before := v.before
	v.mu.Unlock()
	if before != nil {
		if err := before(ctx, op, id); err != nil {
			return err
		}
	}
	v.mu.Lock()
	return nil
}

func (v *fakeVolume) setBefore(fn func(ctx context.Context, op string, id cache.NodeID) error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.before = fn
}

func (v *fakeVolume) count(op string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[op]
}

// patience is how long a test waits for what must happen. It is bounded because a
// test process that is killed with files open on its own mount never ends.
const patience = 30 * time.Second

// wait returns when cond, called under the lock, holds.
func (v *fakeVolume) wait(t *testing.T, cond func() bool) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	late := false
	timer := time.AfterFunc(patience, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		late = true
		v.cond.Broadcast()
	})
	defer timer.Stop()
	for !cond() {
		if late {
			t.Fatal("waited in vain")
		}
		v.cond.Wait()
	}
}

// waitForget returns when the kernel's forgetting of a node has reached v.
func (v *fakeVolume) waitForget(t *testing.T, id cache.NodeID) {
	t.Helper()
	v.wait(t, func() bool { return slices.Contains(v.forgot, id) })
}

// waitCalls returns when an operation was called n times.
func (v *fakeVolume) waitCalls(t *testing.T, op string, n int) {
	t.Helper()
	v.wait(t, func() bool { return v.calls[op] >= n })
}

// now returns the attributes of n as of now.
func (n *fakeNode) now() cache.Attr {
	a := n.attr
	if n.content != nil {
		a.Size = int64(len(n.content.data))
		a.Blocks = (a.Size + 511) / 512
		a.Version = n.content.version
	}
	return a
}

func (n *fakeNode) touch() {
	n.attr.Mtime = time.Now()
	n.attr.Ctime = n.attr.Mtime
}

func (v *fakeVolume) folder(id cache.NodeID) (*fakeNode, error) {
	n := v.nodes[id]
	switch {
	case n == nil || n.attr.Nlink == 0:
		return nil, iofs.ErrNotExist
	case n.children == nil:
		return nil, cache.ErrNotFolder
	}
	return n, nil
}

func (v *fakeVolume) child(dir cache.NodeID, name string) (*fakeNode, *fakeNode, error) {
	d, err := v.folder(dir)
	if err != nil {
		return nil, nil, err
	}
	if len(name) > 255 {
		return nil, nil, cache.ErrNameTooLong
	}
	id, ok := d.children[name]
	if !ok {
		return d, nil, iofs.ErrNotExist
	}
	return d, v.nodes[id], nil
}

func (v *fakeVolume) Lookup(ctx context.Context, dir cache.NodeID, name string) (cache.Attr, error) {
	if err := v.enter(ctx, "lookup", dir); err != nil {
		return cache.Attr{}, err
	}
	defer v.mu.Unlock()
	_, n, err := v.child(dir, name)
	if err != nil {
		return cache.Attr{}, err
	}
	return n.now(), nil
}

func (v *fakeVolume) Stat(ctx context.Context, id cache.NodeID) (cache.Attr, error) {
	if err := v.enter(ctx, "stat", id); err != nil {
		return cache.Attr{}, err
	}
	defer v.mu.Unlock()
	n := v.nodes[id]
	if n == nil {
		return cache.Attr{}, iofs.ErrNotExist
	}
	return n.now(), nil
}

func (v *fakeVolume) ReadDir(ctx context.Context, dir cache.NodeID) ([]cache.DirEntry, error) {
	if err := v.enter(ctx, "readdir", dir); err != nil {
		return nil, err
	}
	defer v.mu.Unlock()
	d, err := v.folder(dir)
	if err != nil {
		return nil, err
	}
	list := make([]cache.DirEntry, 0, len(d.children))
	for name, id := range d.children {
		list = append(list, cache.DirEntry{Name: name, Attr: v.nodes[id].now()})
	}
	slices.SortFunc(list, func(a, b cache.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (v *fakeVolume) add(dir cache.NodeID, name string, folder bool) (*fakeNode, error) {
	d, n, err := v.child(dir, name)
	if err == nil {
		return n, iofs.ErrExist
	}
	if d == nil {
		return nil, err
	}
	id := v.next << 1
	v.next++
	if folder {
		id |= 1
	}
	n = v.makeNode(id, folder)
	n.parent = dir
	v.nodes[id] = n
	d.children[name] = id
	d.touch()
	return n, nil
}

func (v *fakeVolume) Mkdir(ctx context.Context, dir cache.NodeID, name string) (cache.Attr, error) {
	if err := v.enter(ctx, "mkdir", dir); err != nil {
		return cache.Attr{}, err
	}
	defer v.mu.Unlock()
	n, err := v.add(dir, name, true)
	if err != nil {
		return cache.Attr{}, err
	}
	return n.now(), nil
}

func (v *fakeVolume) Create(ctx context.Context, dir cache.NodeID, name string, f cache.OpenFlags) (*fakeHandle, cache.Attr, error) {
	if err := v.enter(ctx, "create", dir); err != nil {
		return nil, cache.Attr{}, err
	}
	defer v.mu.Unlock()
	if !f.Exclusive {
		return nil, cache.Attr{}, errors.New("package fs creates exclusively")
	}
	n, err := v.add(dir, name, false)
	if err != nil {
		return nil, cache.Attr{}, err
	}
	return v.handle(n, f), n.now(), nil
}

func (v *fakeVolume) OpenFile(ctx context.Context, id cache.NodeID, f cache.OpenFlags) (*fakeHandle, cache.Attr, error) {
	if err := v.enter(ctx, "open", id); err != nil {
		return nil, cache.Attr{}, err
	}
	defer v.mu.Unlock()
	n := v.nodes[id]
	switch {
	case n == nil:
		return nil, cache.Attr{}, iofs.ErrNotExist
	case n.children != nil:
		return nil, cache.Attr{}, cache.ErrIsFolder
	}
	if f.Truncate {
		n.content.resize(0)
		n.touch()
	}
	return v.handle(n, f), n.now(), nil
}

func (v *fakeVolume) handle(n *fakeNode, f cache.OpenFlags) *fakeHandle {
	n.open++
	return &fakeHandle{v: v, n: n, c: n.content, flags: f}
}

func (v *fakeVolume) Rename(ctx context.Context, dir cache.NodeID, name string, newDir cache.NodeID, newName string, noReplace bool) error {
	if err := v.enter(ctx, "rename", dir); err != nil {
		return err
	}
	defer v.mu.Unlock()
	d, n, err := v.child(dir, name)
	if err != nil {
		return err
	}
	to, old, err := v.child(newDir, newName)
	switch {
	case to == nil:
		return err
	case old != nil && noReplace:
		return iofs.ErrExist
	case old == n:
		return nil
	case old != nil && old.children != nil && n.children == nil:
		return cache.ErrIsFolder
	case old != nil && old.children == nil && n.children != nil:
		return cache.ErrNotFolder
	case old != nil && len(old.children) > 0:
		return cache.ErrNotEmpty
	}
	for p := newDir; p != cache.RootNode; p = v.nodes[p].parent {
		if p == n.attr.ID {
			return cache.ErrLoop
		}
	}
	if old != nil {
		v.unname(to, newName, old)
	}
	delete(d.children, name)
	to.children[newName] = n.attr.ID
	n.parent = newDir
	n.attr.Ctime = time.Now()
	d.touch()
	to.touch()
	return nil
}

// unname takes the name from n, which lives on while it is open.
func (v *fakeVolume) unname(d *fakeNode, name string, n *fakeNode) {
	delete(d.children, name)
	d.touch()
	n.attr.Nlink = 0
	n.attr.Ctime = time.Now()
	v.collect(n)
}

func (v *fakeVolume) collect(n *fakeNode) {
	if n.attr.Nlink == 0 && n.open == 0 {
		delete(v.nodes, n.attr.ID)
	}
}

func (v *fakeVolume) Unlink(ctx context.Context, dir cache.NodeID, name string) error {
	if err := v.enter(ctx, "unlink", dir); err != nil {
		return err
	}
	defer v.mu.Unlock()
	d, n, err := v.child(dir, name)
	if err != nil {
		return err
	}
	if n.children != nil {
		return cache.ErrIsFolder
	}
	v.unname(d, name, n)
	return nil
}

func (v *fakeVolume) Rmdir(ctx context.Context, dir cache.NodeID, name string) error {
	if err := v.enter(ctx, "rmdir", dir); err != nil {
		return err
	}
	defer v.mu.Unlock()
	d, n, err := v.child(dir, name)
	switch {
	case err != nil:
		return err
	case n.children == nil:
		return cache.ErrNotFolder
	case len(n.children) > 0:
		return cache.ErrNotEmpty
	}
	v.unname(d, name, n)
	return nil
}

func (v *fakeVolume) SetAttr(ctx context.Context, id cache.NodeID, c cache.Changes) (cache.Attr, error) {
	if err := v.enter(ctx, "setattr", id); err != nil {
		return cache.Attr{}, err
	}
	defer v.mu.Unlock()
	n := v.nodes[id]
	if n == nil {
		return cache.Attr{}, iofs.ErrNotExist
	}
	n.attr.Ctime = time.Now()
	if c.Size != nil {
		n.content.resize(*c.Size)
		n.attr.Mtime = n.attr.Ctime
	}
	if c.Atime != nil {
		n.attr.Atime = *c.Atime
	}
	if c.Mtime != nil {
		n.attr.Mtime = *c.Mtime
	}
	return n.now(), nil
}

func (v *fakeVolume) Statfs() cache.Statfs { return v.space }

func (v *fakeVolume) SyncDir(ctx context.Context, id cache.NodeID) error {
	if err := v.enter(ctx, "syncdir", id); err != nil {
		return err
	}
	v.mu.Unlock()
	return nil
}

func (v *fakeVolume) Forget(id cache.NodeID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forgot = append(v.forgot, id)
	v.cond.Broadcast()
}

// node returns the id of a path, or 0.
func (v *fakeVolume) node(path string) cache.NodeID {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := cache.RootNode
	for name := range strings.SplitSeq(path, "/") {
		_, n, err := v.child(id, name)
		if err != nil {
			return 0
		}
		id = n.attr.ID
	}
	return id
}

// edit gives a file in the root new content as if it came from elsewhere, and
// makes it if need be. Handles that are open for reading keep what they opened.
func (v *fakeVolume) edit(name, data string) cache.NodeID {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, err := v.add(cache.RootNode, name, false)
	if err != nil && !errors.Is(err, iofs.ErrExist) {
		panic(err)
	}
	n.content = &fakeContent{data: []byte(data), version: n.content.version + 1}
	n.touch()
	return n.attr.ID
}

// resize is a change of size from this side.
func (c *fakeContent) resize(size int64) {
	if size <= int64(len(c.data)) {
		c.data = c.data[:size:size]
	} else {
		c.data = append(c.data, make([]byte, size-int64(len(c.data)))...)
	}
	c.version++
}

type fakeHandle struct {
	v        *fakeVolume
	n        *fakeNode
	c        *fakeContent
	flags    cache.OpenFlags
	released bool
}

func (h *fakeHandle) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := h.v.enter(ctx, "read", h.n.attr.ID); err != nil {
		return 0, err
	}
	defer h.v.mu.Unlock()
	if off >= int64(len(h.c.data)) {
		return 0, nil
	}
	return copy(p, h.c.data[off:]), nil
}

func (h *fakeHandle) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := h.v.enter(ctx, "write", h.n.attr.ID); err != nil {
		return 0, err
	}
	defer h.v.mu.Unlock()
	if !h.flags.Write || h.released {
		return 0, cache.ErrBadHandle
	}
	if end := off + int64(len(p)); end > int64(len(h.c.data)) {
		h.c.resize(end)
	}
	h.c.version++
	h.n.touch()
	return copy(h.c.data[off:], p), nil
}

func (h *fakeHandle) Flush(ctx context.Context) error { return h.plain(ctx, "flush") }
func (h *fakeHandle) Sync(ctx context.Context) error  { return h.plain(ctx, "fsync") }

func (h *fakeHandle) plain(ctx context.Context, op string) error {
	if err := h.v.enter(ctx, op, h.n.attr.ID); err != nil {
		return err
	}
	h.v.mu.Unlock()
	return nil
}

func (h *fakeHandle) Allocate(ctx context.Context, off, n int64, keepSize bool) error {
	if err := h.v.enter(ctx, "allocate", h.n.attr.ID); err != nil {
		return err
	}
	defer h.v.mu.Unlock()
	if end := off + n; end > int64(len(h.c.data)) && !keepSize {
		h.c.resize(end)
	}
	return nil
}

func (h *fakeHandle) Seek(ctx context.Context, off int64, whence int) (int64, error) {
	if err := h.v.enter(ctx, "seek", h.n.attr.ID); err != nil {
		return 0, err
	}
	defer h.v.mu.Unlock()
	size := int64(len(h.c.data))
	const seekHole = 4
	switch {
	case off > size, off == size && whence != seekHole:
		return 0, syscall.ENXIO
	case whence == seekHole:
		return size, nil
	}
	return off, nil
}

func (h *fakeHandle) Release() {
	h.v.mu.Lock()
	defer h.v.mu.Unlock()
	if h.released {
		panic("released twice")
	}
	h.released = true
	h.n.open--
	h.v.collect(h.n)
}

// content returns the bytes of a file in the root.
func (v *fakeVolume) content(name string) []byte {
	id := v.node(name)
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.nodes[id].content.data)
}
