package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// pages reads a bbolt file without bbolt, which trusts what it reads: a damaged
// page makes it panic, some of them in goroutines of its own, or go astray in
// memory. Every database is therefore looked over before bbolt opens it, and
// what is still readable of a damaged one is found here too.
//
// The format: pages of a fixed size that begin with a header; two meta pages of
// which the valid one with the higher transaction number counts; a B+tree of
// branch and leaf pages for the root bucket, whose leaves hold the buckets, of
// which small ones are kept inline; and a list of free pages.
type pages struct {
	r    io.ReaderAt
	size int64 // of a page
	meta pageMeta
	seen map[uint64]bool // pages that something refers to
	free uint64          // pages in the list of free ones
	torn bool            // one of the two meta pages is not valid

	// visit, if set, is called for every pair of every bucket.
	visit func(bucket string, key, value []byte)

	problems []error
}

const (
	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageMetaFlag = 0x04
	pageFreelist = 0x10
	leafBucket   = 0x01 // flag of an element

	pageHeader    = 16
	pageElement   = 16 // of branches and leaves alike
	bucketHeader  = 16
	noFreelist    = 1<<64 - 1
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
	maxProblems   = 20
	minPageSize   = 1 << 10
	maxPageSize   = 1 << 24
	metaLen       = 64
	maxPageDepth  = 64 // no tree of ours comes near
	maxPageLength = 1 << 30
)

type pageMeta struct{ root, freelist, high, txid uint64 }

var (
	native   = binary.NativeEndian
	errNoDB  = errors.New("it has no valid header")
	errBogus = errors.New("value is out of its bounds")
)

// condition is what a database is found to be in.
type condition struct {
	problems []error // that make it unfit for use

	free, high uint64 // pages in the list of free ones, and all

	// torn says that one of the two headers is not valid, so that the database
	// is in the state of the other one. A commit that a power cut interrupts can
	// leave that.
	torn bool
}

// inspect looks a database over. It returns errNoDB if nothing of it can be
// read.
func inspect(r io.ReaderAt, visit func(bucket string, key, value []byte)) (condition, error) {
	p := &pages{r: r, seen: make(map[uint64]bool), visit: visit}
	if err := p.readMeta(); err != nil {
		return condition{}, err
	}
	p.tree(p.meta.root, "", 0, nil, nil)
	p.checkFreelist()
	return condition{problems: p.problems, torn: p.torn, free: p.free, high: p.meta.high}, nil
}

func (p *pages) problem(format string, args ...any) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, fmt.Errorf(format, args...))
	}
}

// readMeta finds the page size and the meta page that counts. The second one
// is looked for at every possible page size.
func (p *pages) readMeta() error {
	found := false
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		for _, off := range []int64{0, size} {
			m, pageSize, ok := p.metaAt(off)
			if !ok || pageSize != size || found && (p.size != size || m.txid < p.meta.txid) {
				continue
			}
			// The other one is one transaction behind or ahead.
			_, otherSize, ok := p.metaAt(size - off)
			p.meta, p.size, p.torn, found = m, size, !ok || otherSize != size, true
		}
	}
	if !found {
		return errNoDB
	}
	return nil
}

func (p *pages) metaAt(off int64) (m pageMeta, size int64, ok bool) {
	var b [pageHeader + metaLen]byte
	if _, err := p.r.ReadAt(b[:], off); err != nil {
		return m, 0, false
	}
	x := b[pageHeader:]
	h := fnv.New64a()
	h.Write(x[:metaLen-8])
	if native.Uint32(x) != boltMagic || native.Uint32(x[4:]) != boltVersion || native.Uint64(x[metaLen-8:]) != h.Sum64() {
		return m, 0, false
	}
	return pageMeta{
		root: native.Uint64(x[16:]), freelist: native.Uint64(x[32:]),
		high: native.Uint64(x[40:]), txid: native.Uint64(x[48:]),
	}, int64(native.Uint32(x[8:])), true
}

