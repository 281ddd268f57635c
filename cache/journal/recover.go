package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// recovery is what Open finds out about the state of the journal, and what is
// to be done about it.
type recovery struct {
	j        *Journal
	now      time.Time
	boot     string // id of this boot
	rebooted bool   // the system was started since the last Open

	intents  map[uint64]Intent // that can be used
	drop     [][]byte          // keys of records that cannot be used
	owned    map[string]bool   // spool files that usable records name
	released map[string][]byte // spool files that no record needed, and their state then
	ledger   ledger            // of the records that are there
	stored   ledger            // of those that should be

	found []finding
	old   []Damage // of earlier runs, still lying in the aside directory
}

// finding is a Damage and what is to be kept because of it.
type finding struct {
	Damage
	spool      string // a spool file
	key, value []byte // a record that cannot be read
}

// recover brings the directory and the database into agreement. Files move
// first and records follow in one transaction; if the process dies between
// the two, the next Open finds the files where this one put them.
func (j *Journal) recover() error {
	r := &recovery{
		j: j, found: j.repaired, now: time.Now(), intents: make(map[uint64]Intent),
		owned: make(map[string]bool), released: make(map[string][]byte),
	}
	if err := j.guard(func() error { return j.db.View(r.read) }); err != nil {
		return err
	}
	if err := r.checkPuts(); err != nil {
		return err
	}
	if err := r.keepFound(); err != nil {
		return err
	}
	if err := r.checkSpools(); err != nil {
		return err
	}
	if !j.o.NoSync && len(r.found) > 0 {
		if err := errors.Join(syncDir(j.dirs.asideDir()), syncDir(j.dirs.spoolDir())); err != nil {
			return err
		}
	}
	if err := j.transact([]*request{{apply: r.store}}); err != nil {
		return err
	}
	r.finish()
	return nil
}

func (r *recovery) finish() {
	j := r.j
	for seq, in := range r.intents {
		if in.unsynced() {
			j.syncer.due[seq] = &due{spool: in.Spool, since: r.now, committed: true}
		}
	}
	j.damage = r.old
	for _, f := range r.found {
		j.damage = append(j.damage, f.Damage)
		j.log.Error("damage in journal", slog.Uint64("seq", f.Seq), slog.String("name", f.Name),
			slog.String("reason", f.Reason), slog.String("kept", f.Kept))
	}
}

// read takes everything that is needed out of the database.
func (r *recovery) read(tx *bolt.Tx) error {
	for _, name := range buckets() {
		if tx.Bucket([]byte(name)) == nil {
			return fmt.Errorf("%w: no bucket %q", errPanic, name)
		}
	}
	meta := tx.Bucket([]byte(bucketMeta))
	if v := string(meta.Get([]byte(keyVersion))); v != strconv.Itoa(formatVersion) {
		return fmt.Errorf("%w (format %q, known is %d)", ErrVersion, v, formatVersion)
	}
	r.readCounters(meta)
	r.stored = readLedger(meta.Get([]byte(keyLedger)))
	r.readBoot(meta)
	return errors.Join(
		tx.Bucket([]byte(bucketIntents)).ForEach(r.readIntent),
		tx.Bucket([]byte(bucketBindings)).ForEach(r.readBinding),
		tx.Bucket([]byte(bucketReleased)).ForEach(func(k, v []byte) error {
			r.released[string(k)] = bytes.Clone(v)
			return nil
		}),
		tx.Bucket([]byte(bucketReports)).ForEach(r.readReport),
	)
}

func (r *recovery) readCounters(meta *bolt.Bucket) {
	c := &r.j.counters
	var seqOK, nodeOK bool
	c.seq.next, seqOK = counterOf(meta.Get([]byte(keySeq)))
	c.node.next, nodeOK = counterOf(meta.Get([]byte(keyNode)))
	if !seqOK || !nodeOK {
		n := firstNumber(r.now)
		c.seq.next, c.node.next = n, uint64(FirstLocalNode)+n
	}
	if r.j.torn { // it may have reserved more
		c.seq.next += 2 * counterBlock
		c.node.next += 2 * counterBlock
	}
}

func (r *recovery) readIntent(k, v []byte) error {
	seq := readNumber(k)
	r.ledger.add(k, v)
	in, err := decodeIntent(seq, v)
	if err != nil {
		k = bytes.Clone(k)
		r.drop = append(r.drop, k)
		r.found = append(r.found, finding{Damage: Damage{Seq: seq, Reason: err.Error()}, key: k, value: bytes.Clone(v)})
		return nil
	}
	r.intents[seq] = in
	r.j.counters.seen(&r.j.counters.seq, seq)
	r.j.seenNode(in.Node)
	return nil
}

func (r *recovery) readBinding(k, v []byte) error {
	b, err := decodeBinding(k, v)
	if err != nil {
		// It costs one file its inode number and nothing else.
		r.j.log.Warn("binding in journal is damaged", slog.Any("err", err))
		return nil
	}
	r.j.bindings.add(b)
	r.j.seenNode(b.Node)
	return nil
}

// readReport takes over reports of earlier runs until what they are about was
// taken out of the aside directory. Kept is stored without the directory.
func (r *recovery) readReport(_, v []byte) error {
	var d Damage
	if json.Unmarshal(v, &d) != nil || d.Kept == "" {
		return nil
	}
	d.Kept = r.j.dirs.aside(filepath.Base(d.Kept))
	if _, err := os.Lstat(d.Kept); err == nil {
		r.old = append(r.old, d)
	}
	return nil
}

