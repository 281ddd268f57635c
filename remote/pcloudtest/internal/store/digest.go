package store

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"sync"
)

// sumSet is a set of digests.
type sumSet uint8

const (
	sumSHA1 sumSet = 1 << iota
	sumMD5
	sumSHA256
	allSums = sumSHA1 | sumMD5 | sumSHA256
)

// digests are those of a content as far as they are known.
type digests struct {
	mu   sync.Mutex // held while computing; never together with Account.mu
	have sumSet
	Sums
}

// digester computes digests while bytes pass.
type digester struct {
	set               sumSet
	sha1, md5, sha256 hash.Hash
}

func newDigester(set sumSet) *digester {
	return &digester{set, sha1.New(), md5.New(), sha256.New()}
}

// newDigester computes what the account's region needs; SHA-1 always, which
// the hash is made of.
func (a *Account) newDigester() *digester {
	set := allSums
	if a.quirks.NoMD5 {
		set &^= sumMD5
	}
	if a.quirks.NoSHA256 {
		set &^= sumSHA256
	}
	return newDigester(set)
}

// write adds bytes; hashes never fail.
func (d *digester) write(p []byte) {
	for _, h := range d.each() {
		_, _ = h.Write(p)
	}
}

// each returns the hashes in use, in the order of the bits.
func (d *digester) each() []hash.Hash {
	var hs []hash.Hash
	for i, h := range []hash.Hash{d.sha1, d.md5, d.sha256} {
		if d.set>>i&1 != 0 {
			hs = append(hs, h)
		}
	}
	return hs
}

// sums returns the digests so far.
func (d *digester) sums() (s Sums) {
	if d.set&sumSHA1 != 0 {
		d.sha1.Sum(s.SHA1[:0])
	}
	if d.set&sumMD5 != 0 {
		d.md5.Sum(s.MD5[:0])
	}
	if d.set&sumSHA256 != 0 {
		d.sha256.Sum(s.SHA256[:0])
	}
	return s
}

func (d *digester) digests() *digests { return &digests{have: d.set, Sums: d.sums()} }

// marshal returns the state of the computation, to go on with it later.
func (d *digester) marshal() ([]byte, error) {
	out := []byte{byte(d.set)}
	for _, h := range d.each() {
		b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("save digest state: %w", err)
		}
		out = appendBytes(out, b)
	}
	return out, nil
}

func unmarshalDigester(in *decoder) *digester {
	d := newDigester(sumSet(in.byte()) & allSums)
	for _, h := range d.each() {
		if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(in.bytes()); err != nil {
			in.fail(err)
		}
	}
	return d
}

// hashOf makes the 64-bit content hash, which is never 0.
func hashOf(sum [sha1.Size]byte) uint64 { return max(binary.BigEndian.Uint64(sum[:]), 1) }

// sums returns at least the digests in want of a content that the caller holds,
// reading it if they are not known.
func (a *Account) sums(b *blob, want sumSet) (Sums, error) {
	a.mu.Lock()
	if b.sum == nil {
		b.sum = &digests{}
	}
	d := b.sum
	a.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.have&want == want {
		return d.Sums, nil
	}
	c, err := a.open(b)
	if err != nil {
		return Sums{}, err
	}
	defer c.Close()
	g := newDigester(d.have | want)
	buf := make([]byte, 256<<10)
	if err := g.readFrom(io.NewSectionReader(c, 0, b.size), buf); err != nil {
		return Sums{}, fmt.Errorf("hash content: %w", err)
	}
	d.have, d.Sums = g.set, g.sums()
	return d.Sums, nil
}

func (d *digester) readFrom(r io.Reader, buf []byte) error {
	for {
		n, err := r.Read(buf)
		d.write(buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
