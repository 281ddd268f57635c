package content

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/pcloudfs/pcloudfs/remote"
)

// ErrClosed is returned by reads of a store that was closed.
var ErrClosed = errors.New("content store is closed")

// Key names one version of a remote file.
type Key struct {
	File remote.FileID
	Hash remote.Hash
}

// Fetcher reads a range of a version of a remote file of the given size. It
// fills p, or returns an error; at the end of the file it may return io.EOF
// beside the bytes. It must give up when ctx ends. [remote.Client] is one.
type Fetcher interface {
	ReadAt(ctx context.Context, id remote.FileID, h remote.Hash, size int64, p []byte, off int64) (int, error)
}

// Options configure a [Store]. Only Fetch is required.
type Options struct {
	Fetch Fetcher

	// MaxBytes bounds the memory held, fetches in flight included. Default
	// 256 MiB; at least sixteen blocks.
	MaxBytes int64

	// BlockSize is the grain of fetching, in bytes. Default 64 KiB.
	BlockSize int64

	// MaxFetch is the longest range asked for in one request. Default 1 MiB: less wastes
	// round trips, more makes the reader wait, as a request is all or nothing.
	MaxFetch int64

	// MaxWindow is how far a sequential reader is run ahead of. Default
	// 16 MiB; never more than a fair share of half of MaxBytes.
	MaxWindow int64

	// Prefetches is how many requests may be in flight for read-ahead, of all
	// handles together. What readers wait for does not count. Default 6.
	Prefetches int

	// Log may be nil.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.MaxBytes, 256<<20)
	def(&o.BlockSize, 64<<10)
	def(&o.MaxFetch, 1<<20)
	def(&o.MaxWindow, 16<<20)
	o.MaxBytes = max(o.MaxBytes, 16*o.BlockSize)
	o.MaxFetch = max(min(o.MaxFetch, o.MaxBytes/8), o.BlockSize)
	if o.Prefetches <= 0 {
		o.Prefetches = 6
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store holds blocks of remote files. It is safe for concurrent use.
type Store struct {
	o      Options
	ctx    context.Context // of all fetches; ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // fetches

	// mu guards everything below and the fields of files, extents and
	// readaheads that say so. It is a leaf: nothing is called under it that
	// waits.
	mu       sync.Mutex
	closed   bool
	files    map[Key]*file
	lru      *simplelru.LRU[*extent, struct{}] // complete, reachable extents nobody is reading
	used     int64                             // bytes of all extents that still have memory
	freed    chan struct{}                     // closed, and replaced, when memory may have become free
	prefetch int                               // read-ahead requests in flight
	streams  int                               // handles that are reading sequentially
	stats    Stats
}

// Stats count what a store has done.
type Stats struct {
	Bytes   int64 // memory held now, fetches in flight included
	Fetches int64 // requests made
	Fetched int64 // bytes asked for by them
	Hits    int64 // reads of an extent that was there
	Shared  int64 // reads that waited for a request somebody else had made
}

// New returns an empty store.
func New(o Options) *Store {
	o = o.withDefaults()
	// The limit that matters is in bytes and kept by makeRoom. The number of
	// entries cannot be negative or zero, which is the only error there is.
	lru, _ := simplelru.NewLRU[*extent, struct{}](math.MaxInt, nil)
	ctx, cancel := context.WithCancel(context.Background())
	return &Store{
		o: o, ctx: ctx, cancel: cancel,
		files: make(map[Key]*file), lru: lru, freed: make(chan struct{}),
	}
}

// Close ends all fetches and waits for them. Readers get [ErrClosed].
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	for _, f := range s.files {
		s.drop(f)
	}
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// Forget drops the blocks of a version. Reads in progress are not disturbed.
func (s *Store) Forget(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[k]; f != nil {
		s.drop(f)
	}
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Bytes = s.used
	return st
}

// file is a version of a remote file with at least one block here.
type file struct {
	key    Key
	size   int64
	blocks map[int64]*extent // by number of the block
}

// fileOf finds or makes the file; a new one is entered by its first extent. A
// version has one size: if somebody claims another, what was held under the old
// claim is dropped. s.mu is held.
func (s *Store) fileOf(k Key, size int64) *file {
	f := s.files[k]
	if f != nil && f.size != size {
		s.drop(f)
		f = nil
	}
	if f == nil {
		f = &file{key: k, size: size, blocks: make(map[int64]*extent)}
	}
	return f
}

// drop makes a file and all its extents unreachable. s.mu is held.
func (s *Store) drop(f *file) {
	for _, e := range f.blocks {
		s.unlink(e)
	}
	if s.files[f.key] == f {
		delete(s.files, f.key)
	}
}

// makeRoom evicts until n more bytes fit and says whether they do. s.mu is
// held.
func (s *Store) makeRoom(n int64) bool {
	for s.used+n > s.o.MaxBytes {
		e, _, ok := s.lru.GetOldest()
		if !ok {
			return false
		}
		s.unlink(e)
	}
	return true
}

// wake tells readers that wait for memory to look again. s.mu is held.
func (s *Store) wake() {
	close(s.freed)
	s.freed = make(chan struct{})
}
