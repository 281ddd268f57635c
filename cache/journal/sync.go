package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// syncer knows which puts have bytes that are not known to be on the disk.
type syncer struct {
	mu      sync.Mutex // leaf
	due     map[uint64]*due
	broken  map[string]error // spool files whose sync failed: the kernel tells only once
	removed []string         // spool files that were deleted; may still be in the bucket "released"
	kick    chan struct{}    // wakes the keeper
}

// due is a put whose spool file is to be synced. A later commit of the same
// put replaces it by another, so that a sync that began earlier is not taken
// for one of the newer bytes.
type due struct {
	spool     string
	since     time.Time
	committed bool
}

// mark is what one commit changes in the syncer.
type mark struct {
	seq      uint64
	now, old *due
}

// maxRemoved deleted files are remembered before the database is told.
const maxRemoved = 512

func newSyncer() syncer {
	return syncer{due: make(map[uint64]*due), broken: make(map[string]error), kick: make(chan struct{}, 1)}
}

// expect is called before a commit goes to the writer.
func (s *syncer) expect(puts []Intent, deleted []uint64) []mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	var marks []mark
	for i := range puts {
		in := &puts[i]
		m := mark{seq: in.Seq, old: s.due[in.Seq]}
		if in.unsynced() {
			m.now = &due{spool: in.Spool, since: time.Now()}
			s.due[in.Seq] = m.now
		}
		marks = append(marks, m)
	}
	for _, seq := range deleted {
		marks = append(marks, mark{seq: seq, old: s.due[seq]})
	}
	return marks
}

// committed is called by the writer once the commit is durable. The bytes of
// some puts may have turned out to be so too.
func (s *syncer) committed(marks []mark, durable map[uint64]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wake := false
	for _, m := range marks {
		switch {
		case m.now != nil && !durable[m.seq]:
			m.now.committed, wake = true, true
		case s.due[m.seq] == m.old || s.due[m.seq] == m.now:
			delete(s.due, m.seq)
		}
	}
	if wake {
		s.wake()
	}
}

// withdraw is called when the commit failed.
func (s *syncer) withdraw(marks []mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range marks {
		if m.now == nil || s.due[m.seq] != m.now {
			continue
		}
		if m.old != nil {
			s.due[m.seq] = m.old
		} else {
			delete(s.due, m.seq)
		}
	}
}

func (s *syncer) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// forget is called when a spool file was deleted or moved away.
func (s *syncer) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.broken, name)
	s.removed = append(s.removed, name)
	if len(s.removed) >= maxRemoved {
		s.wake()
	}
}

// oldest returns when the first of the waiting puts was committed.
func (s *syncer) oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := time.Now()
	for _, d := range s.due {
		if d.since.Before(first) {
			first = d.since
		}
	}
	return first
}

// keep is the goroutine that does what nobody waits for: the group commit and
// the reservation of numbers.
func (j *Journal) keep() {
	var timer <-chan time.Time
	for {
		select {
		case <-j.quit:
			return
		case <-j.extend:
			if err := j.update(func(*txn) error { return nil }, nil); err != nil {
				j.log.Warn("reserve numbers in journal", slog.Any("err", err))
			}
		case <-j.syncer.kick:
			if timer == nil {
				timer = time.After(j.o.GroupCommit - time.Since(j.syncer.oldest()))
			}
		case <-timer:
			timer = nil
			if err := j.syncAll(); err != nil {
				j.log.Error("sync of spool files failed", slog.Any("err", err))
			}
		}
	}
}

// Sync makes the bytes of all recorded puts durable now.
func (j *Journal) Sync() error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.leave()
	return j.syncAll()
}

// SyncSpool makes the bytes of a spool file durable now, whether a put names
// it already or not. Once it failed for a file it always does: what is on the
// disk is then not known.
func (j *Journal) SyncSpool(name string) error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.leave()
	if !validSpool(name) {
		return badSpool(name)
	}
	if _, err := os.Lstat(j.dirs.spool(name)); err != nil {
		return fmt.Errorf("sync spool file: %w", err)
	}
	batch := j.syncer.waiting(func(d *due) bool { return d.spool == name })
	return j.syncBatch(batch, []string{name})
}

func (j *Journal) syncAll() error {
	return j.syncBatch(j.syncer.waiting(func(*due) bool { return true }), nil)
}

