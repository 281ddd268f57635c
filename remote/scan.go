package remote

import (
	"encoding/json"
	"fmt"
	"io"
)

// scanner takes JSON from a stream piece by piece. The decoder of
// encoding/json can do that too, but spends most of its time on it, and
// listings are the bulk of what the client reads. It accepts what
// encoding/json accepts and is bounded in depth and by its budget.
type scanner struct {
	r    io.Reader
	buf  []byte // read but not used: buf[pos:]
	pos  int
	left int    // bytes that may be read until the budget is renewed
	tok  []byte // of the latest scalar
}

const (
	scanBuffer = 32 << 10
	skipDepth  = 100 // nesting of values that are passed over
)

// errNotJSON is an ErrProtocol for what is not even JSON.
var errNotJSON = fmt.Errorf("%w: not JSON", ErrProtocol)

func newScanner(r io.Reader, budget int) *scanner {
	return &scanner{r: r, buf: make([]byte, 0, scanBuffer), left: budget}
}

// peek returns the next byte. The end of the stream is io.EOF.
func (s *scanner) peek() (byte, error) {
	for s.pos == len(s.buf) {
		if s.left <= 0 {
			return 0, protocolErrorf("much of it without an entry")
		}
		n, err := s.r.Read(s.buf[:min(cap(s.buf), s.left)])
		s.buf, s.pos = s.buf[:n], 0
		s.left -= n
		if n == 0 && err != nil {
			return 0, err
		}
	}
	return s.buf[s.pos], nil
}

// next returns the next byte that is not white space, without using it.
func (s *scanner) next() (byte, error) {
	for {
		b, err := s.peek()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || b != ' ' && b != '\n' && b != '\t' && b != '\r' {
			return b, err
		}
		s.pos++
	}
}

// take uses one byte, which has to be want.
func (s *scanner) take(want byte) error {
	b, err := s.next()
	if err != nil {
		return err
	}
	if b != want {
		return errNotJSON
	}
	s.pos++
	return nil
}

// end makes sure that nothing follows.
func (s *scanner) end() error {
	_, err := s.next()
	switch err {
	case io.ErrUnexpectedEOF:
		return nil
	case nil:
		return protocolErrorf("something follows it")
	}
	return err
}

// object calls fn for each key of an object. fn uses the value, and must not
// keep the key. A value of another kind is an error.
func (s *scanner) object(fn func(key []byte) error) error {
	return s.list('{', '}', func() error {
		b, err := s.next()
		if err != nil {
			return err
		}
		if b != '"' {
			return errNotJSON
		}
		key, err := s.scalar()
		if err != nil {
			return err
		}
		if key, err = unquote(key); err != nil {
			return err
		}
		if err := s.take(':'); err != nil {
			return err
		}
		return fn(key)
	})
}

// array calls fn for each element of an array.
func (s *scanner) array(fn func() error) error { return s.list('[', ']', fn) }

func (s *scanner) list(first, last byte, fn func() error) error {
	b, err := s.next()
	if err != nil {
		return err
	}
	if b != first {
		if b == '<' {
			return errNotJSON
		}
		return protocolErrorf("a value of another kind than expected")
	}
	s.pos++
	if b, err = s.next(); err != nil {
		return err
	}
	if b == last {
		s.pos++
		return nil
	}
	for {
		if err := fn(); err != nil {
			return err
		}
		if b, err = s.next(); err != nil {
			return err
		}
		s.pos++
		switch b {
		case last:
			return nil
		case ',':
		default:
			return errNotJSON
		}
	}
}

// scalar returns a string with its quotes, a number, true, false or null. It
// is valid until the next call.
func (s *scanner) scalar() ([]byte, error) {
	b, err := s.next()
	if err != nil {
		return nil, err
	}
	s.tok = s.tok[:0]
	switch b {
	case '"':
		return s.text()
	case '{', '[':
		return nil, protocolErrorf("a value of another kind than expected")
	}
	for {
		switch b {
		case ' ', '\t', '\n', '\r', ',', '}', ']', ':', '"', '{', '[':
			err = io.EOF
		}
		if err == io.EOF {
			break
		}
		s.tok = append(s.tok, b)
		s.pos++
		if b, err = s.peek(); err != nil && err != io.EOF {
			return nil, err
		}
	}
	if !plain(s.tok) && !json.Valid(s.tok) {
		return nil, errNotJSON
	}
	return s.tok, nil
}

// text reads a string with its quotes into tok.
func (s *scanner) text() ([]byte, error) {
	escaped, special := false, false
	for i := 0; ; i++ {
		b, err := s.peek()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if b < ' ' {
			return nil, errNotJSON
		}
		s.tok = append(s.tok, b)
		s.pos++
		switch {
		case escaped:
			escaped = false
		case b == '\\':
			escaped, special = true, true
		case b == '"' && i > 0:
			if special && !json.Valid(s.tok) {
				return nil, errNotJSON
			}
			return s.tok, nil
		}
	}
}

// plain reports whether tok is a whole number without frills.
func plain(tok []byte) bool {
	if len(tok) == 0 || tok[0] == '0' && len(tok) > 1 {
		return false
	}
	for _, b := range tok {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// unquote returns the content of a string as scalar gives it.
func unquote(tok []byte) ([]byte, error) {
	if len(tok) < 2 || tok[0] != '"' {
		return nil, protocolErrorf("a value of another kind than expected")
	}
	for _, b := range tok {
		if b == '\\' {
			var v string
			err := json.Unmarshal(tok, &v)
			return []byte(v), err
		}
	}
	return tok[1 : len(tok)-1], nil
}

// skip passes over a value of any kind.
func (s *scanner) skip() error { return s.skipTo(skipDepth) }

func (s *scanner) skipTo(depth int) error {
	if depth == 0 {
		return protocolErrorf("nested too deep")
	}
	b, err := s.next()
	if err != nil {
		return err
	}
	switch b {
	case '{':
		return s.object(func([]byte) error { return s.skipTo(depth - 1) })
	case '[':
		return s.array(func() error { return s.skipTo(depth - 1) })
	}
	_, err = s.scalar()
	return err
}
