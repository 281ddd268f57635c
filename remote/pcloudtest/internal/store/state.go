package store

import "time"

// block is a full state that is read page by page. The cursors from lo to hi
// stand for the positions in it.
type block struct {
	span
	view  uint64 // bit
	reset bool   // starts with a reset event
	time  int64
	recs  []stated
}

// stated is a record and the time of its event.
type stated struct {
	rec  *record
	time int64
}

// len counts the events: the records, modifyuserinfo and perhaps a reset.
func (b *block) len() int {
	n := len(b.recs) + 1
	if b.reset {
		n++
	}
	return n
}

// state starts the delivery of the full state. It ignores delays of visibility.
func (v *View) state(reset bool, limit int) ([]Event, uint64, error) {
	a := v.a
	if _, err := v.folder(0); err != nil {
		return nil, 0, err
	}
	b := &block{view: v.bit, reset: reset, time: a.clock()}
	for _, r := range a.tree.walk(v.root) {
		b.recs = append(b.recs, stated{r, a.tree.folder(r.parent).modified})
	}
	n := uint64(b.len())
	if !reset && (limit <= 0 || int(n) <= limit) && a.ids.Diff-firstDiff >= n {
		// Everything in one reply: past event ids will do.
		b.lo, b.hi = a.ids.Diff-n, a.ids.Diff
	} else {
		b.lo, b.hi = a.ids.Diff, a.ids.Diff+n
		a.ids.Diff = b.hi
		if err := a.saveSpan(b.span); err != nil {
			return nil, 0, err
		}
		f := &a.feed
		f.spent = append(f.spent, b.span)
		if limit > 0 && int(n) > limit {
			if len(f.blocks) == maxBlocks {
				f.blocks = f.blocks[1:]
			}
			f.blocks = append(f.blocks, b)
		}
	}
	entries, next := v.page(b, 0, limit)
	return entries, next, nil
}

// block returns the state that the cursor is in the middle of, or nil.
func (f *feed) block(since, view uint64) *block {
	for _, b := range f.blocks {
		if b.view == view && b.lo < since && since < b.hi {
			return b
		}
	}
	return nil
}

// page returns events of a state from position i on.
func (v *View) page(b *block, i, limit int) ([]Event, uint64) {
	end := b.len()
	if limit > 0 {
		end = min(end, i+limit)
	}
	out := make([]Event, 0, end-i)
	for ; i < end; i++ {
		out = append(out, v.position(b, i))
	}
	return out, b.lo + uint64(end)
}

func (v *View) position(b *block, i int) Event {
	e := Event{ID: b.lo + 1 + uint64(i), Time: time.Unix(b.time, 0).UTC()}
	if b.reset {
		i--
	}
	switch {
	case i < 0:
		e.Type = EventReset
	case i == 0:
		e.Type = EventModifyUserInfo
	default:
		s := b.recs[i-1]
		e.Time, e.Node, e.Type = time.Unix(s.time, 0).UTC(), v.node(s.rec), EventCreateFile
		if s.rec.folder {
			e.Type = EventCreateFolder
		}
	}
	return e
}