// waiting returns the committed puts that want to be synced.
func (s *syncer) waiting(want func(*due) bool) map[uint64]*due {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := make(map[uint64]*due)
	for seq, d := range s.due {
		if d.committed && want(d) {
			batch[seq] = d
		}
	}
	return batch
}

// syncBatch syncs the spool files of some puts and further ones, and records
// that they are synced.
func (j *Journal) syncBatch(batch map[uint64]*due, names []string) error {
	for _, d := range batch {
		names = append(names, d.spool)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	removed := j.syncer.takeRemoved()
	if len(names) == 0 && len(removed) == 0 {
		return nil
	}
	bad, err := j.syncFiles(names)
	if err != nil {
		j.syncer.putBackRemoved(removed)
		return fmt.Errorf("sync spool directory: %w", err)
	}
	var errs []error
	for _, name := range names {
		if e := bad[name]; e != nil {
			errs = append(errs, fmt.Errorf("sync spool file %s: %w", name, e))
		}
	}
	err = j.update(func(tx *txn) error {
		for seq, d := range batch {
			if bad[d.spool] != nil || !j.syncer.current(seq, d) {
				continue
			}
			if err := tx.markSynced(seq, d.spool); err != nil {
				return err
			}
		}
		for _, name := range removed {
			if err := tx.released.Delete([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	}, func() { j.syncer.done(batch) })
	if err != nil {
		j.syncer.putBackRemoved(removed)
		errs = append(errs, fmt.Errorf("record synced spool files: %w", err))
	}
	return errors.Join(errs...)
}

func (s *syncer) takeRemoved() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.removed
	s.removed = nil
	return r
}

func (s *syncer) putBackRemoved(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, names...)
}

// current reports whether no later commit of the put came in between.
func (s *syncer) current(seq uint64, d *due) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due[seq] == d
}

// done ends the waiting of a batch. Puts whose sync failed are not tried
// again: a second fdatasync would return success for bytes that are lost. They
// stay without Synced, so that a power cut makes them doubtful.
func (s *syncer) done(batch map[uint64]*due) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq, d := range batch {
		if s.due[seq] == d {
			delete(s.due, seq)
		}
	}
}

// markSynced sets Synced in the record, if it still names the file.
func (t *txn) markSynced(seq uint64, spool string) error {
	in, ok := t.intent(seq)
	if !ok || in.Spool != spool || in.Synced {
		return nil
	}
	in.Synced = true
	p, err := encodeIntent(&in)
	if err != nil {
		return err
	}
	return t.putIntent(seq, p)
}

// syncGroup is how many files are open for syncing at a time and syncWorkers
// how many are waited for in parallel: a file system can then make several
// durable in one go.
const (
	syncGroup   = 128
	syncWorkers = 16
)

// syncFiles makes spool files and their names durable. It returns the files
// that it could not sync; ones that are gone need none.
func (j *Journal) syncFiles(names []string) (bad map[string]error, err error) {
	bad = make(map[string]error)
	if j.o.NoSync {
		return bad, nil
	}
	for group := range slices.Chunk(names, syncGroup) {
		for name, err := range j.syncSome(group) {
			bad[name] = err
		}
	}
	return bad, syncDir(j.dirs.spoolDir())
}

func (j *Journal) syncSome(names []string) map[string]error {
	errs := make([]error, len(names))
	files := make([]*os.File, len(names))
	for i, name := range names {
		if errs[i] = j.syncer.wasBroken(name); errs[i] != nil {
			continue
		}
		f, err := j.OpenSpool(name)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs[i] = err
			}
			continue
		}
		defer f.Close()
		files[i] = f
		startWriting(f)
	}
	var g errgroup.Group
	g.SetLimit(syncWorkers)
	for i, f := range files {
		if f != nil {
			g.Go(func() error {
				if errs[i] = j.o.hooks.syncFile(f); errs[i] != nil {
					j.syncer.breaks(names[i], errs[i])
				}
				return nil
			})
		}
	}
	_ = g.Wait()
	bad := make(map[string]error)
	for i, err := range errs {
		if err != nil {
			bad[names[i]] = err
		}
	}
	return bad
}

func (s *syncer) wasBroken(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken[name]
}

func (s *syncer) breaks(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[name] = err
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
