package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Buckets of the metadata file. Keys are big-endian ids unless noted.
var (
	bucketMeta      = []byte("meta")     // by name
	bucketSettings  = []byte("settings") // by name
	bucketFolders   = []byte("folders")
	bucketFiles     = []byte("files")
	bucketRevisions = []byte("revisions") // by file
	bucketBlobs     = []byte("blobs")
	bucketEvents    = []byte("events")
	bucketSessions  = []byte("sessions")
	bucketViews     = []byte("views") // by position
	bucketSpans     = []byte("spans") // by first cursor
)

const formatVersion = 1

// save writes a mutation in one transaction. Account.mu is held: a commit goes
// to the page cache only.
func (a *Account) save(t *txn, trimmed []uint64) error {
	if a.db == nil {
		return nil
	}
	if !t.started && len(t.sessions) == 0 && len(t.settings) == 0 && !a.blobsChanged(t) {
		return nil
	}
	err := a.db.Update(func(tx *bolt.Tx) error {
		w := &writer{tx: tx}
		w.records(a, t)
		w.blobs(t)
		for file := range t.revs {
			if list := a.revs[file]; len(list) > 0 {
				w.put(bucketRevisions, idKey(file), encodeRevisions(list))
			} else {
				w.delete(bucketRevisions, idKey(file))
			}
		}
		for _, e := range t.events {
			w.put(bucketEvents, idKey(e.id), encodeEvent(e))
		}
		for _, s := range t.sessions {
			w.delete(bucketSessions, idKey(s.id))
		}
		for name, value := range t.settings {
			w.put(bucketSettings, []byte(name), []byte(value))
		}
		for _, id := range trimmed {
			w.delete(bucketEvents, idKey(id))
		}
		if n := len(trimmed); n > 0 {
			w.put(bucketMeta, []byte("trimmed"), idKey(trimmed[n-1]))
		}
		w.counters(a)
		return w.err
	})
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

func (a *Account) blobsChanged(t *txn) bool {
	for b := range t.blobs {
		if (b.refs > 0) != b.saved {
			return true
		}
	}
	return false
}

// writer collects the first error of a transaction.
type writer struct {
	tx  *bolt.Tx
	err error
}

func (w *writer) put(bucket, key, value []byte) {
	if w.err == nil {
		w.err = w.tx.Bucket(bucket).Put(key, value)
	}
}

func (w *writer) delete(bucket, key []byte) {
	if w.err == nil {
		w.err = w.tx.Bucket(bucket).Delete(key)
	}
}

// records writes changed files and folders in the order of their keys, which
// makes big transactions fast.
func (w *writer) records(a *Account, t *txn) {
	keys := make([]key, 0, len(t.dirty))
	for k := range t.dirty {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y key) int { return cmp.Compare(x.id, y.id) })
	for _, k := range keys {
		bucket := bucketFiles
		if k.folder {
			bucket = bucketFolders
		}
		if r := a.tree.get(k); r != nil {
			w.put(bucket, idKey(k.id), encodeFile(r))
		} else {
			w.delete(bucket, idKey(k.id))
		}
	}
}

func (w *writer) blobs(t *txn) {
	all := make([]*blob, 0, len(t.blobs))
	for b := range t.blobs {
		all = append(all, b)
	}
	slices.SortFunc(all, func(x, y *blob) int { return cmp.Compare(x.id, y.id) })
	for _, b := range all {
		switch {
		case b.refs > 0 && !b.saved:
			w.put(bucketBlobs, idKey(b.id), encodeBlob(b))
			b.saved = true
		case b.refs == 0 && b.saved:
			w.delete(bucketBlobs, idKey(b.id))
			b.saved = false
		}
	}
}

func (w *writer) counters(a *Account) {
	c := a.ids
	var out []byte
	for _, n := range []uint64{c.Folder, c.File, c.Revision, c.Session, c.Blob, c.Diff} {
		out = binary.AppendUvarint(out, n)
	}
	w.put(bucketMeta, []byte("counters"), out)
	w.put(bucketMeta, []byte("quota"), idKey(uint64(a.quota)))
}

// write runs a small transaction of its own.
func (a *Account) write(what string, fn func(w *writer)) error {
	if a.db == nil {
		return nil
	}
	err := a.db.Update(func(tx *bolt.Tx) error {
		w := &writer{tx: tx}
		fn(w)
		return w.err
	})
	if err != nil {
		return fmt.Errorf("save %s: %w", what, err)
	}
	return nil
}

func (a *Account) saveSetting(name, value string) error {
	return a.write("setting", func(w *writer) { w.put(bucketSettings, []byte(name), []byte(value)) })
}

// saveNewSession needs Account.mu.
func (a *Account) saveNewSession(s *session) error {
	if err := a.saveSession(s); err != nil {
		return err
	}
	return a.write("upload", func(w *writer) { w.counters(a) })
}

// saveSession needs the session's lock unless nobody else has it yet.
func (a *Account) saveSession(s *session) error {
	if a.db == nil {
		return nil
	}
	value, err := encodeSession(s)
	if err != nil {
		return err
	}
	return a.write("upload", func(w *writer) { w.put(bucketSessions, idKey(s.id), value) })
}

func (a *Account) saveView(i int, r viewRoot) error {
	return a.write("view", func(w *writer) {
		value := binary.AppendUvarint(nil, r.folder)
		w.put(bucketViews, idKey(uint64(i)), binary.AppendUvarint(value, r.since))
	})
}

// saveSpan keeps cursors from being given out again, whatever is lost.
func (a *Account) saveSpan(s span) error {
	return a.write("cursors", func(w *writer) {
		w.put(bucketSpans, idKey(s.lo), idKey(s.hi))
		w.counters(a)
	})
}