// readBoot finds out whether the system was started since the last Open. When
// that cannot be known, it is taken to be so.
func (r *recovery) readBoot(meta *bolt.Bucket) {
	boot, err := r.j.o.hooks.bootID()
	if err != nil || boot == "" {
		r.j.log.Warn("boot id is not known", slog.Any("err", err))
		boot = ""
	}
	r.boot = boot
	r.rebooted = boot == "" || boot != string(meta.Get([]byte(keyBoot)))
}

// checkPuts decides which puts can be used.
func (r *recovery) checkPuts() error {
	for seq, in := range r.intents {
		if in.Op != OpPut || in.Spool == "" {
			continue
		}
		reason, err := r.judge(&in)
		if err != nil {
			return err
		}
		if reason == "" {
			r.owned[in.Spool] = true
			continue
		}
		r.drop = append(r.drop, beKey(seq))
		delete(r.intents, seq)
		r.found = append(r.found, finding{Damage: Damage{Seq: seq, Name: in.Name, Reason: reason}, spool: in.Spool})
	}
	return nil
}

// judge says why a put cannot be used, or "".
func (r *recovery) judge(in *Intent) (string, error) {
	info, err := os.Lstat(r.j.dirs.spool(in.Spool))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "its bytes (spool file " + in.Spool + ") are missing", nil
	case err != nil:
		return "", err
	case info.Size() < in.Size:
		return fmt.Sprintf("only %d of its %d bytes are there", info.Size(), in.Size), nil
	case in.Open:
		return "it was being written to again when the process ended", nil
	case r.rebooted && !in.Synced:
		return "the system stopped before its bytes were known to be on the disk", nil
	}
	return "", nil
}

// keepFound sets aside what the findings are about.
func (r *recovery) keepFound() error {
	kept := make(map[string]string) // where spool files went: two records can name one
	for i := range r.found {
		f := &r.found[i]
		var err error
		switch {
		case f.value != nil:
			f.Kept, err = r.keepBytes(f.Seq, f.value)
		case f.spool == "" || r.owned[f.spool]:
			// A record that can be used still needs the file.
		case kept[f.spool] != "":
			f.Kept = kept[f.spool]
		default:
			f.Kept, err = r.keepSpool(f.spool, f.Name)
			kept[f.spool] = f.Kept
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepBytes writes a record that cannot be read to the aside directory.
func (r *recovery) keepBytes(seq uint64, p []byte) (string, error) {
	path, err := r.j.dirs.claimAside("record-"+strconv.FormatUint(seq, 10), "")
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	_, err = f.Write(p)
	if err == nil && !r.j.o.NoSync {
		err = f.Sync()
	}
	return path, errors.Join(err, f.Close())
}

// keepSpool moves a spool file to the aside directory, or finds it there if a
// recovery that did not finish moved it.
func (r *recovery) keepSpool(name, label string) (string, error) {
	path, err := r.j.dirs.setAside(r.j.dirs.spool(name), name, label)
	if !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	moved, err := filepath.Glob(r.j.dirs.aside(name) + "*")
	if err != nil || len(moved) == 0 {
		return "", nil
	}
	return moved[0], nil
}

// checkSpools deals with spool files that no usable record names.
func (r *recovery) checkSpools() error {
	files, err := os.ReadDir(r.j.dirs.spoolDir())
	if err != nil {
		return err
	}
	for _, e := range files {
		if r.owned[e.Name()] {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := r.checkOrphan(info); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) checkOrphan(info fs.FileInfo) error {
	name, path := info.Name(), r.j.dirs.spool(info.Name())
	if state, ok := r.released[name]; ok && string(state) == string(stateOf(info)) {
		return os.Remove(path) // applied; the process died before it removed the file
	}
	if info.Mode().IsRegular() && info.Size() == 0 {
		return os.Remove(path)
	}
	kept, err := r.j.dirs.setAside(path, name, "unclosed")
	if err != nil {
		return err
	}
	r.found = append(r.found, finding{Damage: Damage{
		Reason: "spool file " + name + " belongs to no recorded change: it was never closed", Kept: kept,
	}})
	return nil
}

// store is the transaction that ends a recovery.
func (r *recovery) store(tx *txn) error {
	for _, f := range r.found {
		if f.value != nil {
			if err := tx.damaged.Put(f.key, f.value); err != nil {
				return err
			}
		}
	}
	for _, k := range r.drop {
		if err := tx.intents.Delete(k); err != nil {
			return err
		}
	}
	if r.ledger != r.stored {
		r.found = append(r.found, finding{Damage: Damage{Reason: fmt.Sprintf(
			"the journal holds %d records and should hold %d, or others", r.ledger.count, r.stored.count)}})
	}
	tx.ledger = ledger{}
	err := tx.intents.ForEach(func(k, v []byte) error {
		tx.ledger.add(k, v)
		return nil
	})
	if err != nil {
		return err
	}
	for name := range r.released { // what is left of them was dealt with
		if err := tx.released.Delete([]byte(name)); err != nil {
			return err
		}
	}
	if err := r.storeReports(tx); err != nil {
		return err
	}
	return tx.meta.Put([]byte(keyBoot), []byte(r.boot))
}

func (r *recovery) storeReports(tx *txn) error {
	var keys [][]byte
	err := tx.reports.ForEach(func(k, _ []byte) error {
		keys = append(keys, bytes.Clone(k))
		return nil
	})
	for _, k := range keys {
		err = errors.Join(err, tx.reports.Delete(k))
	}
	all := r.old
	for i := range r.found {
		r.found[i].Found = r.now
		all = append(all, r.found[i].Damage)
	}
	for i, d := range all {
		d.Kept = baseName(d.Kept)
		p, e := json.Marshal(d)
		err = errors.Join(err, e, tx.reports.Put(beKey(uint64(i)), p))
	}
	return err
}

func baseName(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}
