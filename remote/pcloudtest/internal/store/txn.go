package store

import "time"

// txn is one mutation of the account. Its methods change the maps at once and
// note what has to be written; commit writes it. All of it happens under
// Account.mu.
type txn struct {
	a     *Account
	now   int64           // server time of everything in this mutation
	dirty map[key]bool    // records to write
	revs  map[uint64]bool // files whose revisions are to be written
	blobs map[*blob]bool  // contents whose references changed

	events    []*event
	sessions  []*session // ended
	settings  map[string]string
	visibleAt time.Time // zero: at once; see visible.go
	started   bool
}

// update runs one mutation. What fn has changed before it failed stays, as the
// service's own bulk calls do (pCloud API 7.7).
func (a *Account) update(fn func(t *txn) error) error {
	a.mu.Lock()
	if a.err != nil {
		defer a.mu.Unlock()
		return a.err
	}
	t := &txn{a: a, now: a.clock(), dirty: map[key]bool{}, revs: map[uint64]bool{}, blobs: map[*blob]bool{}}
	err := fn(t)
	dead, cerr := t.commit()
	a.mu.Unlock()
	for _, b := range dead {
		a.removeFile(a.blobPath(b.id))
	}
	if err == nil {
		err = cerr
	}
	return err
}

// read runs fn under the lock.
func (a *Account) read(fn func() error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	return fn()
}

// put puts a new or changed record into the tree.
func (t *txn) put(r *record) { t.set(r.key(), r) }

// set replaces what k has by r; nil removes it for good.
func (t *txn) set(k key, r *record) {
	a := t.a
	old := a.tree.get(k)
	t.shadow(k, a.tree.live[k])
	if r != nil && r.blob != nil {
		t.ref(r.blob)
	}
	a.used += a.counted(r) - a.counted(old)
	if old != nil && old.blob != nil {
		t.unref(old.blob)
	}
	a.tree.set(k, r)
	if a.db != nil {
		t.dirty[k] = true
	}
}

// counted is what a record adds to the used quota.
func (a *Account) counted(r *record) int64 {
	if r == nil || r.deleted && !a.quirks.TrashCounts {
		return 0
	}
	return r.size()
}

// room refuses to add n bytes beyond the quota.
func (a *Account) room(n int64) error {
	if n > 0 && n > a.quota-a.used {
		return fail(CodeOverQuota)
	}
	return nil
}

func (t *txn) ref(b *blob) {
	b.refs++
	t.blobs[b] = true
}

// setting keeps a value as part of the mutation.
func (t *txn) setting(name, value string) {
	if t.settings == nil {
		t.settings = map[string]string{}
	}
	t.settings[name] = value
	t.a.settings[name] = value
}

func (t *txn) unref(b *blob) {
	b.refs--
	t.blobs[b] = true
}

// touch sets a folder's modification time, as a change of its direct children
// does; the change feed does not mention it (pCloud API 5.5).
func (t *txn) touch(folder uint64) {
	r := t.a.tree.folder(folder)
	if r == nil || r.modified == t.now {
		return
	}
	c := *r
	c.modified = t.now
	t.put(&c)
}

// commit writes the mutation and wakes waiters. It returns the contents whose
// files have to go once the lock is released.
func (t *txn) commit() (dead []*blob, err error) {
	a := t.a
	for b := range t.blobs {
		if b.refs == 0 && b.stored() && a.db != nil {
			dead = append(dead, b)
		}
	}
	a.log = append(a.log, t.events...)
	trimmed := a.trimLog()
	if err := a.save(t, trimmed); err != nil {
		// Maps and file disagree now: refuse everything from here on.
		a.err = err
		a.logger.Error("account is unusable", "err", err)
		return nil, err
	}
	if len(t.events) > 0 {
		a.wake()
	}
	return dead, nil
}
