package mounting

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/oauth2"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/config"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/progress"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/source"
	"github.com/pcloudfs/pcloudfs/fs"
	"github.com/pcloudfs/pcloudfs/remote"
)

// Request says what to mount where.
type Request struct {
	Source     source.Source
	Mountpoint string
	Options    config.Mount
	Token      source.Token
	Authority  []byte // certificates to trust (PEM); nil: the system's
	CacheHome  string // XDG directory for caches
	RuntimeDir string // for the control socket (see package control)
	UserAgent  string
	Log        *slog.Logger
}

// Mount is a mounted folder.
type Mount struct {
	client *remote.Client
	volume *cache.Volume
	fuse   *fs.Mounted
	log    *slog.Logger
	path   string // of the mount point

	control *control.Server // nil if there is none

	wait   context.Context // for uploads; ended by hurry
	hurry  context.CancelFunc
	asked  atomic.Bool   // a command wants it unmounted
	leave  chan struct{} // closed when it is to be, or has been, unmounted
	left   sync.Once
	ended  chan struct{} // closed once the volume is closed
	result error         // of closing it
}

// connectTimeout is how long pCloud may take to answer when a mount starts.
const connectTimeout = 30 * time.Second

// Start mounts. It returns when the mount point is in use. ctx ends waiting for
// the network, not the mount.
func Start(ctx context.Context, r Request) (*Mount, error) {
	path, err := checkPoint(r.Mountpoint, r.Log)
	if err != nil {
		return nil, err
	}
	// Now rather than after all the rest has succeeded.
	if err := fs.Available(); err != nil {
		return nil, err
	}
	m := &Mount{log: r.Log, path: path, leave: make(chan struct{}), ended: make(chan struct{})}
	m.wait, m.hurry = context.WithCancel(context.Background())
	if err := m.start(ctx, r); err != nil {
		m.release()
		return nil, err
	}
	return m, nil
}

// start fills in m. What it has made when it fails is for release.
func (m *Mount) start(ctx context.Context, r Request) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	host := r.Source.Host
	if r.Options.Endpoint != "" {
		host = r.Options.Endpoint
	}
	root, identity, err := m.connect(ctx, r, host)
	if err != nil {
		return err
	}
	dir, err := config.CacheDir(r.Options, r.CacheHome, identity, m.path)
	if err != nil {
		return err
	}
	options, err := volumeOptions(r, dir)
	if err != nil {
		return err
	}
	options.Remote, options.Root, options.Identity = m.client, root, identity
	m.volume, err = cache.Open(ctx, options)
	if err != nil {
		return explainCache(err, dir, host)
	}
	m.fuse, err = fs.Mount(m.path, m.volume, fsOptions(r))
	if err != nil {
		return explainMount(err, m.path)
	}
	m.serveControl(r, dir)
	r.Log.Info("mounted", slog.String("mountpoint", m.path), slog.String("source", r.Source.String()),
		slog.String("cache", dir), slog.String("spool", progress.Bytes(options.Spool)))
	return nil
}

// volumeOptions are those that the request decides about.
func volumeOptions(r Request, dir string) (cache.Options, error) {
	o := cache.Options{
		Dir: dir, ReadOnly: r.Options.ReadOnly, Log: r.Log,
		Uploads: r.Options.Uploads, Spool: r.Options.Spool, SyncTimeout: r.Options.FsyncTimeout,
		Fsync: r.Options.Fsync, Close: r.Options.Close, MkdirJournal: r.Options.MkdirJournal,
	}
	var err error
	if o.Spool == 0 {
		o.Spool, err = spoolLimit(dir)
	}
	return o, err
}

