package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// check looks the database over and, if it is damaged, puts another in its
// place that has what could be read. The damaged one is kept. Without its meta
// bucket nothing of it is used: it could be another account's.
func (j *Journal) check() error {
	f, err := os.Open(j.dirs.db())
	if err != nil {
		return err
	}
	defer f.Close()
	found, err := inspect(f, nil)
	if err == nil && found.torn {
		j.torn = true
		j.repaired = append(j.repaired, finding{Damage: Damage{
			Reason: "one of the two headers of the database was damaged; the last change before may be missing",
		}})
	}
	if err == nil && len(found.problems) == 0 {
		if !found.torn && found.wasteful() {
			return j.compact(f)
		}
		return nil
	}
	reason := err
	if err == nil {
		reason = found.problems[0]
	} else if !errors.Is(err, errNoDB) {
		return err
	}

	saved := readable(f)
	switch version := lookup(saved[bucketMeta], keyVersion); {
	case version == "":
		saved = nil
	case version != strconv.Itoa(formatVersion):
		return fmt.Errorf("%w (format %q, known is %d)", ErrVersion, version, formatVersion)
	}
	return j.replaceDB(reason, saved)
}

type pair struct{ key, value []byte }

// readable returns what can be read of a database, by bucket.
func readable(r io.ReaderAt) map[string][]pair {
	saved := make(map[string][]pair)
	_, _ = inspect(r, func(bucket string, k, v []byte) {
		saved[bucket] = append(saved[bucket], pair{k, v})
	})
	return saved
}

// manyPages is what a database may waste without being made anew.
const manyPages = 4096

func (c condition) wasteful() bool { return c.free > manyPages && c.free > c.high/4*3 }

// compact makes a whole database anew without its free pages.
func (j *Journal) compact(r io.ReaderAt) error {
	saved := readable(r)
	if v := lookup(saved[bucketMeta], keyVersion); v != strconv.Itoa(formatVersion) {
		return nil // for the recovery to refuse
	}
	if err := j.createDB(saved); err != nil {
		return fmt.Errorf("compact database: %w", err)
	}
	return nil
}

func lookup(pairs []pair, key string) string {
	for _, p := range pairs {
		if string(p.key) == key {
			return string(p.value)
		}
	}
	return ""
}

// replaceDB keeps the database under another name and then lets one with the
// given pairs take its place, so that there is a database at every moment.
func (j *Journal) replaceDB(reason error, saved map[string][]pair) error {
	kept, err := j.dirs.claimAside("journal.db", "damaged")
	if err != nil {
		return err
	}
	if err := copyFile(kept, j.dirs.db(), !j.o.NoSync); err != nil {
		return fmt.Errorf("keep damaged database: %w", err)
	}
	if !j.o.NoSync {
		if err := syncDir(j.dirs.asideDir()); err != nil {
			return err
		}
	}
	if err := j.createDB(saved); err != nil {
		return fmt.Errorf("replace damaged database: %w", err)
	}
	j.repaired = append(j.repaired, finding{Damage: Damage{
		Reason: fmt.Sprintf("the database was damaged (%v); %d records were saved", reason, len(saved[bucketIntents])),
		Kept:   kept,
	}})
	return nil
}

func copyFile(to, from string, sync bool) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil && sync {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// createDB makes a database with the given pairs under another name and then
// lets it take its place: a power cut leaves the one or the other.
func (j *Journal) createDB(saved map[string][]pair) error {
	db, err := bolt.Open(j.dirs.newDB(), 0o600, j.boltOptions())
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets() {
			b, err := tx.CreateBucket([]byte(name))
			if err != nil {
				return err
			}
			for _, p := range saved[name] {
				if len(p.key) == 0 { // bbolt takes none
					continue
				}
				if err := b.Put(p.key, p.value); err != nil {
					return err
				}
			}
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyVersion), []byte(strconv.Itoa(formatVersion)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Rename(j.dirs.newDB(), j.dirs.db()); err != nil {
		return err
	}
	if j.o.NoSync {
		return nil
	}
	return syncDir(j.dirs.root)
}

// firstNumber is where counters begin whose state is lost: far above whatever
// was given out before, and the later the higher.
func firstNumber(now time.Time) uint64 { return uint64(max(now.UnixMilli(), 1)) << 8 }
