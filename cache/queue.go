package cache

import (
	"context"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cache/upload"
)

// pending is an intent that is not yet applied to pCloud. Fields are guarded
// by Volume.mu, except those of the Intent while started is set, which then
// belong to the worker.
type pending struct {
	journal.Intent
	n      *node
	over   *node         // put, rename: who had the name before, and has it in pCloud still
	c      *contentState // put
	sp     *spool        // put of a non-empty file
	claims []claim

	committed bool   // is in the journal
	started   bool   // a worker has it
	asked     uint64 // Volume.events when a worker took it
	stuck     bool   // builds on something that is parked
	closed    bool   // put: since it was recorded, nobody had the file open for writing at some moment
	wanted    bool   // put: fsync of the file asks for these bytes, whoever has it open
	sent      bool   // large put: the bytes are in pCloud and verified, or can only be sent whole
	whole     bool   // large put: pCloud refuses sessions
	forced    bool   // somebody waits for it: no settling
	recovered bool   // from a journal: may have been applied already

	progress  int64  // bytes sent so far
	lastErr   string // of the last attempt
	session   upload.State
	notBefore time.Time // settle time or back-off
}

// claim is a slot that a pending intent decides about.
type claim struct {
	dir  NodeID
	name string
	node NodeID // 0: freed
}

// foldable says whether an intent can still be replaced by a later one: it is
// certain that nothing of it has reached pCloud.
func (p *pending) foldable() bool {
	if p.started {
		return false
	}
	return p.Parked != "" || (!p.sent && !p.recovered && p.Tries == 0)
}

func foldable(q []*pending) bool {
	return !slices.ContainsFunc(q, func(p *pending) bool { return !p.foldable() })
}

// refused says that pCloud does not take an intent, or one that it builds on.
func (p *pending) refused() bool { return p.Parked != "" || p.stuck }

// held says that a put must wait because its file is open for writing, or a
// removal because readers still need the bytes. Others pass it.
func (p *pending) held() bool {
	switch {
	case p.Op == opPut:
		return p.c != nil && p.c.writers > 0 && !p.closed && !p.wanted
	case p.Op == opRemove && !p.Folder:
		return !p.forced && p.n.read()
	}
	return false
}

// read says whether open handles need the bytes that only pCloud has. Volume.mu
// is held.
func (n *node) read() bool {
	c := n.content
	return n.handles > 0 && c != nil && c.local == nil && c.base.size > 0
}

// remember notes in an intent that is no put what pCloud said about its node,
// so that a restart need not ask again.
func (p *pending) remember(n *node) {
	p.FileID, p.FolderID = n.entry.FileID, n.entry.FolderID
	p.Size, p.Modified, p.Born = n.entry.Size, n.entry.Modified, n.entry.Created
	if n.inCloud && !n.folder {
		p.Base = &journal.Version{FileID: n.entry.FileID, Hash: n.entry.Hash}
	}
}

// rebase notes in an intent what its node became in pCloud by an earlier one.
func (p *pending) rebase(n *node) {
	modified := p.Modified
	switch p.Op {
	case opPut: // what its bytes were made from is another matter
		p.FileID, p.Base = n.entry.FileID, nil
		if n.inCloud {
			p.Base = &journal.Version{FileID: n.entry.FileID, Hash: p.c.base.hash}
		}
	case opTimes:
		p.remember(n)
		p.Modified = modified
	default:
		p.remember(n)
	}
}

// bytes is how much a pending intent has to send.
func (p *pending) bytes() int64 {
	if p.Op != opPut {
		return 0
	}
	return p.Size
}

// foldable says whether intents can be replaced by one at the end of the queue.
// They can't be moved behind something that takes away what others may rely on:
// that was issued in the belief that they come first (promise P4). Volume.mu is
// held.
func (v *Volume) foldable(q []*pending) bool {
	if len(q) == 0 {
		return true
	}
	if !foldable(q) {
		return false
	}
	if q[0].Parked != "" { // has lost its place in the order anyway
		return true
	}
	for i := len(v.queue) - 1; i >= 0 && v.queue[i].Seq > q[0].Seq; i-- {
		if p := v.queue[i]; p.Parked == "" && p.n != q[0].n && p.destructive() {
			return false
		}
	}
	return true
}

