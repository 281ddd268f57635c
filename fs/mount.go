package fs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

// Reasons why a mount is impossible. The errors that wrap them say what to do.
var (
	ErrNoFUSE       = errors.New("FUSE is not available")
	ErrNoFusermount = errors.New("fusermount3 not found")
	ErrStale        = errors.New("mount point is that of a dead FUSE mount")
	ErrAllowOther   = errors.New("allow_other is not permitted")
)

// mountState is what all nodes of a mount share.
type mountState struct {
	vol         volume
	o           Options
	log         *slog.Logger
	root        *dir
	table       table
	owners      *owners
	invalidator *invalidator

	// changes counts what this mount changed in the volume.
	changes atomic.Uint64

	// panics counts handlers that panicked.
	panics atomic.Int64
}

func newMountState(v volume, o Options) *mountState {
	o = o.withDefaults()
	m := &mountState{vol: v, o: o, log: o.Log, owners: newOwners(o), invalidator: newInvalidator(o.Log)}
	m.root = &dir{node: node{m: m, id: cache.RootNode}}
	m.table.nodes = map[cache.NodeID]inode{cache.RootNode: m.root}
	return m
}

// onPanic answers a request whose handler panicked.
func (m *mountState) onPanic(v any) fuse.Status {
	m.panics.Add(1)
	m.log.Error("panic in a request handler", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	return fuse.EIO
}

// Mounted is a mounted volume.
type Mounted struct {
	dir    string // absolute, without symbolic links
	state  *mountState
	server *fuse.Server
	done   chan struct{} // closed when no request is being served any more

	// detached says that dir is not, or no longer only, the mount point of this.
	detached atomic.Bool
}

// Mount mounts v on dir, a directory, which need not be empty, and returns when
// requests are being served. The volume stays the caller's: it is to be closed
// after Wait has returned.
//
// Root needs nothing but /dev/fuse; other users need the program fusermount3.
func Mount[H Handle](dir string, v Volume[H], o Options) (*Mounted, error) {
	return mount(dir, untyped[H]{v}, o)
}

func mount(dir string, v volume, o Options) (*Mounted, error) {
	dir, err := mountPoint(dir)
	if err != nil {
		return nil, err
	}
	if err := checkFUSE(o); err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	state := newMountState(v, o)
	fo := state.fuseOptions()
	raw := registrar{gofs.NewNodeFS(state.root, fo), state}
	server, err := fuse.NewServer(raw, dir, &fo.MountOptions)
	if err != nil {
		err = fmt.Errorf("mount %s: %w", dir, explainMount(err))
		if IsStale(dir) { // mounted, and then the first request failed
			err = errors.Join(err, Detach(dir))
		}
		return nil, err
	}
	closeDeviceOnExec()
	m := &Mounted{dir: dir, state: state, server: server, done: make(chan struct{})}
	go m.serve()
	if err := server.WaitMount(); err != nil {
		err = fmt.Errorf("mount %s: %w", dir, explainMount(err))
		if lazy := m.UnmountLazy(); lazy != nil {
			return nil, errors.Join(err, lazy)
		}
		m.Wait()
		return nil, err
	}
	return m, nil
}

// serve is the goroutine of the mount; done tells its end.
func (m *Mounted) serve() {
	defer close(m.done)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		m.state.invalidator.run(stop)
	}()
	m.server.Serve()
	close(stop)
	<-stopped
}

// Dir returns the mount point: absolute and without symbolic links.
func (m *Mounted) Dir() string { return m.dir }

// Wait returns when the volume is unmounted, by whomever, and the last request
// has been answered.
func (m *Mounted) Wait() { <-m.done }

// Done is closed when Wait would return.
func (m *Mounted) Done() <-chan struct{} { return m.done }

// Panics returns the number of requests that failed by a panic.
func (m *Mounted) Panics() int64 { return m.state.panics.Load() }

const (
	// A file that was just closed keeps the mount busy for some milliseconds.
	unmountAttempts = 6
	unmountPause    = 5 * time.Millisecond

	// drainTime is how long requests may go on after an unmount. There are only
	// late ones, of files already closed.
	drainTime = 10 * time.Second
)

// Unmount unmounts and waits for the last request. If files are open it fails
// with syscall.EBUSY and nothing has changed. It is no error if somebody else
// has unmounted already.
func (m *Mounted) Unmount() error {
	if m.unmounted() {
		return nil
	}
	if m.detached.Load() {
		return fmt.Errorf("unmount %s: files are still open: %w", m.dir, syscall.EBUSY)
	}
	var err error
	for n := range unmountAttempts {
		if n > 0 {
			time.Sleep(unmountPause << n)
		}
		if err = unmount(m.dir, false); !errors.Is(err, syscall.EBUSY) {
			break
		}
	}
	if err != nil {
		if m.unmounted() {
			return nil
		}
		return err
	}
	m.detached.Store(true)
	select {
	case <-m.done:
		return nil
	case <-time.After(drainTime):
		return fmt.Errorf("unmount %s: still in use, perhaps in another mount namespace: %w", m.dir, syscall.EBUSY)
	}
}

// UnmountLazy takes the mount out of the tree of names now, whether or not files
// are open. Those stay usable; Wait returns when the last is closed.
func (m *Mounted) UnmountLazy() error {
	if m.unmounted() || m.detached.Load() {
		return nil
	}
	err := unmount(m.dir, true)
	if err == nil {
		m.detached.Store(true)
	}
	return err
}

func (m *Mounted) unmounted() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// IsStale tells whether dir is the mount point of a FUSE file system whose
// process has died. Detach makes it usable again. It asks by statfs(2), because
// the kernel answers stat(2) from its cache for a while.
func IsStale(dir string) bool {
	var st syscall.Statfs_t
	return syscall.Statfs(dir, &st) == syscall.ENOTCONN
}

// Detach unmounts what is mounted on dir as UnmountLazy does. It is meant for
// mounts of dead processes.
func Detach(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return unmount(abs, true)
}

// Available tells why nothing can be mounted by this process, or nil.
func Available() error { return checkFUSE(Options{}) }

// mountPoint checks dir and returns it absolute and without symbolic links.
func mountPoint(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	fi, err := os.Stat(abs)
	switch {
	case IsStale(abs):
		return "", fmt.Errorf("mount %s: %w; free it with: fusermount3 -u -z %s", dir, ErrStale, dir)
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("mount %s: the mount point does not exist: %w", dir, os.ErrNotExist)
	case err != nil:
		return "", fmt.Errorf("mount %s: %w", dir, err)
	case !fi.IsDir():
		return "", fmt.Errorf("mount %s: the mount point is not a directory: %w", dir, syscall.ENOTDIR)
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("mount %s: %w", dir, err)
	}
	return resolved, nil
}
