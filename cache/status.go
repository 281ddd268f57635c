package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
)

// States of a queue item.
const (
	StatePending = "pending" // waits for its turn
	StateActive  = "active"  // is being sent
	StateParked  = "parked"  // pCloud refused it; stays until it is retried or dropped
)

// QueueItem is a change that is not yet in pCloud.
type QueueItem struct {
	ID     uint64    `json:"id"`           // for Retry, Save and Drop; grows with the order of issue
	Op     string    `json:"op"`           // put, rename, remove, times, mkdir
	Path   string    `json:"path"`         // below the mount point, as far as it is known
	To     string    `json:"to,omitempty"` // new path of a rename
	Folder bool      `json:"folder,omitempty"`
	Bytes  int64     `json:"bytes"` // to send
	Sent   int64     `json:"sent"`  // of them
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"` // why it is parked, or the last error
	Tries  int       `json:"tries,omitempty"`  // failed attempts
	Since  time.Time `json:"since"`            // when the caller was answered
}

// Status sums up the queue.
type Status struct {
	Pending int   `json:"pending"`
	Active  int   `json:"active"`
	Parked  int   `json:"parked"`
	Bytes   int64 `json:"bytes"` // of pending and active changes
	Sent    int64 `json:"sent"`  // of them
	Done    int64 `json:"done"`  // bytes that reached pCloud since the volume was opened

	Oldest    time.Time `json:"oldest,omitzero"` // of what is pending or active
	LastError string    `json:"last_error,omitempty"`
}

// ErrNoItem says that the queue has no such item (any more).
var ErrNoItem = errors.New("no such item in the queue")

// ErrActive says that an item is being sent and can't be dropped now.
var ErrActive = errors.New("it is being sent now")

// Queue returns what is not yet in pCloud, oldest first.
func (v *Volume) Queue() []QueueItem {
	v.mu.Lock()
	defer v.mu.Unlock()
	items := make([]QueueItem, 0, len(v.queue))
	for _, p := range v.queue {
		items = append(items, v.item(p))
	}
	return items
}

// item describes a pending intent. Volume.mu is held.
func (v *Volume) item(p *pending) QueueItem {
	it := QueueItem{ID: p.Seq, Op: string(p.Op), Folder: p.Folder, Bytes: p.bytes(), Sent: min(p.progress, p.bytes()),
		State: StatePending, Reason: p.Parked, Tries: p.Tries, Since: p.Issued, Path: v.knownPath(p)}
	if p.Op == opRename {
		it.Path, it.To = v.path(p.OldParent, p.OldName), it.Path
	}
	switch {
	case p.Parked != "":
		it.State = StateParked
	case p.started:
		it.State = StateActive
	}
	if it.Reason == "" {
		it.Reason = p.lastErr
	}
	return it
}

// path spells out where a name is, as far as memory knows. Volume.mu is held.
func (v *Volume) path(dir NodeID, name string) string {
	path := name
	v.ancestors(dir, func(id NodeID) bool {
		if id == RootNode {
			return false
		}
		part := unknownPart
		if n := v.nodes[id]; n != nil {
			part = n.name
		} else if fid, ok := v.folderOf(id); ok {
			if e, held := v.meta.Folder(fid); held {
				part = e.Name
			}
		}
		path = part + "/" + path
		return true
	})
	return path
}

// Status sums up the queue.
func (v *Volume) Status() Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := Status{Done: v.sentBytes, LastError: v.lastErr}
	for _, p := range v.queue {
		switch {
		case p.Parked != "":
			s.Parked++
			continue
		case p.started:
			s.Active++
		default:
			s.Pending++
		}
		s.Bytes += p.bytes()
		s.Sent += min(p.progress, p.bytes())
		if s.Oldest.IsZero() || p.Issued.Before(s.Oldest) {
			s.Oldest = p.Issued
		}
	}
	return s
}

// Flush waits until everything that was issued so far is in pCloud.
func (v *Volume) Flush(ctx context.Context) error {
	if err := v.recordAll(ctx); err != nil {
		return err
	}
	return v.flush(ctx, RootNode)
}

