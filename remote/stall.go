package remote

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// watch ends an attempt that takes too long, by cancelling its context. At a
// time it either waits for one event (within) or watches the flow of a
// transfer (begin and end around each wait for the peer).
type watch struct {
	ctx    context.Context // of the attempt
	cancel context.CancelCauseFunc

	quota  int64         // bytes that have to move
	window time.Duration // in this much waiting

	mu     sync.Mutex // guards the rest
	timer  *time.Timer
	cause  error         // what the timer will say
	begun  time.Time     // of the current wait, zero if none
	waited time.Duration // since quota was last reached
	moved  int64         // bytes since then
}

func newWatch(ctx context.Context, rate int64, window time.Duration) *watch {
	w := &watch{window: window, quota: max(1, int64(float64(rate)*window.Seconds()))}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// arm starts the only timer. Callers hold mu.
func (w *watch) arm(d time.Duration, cause error) {
	w.cause = cause
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.fire)
		return
	}
	w.timer.Reset(d)
}

func (w *watch) fire() {
	w.mu.Lock()
	cause := w.cause
	w.mu.Unlock()
	if cause != nil {
		w.cancel(cause)
	}
}

// disarm stops the timer. Callers hold mu.
func (w *watch) disarm() {
	w.cause = nil
	if w.timer != nil {
		w.timer.Stop()
	}
}

// within ends the attempt unless something else is called in d.
func (w *watch) within(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = time.Time{}
	w.arm(d, fmt.Errorf("%w: nothing within %v", ErrTimeout, d))
}

// begin starts a wait for the peer to take or give bytes.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = time.Now()
	w.arm(max(0, w.window-w.waited), fmt.Errorf("%w: less than %d bytes moved in %v", ErrTimeout, w.quota, w.window))
}

// end ends the wait; n bytes have moved in it.
func (w *watch) end(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disarm()
	if !w.begun.IsZero() {
		w.waited += time.Since(w.begun)
		w.begun = time.Time{}
	}
	if w.moved += int64(n); w.moved >= w.quota {
		w.moved, w.waited = 0, 0
	}
}

// stop releases the timer and the attempt's context.
func (w *watch) stop() {
	w.mu.Lock()
	w.disarm()
	w.mu.Unlock()
	w.cancel(context.Canceled)
}

// why replaces the error of a request that was cancelled with the reason:
// the caller's context, the watch, or else the connection itself.
func (w *watch) why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return transportError{err}
}

// reader watches the body of a reply. With waiting, the limit set by within
// goes on until the first byte of it.
func (w *watch) reader(r io.Reader, waiting bool) io.Reader {
	if !waiting {
		w.end(0)
	}
	return &watchedReader{w: w, r: r, waiting: waiting}
}

type watchedReader struct {
	w       *watch
	r       io.Reader
	waiting bool
}

func (r *watchedReader) Read(p []byte) (int, error) {
	if !r.waiting {
		r.w.begin()
	}
	r.waiting = false
	n, err := r.r.Read(p)
	r.w.end(n)
	return n, err
}
