package journal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Open opens the journal in dir, which is made if it is not there, and takes
// its lock. It returns ErrLocked if another process (or this one) has it and
// ErrVersion if a newer program wrote it. What it finds damaged it sets aside
// and reports by Damaged; that is no error.
func Open(dir string, o Options) (*Journal, error) {
	o = o.withDefaults()
	j := &Journal{
		o: o, log: o.Log, dirs: layout{dir}, bindings: newBindings(), syncer: newSyncer(),
		counters: counters{seq: counter{key: keySeq}, node: counter{key: keyNode}},
		requests: make(chan *request), extend: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	j.start()
	j.syncer.wake() // for puts that the last process could not sync any more
	return j, nil
}

func (j *Journal) open() (err error) {
	for _, d := range []string{j.dirs.root, j.dirs.spoolDir(), j.dirs.asideDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	j.lock = flock.New(j.dirs.lock())
	if ok, err := j.lock.TryLock(); err != nil {
		return err
	} else if !ok {
		return ErrLocked
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.closeFiles())
		}
	}()
	if err := j.openDB(); err != nil {
		return err
	}
	return j.recover()
}

// lockTimeout is how long a reader of the database (a tool, with the mount
// down) is waited for.
const lockTimeout = 2 * time.Second

func (j *Journal) boltOptions() *bolt.Options {
	return &bolt.Options{
		Timeout: lockTimeout, NoSync: j.o.NoSync, NoGrowSync: j.o.NoSync, NoStatistics: true,
		FreelistType: bolt.FreelistMapType,
	}
}

// openDB opens the database, or makes it.
func (j *Journal) openDB() error {
	if err := os.RemoveAll(j.dirs.newDB()); err != nil {
		return err
	}
	if _, err := os.Lstat(j.dirs.db()); errors.Is(err, os.ErrNotExist) {
		fresh := map[string][]pair{bucketMeta: {
			{[]byte(keySeq), counterValue(1)}, {[]byte(keyNode), counterValue(uint64(FirstLocalNode))},
		}}
		if err := j.createDB(fresh); err != nil {
			return fmt.Errorf("make database: %w", err)
		}
	} else if err != nil {
		return err
	} else if err := j.check(); err != nil {
		return err
	}
	db, err := bolt.Open(j.dirs.db(), 0o600, j.boltOptions())
	if errors.Is(err, bolterrors.ErrTimeout) {
		return ErrLocked
	}
	j.db = db
	return err
}
