package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cache/upload"
	"github.com/pcloudfs/pcloudfs/remote"
)

const (
	// lookahead is how many intents at the head of the queue are considered,
	// those not counted that can't be applied now.
	lookahead = 512

	// triesMax is how often something is tried that fails for a reason that
	// time does not seem to change.
	triesMax = 10

	backoffMin = time.Second
	backoffMax = time.Minute
)

// drain applies the queue until the volume ends.
func (v *Volume) drain() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for v.ctx.Err() == nil {
		v.mu.Lock()
		garbage := v.garbage
		v.garbage = nil
		wake := v.schedule(time.Now())
		v.mu.Unlock()
		v.removeSpools(garbage...)
		timer.Reset(wake)
		select {
		case <-v.kick:
		case <-timer.C:
		case <-v.ctx.Done():
		}
	}
}

// schedule starts the work that may start now and returns when to look again.
// Volume.mu is held.
//
// The queue is applied in order. Of the unfinished intents before one, all must
// be done (clear); only small new files may start while those before them are
// small new files in flight (loose). Bytes of large files are sent ahead. Puts
// of files that are open for writing, and removals of files that are being
// read, are passed by: they have not been issued as far as order goes.
func (v *Volume) schedule(now time.Time) time.Duration {
	clear, loose := true, true
	wake := time.Hour
	considered := 0
	var passed []*pending
	for i, p := range v.queue {
		if considered >= lookahead || (!loose && v.running >= v.uploads) {
			break
		}
		if p.Parked != "" {
			if p.Op != opTimes && (p.Op != opPut || !p.n.inCloud) { // what builds on it has to wait
				passed = append(passed, p)
			}
			continue
		}
		if !p.started {
			held := p.held() && !v.closing // nobody has anything open any more
			waits, stuck := v.follows(p, passed)
			if p.stuck != stuck {
				p.stuck = stuck
				defer v.broadcast()
			}
			if held || waits || v.blocked(p) {
				passed = append(passed, p)
				continue
			}
		}
		considered++
		small := v.isSmallNew(p)
		if p.started {
			clear, loose = false, loose && small
			continue
		}
		wait := p.notBefore.Sub(now)
		if p.forced && p.Tries == 0 {
			wait = 0
		}
		if wait > 0 {
			wake = min(wake, wait)
		}
		ready := p.committed && wait <= 0 && v.running < v.uploads && v.hasParent(p)
		switch {
		case ready && p.bulk(v.small):
			v.begin(p, v.send)
			loose = false
		case ready && clear && p.Op == opRemove && v.beginTree(i, now):
			loose = false
		case ready && (clear || (loose && small)):
			v.begin(p, v.apply)
			loose = loose && small
		default:
			loose = false
		}
		clear = false
	}
	return wake
}

// follows says whether an intent must wait for one of those that were passed
// by, because it is about the same file or name, or removes the folder. What is
// held back for the sake of those who have the file open is not any more then. stuck says that what it waits for is parked. Volume.mu is held.
func (v *Volume) follows(p *pending, passed []*pending) (waits, stuck bool) {
	for _, q := range passed {
		if p.Op == opRemove && q.n == p.n && q.refused() {
			continue // which is moot then
		}
		same := q.n == p.n || q.n == p.over
		for _, c := range q.claims {
			same = same || (p.Folder && p.Op == opRemove && c.dir == p.n.id)
			same = same || slices.ContainsFunc(p.claims, func(d claim) bool { return c.dir == d.dir && c.name == d.name })
		}
		if same {
			waits = true
			stuck = stuck || q.refused()
			switch {
			case q.Op == opRemove && !q.forced:
				q.forced = true
				v.kickLocked()
			case q.Op == opPut && !q.wanted && !q.refused():
				q.wanted = true
				v.kickLocked()
			}
		}
	}
	return waits, stuck
}

// isSmallNew says whether p adds something by one request and takes nothing
// away: a small new file or a folder.
func (v *Volume) isSmallNew(p *pending) bool {
	if p.Op == opMkdir {
		return p.n.queue[0] == p
	}
	return p.Op == opPut && p.Size <= v.small && p.over == nil && !p.n.inCloud && p.Base == nil && p.n.queue[0] == p
}