// page reads a page with its overflow and claims it for whoever refers to it.
func (p *pages) page(id uint64, flags ...uint16) ([]byte, error) {
	if id < 2 || id >= p.meta.high {
		return nil, fmt.Errorf("page %d: %w", id, errBogus)
	}
	var head [pageHeader]byte
	if _, err := p.r.ReadAt(head[:], int64(id)*p.size); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	overflow := uint64(native.Uint32(head[12:]))
	length := int64(overflow+1) * p.size
	if native.Uint64(head[:]) != id || overflow >= p.meta.high-id || length > maxPageLength {
		return nil, fmt.Errorf("page %d: its header is damaged", id)
	}
	if f := native.Uint16(head[8:]); !contains(flags, f) {
		return nil, fmt.Errorf("page %d is of type %#x", id, f)
	}
	for i := range overflow + 1 {
		if p.seen[id+i] {
			return nil, fmt.Errorf("page %d is used twice", id+i)
		}
		p.seen[id+i] = true
	}
	b := make([]byte, length)
	if _, err := p.r.ReadAt(b, int64(id)*p.size); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

func contains(list []uint16, x uint16) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

// tree walks the subtree at page id, which belongs to the bucket of that name
// ("" for the root) and holds keys from low up to but not including high. Its
// first key is low exactly: bbolt finds the entry of a page in its parent by it.
func (p *pages) tree(id uint64, bucket string, depth int, low, high []byte) {
	b, err := p.page(id, pageBranch, pageLeaf)
	if err == nil && depth > maxPageDepth {
		err = fmt.Errorf("page %d: tree is too deep", id)
	}
	if err != nil {
		p.problem("%w", err)
		return
	}
	p.node(b, fmt.Sprintf("page %d", id), bucket, depth, low, high)
}

// node walks the elements of a branch or leaf page, or of an inline bucket.
func (p *pages) node(b []byte, where, bucket string, depth int, low, high []byte) {
	branch := native.Uint16(b[8:]) == pageBranch
	count := int(native.Uint16(b[10:]))
	if branch && count == 0 || pageHeader+count*pageElement > len(b) {
		p.problem("%s: %d elements: %w", where, count, errBogus)
		return
	}
	// Keys have to be read ahead: that of the next element bounds a branch.
	keys := make([][]byte, count)
	var prev []byte
	for i := range count {
		k, err := elementKey(b, i, branch)
		if err != nil {
			p.problem("%s, element %d: %w", where, i, err)
			continue
		}
		if i == 0 && low != nil && !bytes.Equal(k, low) || i > 0 && prev != nil && bytes.Compare(k, prev) <= 0 ||
			high != nil && bytes.Compare(k, high) >= 0 {
			p.problem("%s, element %d: key is out of order", where, i)
		}
		keys[i], prev = k, k
	}
	for i, k := range keys {
		switch {
		case k == nil:
		case branch:
			next := high
			if i+1 < count {
				next = keys[i+1]
			}
			e := b[pageHeader+i*pageElement:]
			p.tree(native.Uint64(e[8:]), bucket, depth+1, k, next)
		default:
			p.leaf(b, i, where, bucket, depth, k)
		}
	}
}

func elementKey(b []byte, i int, branch bool) ([]byte, error) {
	off := pageHeader + i*pageElement
	e := b[off:]
	pos, klen := native.Uint32(e), native.Uint32(e[4:])
	if !branch {
		pos, klen = native.Uint32(e[4:]), native.Uint32(e[8:])
	}
	return span(b, uint64(off)+uint64(pos), uint64(klen))
}

func span(b []byte, from, n uint64) ([]byte, error) {
	if from > uint64(len(b)) || n > uint64(len(b))-from {
		return nil, errBogus
	}
	return b[from : from+n : from+n], nil
}

// leaf handles one element of a leaf: a pair, or a bucket if it is in the root.
func (p *pages) leaf(b []byte, i int, where, bucket string, depth int, key []byte) {
	off := pageHeader + i*pageElement
	e := b[off:]
	flags, pos, klen, vlen := native.Uint32(e), native.Uint32(e[4:]), native.Uint32(e[8:]), native.Uint32(e[12:])
	value, err := span(b, uint64(off)+uint64(pos)+uint64(klen), uint64(vlen))
	isBucket := bucket == "" // buckets are in the root, and nothing else is
	switch {
	case err != nil || isBucket != (flags == leafBucket) || flags > leafBucket:
		p.problem("%s, element %d: value is damaged", where, i)
	case !isBucket:
		if p.visit != nil {
			p.visit(bucket, key, value)
		}
	case len(value) < bucketHeader:
		p.problem("%s: bucket %q is damaged", where, key)
	case native.Uint64(value) != 0:
		p.tree(native.Uint64(value), string(key), depth+1, nil, nil)
	case len(value) < bucketHeader+pageHeader || native.Uint16(value[bucketHeader+8:]) != pageLeaf:
		p.problem("%s: bucket %q is damaged", where, key)
	default:
		p.node(value[bucketHeader:], fmt.Sprintf("bucket %q", key), string(key), depth, nil, nil)
	}
}

// checkFreelist makes sure that no page is free and in use.
func (p *pages) checkFreelist() {
	if p.meta.freelist == noFreelist {
		return
	}
	b, err := p.page(p.meta.freelist, pageFreelist)
	if err != nil {
		p.problem("list of free pages: %w", err)
		return
	}
	b, count := b[pageHeader:], uint64(native.Uint16(b[10:]))
	if count == 1<<16-1 {
		count, b = native.Uint64(b), b[8:]
	}
	if count > uint64(len(b)/8) {
		p.problem("list of free pages: %w", errBogus)
		return
	}
	p.free = count
	prev := uint64(1)
	for i := range count {
		id := native.Uint64(b[i*8:])
		if id <= prev || id >= p.meta.high || p.seen[id] {
			p.problem("page %d is in the list of free pages", id)
		}
		prev = id
	}
}