// Retry makes parked items pending again, all of them when no id is given.
func (v *Volume) Retry(ids ...uint64) error {
	v.mu.Lock()
	var ch journal.Change
	for _, p := range v.queue {
		if p.Parked != "" && (len(ids) == 0 || slices.Contains(ids, p.Seq)) {
			p.Parked, p.Tries, p.notBefore, p.lastErr = "", 0, time.Time{}, ""
			p.n.err = nil
			ch.Put = append(ch.Put, p.Intent)
		}
	}
	v.broadcast()
	b := v.note(ch)
	v.mu.Unlock()
	if err := v.save(b); err != nil {
		return err
	}
	if len(ch.Put) < len(ids) {
		return fmt.Errorf("%w, or it is not parked", ErrNoItem)
	}
	return nil
}

// Save writes the bytes of a put to w.
func (v *Volume) Save(id uint64, w io.Writer) error {
	v.mu.Lock()
	p := v.byID(id)
	if p == nil || p.Op != opPut {
		v.mu.Unlock()
		return fmt.Errorf("%w with bytes", ErrNoItem)
	}
	sp, src := p.sp, p.source()
	if sp != nil {
		sp.refs++
	}
	v.mu.Unlock()
	if sp != nil {
		defer v.unpinSpool(sp)
	}
	if _, err := io.Copy(w, io.NewSectionReader(src, 0, src.size)); err != nil {
		return fmt.Errorf("save the bytes: %w", err)
	}
	return nil
}

// byID finds an item. Volume.mu is held.
func (v *Volume) byID(id uint64) *pending {
	for _, p := range v.queue {
		if p.Seq == id {
			return p
		}
	}
	return nil
}

// Drop gives up a change for ever; what pCloud has then shows again. The bytes
// of a put are lost unless they were saved. What later changes build on is
// refused with ErrNeeded.
func (v *Volume) Drop(id uint64) error {
	v.mu.Lock()
	p := v.byID(id)
	if p == nil || p.started {
		v.mu.Unlock()
		if p == nil {
			return ErrNoItem
		}
		return ErrActive
	}
	for _, q := range v.queue {
		if q.Seq > p.Seq && needs(q.Intent, p.Intent) {
			v.mu.Unlock()
			return fmt.Errorf("%w: %s %q (%d)", ErrNeeded, q.Op, q.Name, q.Seq)
		}
	}
	v.forgo(p)
	b := v.note(journal.Change{Delete: []uint64{id}})
	b.dropped = append(b.dropped, p)
	v.mu.Unlock()
	return v.save(b)
}

// forgo takes a change out of memory that will never be made. Volume.mu is
// held.
func (v *Volume) forgo(p *pending) {
	n := p.n
	n.pins++
	defer v.unpin(n)
	switch p.Op {
	case opMkdir:
		n.unlinked = true
		v.displace(n)
	case opTimes:
		n.mtime = time.Time{}
	case opRemove:
		n.unlinked = false
	case opRename:
		n.parent, n.name = p.OldParent, p.OldName
	case opPut:
		if c := n.content; c != nil && n.inCloud && c.put == p && !c.dirty {
			n.content = nil // what pCloud has shows again
			v.dropContent(c)
		}
		if !n.inCloud && len(n.queue) == 1 && (n.content == nil || n.content.writers == 0) {
			n.unlinked = true
			v.displace(n)
		}
	}
	if p.over != nil {
		p.over.unlinked = false
	}
	if p.over != nil && p.over == n.over {
		n.over = nil
		v.unpin(p.over)
	}
	v.dequeue(p)
	for _, c := range p.claims {
		v.reclaim(c.dir, c.name)
	}
}

// reclaim finds out what has a slot now that a claim of it was taken back before
// older ones. Volume.mu is held.
func (v *Volume) reclaim(dir NodeID, name string) {
	s := v.slots[dir][name]
	if s == nil {
		return
	}
	s.node = 0
	for _, p := range v.queue {
		for _, c := range p.claims {
			if c.dir == dir && c.name == name {
				s.node = c.node
			}
		}
	}
	for _, n := range v.nodes {
		if n.placed && n.parent == dir && n.name == name {
			s.node = n.id
		}
	}
}
