package store

import (
	"context"
	"math/bits"
	"sort"
	"time"
)

// Diff returns the events after cursor since, oldest first and at most limit of
// them (0: all), and the cursor for the next call (pCloud API 11.1). With
// nothing new, next is since.
//
// Cursor 0 is the full state: one modifyuserinfo and a create event for each
// file and folder, parents first. A cursor from before a reset, or too old for
// the log, gets a reset event and then the full state. A state that exceeds
// limit is delivered page by page, unchanged by what happens meanwhile.
// The time of an event of the state is the parent's modification time, so that
// a client that applies the parent rule (pCloud API 5.5) ends up with the same.
func (v *View) Diff(since uint64, limit int) (entries []Event, next uint64, err error) {
	err = v.a.read(func() error {
		if v.bit == 0 {
			return fail(CodeInternal)
		}
		switch b := v.a.feed.block(since, v.bit); {
		case since == 0:
			entries, next, err = v.state(false, limit)
			return err
		case v.stale(since):
			entries, next, err = v.state(true, limit)
			return err
		case b != nil:
			entries, next = v.page(b, int(since-b.lo), limit)
		default:
			entries, next = v.logged(since, limit)
		}
		return nil
	})
	return entries, next, err
}

// LastEvents returns the last n events and the current cursor.
func (v *View) LastEvents(n int) (entries []Event, next uint64, err error) {
	err = v.a.read(func() error {
		end, cursor := v.horizon()
		next = cursor
		start := end
		for left := n; start > 0 && left > 0; {
			start--
			if v.a.log[start].mask&v.bit != 0 {
				left--
			}
		}
		for _, e := range v.a.log[start:end] {
			if e.mask&v.bit != 0 {
				entries = append(entries, v.show(e))
			}
		}
		return nil
	})
	return entries, next, err
}

// DiffAfter is Diff from the first event later than t.
func (v *View) DiffAfter(t time.Time, limit int) (entries []Event, next uint64, err error) {
	var since uint64
	err = v.a.read(func() error {
		// Times do not always grow along the log: see txn.arrived.
		since = firstDiff
		for _, e := range v.a.log {
			if e.time > seconds(t) {
				break
			}
			since = e.id
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return v.Diff(since, limit)
}

// Wait blocks until Diff(since) has something to say. It returns the context's
// error or ErrClosed otherwise.
func (v *View) Wait(ctx context.Context, since uint64) error {
	for {
		var ready bool
		var at time.Time
		var changed chan struct{}
		err := v.a.read(func() error {
			ready, at = v.pending(since)
			changed = v.a.changed
			return nil
		})
		if err != nil || ready {
			return err
		}
		if err := v.sleep(ctx, changed, at); err != nil {
			return err
		}
	}
}

// sleep waits for an event, or until at if that is set.
func (v *View) sleep(ctx context.Context, changed <-chan struct{}, at time.Time) error {
	var due <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-v.a.closed:
		return ErrClosed
	case <-changed:
	case <-due:
	}
	return nil
}

// pending reports whether there is something after since, or else when an event
// that is held back will show.
func (v *View) pending(since uint64) (ready bool, at time.Time) {
	if since == 0 || v.stale(since) || v.a.feed.block(since, v.bit) != nil {
		return true, at
	}
	now := time.Now()
	for _, e := range v.a.log[v.a.after(since):] {
		if v.hidden(e, now) {
			return false, e.visibleAt
		}
		if e.mask&v.bit != 0 {
			return true, at
		}
	}
	return false, at
}

// stale reports whether a cursor is too old to be continued.
func (v *View) stale(since uint64) bool {
	f := &v.a.feed
	i := bits.TrailingZeros64(v.bit)
	if i == maxViews {
		return false
	}
	if since < f.resetAt || since < f.trimmed[i] || since < f.roots[i].since {
		return true
	}
	if f.block(since, v.bit) != nil {
		return false
	}
	j := sort.Search(len(f.spent), func(j int) bool { return f.spent[j].hi > since })
	return j < len(f.spent) && f.spent[j].lo < since
}

// horizon is the end of what readers see of the log, and the cursor there.
func (v *View) horizon() (end int, cursor uint64) {
	now := time.Now()
	for end = len(v.a.log); end > 0 && v.hidden(v.a.log[end-1], now); {
		end--
	}
	if end < len(v.a.log) {
		return end, v.a.log[end].id - 1
	}
	return end, v.a.ids.Diff
}

// logged returns a part of the log.
func (v *View) logged(since uint64, limit int) (entries []Event, next uint64) {
	end, cursor := v.horizon()
	for i := v.a.after(since); i < end; i++ {
		e := v.a.log[i]
		if e.mask&v.bit == 0 {
			continue
		}
		if limit > 0 && len(entries) == limit {
			return entries, entries[limit-1].ID
		}
		entries = append(entries, v.show(e))
	}
	if len(entries) == 0 {
		return nil, since
	}
	return entries, cursor
}

func (v *View) show(e *event) Event {
	out := Event{ID: e.id, Type: e.typ, Time: time.Unix(e.time, 0).UTC()}
	if e.rec != nil {
		out.Node = v.node(e.rec)
		out.Node.Replaced = e.replaced
	}
	return out
}
