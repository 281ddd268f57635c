package shape

import (
	"sync"
	"time"
)

// deadline is a point in time that a waiting goroutine can select on and that
// may be moved meanwhile.
type deadline struct {
	mu      sync.Mutex // guards the rest; a leaf
	timer   *time.Timer
	expired chan struct{} // closed when the time has come
}

func newDeadline() *deadline { return &deadline{expired: make(chan struct{})} }

// set moves the deadline; the zero time removes it.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.expired // the timer's function is about to close it
	}
	d.timer = nil
	past := isClosed(d.expired)
	if t.IsZero() {
		if past {
			d.expired = make(chan struct{})
		}
		return
	}
	if wait := time.Until(t); wait > 0 {
		if past {
			d.expired = make(chan struct{})
		}
		expired := d.expired
		d.timer = time.AfterFunc(wait, func() { close(expired) })
		return
	}
	if !past {
		close(d.expired)
	}
}

// done returns a channel that is closed once the deadline has passed. It is
// only good until the deadline is moved from the past to the future.
func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired
}

// stop ends the timer.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && d.timer.Stop() {
		d.timer = nil
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
