package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// openDir opens or makes the account in the directory.
//
// A damaged metadata file may make bbolt panic or fault in its memory map; both
// become errors.
func (a *Account) openDir(o Options) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("account.db is damaged: %v", p)
		}
	}()
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(a.dir, "account.db")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		there, err := os.ReadDir(a.dir)
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return fmt.Errorf("directory holds something else: %s", there[0].Name())
		}
	}
	db, err := bolt.Open(file, 0o600, &bolt.Options{
		Timeout: 200 * time.Millisecond, // it is locked for as long as it is open
		NoSync:  true, NoGrowSync: true, FreelistType: bolt.FreelistMapType,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return errors.New("directory is in use by another process")
	case err != nil:
		return fmt.Errorf("account.db is damaged or something else: %w", err)
	}
	a.db = db
	if err := a.makeDirs(); err != nil {
		return err
	}
	if err := a.load(o); err != nil {
		return err
	}
	return a.sweep()
}

func (a *Account) makeDirs() error {
	for _, d := range []string{"tmp", "sessions", "blobs"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// load reads the metadata file, or fills a new one.
func (a *Account) load(o Options) error {
	fresh := false
	blobs := map[uint64]*blob{}
	err := a.db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("account.db is something else: it has %q", k)
			}
			fresh = true
			return nil
		}
		if v := meta.Get([]byte("format")); len(v) != 1 || v[0] != formatVersion {
			return fmt.Errorf("account.db has format %v, this program reads %d", v, formatVersion)
		}
		return a.loadAll(tx, blobs)
	})
	if err != nil {
		return err
	}
	if fresh {
		a.found(o)
		return a.saveNew()
	}
	if err := a.dropOrphans(blobs); err != nil {
		return err
	}
	if o.Quota != 0 && o.Quota != a.quota {
		return a.SetQuota(o.Quota)
	}
	return nil
}

func (a *Account) saveNew() error {
	return a.db.Update(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketSettings, bucketFolders, bucketFiles, bucketRevisions,
			bucketBlobs, bucketEvents, bucketSessions, bucketViews, bucketSpans} {
			if _, err := tx.CreateBucket(b); err != nil {
				return err
			}
		}
		w := &writer{tx: tx}
		w.put(bucketMeta, []byte("format"), []byte{formatVersion})
		w.put(bucketMeta, []byte("seed"), idKey(a.seed))
		w.put(bucketFolders, idKey(0), encodeFile(a.tree.folder(0)))
		w.counters(a)
		return w.err
	})
}

// dropOrphans forgets contents that were only in somebody's hands.
func (a *Account) dropOrphans(blobs map[uint64]*blob) error {
	return a.write("contents", func(w *writer) {
		for id, b := range blobs {
			if b.refs == 0 {
				w.delete(bucketBlobs, idKey(id))
			}
		}
	})
}

// loadAll reads every bucket; the contents go to blobs.
func (a *Account) loadAll(tx *bolt.Tx, blobs map[uint64]*blob) error {
	steps := []struct {
		bucket []byte
		each   func(k, v []byte) error
	}{
		{bucketMeta, a.loadMeta},
		{bucketSettings, func(k, v []byte) error {
			a.settings[string(k)] = string(v)
			return nil
		}},
		{bucketBlobs, func(k, v []byte) error {
			d := &decoder{rest: v}
			b := d.blob(binary.BigEndian.Uint64(k))
			blobs[b.id] = b
			return d.end()
		}},
		{bucketFolders, func(_, v []byte) error { return a.loadRecord(v, blobs) }},
		{bucketFiles, func(_, v []byte) error { return a.loadRecord(v, blobs) }},
		{bucketRevisions, func(k, v []byte) error { return a.loadRevisions(k, v, blobs) }},
		{bucketEvents, a.loadEvent},
		{bucketSessions, func(k, v []byte) error {
			d := &decoder{rest: v}
			s := d.session(binary.BigEndian.Uint64(k))
			a.upload[s.id] = s
			return d.end()
		}},
		{bucketViews, a.loadView},
		{bucketSpans, func(k, v []byte) error {
			d := &decoder{rest: v}
			a.feed.spent = append(a.feed.spent, span{binary.BigEndian.Uint64(k), d.fixed()})
			return d.end()
		}},
	}
	for _, s := range steps {
		b := tx.Bucket(s.bucket)
		if b == nil {
			return fmt.Errorf("account.db is damaged: no %s", s.bucket)
		}
		if err := b.ForEach(s.each); err != nil {
			return fmt.Errorf("account.db is damaged: %s: %w", s.bucket, err)
		}
	}
	if a.tree.folder(0) == nil {
		return errors.New("account.db is damaged: no root folder")
	}
	return nil
}

func (a *Account) loadMeta(k, v []byte) error {
	d := &decoder{rest: v}
	switch string(k) {
	case "format":
		d.byte()
	case "seed":
		a.seed = d.fixed()
	case "quota":
		a.quota = int64(d.fixed())
	case "trimmed":
		id := d.fixed()
		for i := range a.feed.trimmed {
			a.feed.trimmed[i] = id
		}
	case "counters":
		for _, n := range []*uint64{&a.ids.Folder, &a.ids.File, &a.ids.Revision, &a.ids.Session, &a.ids.Blob, &a.ids.Diff} {
			*n = d.uint()
		}
	default:
		return fmt.Errorf("unknown key %q", k)
	}
	return d.end()
}

func (a *Account) loadRecord(v []byte, blobs map[uint64]*blob) error {
	d := &decoder{rest: v}
	r := d.record()
	if !r.folder {
		if r.blob = blobs[d.uint()]; r.blob == nil {
			d.fail(fmt.Errorf("no content for %q", r.name))
			return d.end()
		}
		r.blob.refs++
	}
	a.tree.set(r.key(), r)
	a.used += a.counted(r)
	return d.end()
}

func (a *Account) loadRevisions(k, v []byte, blobs map[uint64]*blob) error {
	d := &decoder{rest: v}
	file := binary.BigEndian.Uint64(k)
	for range d.uint() {
		r := &revision{id: d.uint(), blob: blobs[d.uint()], created: d.int()}
		if r.blob == nil || d.err != nil {
			d.fail(errors.New("no content for revision"))
			break
		}
		r.blob.refs++
		a.revs[file] = append(a.revs[file], r)
	}
	return d.end()
}

func (a *Account) loadEvent(k, v []byte) error {
	d := &decoder{rest: v}
	e := d.event(binary.BigEndian.Uint64(k))
	a.log = append(a.log, e)
	if e.typ == EventReset {
		a.feed.resetAt = e.id
	}
	return d.end()
}

func (a *Account) loadView(_, v []byte) error {
	if len(a.feed.roots) == 0 {
		a.feed.roots = []viewRoot{{}}
	}
	d := &decoder{rest: v}
	a.feed.roots = append(a.feed.roots, viewRoot{d.uint(), d.uint()})
	return d.end()
}
