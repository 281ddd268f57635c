package cache

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
)

// saveRetry is how long after a failure the journal is tried again when nobody
// else has a reason to.
const saveRetry = 5 * time.Second

// errUnsaved says that the journal can't be written.
var errUnsaved = errors.New("the journal can't be written")

// batch is what the next commit of the journal will change. The queue in memory
// is ahead of the journal, and everything that changes it adds to the batch in
// the same critical section: so the journal goes through the same states in the
// same order. A batch that the journal refuses stays the next one. Fields are
// guarded by Volume.mu until it is being written.
type batch struct {
	put    map[uint64]journal.Intent
	delete map[uint64]bool
	bind   []journal.Binding
	unbind []journal.NodeID

	added   []*pending // in the journal by then
	dropped []*pending // keep their spool files until then

	done chan struct{} // closed when it was written, or could not be
	err  error         // valid when done is closed
}

func newBatch() *batch {
	return &batch{put: make(map[uint64]journal.Intent), delete: make(map[uint64]bool), done: make(chan struct{})}
}

func (b *batch) empty() bool {
	return len(b.put)+len(b.delete)+len(b.bind)+len(b.unbind)+len(b.added)+len(b.dropped) == 0
}

// add folds a later change into the batch.
func (b *batch) add(ch journal.Change) {
	for _, in := range ch.Put {
		b.put[in.Seq] = in
	}
	for _, seq := range ch.Delete {
		delete(b.put, seq)
		b.delete[seq] = true
	}
	for _, x := range ch.Bind {
		b.forget(x.Node)
		b.bind = append(b.bind, x)
	}
	for _, n := range ch.Unbind {
		b.forget(n)
		b.unbind = append(b.unbind, n)
	}
}

func (b *batch) forget(n NodeID) {
	b.bind = slices.DeleteFunc(b.bind, func(x journal.Binding) bool { return x.Node == n })
	b.unbind = slices.DeleteFunc(b.unbind, func(x journal.NodeID) bool { return x == n })
}

func (b *batch) change() journal.Change {
	return journal.Change{
		Put: slices.Collect(maps.Values(b.put)), Delete: slices.Collect(maps.Keys(b.delete)),
		Bind: b.bind, Unbind: b.unbind,
	}
}

// note adds a change of the queue to the next commit. Volume.mu is held; once
// it is not any more, save writes the batch.
func (v *Volume) note(ch journal.Change) *batch {
	v.batch.add(ch)
	return v.batch
}

// save returns when a batch is in the journal, or could not be written. One
// caller at a time writes; the changes of those who wait meanwhile go together.
func (v *Volume) save(b *batch) error {
	v.saving <- struct{}{}
	defer func() { <-v.saving }()
	select {
	case <-b.done: // somebody else has written it
		return b.err
	default:
	}
	v.mu.Lock()
	v.batch = newBatch()
	ch := b.change()
	v.mu.Unlock()
	err := v.commit(ch)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		b.err = spoolError("save the change", fmt.Errorf("%w: %w", errUnsaved, err))
		v.unsaved(b)
	} else {
		v.saved(b)
	}
	close(b.done)
	return b.err
}

func (v *Volume) commit(ch journal.Change) error {
	if v.beforeCommit != nil {
		if err := v.beforeCommit(); err != nil {
			return err
		}
	}
	return v.journal.Commit(ch)
}

// saved lets the drainer have what is in the journal, and frees the bytes of
// what is not any more. Volume.mu is held.
func (v *Volume) saved(b *batch) {
	for _, p := range b.added {
		p.committed = true
	}
	for _, p := range b.dropped {
		v.freeSpool(p)
	}
	v.kickLocked()
}

// unsaved makes a batch that could not be written part of the next one.
// Volume.mu is held.
func (v *Volume) unsaved(b *batch) {
	next := newBatch()
	next.add(b.change())
	next.add(v.batch.change())
	v.batch.put, v.batch.delete, v.batch.bind, v.batch.unbind = next.put, next.delete, next.bind, next.unbind
	v.batch.added = append(b.added, v.batch.added...)
	v.batch.dropped = append(b.dropped, v.batch.dropped...)
	v.lastErr = b.err.Error()
	if v.resave == nil && !v.closed {
		v.resave = time.AfterFunc(saveRetry, v.kickSave)
	}
}

// kickSave has the drainer try the journal again.
func (v *Volume) kickSave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.resave = nil
	if b := v.batch; !v.closed && !b.empty() {
		v.wg.Go(func() {
			if err := v.save(b); err != nil {
				v.log.Error("the journal can't be written", "err", err)
			}
		})
	}
}
