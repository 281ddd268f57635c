package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// blob is one content. It never changes; files and revisions share it.
type blob struct {
	id   uint64
	size int64
	hash uint64
	gen  bool    // made from seed, see generate.go
	seed uint64  // of a generated content
	mem  *memory // bytes of a content in memory

	// Guarded by Account.mu:
	refs  int      // records, revisions and hands that have it
	saved bool     // is in the metadata file
	sum   *digests // nil until somebody asks for those of a generated content
}

// stored reports whether the bytes are in a file of the directory.
func (b *blob) stored() bool { return !b.gen && b.mem == nil }

// same reports whether two contents are equal, by hash as the service does.
func (b *blob) same(o *blob) bool {
	return b == o || b.hash == o.hash && b.size == o.size
}

func (a *Account) blobPath(id uint64) string {
	return filepath.Join(a.dir, "blobs", fmt.Sprintf("%02x", byte(id)), fmt.Sprintf("%016x", id))
}

// place gives a file a content's name, by renaming or linking.
func (a *Account) place(how func(from, to string) error, from string, id uint64) error {
	to := a.blobPath(id)
	err := how(from, to)
	if errors.Is(err, os.ErrNotExist) {
		// The first content of that subdirectory.
		if err = os.MkdirAll(filepath.Dir(to), 0o700); err == nil {
			err = how(from, to)
		}
	}
	return err
}

func (a *Account) removeFile(path string) {
	if err := os.Remove(path); err != nil {
		a.logger.Warn("content file stays behind", "err", err)
	}
}

// release gives up contents that were held outside of the tree.
func (a *Account) release(bs ...*blob) {
	if len(bs) == 0 {
		return
	}
	// After Close the next Open finds and removes what nobody refers to.
	_ = a.update(func(t *txn) error {
		for _, b := range bs {
			t.unref(b)
		}
		return nil
	})
}

// hold keeps a content that find returns, until release.
func (a *Account) hold(find func() (*blob, error)) (b *blob, err error) {
	err = a.read(func() error {
		if b, err = find(); b != nil {
			b.refs++
		}
		return err
	})
	return b, err
}

// Blob is a stored content that belongs to no file yet. Give it to Put or
// Release it.
type Blob struct {
	a        *Account
	b        *blob
	sums     Sums
	released bool
}

// Size returns the number of bytes.
func (b *Blob) Size() int64 { return b.b.size }

// Hash returns the content's hash as files show it.
func (b *Blob) Hash() uint64 { return b.b.hash }

// Sums returns the digests, without those that the account's Quirks leave out.
func (b *Blob) Sums() Sums { return b.sums }

// Release drops a blob that is not given to Put. Idempotent.
func (b *Blob) Release() {
	if !b.released {
		b.released = true
		b.a.release(b.b)
	}
}

// BlobWriter receives a content of any length. End it with Commit or Abort. It
// is for one goroutine.
type BlobWriter struct {
	a    *Account
	dig  *digester
	size int64
	mem  *memory
	file *os.File
	done bool
}

// NewBlob starts to store a content.
func (a *Account) NewBlob() (*BlobWriter, error) {
	w := &BlobWriter{a: a, dig: a.newDigester()}
	if a.dir == "" {
		w.mem = &memory{}
		return w, nil
	}
	f, err := os.CreateTemp(filepath.Join(a.dir, "tmp"), "blob")
	if err != nil {
		return nil, fmt.Errorf("store content: %w", err)
	}
	w.file = f
	return w, nil
}

// Write appends to the content.
func (w *BlobWriter) Write(p []byte) (n int, err error) {
	if w.mem != nil {
		w.mem.append(p)
		n = len(p)
	} else if n, err = w.file.Write(p); err != nil {
		err = fmt.Errorf("store content: %w", err)
	}
	w.dig.write(p[:n])
	w.size += int64(n)
	return n, err
}

// Size returns the number of bytes so far.
func (w *BlobWriter) Size() int64 { return w.size }

// Commit ends the content and returns it.
func (w *BlobWriter) Commit() (*Blob, error) {
	if w.done {
		return nil, fmt.Errorf("store content: %w", os.ErrClosed)
	}
	if w.file != nil {
		if err := w.file.Close(); err != nil {
			w.Abort()
			return nil, fmt.Errorf("store content: %w", err)
		}
	} else {
		w.mem.clip()
	}
	b := &blob{mem: w.mem}
	out := w.a.newBlob(b, w.size, w.dig)
	if w.file != nil {
		if err := w.a.place(os.Rename, w.file.Name(), b.id); err != nil {
			w.Abort()
			return nil, fmt.Errorf("store content: %w", err)
		}
	}
	w.done = true
	return out, nil
}

// Abort drops the content. After Commit it does nothing.
func (w *BlobWriter) Abort() {
	if w.done {
		return
	}
	w.done = true
	if w.file != nil {
		w.file.Close() // a second time after a failed Commit: harmless
		w.a.removeFile(w.file.Name())
	}
}

// newBlob completes a content whose bytes are there or about to be renamed to
// its path. One reference is the caller's.
func (a *Account) newBlob(b *blob, size int64, d *digester) *Blob {
	b.size, b.refs, b.sum = size, 1, d.digests()
	sums := b.sum.Sums // nobody else has it yet
	b.hash = hashOf(sums.SHA1)
	a.mu.Lock()
	a.ids.Blob++
	b.id = a.ids.Blob
	a.mu.Unlock()
	return &Blob{a: a, b: b, sums: sums}
}

// memory is a growing sequence of bytes, in pieces so that growing copies little.
type memory struct {
	pieces [][]byte
	size   int64
}

const pieceSize = 256 << 10

func (m *memory) append(p []byte) {
	m.size += int64(len(p))
	for len(p) > 0 {
		last := len(m.pieces) - 1
		if last < 0 || len(m.pieces[last]) == pieceSize {
			m.pieces = append(m.pieces, nil)
			last++
		}
		n := min(len(p), pieceSize-len(m.pieces[last]))
		m.pieces[last] = append(m.pieces[last], p[:n]...)
		p = p[n:]
	}
}

// clip gives back what growing has allocated too much.
func (m *memory) clip() {
	if n := len(m.pieces); n > 0 {
		m.pieces[n-1] = bytes.Clone(m.pieces[n-1])
		m.pieces = slices.Clip(m.pieces)
	}
}

// ReadAt follows io.ReaderAt.
func (m *memory) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < m.size {
		k := copy(p[n:], m.pieces[off/pieceSize][off%pieceSize:])
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
