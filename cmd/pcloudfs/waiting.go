package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/progress"
)

var (
	errInterrupted = errors.New("interrupted")
	errDetached    = errors.New("unmounted, and not waited for")
)

// secondChance is how long a second signal is waited for after the first.
const secondChance = 2 * time.Second

// waiting waits for the end of a mount, shows how far it is, and heeds signals.
type waiting struct {
	env     environment
	client  *control.Client
	display *progress.Display
	ctx     context.Context // of the requests
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	events  chan control.Event
	answers chan answer
	queue   cache.Status // the last that was told
}

type answer struct {
	end control.End
	err error
}

func newWaiting(env environment, client *control.Client) *waiting {
	w := &waiting{
		env: env, client: client, display: progress.New(env.stderr),
		events: make(chan control.Event), answers: make(chan answer, 2),
		queue: client.State().Queue,
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// stop ends requests that are still under way.
func (w *waiting) stop() {
	w.cancel()
	w.wg.Wait()
}

// last says how much was left at last.
func (w *waiting) last() string {
	return progress.Changes(w.queue.Pending + w.queue.Active)
}

// ask sends a request in the background.
func (w *waiting) ask(req control.UnmountRequest) {
	w.wg.Go(func() {
		end, err := w.client.Unmount(w.ctx, req, func(e control.Event) {
			select {
			case w.events <- e:
			case <-w.ctx.Done():
			}
		})
		w.answers <- answer{end, err}
	})
}

// unmount sends the request and waits for the end, or, with quit, until it is
// unmounted (errDetached). A signal ends waiting (errInterrupted); a second one
// shortly afterwards leaves the rest for the next mount.
func (w *waiting) unmount(req control.UnmountRequest, quit bool) (control.End, error) {
	defer w.display.Finish()
	w.ask(req)
	var enough <-chan time.Time // since the first signal
	for {
		select {
		case e := <-w.events:
			if quit {
				return control.End{}, errDetached
			}
			if e.Queue != nil {
				w.queue = *e.Queue
				w.display.Update(time.Now(), w.queue)
			}
		case a := <-w.answers:
			return a.end, a.err
		case <-enough:
			return control.End{}, errInterrupted
		case <-w.env.signals:
			if enough != nil {
				w.ask(control.UnmountRequest{Lazy: req.Lazy, Now: true})
				continue
			}
			w.display.Finish()
			fmt.Fprintln(w.env.stderr, "pcloudfs: not waiting any longer; once more to leave the rest for the next mount")
			enough = time.After(secondChance)
		}
	}
}
