package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pcloudfs/pcloudfs/cache"
)

// Target is the mount that a server speaks for. Its methods are safe for
// concurrent use.
type Target interface {
	Queue() []cache.QueueItem
	Status() cache.Status
	Flush(ctx context.Context) error
	Retry(ids ...uint64) error
	Save(id uint64, w io.Writer) error
	Drop(id uint64) error

	// Unmount takes the folder out of the tree, also with files open if it is
	// lazy; otherwise that is syscall.EBUSY, and nothing has changed. What is
	// in the queue is sent then. It is no error if it was unmounted before.
	Unmount(lazy bool) error

	Draining() bool         // Unmount was done, by whomever
	Hurry()                 // ends waiting for uploads, once it is unmounted
	Ended() <-chan struct{} // closed when nothing is being sent any more
	Result() error          // once it has ended: what is left (*cache.LeftError)
}

// Server serves the socket of one mount.
type Server struct {
	dir    string
	info   Info
	target Target
	log    *slog.Logger
	http   *http.Server
	socket os.FileInfo // to know our own

	ctx    context.Context // of requests that the end of the mount ends
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// closeTimeout is how long clients have to read their last reply.
const closeTimeout = 2 * time.Second

// Serve makes the socket for info.Mountpoint in dir, which is made if it is not
// there, and serves it until Close. A socket that is there already is replaced:
// its process is dead, or its mount has been unmounted.
func Serve(dir string, info Info, target Target, logger *slog.Logger) (*Server, error) {
	s := &Server{dir: dir, info: info, target: target, log: logger}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	sweep(dir)
	l, err := s.listen()
	if err != nil {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	if err := writeInfo(s.file(infoSuffix), info); err != nil {
		l.Close()
		s.removeSocket()
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // of clients that go away
	}
	s.wg.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("control socket", slog.Any("error", err))
		}
	})
	return s, nil
}

// Close ends requests and removes the socket. It is called after the target has
// ended, so that clients which wait for that get their answer.
func (s *Server) Close() {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
	s.wg.Wait()
	ours := s.removeSocket()
	if end := endOf(s.target.Result()); ours && end.Left.Count() == 0 {
		_ = os.Remove(s.file(infoSuffix))
	}
}

func (s *Server) file(suffix string) string {
	return filepath.Join(s.dir, baseName(s.info.Mountpoint)+suffix)
}

// listen makes the socket under another name and gives it its own, so that
// there is no moment without one.
func (s *Server) listen() (net.Listener, error) {
	short, dir, err := openDir(s.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	name := baseName(s.info.Mountpoint) + "." + strconv.Itoa(s.info.PID)
	tmp := filepath.Join(s.dir, name)
	if err := os.RemoveAll(tmp); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, name), Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it has another name by then
	if err = os.Chmod(tmp, 0o600); err == nil {
		if s.socket, err = os.Lstat(tmp); err == nil {
			err = os.Rename(tmp, s.file(socketSuffix))
		}
	}
	if err != nil {
		l.Close()
		os.Remove(tmp)
		return nil, err
	}
	return &guarded{UnixListener: l, log: s.log, allow: []int{os.Geteuid(), 0}}, nil
}

// removeSocket removes the socket unless a later mount has replaced it.
func (s *Server) removeSocket() (ours bool) {
	fi, err := os.Lstat(s.file(socketSuffix))
	if err != nil || !os.SameFile(fi, s.socket) {
		return false
	}
	return os.Remove(s.file(socketSuffix)) == nil
}

// guarded lets only some users in. The mode of the socket and its directory do
// the same, where the system heeds them.
type guarded struct {
	*net.UnixListener
	log   *slog.Logger
	allow []int
}

// Accept returns the next connection of a user who may connect.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(c)
		if err == nil && slices.Contains(g.allow, uid) {
			return c, nil
		}
		g.log.Warn("refused a connection to the control socket", slog.Int("uid", uid), slog.Any("error", err))
		c.Close()
	}
}
