package upload

import (
	"context"
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/pcloudfs/pcloudfs/remote"
)

// prefix is the SHA-1 of the first n bytes of a source.
type prefix struct {
	src io.ReaderAt
	h   hash.Hash
	n   int64
}

func newPrefix(src io.ReaderAt) *prefix { return &prefix{src: src, h: sha1.New()} }

// restorePrefix is the inverse of marshal.
func restorePrefix(src io.ReaderAt, state []byte, n int64) (*prefix, error) {
	p := newPrefix(src)
	if n == 0 && len(state) == 0 {
		return p, nil
	}
	// The state ends with the number of bytes.
	if len(state) < 8 || n < 0 || binary.BigEndian.Uint64(state[len(state)-8:]) != uint64(n) {
		return nil, fmt.Errorf("digest state of %d bytes is not of the first %d", len(state), n)
	}
	if err := p.h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return nil, fmt.Errorf("digest state: %w", err)
	}
	p.n = n
	return p, nil
}

// marshal returns the state, from which the digest can be continued.
func (p *prefix) marshal() []byte {
	// SHA-1 has no state that cannot be marshalled.
	b, _ := p.h.(encoding.BinaryMarshaler).MarshalBinary()
	return b
}

func (p *prefix) clone() *prefix { return p.over(p.src) }

// over is the same of a source that begins with the same bytes.
func (p *prefix) over(src io.ReaderAt) *prefix {
	// All hashes of the standard library can be cloned, without error.
	h, _ := p.h.(hash.Cloner).Clone()
	return &prefix{src: src, h: h, n: p.n}
}

func (p *prefix) sum() (s remote.SHA1) {
	p.h.Sum(s[:0])
	return s
}

// extend reads on until n bytes are covered.
func (p *prefix) extend(ctx context.Context, n int64) error {
	buf := make([]byte, min(256<<10, max(0, n-p.n)))
	for p.n < n {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), n-p.n)]
		m, err := p.src.ReadAt(b, p.n)
		p.h.Write(b[:m])
		p.n += int64(m)
		if m < len(b) {
			return sourceError(err)
		}
	}
	return nil
}

// digest returns the SHA-1 of the whole source.
func digest(ctx context.Context, src Source, size int64) (remote.SHA1, error) {
	p := newPrefix(src)
	if err := p.extend(ctx, size); err != nil {
		return remote.SHA1{}, err
	}
	return p.sum(), nil
}

func sourceError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it became shorter", ErrSourceChanged)
	}
	return fmt.Errorf("read the source: %w", err)
}

// sender is a source as it is given to one upload call. It hashes the bytes
// when they are read for the first time, so that they need not be read again,
// and reports how far reading has come. A call may read ranges again, and its
// transport may go on reading after it has returned.
type sender struct {
	src  io.ReaderAt
	base *prefix // what was hashed before the call

	mu       sync.Mutex // guards the rest
	p        *prefix    // grows from base
	progress func(sent int64)
	err      error // first failure to read
	over     bool  // the call has returned
}

func newSender(base *prefix, progress func(int64)) *sender {
	return &sender{src: base.src, base: base, p: base.clone(), progress: progress}
}

// ReadAt implements io.ReaderAt.
func (s *sender) ReadAt(b []byte, off int64) (int, error) {
	n, err := s.src.ReadAt(b, off)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return n, err
	}
	if n < len(b) && s.err == nil {
		s.err = sourceError(err)
	}
	if end := off + int64(n); off <= s.p.n && end > s.p.n {
		s.p.h.Write(b[s.p.n-off : n])
		s.p.n = end
		if s.progress != nil {
			s.progress(end)
		}
	}
	return n, err
}

// close ends hashing and reporting; it returns why the source could not be read,
// if that happened.
func (s *sender) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return s.err
}

// prefix returns the SHA-1 of the first n bytes, which are at least those of
// base. It is called after close.
func (s *sender) prefix(ctx context.Context, n int64) (*prefix, error) {
	p := s.p
	if p.n > n {
		p = s.base.clone()
	}
	return p, p.extend(ctx, n)
}
