package journal

import (
	"errors"
	"fmt"
)

// Commit records a change. When it returns nil, the change survives kill -9
// and, except for the bytes of spool files (see Intent.Synced), a power cut.
// When it returns an error, the change was not made, unless the error is
// ErrFailed: then only opening the journal again tells. Concurrent calls share
// a write to the disk.
//
// The first Size bytes of the spool file of a recorded put must not change as
// long as it is recorded, unless it is committed with Open set before.
//
// A put that is durable is never replaced by one that is not: if the change
// deletes or replaces such a put, the spool files of its own puts are synced
// first.
//
// A Seq both in Put and Delete, or twice in Put, is an error.
func (j *Journal) Commit(c Change) error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.leave()
	e, err := j.encode(c)
	if err != nil {
		return fmt.Errorf("commit to journal: %w", err)
	}
	err = j.commit(e)
	for errors.Is(err, errSyncFirst) {
		if err = j.syncFirst(e); err == nil {
			err = j.commit(e)
		}
	}
	if err != nil {
		return fmt.Errorf("commit to journal: %w", err)
	}
	return nil
}

func (j *Journal) commit(e *encoded) error {
	marks := j.syncer.expect(e.puts, e.delete)
	err := j.submit(&request{check: e.check, apply: e.apply, after: func() {
		for _, b := range e.bind {
			j.bindings.add(b)
		}
		for _, n := range e.unbind {
			j.bindings.remove(n)
		}
		j.syncer.committed(marks, e.durable)
	}})
	if err != nil {
		j.syncer.withdraw(marks)
	}
	return err
}

// encoded is a Change on its way to the database. Only the writer touches it
// while it is there.
type encoded struct {
	j       *Journal
	puts    []Intent
	records [][]byte // of puts
	delete  []uint64
	bind    []Binding
	unbind  []NodeID

	durable map[uint64]bool // puts whose bytes turned out to be on the disk already
}

func (j *Journal) encode(c Change) (*encoded, error) {
	e := &encoded{
		j: j, puts: append([]Intent(nil), c.Put...), records: make([][]byte, len(c.Put)),
		delete: c.Delete, bind: c.Bind, unbind: c.Unbind, durable: make(map[uint64]bool),
	}
	twice := make(map[uint64]bool, len(c.Put)+len(c.Delete))
	for _, seq := range c.Delete {
		twice[seq] = true
	}
	for i := range e.puts {
		in := &e.puts[i]
		if err := in.validate(); err != nil {
			return nil, err
		}
		if twice[in.Seq] {
			return nil, fmt.Errorf("intent %d is in the change twice", in.Seq)
		}
		twice[in.Seq] = true
		if err := e.encodePut(i); err != nil {
			return nil, err
		}
		j.counters.seen(&j.counters.seq, in.Seq)
		j.seenNode(in.Node)
	}
	for _, b := range c.Bind {
		j.seenNode(b.Node)
	}
	return e, nil
}

func (e *encoded) encodePut(i int) (err error) {
	e.records[i], err = encodeIntent(&e.puts[i])
	return err
}

// seenNode keeps NextNode from returning an id that is in use.
func (j *Journal) seenNode(n NodeID) {
	if n >= FirstLocalNode {
		j.counters.seen(&j.counters.node, uint64(n))
	}
}

var errSyncFirst = errors.New("bytes have to be synced first")

// check looks at the records that the change does away with. Where they show
// that the bytes of a put are on the disk, it says so; where they are on the
// disk and the put's are not, it refuses.
func (e *encoded) check(tx *txn) error {
	var gone []Intent
	for i := range e.puts {
		gone = tx.appendDurable(gone, e.puts[i].Seq)
	}
	for _, seq := range e.delete {
		gone = tx.appendDurable(gone, seq)
	}
	if len(gone) == 0 {
		return nil
	}
	for i := range e.puts {
		in := &e.puts[i]
		if !in.unsynced() {
			continue
		}
		if !in.sameBytesAs(gone) {
			return errSyncFirst
		}
		in.Synced = true
		e.durable[in.Seq] = true
		if err := e.encodePut(i); err != nil {
			return err
		}
	}
	return nil
}

// appendDurable appends the put seq if there is one whose bytes are on the
// disk.
func (t *txn) appendDurable(list []Intent, seq uint64) []Intent {
	if in, ok := t.intent(seq); ok && in.Op == OpPut && in.Spool != "" && in.Synced && !in.Open {
		return append(list, in)
	}
	return list
}

// sameBytesAs reports whether the bytes of in are among those of durable puts.
func (in *Intent) sameBytesAs(durable []Intent) bool {
	for i := range durable {
		if durable[i].Spool == in.Spool && durable[i].Size >= in.Size {
			return true
		}
	}
	return false
}

// syncFirst makes the bytes of all puts of a change durable.
func (j *Journal) syncFirst(e *encoded) error {
	var names []string
	for i := range e.puts {
		if e.puts[i].unsynced() {
			names = append(names, e.puts[i].Spool)
		}
	}
	bad, err := j.syncFiles(names)
	for name, e := range bad {
		err = errors.Join(err, fmt.Errorf("sync spool file %s: %w", name, e))
	}
	if err != nil {
		return err
	}
	for i := range e.puts {
		if in := &e.puts[i]; in.unsynced() {
			in.Synced = true
			if err := e.encodePut(i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *encoded) apply(tx *txn) error {
	var freed []string
	for i := range e.puts {
		in := &e.puts[i]
		if old, ok := tx.intent(in.Seq); ok && old.Spool != in.Spool {
			freed = append(freed, old.Spool)
		}
		if err := tx.putIntent(in.Seq, e.records[i]); err != nil {
			return err
		}
	}
	for _, seq := range e.delete {
		if old, ok := tx.intent(seq); ok {
			freed = append(freed, old.Spool)
		}
		if err := tx.deleteIntent(seq); err != nil {
			return err
		}
	}
	for _, name := range freed {
		if err := tx.release(name); err != nil {
			return err
		}
	}
	for i := range e.puts {
		if err := tx.claim(e.puts[i].Spool); err != nil {
			return err
		}
	}
	return e.applyBindings(tx)
}

func (e *encoded) applyBindings(tx *txn) error {
	for _, b := range e.bind {
		k, v := encodeBinding(b)
		if err := tx.bindings.Put(k, v); err != nil {
			return err
		}
	}
	for _, n := range e.unbind {
		if err := tx.bindings.Delete(beKey(uint64(n))); err != nil {
			return err
		}
	}
	return nil
}
