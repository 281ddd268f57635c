package mounting

import (
	"log/slog"
	"os"
	"time"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
)

// target is the mount as the control socket sees it.
type target struct {
	*cache.Volume // its queue
	m             *Mount
}

var _ control.Target = target{}

// serveControl lets commands speak to the mount. Without that it works too, and
// can be unmounted by others.
func (m *Mount) serveControl(r Request, cacheDir string) {
	info := control.Info{
		Mountpoint: m.path, Source: r.Source.String(), CacheDir: cacheDir,
		PID: os.Getpid(), Started: time.Now().UTC().Truncate(time.Second),
	}
	s, err := control.Serve(r.RuntimeDir, info, target{m.volume, m}, m.log)
	if err != nil {
		m.log.Warn("commands cannot reach this mount", slog.Any("error", err))
		return
	}
	m.control = s
}

func (t target) Unmount(lazy bool) error {
	t.m.asked.Store(true)
	err := t.m.fuse.Unmount()
	if err != nil && lazy {
		err = t.m.fuse.UnmountLazy()
	}
	if err != nil {
		t.m.asked.Store(false)
		return err
	}
	t.m.left.Do(func() { close(t.m.leave) })
	return nil
}

func (t target) Draining() bool {
	select {
	case <-t.m.leave:
		return true
	default:
		return false
	}
}

func (t target) Hurry() { t.m.hurry() }

func (t target) Ended() <-chan struct{} { return t.m.ended }

// Result is called once Ended is closed, or the mount never was.
func (t target) Result() error { return t.m.result }
