package store

import (
	"crypto/sha1"
	"fmt"
	"io"
	"os"
	"sync"
)

// reader reads the bytes of a content.
type reader interface {
	io.ReaderAt
	io.Closer
}

type nopCloser struct{ io.ReaderAt }

func (nopCloser) Close() error { return nil }

// open opens a content that the caller holds.
func (a *Account) open(b *blob) (reader, error) {
	switch {
	case b.mem != nil:
		return nopCloser{b.mem}, nil
	case b.gen:
		return nopCloser{generated{b.seed, b.size}}, nil
	}
	return openRead(a.blobPath(b.id))
}

func openRead(path string) (reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open content: %w", err)
	}
	return f, nil
}

// Content reads one version of a file, whatever happens to the file meanwhile.
// It is safe for concurrent use.
type Content struct {
	a     *Account
	b     *blob
	r     reader
	close sync.Once
}

// OpenContent opens a version of a file: by hash (2009 if there is none), by
// revision id (2029), or with nil and 0 the current one. Other errors: 2003,
// 2009.
func (v *View) OpenContent(id uint64, hash *uint64, revision uint64) (c *Content, n Node, err error) {
	b, err := v.a.hold(func() (*blob, error) {
		r, err := v.file(id)
		if err != nil {
			return nil, err
		}
		n = v.node(r)
		return v.a.version(r, hash, revision)
	})
	if err != nil {
		return nil, Node{}, err
	}
	r, err := v.a.open(b)
	if err != nil {
		v.a.release(b)
		return nil, Node{}, err
	}
	return &Content{a: v.a, b: b, r: r}, n, nil
}

// ReadAt follows io.ReaderAt.
func (c *Content) ReadAt(p []byte, off int64) (int, error) { return c.r.ReadAt(p, off) }

// Size returns the number of bytes.
func (c *Content) Size() int64 { return c.b.size }

// Hash returns the version's hash.
func (c *Content) Hash() uint64 { return c.b.hash }

// Close ends reading. Idempotent.
func (c *Content) Close() (err error) {
	c.close.Do(func() {
		err = c.r.Close()
		c.a.release(c.b)
	})
	return err
}

// Checksums returns the digests of a file, or of one of its revisions (pCloud
// API 7.12). Errors: 2003, 2009, 2029.
func (v *View) Checksums(id, revision uint64) (s Sums, n Node, err error) {
	b, err := v.a.hold(func() (*blob, error) {
		r, err := v.reach(key{false, id}, CodeNoFile, v.fresh)
		if err != nil {
			return nil, err
		}
		n = v.node(r)
		return v.a.version(r, nil, revision)
	})
	if err != nil {
		return Sums{}, Node{}, err
	}
	defer v.a.release(b)
	s, err = v.a.sums(b, allSums)
	return s, n, err
}

// ByChecksum returns the view's files with that content (pCloud API 7.13).
func (v *View) ByChecksum(size int64, sum [sha1.Size]byte) (found []Node, err error) {
	var recs []*record
	var held []*blob
	err = v.a.read(func() error {
		for k, r := range v.a.tree.live {
			if k.folder || r.blob.size != size || !v.a.tree.below(r.parent, v.root) {
				continue
			}
			if r.blob.gen || r.blob.hash == hashOf(sum) {
				r.blob.refs++
				recs, held = append(recs, r), append(held, r.blob)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer v.a.release(held...)
	sortByID(recs)
	for _, r := range recs {
		s, err := v.a.sums(r.blob, sumSHA1)
		if err != nil {
			return nil, err
		}
		if s.SHA1 == sum {
			found = append(found, v.node(r))
		}
	}
	return found, nil
}

// recognize returns the content that takes the place of b under a name: b, or
// an equal generated one that has the name already, whose hash was made
// without its bytes.
func (v *View) recognize(parent uint64, name string, b *blob) (_ *blob, done func()) {
	keep := func() {}
	old, err := v.a.hold(func() (*blob, error) {
		r := v.a.tree.child(v.inner(parent), name, false)
		if r == nil || !r.blob.gen || r.size() != b.size {
			return nil, nil
		}
		return r.blob, nil
	})
	if err != nil || old == nil {
		return b, keep
	}
	mine, err1 := v.a.sums(b, sumSHA1)
	its, err2 := v.a.sums(old, sumSHA1)
	if err1 != nil || err2 != nil || mine.SHA1 != its.SHA1 {
		v.a.release(old)
		return b, keep
	}
	return old, func() { v.a.release(old) }
}
