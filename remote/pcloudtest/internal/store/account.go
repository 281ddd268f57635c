package store

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Account is the state of one account. It is safe for concurrent use.
type Account struct {
	quirks    Quirks
	maxEvents int
	dir       string   // "" in memory
	db        *bolt.DB // nil in memory
	nowFunc   func() time.Time
	logger    *slog.Logger

	// mu guards everything below. It is the innermost lock.
	mu   sync.Mutex
	err  error // set once closed or broken: the answer to everything
	tree tree
	revs map[uint64][]*revision // by file id, oldest first
	ids  counters
	seed uint64

	used, quota int64
	settings    map[string]string

	log     []*event // by id
	feed    feed
	lag     lag
	upload  map[uint64]*session
	changed chan struct{} // closed and replaced when there are new events
	closed  chan struct{}
}

// counters are the last numbers given out. Files and folders start at the same
// number and step alike, so that equal ids of both kinds are common.
type counters struct {
	Folder, File, Revision, Session, Blob, Diff uint64
}

// firstDiff is the id before the first event: never 0 (pCloud API 11.1).
const firstDiff = 1000

// Open opens the account in o.Dir, making it if the directory is empty or
// missing, or a new one in memory.
//
// A directory that another process has open, that holds something else, or
// whose files are damaged is an error.
func Open(o Options) (*Account, error) {
	a := &Account{
		quirks: o.Quirks, maxEvents: o.MaxEvents, dir: o.Dir, nowFunc: o.Now, logger: o.Log,
		tree: newTree(), revs: map[uint64][]*revision{}, settings: map[string]string{},
		upload: map[uint64]*session{}, changed: make(chan struct{}), closed: make(chan struct{}),
	}
	if a.maxEvents <= 0 {
		a.maxEvents = DefaultMaxEvents
	}
	if a.nowFunc == nil {
		a.nowFunc = time.Now
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		a.found(o)
		return a, nil
	}
	if err := a.openDir(o); err != nil {
		if a.db != nil {
			a.db.Close()
		}
		return nil, fmt.Errorf("open account %s: %w", o.Dir, err)
	}
	return a, nil
}

// found makes the state of a new account.
func (a *Account) found(o Options) {
	a.seed = o.Seed
	start := 1<<32 + mix(o.Seed)%(1<<30)
	a.ids = counters{Folder: start, File: start, Revision: start, Session: start, Diff: firstDiff}
	a.quota = o.Quota
	if a.quota == 0 {
		a.quota = DefaultQuota
	}
	now := a.clock()
	a.tree.set(key{true, 0}, &record{folder: true, name: "/", created: now, modified: now})
}

// next returns a new number after *n.
func (a *Account) next(n *uint64) uint64 {
	*n += 1 + mix(*n^a.seed)%7
	return *n
}

// clock is the server's: whole seconds (pCloud API 13.3).
func (a *Account) clock() int64 { return seconds(a.nowFunc()) }

// Close releases the directory. Calls that wait, and all later calls, return
// ErrClosed. Contents that are open stay readable. Idempotent.
func (a *Account) Close() error {
	a.mu.Lock()
	if a.err == ErrClosed {
		a.mu.Unlock()
		return nil
	}
	a.err = ErrClosed
	close(a.closed)
	a.mu.Unlock()
	if a.db == nil {
		return nil
	}
	if err := a.db.Close(); err != nil {
		return fmt.Errorf("close account: %w", err)
	}
	return nil
}

// Usage returns the bytes of all live files and the quota. Used may exceed it.
func (a *Account) Usage() (used, quota int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used, a.quota
}

// SetQuota changes the quota and tells clients by a modifyuserinfo event.
func (a *Account) SetQuota(n int64) error {
	return a.update(func(t *txn) error {
		a.quota = n
		t.event(EventModifyUserInfo, nil, everyView)
		return nil
	})
}

// Setting returns a value kept by SetSetting, also across restarts.
func (a *Account) Setting(key string) (value string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	value, ok = a.settings[key]
	return value, ok
}

// SetSetting keeps a value for the account's owner, such as tokens.
func (a *Account) SetSetting(key, value string) error {
	return a.read(func() error {
		if err := a.saveSetting(key, value); err != nil {
			return err
		}
		a.settings[key] = value
		return nil
	})
}
