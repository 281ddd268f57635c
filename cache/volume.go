package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/content"
	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cache/metadata"
	"github.com/pcloudfs/pcloudfs/cache/upload"
	"github.com/pcloudfs/pcloudfs/remote"
)

// uploadChunk is how much of a large file is lost, for each of its streams, when
// an upload breaks.
const uploadChunk = 2 << 20

// Volume is one mounted folder. Its methods are safe for concurrent use.
type Volume struct {
	remote   Remote
	root     remote.FolderID
	log      *slog.Logger
	readOnly bool

	settleTime  time.Duration
	syncTimeout time.Duration
	uploads     int
	small       int64 // puts up to this size are one request
	ttl         time.Duration
	spoolLimit  int64
	fsync       Durability
	onClose     Durability
	lazyMkdir   bool

	journal *journal.Journal
	meta    *metadata.Cache
	blocks  *content.Store
	up      *upload.Uploader

	ctx    context.Context // ends with the volume; all network requests run under it
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // asks the drainer to look

	saving chan struct{} // held by the one who writes the journal

	// beforeCommit stands for a failing disk in tests.
	beforeCommit func() error

	mu        sync.Mutex
	closing   bool // nothing is held back any more
	closed    bool
	nodes     map[NodeID]*node
	slots     map[NodeID]map[string]*slot
	dirTimes  map[NodeID]dirTime
	flights   map[remote.FolderID]*flight
	queue     []*pending    // oldest first
	batch     *batch        // what the journal has to be told next
	resave    *time.Timer   // tells it after a failure
	running   int           // workers
	changed   chan struct{} // closed and replaced whenever an intent leaves the queue or is parked
	progress  uint64        // counts what was achieved, for those who wait
	sentBytes int64         // of puts that reached pCloud
	lastErr   string        // of any attempt
	garbage   []*spool      // spool files to be removed
	owned     map[NodeID]ownChange
	learned   uint64 // own changes applied so far
	fed       map[NodeID]fedState
	events    uint64 // of the change feed so far
	charged   int64  // bytes that files here will need in pCloud beyond what they have
	spooled   int64  // bytes of files that are in spool files
	space     remote.UserInfo
	asked     time.Time // when space was asked for last
}

// dirTime is a folder's modification time that pCloud does not have (yet).
type dirTime struct {
	t   time.Time
	set bool // by utimens; otherwise because something in it changed
}

// LeftError says what is still in the queue of a volume that was closed. It is
// in the cache directory and goes on when that is mounted again.
type LeftError struct {
	Pending int    // would have been applied given time
	Parked  int    // refused by pCloud
	Bytes   int64  // of both
	Reason  string // of one of the parked
}

func (e *LeftError) Error() string {
	s := fmt.Sprintf("%d changes (%d bytes) are not in pCloud; they stay in the cache directory and are sent at the next mount", e.Pending+e.Parked, e.Bytes)
	if e.Parked > 0 {
		s += fmt.Sprintf("; %d were refused: %s", e.Parked, e.Reason)
	}
	return s
}

// ErrIdentity says that a cache directory holds the changes of another account
// or folder.
var ErrIdentity = errors.New("the cache directory belongs to another account or folder")

// Open prepares a volume. Changes that an earlier volume left in the cache
// directory show at once and are applied from now on.
func Open(ctx context.Context, o Options) (*Volume, error) {
	o = o.withDefaults()
	j, err := journal.Open(o.Dir, journal.Options{Log: o.Log, NoSync: o.NoSync})
	if err != nil {
		return nil, fmt.Errorf("open the cache directory: %w", err)
	}
	v := newVolume(o, j)
	if err := v.start(ctx, o); err != nil {
		v.stop()
		return nil, err
	}
	return v, nil
}