// replaces says whether a recorded put of a file that is only here replaces one
// of pCloud: then the other is gone only when the put has been applied, whatever
// becomes of the file after that.
func (n *node) replaces() bool { return n.over != nil && len(n.queue) > 0 }

// destructive says whether an intent removes or replaces something in pCloud.
func (p *pending) destructive() bool {
	switch p.Op {
	case opRemove, opRename:
		return true
	case opPut:
		return p.n.inCloud || p.over != nil || p.Base != nil || p.n.queue[0] != p
	}
	return false
}

// superseded returns the intents of a node that a later put of it makes moot.
// Volume.mu is held.
func (v *Volume) superseded(n *node) []*pending {
	return slices.DeleteFunc(dropPuts(n), func(p *pending) bool {
		return p.Parked == "" && !v.foldable([]*pending{p})
	})
}

const (
	opPut    journal.Op = "put"
	opTimes  journal.Op = "times"
	opRename journal.Op = "rename"
	opRemove journal.Op = "remove"
	opMkdir  journal.Op = "mkdir"
)

// submit takes intents out of the queue and puts others in, in memory. The
// caller holds Volume.mu, gives it up, and then calls the function returned,
// which brings the change into the journal.
func (v *Volume) submit(drop []*pending, add ...*pending) func() error {
	if len(drop)+len(add) == 0 {
		return func() error { return nil }
	}
	var ch journal.Change
	for _, p := range add { // before the drops: they may share a spool file
		p.Seq = v.journal.NextSeq()
		p.Issued = time.Now()
		p.Node = p.n.id
		p.Path = v.displayPath(p.Parent, p.Name)
		if p.over != nil {
			p.Replaced = p.over.id
		}
		v.enqueue(p)
		ch.Put = append(ch.Put, p.Intent)
	}
	for _, p := range drop {
		ch.Delete = append(ch.Delete, p.Seq)
		v.dequeue(p)
	}
	b := v.note(ch)
	b.added = append(b.added, add...)
	b.dropped = append(b.dropped, drop...)
	return func() error { return v.save(b) }
}

// rewrite records an intent again after a change that does not alter its place
// in the queue. Volume.mu is held when it is called and not when the function
// that it returns is.
func (v *Volume) rewrite(p *pending) func() error {
	p.Path = v.displayPath(p.Parent, p.Name)
	b := v.note(journal.Change{Put: []journal.Intent{p.Intent}})
	return func() error { return v.save(b) }
}

// enqueue makes an intent effective in memory. Volume.mu is held.
func (v *Volume) enqueue(p *pending) {
	v.queue = append(v.queue, p)
	p.n.queue = append(p.n.queue, p)
	p.n.pins++
	if p.over != nil {
		p.over.pins++
	}
	for _, c := range p.claims {
		v.claim(c.dir, c.name, c.node)
	}
	if p.sp != nil {
		p.sp.refs++
		p.sp.frozen = max(p.sp.frozen, p.Size)
	}
	if p.c != nil {
		p.c.put = p
	}
}

// remove takes an intent out of memory that is not in the journal any more.
// Volume.mu is held.
func (v *Volume) remove(p *pending) {
	v.dequeue(p)
	v.freeSpool(p)
}

// dequeue takes an intent out of memory: applied, or replaced by another. Its
// spool file stays until freeSpool. Volume.mu is held.
func (v *Volume) dequeue(p *pending) {
	is := func(q *pending) bool { return q == p }
	v.queue = slices.DeleteFunc(v.queue, is)
	p.n.queue = slices.DeleteFunc(p.n.queue, is)
	for _, c := range p.claims {
		v.unclaim(c.dir, c.name)
	}
	if p.c != nil && p.c.put == p {
		p.c.put = nil
	}
	if p.over != nil {
		v.unpin(p.over)
	}
	v.unpin(p.n)
	v.progress++
	v.broadcast()
}

