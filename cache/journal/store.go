package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"os"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// The buckets of the database.
const (
	bucketMeta     = "meta"     // the keys below
	bucketIntents  = "intents"  // sequence number (8 bytes, big endian) -> record
	bucketBindings = "bindings" // node (8 bytes, big endian) -> binding
	bucketReleased = "released" // spool name -> fingerprint of a file that no record needs any more
	bucketDamaged  = "damaged"  // sequence number -> bytes of a record that could not be read
	bucketReports  = "reports"  // running number -> Damage as JSON
)

// Keys of the meta bucket.
const (
	keyVersion  = "version"  // of the format, decimal
	keyBoot     = "boot"     // boot id at the last Open
	keyIdentity = "identity" // account and folder
	keySeq      = "seq"      // all sequence numbers given out are below
	keyNode     = "node"     // all node ids given out are below
	keyLedger   = "ledger"   // count of records and xor of their fingerprints
)

const formatVersion = 1

func buckets() []string {
	return []string{bucketMeta, bucketIntents, bucketBindings, bucketReleased, bucketDamaged, bucketReports}
}

// request is one piece of work for the writer.
type request struct {
	check func(*txn) error // may refuse; changes nothing; optional
	apply func(*txn) error
	after func() // runs in the writer once apply is durable, before the caller is told; optional

	refused error // what check said
	done    chan error
}

// maxBatch bounds the requests that share one transaction.
const maxBatch = 256

// write is the only goroutine that changes the database. Requests that arrive
// while it waits for the disk share the next transaction.
func (j *Journal) write() {
	for r := range j.requests {
		batch := []*request{r}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case r, ok := <-j.requests:
				if !ok {
					more = false
					break
				}
				batch = append(batch, r)
			default:
				more = false
			}
		}
		j.writeBatch(batch)
	}
}

func (j *Journal) writeBatch(batch []*request) {
	err := j.transact(batch)
	if err != nil && len(batch) > 1 && j.failure() == nil {
		// One that cannot be applied must not take the others with it.
		for _, r := range batch {
			j.writeBatch([]*request{r})
		}
		return
	}
	for _, r := range batch {
		switch {
		case err != nil || r.refused != nil:
			r.done <- errors.Join(err, r.refused)
			continue
		case r.after != nil:
			r.after()
		}
		r.done <- nil
	}
}

// transact applies requests in one transaction. An error of the database may
// leave it unknown whether it took place on the disk; then nothing more is
// written through this handle.
func (j *Journal) transact(batch []*request) error {
	if err := j.failure(); err != nil {
		return err
	}
	var tx *txn
	err := j.guard(func() error {
		return j.db.Update(func(btx *bolt.Tx) error {
			tx = newTxn(j, btx)
			for _, r := range batch {
				r.refused = nil
				if r.check != nil {
					r.refused = r.check(tx)
				}
				if r.refused != nil {
					continue
				}
				if err := r.apply(tx); err != nil {
					return err
				}
			}
			return tx.finish()
		})
	})
	if err != nil && unknownOutcome(err) {
		j.fail(err)
		return j.failure()
	}
	if err == nil {
		j.counters.extended(tx.limits)
	}
	return err
}

var errPanic = errors.New("database is inconsistent")

// guard turns a panic of the database, which is how bbolt reports pages that
// cannot be, into an error.
func (j *Journal) guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return fn()
}

// unknownOutcome reports whether err leaves the state of the disk unknown. A
// write that did not fit leaves it as it was; a failed sync does not, and the
// kernel reports it only once.
func unknownOutcome(err error) bool {
	var path *os.PathError
	if errors.As(err, &path) && path.Op == "write" {
		return !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT)
	}
	return true
}

// update makes a change that nothing can refuse and waits until it is durable.
func (j *Journal) update(apply func(*txn) error, after func()) error {
	return j.submit(&request{apply: apply, after: after})
}

// submit gives work to the writer and waits until it is done.
func (j *Journal) submit(r *request) error {
	r.done = make(chan error, 1)
	j.requests <- r
	return <-r.done
}

// txn is a write transaction.
type txn struct {
	j                                                   *Journal
	meta, intents, bindings, released, damaged, reports *bolt.Bucket
	ledger                                              ledger
	limits                                              [2]uint64 // of the counters, once it is durable
}

func newTxn(j *Journal, tx *bolt.Tx) *txn {
	t := &txn{
		j: j, meta: tx.Bucket([]byte(bucketMeta)), intents: tx.Bucket([]byte(bucketIntents)),
		bindings: tx.Bucket([]byte(bucketBindings)), released: tx.Bucket([]byte(bucketReleased)),
		damaged: tx.Bucket([]byte(bucketDamaged)), reports: tx.Bucket([]byte(bucketReports)),
	}
	t.ledger = readLedger(t.meta.Get([]byte(keyLedger)))
	return t
}

// finish stores what belongs to every transaction.
func (t *txn) finish() (err error) {
	if p := t.ledger.bytes(); !bytes.Equal(p, t.meta.Get([]byte(keyLedger))) {
		if err := t.meta.Put([]byte(keyLedger), p); err != nil {
			return err
		}
	}
	t.limits, err = t.j.counters.extend(t.meta)
	return err
}

// putIntent stores the record of the intent seq.
func (t *txn) putIntent(seq uint64, value []byte) error {
	key := beKey(seq)
	if old := t.intents.Get(key); old != nil {
		t.ledger.remove(key, old)
	}
	t.ledger.add(key, value)
	return t.intents.Put(key, value)
}

func (t *txn) deleteIntent(seq uint64) error {
	key := beKey(seq)
	old := t.intents.Get(key)
	if old == nil {
		return nil
	}
	t.ledger.remove(key, old)
	return t.intents.Delete(key)
}

// ledger summarises the records, so that ones that vanish are noticed.
type ledger struct{ count, sum uint64 }

func readLedger(p []byte) (l ledger) {
	if len(p) == 16 {
		l.count, l.sum = binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])
	}
	return l
}

func (l ledger) bytes() []byte {
	return binary.BigEndian.AppendUint64(beKey(l.count), l.sum)
}

func (l *ledger) add(key, value []byte) {
	l.count++
	l.sum ^= fingerprint(key, value)
}

func (l *ledger) remove(key, value []byte) {
	l.count--
	l.sum ^= fingerprint(key, value)
}

var crc64Table = crc64.MakeTable(crc64.ECMA)

func fingerprint(key, value []byte) uint64 {
	return crc64.Update(crc64.Checksum(key, crc64Table), crc64Table, value)
}
