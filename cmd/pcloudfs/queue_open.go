package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/mounting"
)

// queue is what is not in pCloud, of a mount or in a cache directory.
type queue interface {
	items(ctx context.Context, sample time.Duration) ([]control.Item, error)
	retry(ctx context.Context, ids []uint64) error
	save(ctx context.Context, id uint64, w io.Writer) error
	drop(ctx context.Context, id uint64) error
	close() error
}

// openQueue opens the queue in a cache directory, or of the mount at a mount
// point, or that of the only mount there is.
func openQueue(ctx context.Context, env environment, mountpoint, cacheDir string) (queue, error) {
	own := control.NewSearch(env.getenv, os.Getuid(), os.Getuid())
	if cacheDir != "" {
		if mountpoint != "" {
			return nil, usagef("queue: either MOUNTPOINT or --cachedir, not both")
		}
		return openOffline(cacheDir, own)
	}
	if mountpoint == "" {
		mounts := own.Mounts()
		if len(mounts) != 1 {
			return nil, usagef("queue: there are %d mounts; say which MOUNTPOINT, or --cachedir DIR", len(mounts))
		}
		mountpoint = mounts[0].Mountpoint
	}
	point, err := mounting.Look(mountpoint)
	if err != nil {
		return nil, err
	}
	search := control.NewSearch(env.getenv, os.Getuid(), point.Owner)
	client, err := control.Connect(ctx, point.Path, search)
	if err == nil {
		return mountQueue{client}, nil
	}
	if !errors.Is(err, control.ErrNone) {
		return nil, err
	}
	if info, ok := search.Remembered(point.Path); ok {
		return openOffline(info.CacheDir, search)
	}
	if point.Ours {
		return nil, errors.New("the process of this mount cannot be reached")
	}
	return nil, errors.New("not mounted; the queue of a folder that is not mounted is shown with --cachedir DIR")
}

// openOffline opens the queue in a cache directory that no mount uses.
func openOffline(dir string, search control.Search) (queue, error) {
	q, err := openCacheDir(dir)
	switch {
	case errors.Is(err, journal.ErrLocked):
		for _, info := range search.Mounts() {
			if sameDir(info.CacheDir, dir) {
				return nil, fmt.Errorf("the cache directory is in use by the mount at %s; ask that: pcloudfs queue %[1]s", shellQuote(info.Mountpoint))
			}
		}
		return nil, errors.New("the cache directory is in use by a mount; ask that: pcloudfs queue MOUNTPOINT")
	case err != nil:
		return nil, err
	}
	return offlineQueue{q}, nil
}

// openCacheDir opens a queue as the user to whom it belongs: files made by root
// in it would lock that user out.
func openCacheDir(dir string) (*cache.OfflineQueue, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err == nil && int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("the cache directory %s belongs to user %d, who has to look", dir, st.Uid)
	}
	q, err := cache.OpenQueue(dir, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no queue in %s", dir)
	}
	return q, err
}

func sameDir(a, b string) bool {
	if x, err := filepath.Abs(b); err == nil && x == a {
		return true
	}
	fa, erra := os.Stat(a)
	fb, errb := os.Stat(b)
	return erra == nil && errb == nil && os.SameFile(fa, fb)
}

// mountQueue is the queue of a running mount.
type mountQueue struct{ *control.Client }

func (q mountQueue) items(ctx context.Context, sample time.Duration) ([]control.Item, error) {
	return q.Queue(ctx, sample)
}
func (q mountQueue) retry(ctx context.Context, ids []uint64) error { return q.Retry(ctx, ids...) }
func (q mountQueue) save(ctx context.Context, id uint64, w io.Writer) error {
	return q.Save(ctx, id, w)
}
func (q mountQueue) drop(ctx context.Context, id uint64) error { return q.Drop(ctx, id) }
func (q mountQueue) close() error                              { q.Close(); return nil }

// offlineQueue is the queue in a cache directory.
type offlineQueue struct{ *cache.OfflineQueue }

func (q offlineQueue) items(context.Context, time.Duration) ([]control.Item, error) {
	items, err := q.Items()
	list := make([]control.Item, len(items))
	for i, it := range items {
		list[i].QueueItem = it
	}
	return list, err
}
func (q offlineQueue) retry(_ context.Context, ids []uint64) error { return q.Retry(ids...) }
func (q offlineQueue) save(_ context.Context, id uint64, w io.Writer) error {
	return q.Save(id, w)
}
func (q offlineQueue) drop(_ context.Context, id uint64) error { return q.Drop(id) }
func (q offlineQueue) close() error                            { return q.Close() }
