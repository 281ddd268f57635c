package remote

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"
)

// source is the data of a request. It is read anew for every attempt.
type source struct {
	r    io.ReaderAt
	off  int64 // in r
	n    int64
	kind string // Content-Type
	hash bool   // compute the SHA-1 of what is sent

	mu  sync.Mutex // guards cur
	cur *body      // of the latest attempt
}

// open starts sending from the beginning. After the last byte, the reply has
// to begin within the given time.
func (s *source) open(w *watch, reply time.Duration) *body {
	b := &body{s: s, w: w, reply: reply}
	if s.hash {
		b.sum = sha1.New()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cur = b
	return b
}

// latest is the body that was opened last, nil if none was.
func (s *source) latest() *body {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur
}

// body is one reading of a source by an HTTP transport. The transport may go
// on reading in a goroutine of its own after RoundTrip has returned; detach
// makes sure that the caller's reader is not touched from then on.
type body struct {
	s     *source
	reply time.Duration

	// mu is held while the source is read, on purpose: detach has to wait for
	// a read that is under way. Nothing else waits for it.
	mu       sync.Mutex
	w        *watch // nil when the flow is not watched any more
	pos      int64  // bytes handed to the transport
	last     int    // bytes of the latest Read
	sum      hash.Hash
	err      error // of the source
	detached bool
}

var errDetached = errors.New("request is over")

// Read gives the transport the next bytes. The time between two calls is the
// time that the network took.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.detached {
		return 0, errDetached
	}
	if b.pos == b.s.n {
		return 0, io.EOF
	}
	if b.w != nil {
		b.w.end(b.last)
	}
	p = p[:min(int64(len(p)), b.s.n-b.pos)]
	n, err := b.s.r.ReadAt(p, b.s.off+b.pos)
	if n < len(p) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		b.err = fmt.Errorf("read data to send at offset %d: %w", b.s.off+b.pos, err)
		return 0, b.err
	}
	if b.sum != nil {
		b.sum.Write(p)
	}
	b.pos += int64(n)
	b.last = n
	if b.w != nil {
		if b.pos == b.s.n {
			b.w.within(b.reply)
		} else {
			b.w.begin()
		}
	}
	return n, nil
}

// Close is called by the transport; the source belongs to the caller.
func (b *body) Close() error { return nil }

// unwatch leaves the watch to the reply, which has begun.
func (b *body) unwatch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.w = nil
}

// detach cuts the transport off from the source.
func (b *body) detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.detached = true
}

// state says whether all bytes went to the transport, and whether the source
// failed.
func (b *body) state() (complete bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pos == b.s.n, b.err
}

// sha1 is the digest of the bytes handed over so far.
func (b *body) sha1() SHA1 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return SHA1(b.sum.Sum(nil))
}
