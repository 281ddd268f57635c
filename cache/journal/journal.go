package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gofrs/flock"
	bolt "go.etcd.io/bbolt"
)

// Journal is an open journal directory. Its methods are safe for concurrent
// use.
type Journal struct {
	o    Options
	log  *slog.Logger
	dirs layout
	lock *flock.Flock
	db   *bolt.DB

	bindings *bindings
	counters counters
	syncer   syncer
	repaired []finding // by Open, before the recovery
	torn     bool      // the last transaction may be missing
	damage   []Damage  // fixed after Open

	requests chan *request // to the writer
	extend   chan struct{} // asks the keeper to reserve numbers
	quit     chan struct{} // ends the keeper
	writer   sync.WaitGroup
	keeper   sync.WaitGroup

	failed atomic.Pointer[error] // set once nothing can be written any more

	mu     sync.Mutex // guards closed; leaf
	closed bool
	calls  sync.WaitGroup // calls that use the writer
}

// start begins the goroutines that Close ends.
func (j *Journal) start() {
	j.writer.Go(j.write)
	j.keeper.Go(j.keep)
}

// enter registers a call that needs the writer; leave ends it.
func (j *Journal) enter() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	j.calls.Add(1)
	return nil
}

func (j *Journal) leave() { j.calls.Done() }

// Close makes everything durable and releases the directory. Calls under way
// are finished first, later ones get ErrClosed. Closing twice is no error.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	j.calls.Wait()

	close(j.quit)
	j.keeper.Wait()
	err := j.syncAll()
	close(j.requests)
	j.writer.Wait()
	return errors.Join(err, j.closeFiles())
}

func (j *Journal) closeFiles() error {
	var err error
	if j.db != nil {
		err = j.db.Close()
	}
	return errors.Join(err, j.lock.Unlock())
}

func (j *Journal) fail(err error) {
	err = fmt.Errorf("%w: %w", ErrFailed, err)
	if j.failed.CompareAndSwap(nil, &err) {
		j.log.Error("journal failed", slog.Any("err", err))
	}
}

func (j *Journal) failure() error {
	if p := j.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Pending returns all intents in the order of their sequence numbers.
func (j *Journal) Pending() ([]Intent, error) {
	if err := j.enter(); err != nil {
		return nil, err
	}
	defer j.leave()
	var list []Intent
	err := j.guard(func() error {
		return j.db.View(func(tx *bolt.Tx) error {
			list = nil
			return tx.Bucket([]byte(bucketIntents)).ForEach(func(k, v []byte) error {
				in, err := decodeIntent(readNumber(k), v)
				if err != nil {
					return err
				}
				list = append(list, in)
				return nil
			})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}

// Identity returns what SetIdentity stored, or "" for a new journal.
func (j *Journal) Identity() (string, error) {
	if err := j.enter(); err != nil {
		return "", err
	}
	defer j.leave()
	var id string
	err := j.guard(func() error {
		return j.db.View(func(tx *bolt.Tx) error {
			id = string(tx.Bucket([]byte(bucketMeta)).Get([]byte(keyIdentity)))
			return nil
		})
	})
	if err != nil {
		return "", fmt.Errorf("read journal: %w", err)
	}
	return id, nil
}

// SetIdentity stores which account and folder the journal belongs to, durably.
// What to do when it is opened for another one is the caller's decision.
func (j *Journal) SetIdentity(id string) error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.leave()
	err := j.update(func(tx *txn) error { return tx.meta.Put([]byte(keyIdentity), []byte(id)) }, nil)
	if err != nil {
		return fmt.Errorf("store identity in journal: %w", err)
	}
	return nil
}

// Damaged returns what could not be used: what this Open found, and what
// earlier ones found and is still lying where it was set aside. Moving or
// deleting that file acknowledges it.
func (j *Journal) Damaged() []Damage { return slices.Clone(j.damage) }
