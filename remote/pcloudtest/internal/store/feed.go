package store

import (
	"slices"
	"sort"
	"time"
)

// event is one entry of the log. Its record is a snapshot.
type event struct {
	id        uint64
	typ       string
	time      int64  // unix seconds
	mask      uint64 // views that see it
	replaced  uint64 // see Node.Replaced
	rec       *record
	visibleAt time.Time // zero: at once
}

// feed is what the change feed needs besides the log.
type feed struct {
	// roots are the folders of the views that were ever asked for; the events
	// that view i sees have bit i set. The first is the whole account.
	roots []viewRoot
	// resetAt is the last reset event: older cursors start over.
	resetAt uint64
	// trimmed is, for each view, the last of its events that has left the log.
	trimmed [maxViews]uint64
	// blocks are full states that are being read page by page.
	blocks []*block
	// spent are the cursors that such pages have used up, also in former runs.
	spent []span
}

type viewRoot struct {
	folder uint64
	since  uint64 // cursors before that do not know the view's events
}

type span struct{ lo, hi uint64 }

const (
	maxViews  = 64
	everyView = ^uint64(0)
	// maxBlocks is how many full states may be read page by page at a time.
	maxBlocks = 8
)

// viewBit returns the bit of the events that a view of folder root sees; 0 if
// there are too many views.
func (a *Account) viewBit(root uint64) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := &a.feed
	if len(f.roots) == 0 {
		f.roots = []viewRoot{{}}
	}
	for i, r := range f.roots {
		if r.folder == root {
			return 1 << i
		}
	}
	if len(f.roots) == maxViews || a.err != nil {
		return 0
	}
	r := viewRoot{root, a.ids.Diff}
	if err := a.saveView(len(f.roots), r); err != nil {
		a.err = err
		return 0
	}
	f.roots = append(f.roots, r)
	return 1 << (len(f.roots) - 1)
}

// mask returns the views in whose folder the record is, their own folder not
// counted.
func (a *Account) mask(r *record) uint64 {
	m := uint64(1)
	for i, root := range a.feed.roots {
		if i > 0 && a.tree.below(r.parent, root.folder) {
			m |= 1 << i
		}
	}
	return m
}

// event appends to the log.
func (t *txn) event(typ string, r *record, mask uint64) *event {
	t.start()
	e := &event{id: t.a.next(&t.a.ids.Diff), typ: typ, time: t.now, mask: mask, rec: r, visibleAt: t.visibleAt}
	t.events = append(t.events, e)
	return e
}

func (t *txn) created(r *record) *event {
	if r.folder {
		return t.event(EventCreateFolder, r, t.a.mask(r))
	}
	return t.event(EventCreateFile, r, t.a.mask(r))
}

// arrived is created for what comes along in a folder. That folder's content
// did not change by it, so the event has the time when it did.
func (t *txn) arrived(r *record) *event {
	e := t.created(r)
	e.time = t.a.tree.folder(r.parent).modified
	return e
}

func (t *txn) modified(r *record) *event {
	if r.folder {
		return t.event(EventModifyFolder, r, t.a.mask(r))
	}
	return t.event(EventModifyFile, r, t.a.mask(r))
}

// deleted reports a record that is about to go; its ancestors must be there.
func (t *txn) deleted(r *record) *event { return t.deletedFor(r, t.a.mask(r)) }

func (t *txn) deletedFor(r *record, mask uint64) *event {
	typ := EventDeleteFile
	if r.folder {
		typ = EventDeleteFolder
	}
	return t.event(typ, r.gone(), mask)
}

// moved reports a rename that has been made. A view that has only one of the
// places sees something come or go, with all that is in it.
func (t *txn) moved(before, after *record, replaced uint64) {
	was, is := t.a.mask(before), t.a.mask(after)
	e := t.modified(after)
	e.replaced, e.mask = replaced, was&is
	lost, gained := was&^is, is&^was
	if lost|gained == 0 {
		return
	}
	var below []*record
	if after.folder {
		below = t.a.tree.walk(after.id)
	}
	if lost != 0 {
		for _, r := range slices.Backward(below) {
			t.deletedFor(r, lost)
		}
		t.deletedFor(before, lost)
	}
	if gained != 0 {
		c := t.created(after)
		c.mask, c.replaced = gained, replaced
		for _, r := range below {
			t.arrived(r).mask = gained
		}
	}
}

// InjectReset makes every client that has a cursor start over (pCloud API 11.1).
func (a *Account) InjectReset() error {
	return a.update(func(t *txn) error {
		t.reset()
		return nil
	})
}

func (t *txn) reset() {
	t.a.feed.resetAt = t.event(EventReset, nil, everyView).id
	t.a.feed.blocks = nil
}

// trimLog bounds the log and returns the ids that fell out of it.
func (a *Account) trimLog() []uint64 {
	if len(a.log) <= a.maxEvents {
		return nil
	}
	n := len(a.log) - a.maxEvents*7/8 // in batches
	ids := make([]uint64, n)
	for i, e := range a.log[:n] {
		ids[i] = e.id
		for v := range a.feed.trimmed {
			if e.mask>>v&1 != 0 {
				a.feed.trimmed[v] = e.id
			}
		}
	}
	a.log = slices.Clone(a.log[n:])
	return ids
}

// after returns the position of the first event later than since.
func (a *Account) after(since uint64) int {
	return sort.Search(len(a.log), func(i int) bool { return a.log[i].id > since })
}

// hidden reports whether an event is still held back.
func (v *View) hidden(e *event, now time.Time) bool {
	return !v.fresh && e.visibleAt.After(now)
}

// wake ends the waiting of everyone who waits for events.
func (a *Account) wake() {
	close(a.changed)
	a.changed = make(chan struct{})
}