// freeSpool gives up the spool file of a put that the journal does not name any
// more. Volume.mu is held.
func (v *Volume) freeSpool(p *pending) {
	sp := p.sp
	if sp == nil {
		return
	}
	p.sp = nil
	sp.frozen = 0
	for _, q := range p.n.queue {
		if q.sp == sp {
			sp.frozen = max(sp.frozen, q.Size)
		}
	}
	if last := v.unrefSpool(sp); last != nil {
		v.garbage = append(v.garbage, last)
		v.kickLocked()
	}
}

// broadcast wakes all who wait for the queue. Volume.mu is held.
func (v *Volume) broadcast() {
	close(v.changed)
	v.changed = make(chan struct{})
	v.kickLocked()
}

// kickLocked makes the drainer look at the queue again.
func (v *Volume) kickLocked() {
	select {
	case v.kick <- struct{}{}:
	default:
	}
}

// record writes the present bytes of a file to the journal as a put, if they
// changed since the last.
func (v *Volume) record(ctx context.Context, n *node, c *contentState) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	v.mu.Lock()
	if !c.dirty || n.unlinked || n.content != c {
		v.mu.Unlock()
		return nil
	}
	p, drop := v.nextPut(n, c)
	c.dirty = false
	commit := v.submit(drop, p)
	v.mu.Unlock()
	if err := commit(); err != nil {
		v.mu.Lock()
		c.dirty = true
		v.mu.Unlock()
		return err
	}
	return nil
}

// nextPut describes the present bytes of a file, and what they make moot.
// Volume.mu is held.
func (v *Volume) nextPut(n *node, c *contentState) (p *pending, drop []*pending) {
	moved := slices.IndexFunc(n.queue, func(q *pending) bool { return q.Op == opRename })
	switch {
	case n.inCloud:
		return v.newPut(n, c), v.superseded(n)
	case moved >= 0 && (n.replaces() || n.leftBehind() || !v.foldable(n.queue) || moves(n.queue) > 1):
		// The first put and the renames are still to come, in this order.
		p = v.newPut(n, c)
		p.over, p.Base = nil, nil
		for i, q := range n.queue {
			if q.Op == opRename {
				moved = i
			}
		}
		later := n.queue[moved+1:]
		return p, slices.DeleteFunc(v.superseded(n), func(q *pending) bool { return !slices.Contains(later, q) })
	case !v.foldable(n.queue):
		return v.newPut(n, c), v.superseded(n)
	case moved >= 0 && n.queue[moved].over != nil:
		n.over = n.queue[moved].over // which the put replaces in place of the rename
		n.over.pins++
	}
	return v.newPut(n, c), slices.Clone(n.queue)
}

// moves counts renames.
func moves(q []*pending) (n int) {
	for _, p := range q {
		if p.Op == opRename {
			n++
		}
	}
	return n
}

// newPut describes the present bytes of a file under its present name.
// Volume.mu is held.
func (v *Volume) newPut(n *node, c *contentState) *pending {
	p := &pending{n: n, c: c, sp: c.local, over: n.over}
	p.Op, p.Parent, p.Name = opPut, n.parent, n.name
	p.Size, p.Modified, p.Born = c.size.Load(), n.mtime, n.birth
	if p.sp != nil {
		p.Spool = p.sp.name
	}
	if p.Modified.IsZero() {
		p.Modified = time.Now()
	}
	p.notBefore = time.Now().Add(v.settleTime)
	switch {
	case n.inCloud:
		// Not the version that pCloud has now: others may have made that.
		p.FileID = n.entry.FileID
		p.Base = &journal.Version{FileID: n.entry.FileID, Hash: c.base.hash}
	case n.over != nil && n.over.inCloud:
		p.Base = &journal.Version{FileID: n.over.entry.FileID, Hash: n.over.entry.Hash}
	}
	p.claims = []claim{{n.parent, n.name, n.id}}
	return p
}
