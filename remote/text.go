package remote

import (
	"errors"
	"io"
	"unicode/utf8"
)

// textReader passes JSON through and fails where encoding/json would quietly
// put U+FFFD: at invalid UTF-8 and at lone surrogates in \u escapes. Two names
// that differ remotely must not become one here. Failures to read are marked
// as those of the connection.
type textReader struct {
	r io.Reader

	seq  [utf8.UTFMax]byte // an incomplete UTF-8 sequence
	have int
	need int

	esc  int    // 0 outside an escape, 1 after the backslash, 2..5 digits of \u seen +2
	code rune   // digits so far
	high bool   // a high surrogate waits for its other half
	bad  string // what was wrong; the stream has ended

	blank int // white space in a row
}

// maxBlank is the longest run of white space. encoding/json looks at all of it
// again with every read.
const maxBlank = 4096

func (t *textReader) Read(p []byte) (int, error) {
	if t.bad != "" {
		return 0, protocolErrorf("%s", t.bad)
	}
	n, err := t.r.Read(p)
	for _, b := range p[:n] {
		if t.step(b); t.bad != "" {
			return 0, protocolErrorf("%s", t.bad)
		}
	}
	switch {
	case err == nil, err == io.ErrUnexpectedEOF, errors.Is(err, ErrProtocol):
	case err != io.EOF:
		err = transportError{err}
	case t.have > 0:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (t *textReader) step(b byte) {
	if b > ' ' {
		t.blank = 0
	} else if t.blank++; t.blank > maxBlank {
		t.bad = "mostly white space"
		return
	}
	switch {
	case t.esc > 0:
		t.escape(b)
	case t.have > 0:
		t.seq[t.have] = b
		if t.have++; t.have == t.need {
			if !utf8.Valid(t.seq[:t.need]) {
				t.bad = "not UTF-8"
			}
			t.have = 0
		}
	case b == '\\':
		t.esc = 1
	case t.high:
		t.bad = "half of a character"
	case b >= utf8.RuneSelf:
		t.lead(b)
	}
}

// lead starts a sequence of several bytes.
func (t *textReader) lead(b byte) {
	switch {
	case b >= 0xC2 && b <= 0xDF:
		t.need = 2
	case b >= 0xE0 && b <= 0xEF:
		t.need = 3
	case b >= 0xF0 && b <= 0xF4:
		t.need = 4
	default:
		t.bad = "not UTF-8"
		return
	}
	t.seq[0], t.have = b, 1
}

// escape follows what comes after a backslash. Wrong escapes are left to the
// JSON decoder, unless they could hide a byte that is not checked.
func (t *textReader) escape(b byte) {
	if b >= utf8.RuneSelf {
		t.bad = "a character that can not be escaped"
		return
	}
	if t.esc == 1 {
		if b == 'u' {
			t.esc, t.code = 2, 0
			return
		}
		t.esc = 0
		if t.high {
			t.bad = "half of a character"
		}
		return
	}
	t.code = t.code<<4 | hexDigit(b)
	if t.esc++; t.esc < 6 {
		return
	}
	t.esc = 0
	low := t.code >= 0xDC00 && t.code <= 0xDFFF
	if low != t.high {
		t.bad = "half of a character"
	}
	t.high = t.code >= 0xD800 && t.code <= 0xDBFF
}

func hexDigit(b byte) rune {
	switch {
	case b >= '0' && b <= '9':
		return rune(b - '0')
	case b >= 'a' && b <= 'f':
		return rune(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return rune(b-'A') + 10
	}
	return 0
}