func newVolume(o Options, j *journal.Journal) *Volume {
	v := &Volume{
		remote: o.Remote, root: o.Root, log: o.Log, readOnly: o.ReadOnly,
		settleTime: o.Settle, syncTimeout: o.SyncTimeout, uploads: o.Uploads, ttl: o.TTL, small: o.Threshold,
		spoolLimit: o.Spool, fsync: o.Fsync, onClose: o.Close, lazyMkdir: o.MkdirJournal,
		journal: j,
		meta:    metadata.New(metadata.Options{MaxEntries: o.MetaEntries}),
		blocks:  content.New(content.Options{Fetch: o.Remote, MaxBytes: o.BlockBytes, Log: o.Log}),
		up:      upload.New(upload.Options{Remote: o.Remote, Chunk: uploadChunk, Threshold: o.Threshold, Log: o.Log}),

		kick:     make(chan struct{}, 1),
		nodes:    make(map[NodeID]*node),
		slots:    make(map[NodeID]map[string]*slot),
		dirTimes: make(map[NodeID]dirTime),
		flights:  make(map[remote.FolderID]*flight),
		changed:  make(chan struct{}),
		owned:    make(map[NodeID]ownChange),
		fed:      make(map[NodeID]fedState),
		batch:    newBatch(),
		saving:   make(chan struct{}, 1),
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v
}

func (v *Volume) start(ctx context.Context, o Options) error {
	if err := v.identify(o.Identity); err != nil {
		return err
	}
	for _, d := range v.journal.Damaged() {
		v.log.Error("something in the cache directory could not be used", "reason", d.Reason, "name", d.Name, "kept", d.Kept)
	}
	space, err := v.remote.UserInfo(ctx)
	if err != nil {
		return fmt.Errorf("ask pCloud for the account: %w", err)
	}
	v.space, v.asked = space, time.Now()
	since, err := v.remote.LastDiff(ctx) // before anything is listed
	if err != nil && (isTemporary(err) || !permanent(err)) {
		return fmt.Errorf("ask pCloud for the change feed: %w", err)
	}
	known := err == nil
	if !known {
		v.log.Warn("pCloud does not give the change feed, folders are listed again and again", "err", err)
	}
	if err := v.recover(); err != nil {
		return err
	}
	v.wg.Go(v.drain)
	v.wg.Go(func() { v.follow(since, known) })
	return nil
}

func (v *Volume) identify(id string) error {
	have, err := v.journal.Identity()
	switch {
	case err != nil:
		return err
	case have == "" && id != "":
		return v.journal.SetIdentity(id)
	case have != id:
		return fmt.Errorf("%w: it is for %s", ErrIdentity, have)
	}
	return nil
}

// Close waits until every pending change is in pCloud or ctx ends, and stops.
// What is left then (LeftError) stays in the cache directory.
func (v *Volume) Close(ctx context.Context) error {
	err := v.recordAll(ctx)
	if err != nil {
		v.log.Error("what was written can't be recorded", "err", err)
	}
	v.mu.Lock()
	v.closing = true
	v.mu.Unlock()
	werr := v.await(ctx, func() uint64 {
		for i := len(v.queue) - 1; i >= 0; i-- {
			if p := v.queue[i]; p.Parked == "" && !v.blocked(p) {
				return p.Seq
			}
		}
		return 0
	}, 0)
	left := v.left()
	return errors.Join(err, v.stop(), v.whyLeft(left, werr))
}

func (v *Volume) whyLeft(left LeftError, werr error) error {
	if left.Pending+left.Parked > 0 {
		return &left
	}
	if errors.Is(werr, context.Canceled) || errors.Is(werr, context.DeadlineExceeded) {
		return nil
	}
	return werr
}

func (v *Volume) left() LeftError {
	v.mu.Lock()
	defer v.mu.Unlock()
	var l LeftError
	for _, p := range v.queue {
		l.Bytes += p.bytes()
		if p.Parked != "" {
			l.Parked++
			l.Reason = p.Parked
		} else {
			l.Pending++
		}
	}
	return l
}

// stop ends the volume as it is. Only the first call does anything.
func (v *Volume) stop() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	if v.resave != nil {
		v.resave.Stop()
	}
	v.broadcast()
	v.mu.Unlock()
	v.cancel()
	v.wg.Wait()
	v.blocks.Close()
	v.mu.Lock()
	rest := v.batch
	v.mu.Unlock()
	var err error
	if !rest.empty() {
		err = v.save(rest)
	}
	v.mu.Lock()
	garbage := v.garbage
	v.garbage = nil
	spools := make(map[*spool]bool)
	for _, n := range v.nodes {
		if n.content != nil && n.content.local != nil {
			spools[n.content.local] = true
		}
	}
	for _, p := range v.queue {
		if p.sp != nil {
			spools[p.sp] = true
		}
	}
	v.mu.Unlock()
	v.removeSpools(garbage...)
	for sp := range spools {
		sp.f.Close()
	}
	return errors.Join(err, v.journal.Close())
}

// Forget is told when the kernel no longer knows a node. State of a node lasts
// exactly as long as something here needs it, so there is nothing to do.
func (v *Volume) Forget(NodeID) {}

// touch moves a folder's modification time until pCloud has the change in it: a
// slot in it is claimed in the same critical section. Volume.mu is held.
func (v *Volume) touch(dir NodeID, t time.Time) { v.dirTimes[dir] = dirTime{t: t} }
