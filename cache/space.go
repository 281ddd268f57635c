package cache

import (
	"context"
	"fmt"
	"time"
)

const (
	// spaceAge is how long an answer about the account's space is used.
	spaceAge = 30 * time.Second

	// spaceRecheck is how old the answer may be that stops a writer.
	spaceRecheck = time.Second
)

// Statfs returns the account's space less what waits to be sent. It never
// waits; an old answer is renewed behind it.
func (v *Volume) Statfs() Statfs {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.asked) > spaceAge && !v.closed {
		v.asked = time.Now()
		v.wg.Go(func() { v.askSpace(v.ctx) })
	}
	free := v.freeSpace()
	return Statfs{Total: v.space.Quota, Free: free, Avail: free, Files: uint64(v.meta.Len())}
}

// freeSpace is what may still be written. Volume.mu is held.
func (v *Volume) freeSpace() int64 { return max(0, v.space.Quota-v.space.Used-v.charged) }

func (v *Volume) askSpace(ctx context.Context) {
	u, err := v.remote.UserInfo(ctx)
	if err != nil {
		if ctx.Err() == nil {
			v.log.Warn("pCloud does not tell the space left", "err", err)
		}
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.space, v.asked = u, time.Now()
}

// charge counts bytes that a file will need in pCloud and needs in the spool,
// once its new size is known. Volume.mu is held.
func (v *Volume) charge(c *contentState, size int64) {
	need := max(0, size-c.base.size)
	v.charged += need - c.charged
	v.spooled += size - c.spooled
	c.charged, c.spooled = need, size
}

// discharge gives back what a file was charged for. Volume.mu is held.
func (v *Volume) discharge(c *contentState) {
	v.charged -= c.charged
	c.charged = 0
	if c.local == nil {
		v.spooled -= c.spooled
		c.spooled = 0
	}
}

// reserve makes sure that a file may grow to size: that the account has room
// for it, and the spool. With the spool full it waits while uploads make room.
func (v *Volume) reserve(ctx context.Context, c *contentState, size int64) error {
	if err := v.reserveQuota(ctx, c, size); err != nil {
		return err
	}
	if v.spoolLimit == 0 {
		return nil
	}
	for {
		v.mu.Lock()
		if v.spooled-c.spooled+size <= v.spoolLimit || size <= c.spooled {
			v.mu.Unlock()
			return nil
		}
		last := v.movable()
		v.mu.Unlock()
		if last == 0 {
			return fmt.Errorf("the spool (%d bytes) is full and nothing in it can be sent: %w", v.spoolLimit, ErrNoSpace)
		}
		if err := v.awaitChange(ctx, last); err != nil {
			return err
		}
	}
}

func (v *Volume) reserveQuota(ctx context.Context, c *contentState, size int64) error {
	fits := func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.space.Used+v.charged-c.charged+max(0, size-c.base.size) <= v.space.Quota || size <= c.size.Load()
	}
	if fits() {
		return nil
	}
	v.mu.Lock()
	recent := time.Since(v.asked) < spaceRecheck
	v.mu.Unlock()
	if !recent {
		v.askSpace(ctx)
	}
	if !fits() {
		return fmt.Errorf("the account is full: %w", ErrNoSpace)
	}
	return nil
}

// movable returns the newest put that can still be sent, which would make room
// in the spool. Volume.mu is held.
func (v *Volume) movable() (last uint64) {
	for _, p := range v.queue {
		if p.Op == opPut && p.Parked == "" && p.c != nil && p.c.writers == 0 && !v.blocked(p) {
			last = max(last, p.Seq)
		}
	}
	return last
}

// awaitChange hurries the queue up to an intent and waits for the next change.
func (v *Volume) awaitChange(ctx context.Context, last uint64) error {
	first := true
	return v.await(ctx, func() uint64 {
		if !first {
			return 0
		}
		first = false
		return last
	}, 0)
}
