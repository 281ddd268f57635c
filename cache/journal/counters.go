package journal

import (
	"encoding/binary"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// counterBlock is how many numbers are reserved at a time. What is left of a
// block when the process ends is never given out.
const counterBlock = 4096

// counter gives out numbers below limit, which is on the disk.
type counter struct {
	key         string
	next, limit uint64
}

type counters struct {
	mu        sync.Mutex // leaf
	seq, node counter
}

// take returns the next number. low asks for the reservation to be extended
// soon, empty at once.
func (c *counters) take(x *counter) (n uint64, low, empty bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = x.next
	x.next++
	return n, x.next+counterBlock/2 == x.limit, x.next > x.limit
}

// seen makes sure that n is not given out.
func (c *counters) seen(x *counter, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n >= x.next {
		x.next = n + 1
	}
}

// extend reserves numbers as part of a transaction and returns the limits that
// hold once it is durable.
func (c *counters) extend(meta *bolt.Bucket) (limits [2]uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, x := range []*counter{&c.seq, &c.node} {
		stored, _ := counterOf(meta.Get([]byte(x.key)))
		limits[i] = stored
		if stored >= x.next+counterBlock/2 {
			continue
		}
		limits[i] = x.next + counterBlock
		if err := meta.Put([]byte(x.key), counterValue(limits[i])); err != nil {
			return limits, err
		}
	}
	return limits, nil
}

func (c *counters) extended(limits [2]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq.limit, c.node.limit = limits[0], limits[1]
}

// counterValue is the stored form of a counter: the number and its complement,
// since a wrong one would give out numbers again.
func counterValue(n uint64) []byte { return binary.BigEndian.AppendUint64(beKey(n), ^n) }

func counterOf(p []byte) (n uint64, ok bool) {
	if len(p) != 16 {
		return 0, false
	}
	n = binary.BigEndian.Uint64(p)
	return n, n == ^binary.BigEndian.Uint64(p[8:])
}

func readNumber(p []byte) uint64 {
	if len(p) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(p)
}

// NextSeq returns a sequence number larger than all before it, also those of
// earlier runs, crashed or not. It waits for the disk at most once in
// thousands of calls.
func (j *Journal) NextSeq() uint64 { return j.next(&j.counters.seq) }

// NextNode returns a node id that was never used, from FirstLocalNode up. As
// to waiting see NextSeq.
func (j *Journal) NextNode() NodeID { return NodeID(j.next(&j.counters.node)) }

func (j *Journal) next(x *counter) uint64 {
	n, low, empty := j.counters.take(x)
	switch {
	case empty:
		if j.enter() == nil {
			// If it fails, the number is not reserved. It can only matter once a
			// later transaction succeeds, and that reserves it.
			_ = j.update(func(*txn) error { return nil }, nil)
			j.leave()
		}
	case low:
		select {
		case j.extend <- struct{}{}:
		default:
		}
	}
	return n
}
