package fs

import (
	"log/slog"
	"sync"
	"syscall"
)

// invalidator tells the kernel to drop pages. A notification may have to wait
// for page locks that a READ holds, which a handler must answer: so it is never
// sent from a handler, nor under a lock, but from run.
type invalidator struct {
	log  *slog.Logger
	wake chan struct{} // capacity 1

	mu    sync.Mutex // leaf
	queue map[*file]struct{}
}

func newInvalidator(log *slog.Logger) *invalidator {
	return &invalidator{log: log, wake: make(chan struct{}, 1), queue: make(map[*file]struct{})}
}

// add has the pages of f dropped soon. It never waits.
func (v *invalidator) add(f *file) {
	v.mu.Lock()
	v.queue[f] = struct{}{}
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *invalidator) take() map[*file]struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	q := v.queue
	v.queue = make(map[*file]struct{})
	return q
}

// run sends notifications until stop is closed.
func (v *invalidator) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-v.wake:
		}
		for f := range v.take() {
			// ENOENT: the kernel dropped the inode by itself. ENOSYS: macFUSE.
			errno := f.NotifyContent(0, 0)
			if errno != 0 && errno != syscall.ENOENT && errno != syscall.ENOSYS {
				v.log.Debug("page cache not invalidated", slog.Uint64("node", uint64(f.id)), slog.Any("err", errno))
			}
		}
	}
}