// bulk says whether p has bytes to send ahead of its turn.
func (p *pending) bulk(small int64) bool { return p.Op == opPut && p.Size > small && !p.sent }

// hasParent says whether the folder of a put is in pCloud, so that its bytes
// have somewhere to go. Volume.mu is held.
func (v *Volume) hasParent(p *pending) bool {
	if p.Op == opRemove {
		return true
	}
	_, ok := v.folderOf(p.Parent)
	return ok
}

// blocked says whether something waits for what pCloud refuses: the folder that
// it is in, or that its name becomes free. Volume.mu is held.
func (v *Volume) blocked(p *pending) bool {
	if p.stuck {
		return true
	}
	for range 4096 { // see ancestors
		if v.hasParent(p) {
			return false
		}
		d := v.nodes[p.Parent]
		if d == nil {
			return true
		}
		i := slices.IndexFunc(d.queue, func(q *pending) bool { return q.Op == opMkdir })
		if i < 0 || d.queue[i].Parked != "" {
			return true
		}
		p = d.queue[i]
	}
	return true
}

// begin gives an intent to a worker. Volume.mu is held.
func (v *Volume) begin(p *pending, work func(context.Context, *pending) error) {
	if v.closed {
		return
	}
	p.started, p.asked = true, v.events
	v.running++
	v.wg.Go(func() { v.end(p, work(v.ctx, p)) })
}

// beginTree gives a run of removals to a worker if they can be made at once.
// Volume.mu is held.
func (v *Volume) beginTree(i int, now time.Time) bool {
	if v.queue[i].Tries > 0 || v.closed {
		return false // one by one then
	}
	group := v.tree(i, now)
	if group == nil {
		return false
	}
	for _, p := range group {
		p.started, p.asked = true, v.events
	}
	v.running++
	v.wg.Go(func() {
		err := v.applyTree(v.ctx, group)
		v.mu.Lock()
		if err != nil {
			v.log.Info("a tree is removed piece by piece", "name", group[len(group)-1].Name, "err", err)
			for _, p := range group {
				p.started = false
				p.Tries = max(p.Tries, 1) // not to be tried together again
			}
		}
		v.running--
		v.broadcast()
		v.mu.Unlock()
	})
	return true
}

// end takes the result of a worker.
func (v *Volume) end(p *pending, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running--
	p.started = false
	defer v.broadcast()
	switch {
	case err == nil || v.ctx.Err() != nil:
	case permanent(err), p.Tries >= triesMax && !passing(err):
		v.park(p, err)
	default:
		p.Tries++
		p.lastErr, v.lastErr = err.Error(), err.Error()
		wait := min(backoffMin<<min(p.Tries-1, 10), backoffMax)
		p.notBefore = time.Now().Add(wait)
		v.log.Warn("not in pCloud yet, will try again", "op", p.Op, "name", p.Name, "in", wait, "err", err)
	}
}

// permanent says whether repeating can't help.
func permanent(err error) bool {
	var re *remote.Error
	switch {
	case errors.Is(err, remote.ErrToken), errors.Is(err, remote.ErrWrongRegion):
		return false // the account's trouble, not the file's
	case errors.Is(err, upload.ErrSourceChanged), errors.Is(err, errGone):
		return true
	case errors.As(err, &re):
		return re.Result != 0 && !re.Temporary()
	}
	return false
}

// passing says whether a failure has a reason that may go away: the network, the
// account, the local disk under the journal.
func passing(err error) bool {
	return isTemporary(err) || errors.Is(err, remote.ErrToken) || errors.Is(err, remote.ErrWrongRegion) || errors.Is(err, errUnsaved)
}

// park puts an intent aside that pCloud refuses. Its bytes and its place in
// the view stay. Volume.mu is held.
func (v *Volume) park(p *pending, err error) {
	v.log.Error("pCloud refuses this; it is kept in the cache directory", "op", p.Op, "name", p.Name, "err", err)
	p.Parked = err.Error()
	p.n.err = fmt.Errorf("%s %q: %w", p.Op, p.Name, err)
	p.n.errCount++
	p.n.errHeard = false
	name := p.Name
	b := v.note(journal.Change{Put: []journal.Intent{p.Intent}})
	v.wg.Go(func() {
		if err := v.save(b); err != nil {
			v.log.Error("the reason of a failure can't be recorded", "name", name, "err", err)
		}
	})
}
