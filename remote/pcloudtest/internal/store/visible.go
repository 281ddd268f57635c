package store

import "time"

// lag is what DelayVisibility does: readers see the account as it was a while
// ago, like a replica that is behind. Mutations stay in order: while one is
// held back, those after it are too.
type lag struct {
	next  int           // mutations still to be delayed
	delay time.Duration // of each
	until time.Time     // when the last delayed mutation becomes visible
	// former is, for records changed by delayed mutations, what readers see:
	// the first entry whose time has not come.
	former map[key][]shadow
}

type shadow struct {
	until time.Time
	rec   *record // nil: not there
}

// DelayVisibility makes the next n mutations visible to listings, look-ups by
// id and path, checksums and the change feed only after d (pCloud API 2.3).
// Replies to the mutations themselves, contents and [View.Fresh] are not
// delayed.
func (a *Account) DelayVisibility(n int, d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lag.next, a.lag.delay = n, d
}

// shadow keeps the state that readers see while this mutation is held back.
func (t *txn) shadow(k key, old *record) {
	t.start()
	if t.visibleAt.IsZero() {
		return
	}
	l := &t.a.lag
	if l.former == nil {
		l.former = map[key][]shadow{}
	}
	l.former[k] = append(l.former[k], shadow{t.visibleAt, old})
}

// start decides, at the first change of a mutation, when it becomes visible.
func (t *txn) start() {
	if t.started {
		return
	}
	t.started = true
	l := &t.a.lag
	now := time.Now()
	if l.next > 0 {
		l.next--
		if at := now.Add(l.delay); at.After(l.until) {
			l.until = at
		}
	}
	if l.until.After(now) {
		t.visibleAt = l.until
	}
}

// behind forgets states whose time has passed and reports whether any is left.
func (a *Account) behind() bool {
	if len(a.lag.former) == 0 {
		return false
	}
	now := time.Now()
	for k, s := range a.lag.former {
		for len(s) > 0 && !s[0].until.After(now) {
			s = s[1:]
		}
		if len(s) == 0 {
			delete(a.lag.former, k)
		} else {
			a.lag.former[k] = s
		}
	}
	return len(a.lag.former) > 0
}

// seen is the live record of k as readers see it; fresh ignores delays.
func (a *Account) seen(k key, fresh bool) *record {
	if !fresh && a.behind() {
		if s := a.lag.former[k]; len(s) > 0 {
			return s[0].rec
		}
	}
	return a.tree.live[k]
}

// seenChild is tree.child as readers see it.
func (a *Account) seenChild(parent uint64, name string, folder, fresh bool) *record {
	if fresh || !a.behind() {
		return a.tree.child(parent, name, folder)
	}
	for _, r := range a.seenChildren(parent, false) {
		if r.folder == folder && r.name == name {
			return r
		}
	}
	return nil
}

// seenChildren is tree.children as readers see it.
func (a *Account) seenChildren(parent uint64, fresh bool) []*record {
	now := a.tree.children(parent)
	if fresh || !a.behind() {
		return now
	}
	out := make([]*record, 0, len(now))
	for _, r := range now {
		if _, ok := a.lag.former[r.key()]; !ok {
			out = append(out, r)
		}
	}
	for k, s := range a.lag.former {
		if r := s[0].rec; r != nil && r.parent == parent && k != (key{true, 0}) {
			out = append(out, r)
		}
	}
	return out
}