// connect logs in at host and finds the folder to mount.
func (m *Mount) connect(ctx context.Context, r Request, host string) (root remote.FolderID, identity string, err error) {
	var pool *x509.CertPool
	if r.Authority != nil {
		pool = x509.NewCertPool()
		pool.AppendCertsFromPEM(r.Authority)
	}
	m.client, err = remote.New(remote.Options{
		Host:        host,
		TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: r.Token.Reveal()}),
		RootCAs:     pool,
		UserAgent:   r.UserAgent,
		MaxConns:    connections(r.Options.Uploads),
		Log:         r.Log,
	})
	if err != nil {
		return 0, "", err
	}
	user, err := m.client.UserInfo(ctx)
	if err != nil {
		return 0, "", explainRemote(err, host)
	}
	folder, err := m.client.ResolveFolder(ctx, r.Source.Path, r.Options.Create)
	if err != nil {
		return 0, "", explainFolder(err, r, host)
	}
	return folder.FolderID, config.Identity(r.Source.Host, r.Options, r.Authority, uint64(user.UserID), r.Source.Path), nil
}

// connections leaves some for other calls when many transfers are wanted; 0 is
// the default.
func connections(uploads int) int {
	if uploads <= 4 {
		return 0
	}
	return uploads + 4
}

func fsOptions(r Request) fs.Options {
	name := r.Options.FsName
	if name == "" {
		name = r.Source.String()
	}
	return fs.Options{
		ReadOnly: r.Options.ReadOnly, AllowOther: r.Options.AllowOther,
		UID: r.Options.UID, GID: r.Options.GID, Umask: r.Options.Umask,
		FsName: name, Debug: r.Options.Debug, Log: r.Log,
	}
}

// Path returns the absolute path of the mount point.
func (m *Mount) Path() string { return m.path }

// Run serves until the folder is unmounted, by a signal, a command or somebody
// else, and everything is uploaded. The first signal unmounts, a second one
// stops waiting. The error says what is not in pCloud.
func (m *Mount) Run(signals <-chan os.Signal) error {
	select {
	case <-m.fuse.Done():
		if !m.asked.Load() {
			m.log.Info("unmounted by another program", slog.String("mountpoint", m.path))
		}
	case <-m.leave:
	case sig := <-signals:
		m.log.Info("unmounting", slog.String("mountpoint", m.path), slog.String("signal", sig.String()))
		if err := m.unmountAnyway(); err != nil {
			m.log.Error("unmount", slog.String("mountpoint", m.path), slog.Any("error", err))
		}
	}
	m.drain(signals)
	if m.control != nil {
		m.control.Close()
	}
	m.client.Close()
	if m.result != nil {
		return m.result
	}
	m.log.Info("unmounted, everything is in pCloud", slog.String("mountpoint", m.path))
	return nil
}

// reportEvery is how often the log says how far the uploads are.
const reportEvery = 5 * time.Second

// drain waits until open files are closed and everything is uploaded, or until
// a signal or a request to hurry, and closes the volume.
func (m *Mount) drain(signals <-chan os.Signal) {
	m.left.Do(func() { close(m.leave) })
	go func() {
		defer close(m.ended)
		select {
		case <-m.fuse.Done():
		case <-m.wait.Done():
		}
		m.result = m.volume.Close(m.wait)
	}()
	defer m.hurry()
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var meter progress.Meter
	for meter.Add(time.Now(), m.volume.Status()); ; meter.Add(time.Now(), m.volume.Status()) {
		select {
		case <-m.ended:
			return
		case sig := <-signals:
			m.log.Warn("not waiting for uploads", slog.String("signal", sig.String()))
			m.hurry()
		case <-tick.C:
			m.log.Info("still to be sent: " + meter.String())
		}
	}
}

// unmountAnyway takes the folder out of the tree. Programs that still use it
// keep their open files until they close them.
func (m *Mount) unmountAnyway() error {
	err := m.fuse.Unmount()
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.EBUSY) {
		m.log.Warn("still in use; waiting for programs to close their files", slog.String("mountpoint", m.path))
	}
	return m.fuse.UnmountLazy()
}

// release undoes what a failed Start did.
func (m *Mount) release() {
	if m.volume != nil {
		// Nothing was written through it, so there is nothing to wait for.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := m.volume.Close(ctx); err != nil {
			m.log.Warn("closing the cache", slog.Any("error", err))
		}
	}
	if m.client != nil {
		m.client.Close()
	}
	m.hurry()
}
