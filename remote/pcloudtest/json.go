package pcloudtest

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// object is a JSON object whose members keep their order. Replies are built
// from it rather than from maps so that equal states give equal bodies, and
// with them equal Etag headers (pCloud API 2.2).
type object []member

// member is one key of an object. Value is a string, bool, int, int64,
// uint64, time.Time, object, list, []string, or a renderer.
type member struct {
	key   string
	value any
}

// list is a JSON array.
type list []any

// renderer is a value that writes itself, so that a listing of a million
// entries is written once instead of being built as a tree first.
type renderer interface {
	render(w *jsonWriter)
}

// jsonWriter writes JSON the way pCloud prints it: indented with tabs, a
// space after each colon, and every slash escaped (pCloud API 2.2).
type jsonWriter struct {
	buf   []byte
	depth int
	first bool // nothing was written yet in the current object or array
	style style
}

// style is what a request may ask of the representation (pCloud API 2.4).
type style struct {
	timestamps bool // timeformat=timestamp
	iconID     bool // iconformat=id
	// keepFile and keepFolder are the metadata keys to keep; nil keeps all.
	keepFile, keepFolder map[string]bool
}

func (w *jsonWriter) open(c byte) {
	w.buf = append(w.buf, c)
	w.depth++
	w.first = true
}

func (w *jsonWriter) close(c byte) {
	w.depth--
	if !w.first {
		w.newline()
	}
	w.buf = append(w.buf, c)
	w.first = false
}

func (w *jsonWriter) newline() {
	w.buf = append(w.buf, '\n')
	for range w.depth {
		w.buf = append(w.buf, '\t')
	}
}

// next starts an element of an array or a member of an object.
func (w *jsonWriter) next() {
	if !w.first {
		w.buf = append(w.buf, ',')
	}
	w.first = false
	w.newline()
}

func (w *jsonWriter) key(k string) {
	w.next()
	w.string(k)
	w.buf = append(w.buf, ':', ' ')
}

func (w *jsonWriter) uint(n uint64) { w.buf = strconv.AppendUint(w.buf, n, 10) }
func (w *jsonWriter) int(n int64)   { w.buf = strconv.AppendInt(w.buf, n, 10) }
func (w *jsonWriter) bool(b bool)   { w.buf = strconv.AppendBool(w.buf, b) }

// time writes a date in the format that the request asked for: RFC 1123 with
// a numeric zone, always UTC, or seconds (pCloud API 2.5).
func (w *jsonWriter) time(t time.Time) {
	if w.style.timestamps {
		w.int(t.Unix())
		return
	}
	w.buf = append(w.buf, '"')
	w.buf = t.UTC().AppendFormat(w.buf, time.RFC1123Z)
	w.buf = append(w.buf, '"')
}

func (w *jsonWriter) string(s string) {
	const hex = "0123456789abcdef"
	w.buf = append(w.buf, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			w.buf = utf8.AppendRune(w.buf, r) // an invalid byte becomes U+FFFD
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\' || c == '/':
			w.buf = append(w.buf, '\\', c)
		case c == '\n':
			w.buf = append(w.buf, '\\', 'n')
		case c == '\r':
			w.buf = append(w.buf, '\\', 'r')
		case c == '\t':
			w.buf = append(w.buf, '\\', 't')
		case c < 0x20 || c == 0x7f:
			w.buf = append(w.buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			w.buf = append(w.buf, c)
		}
		i++
	}
	w.buf = append(w.buf, '"')
}

func (w *jsonWriter) value(v any) {
	switch v := v.(type) {
	case string:
		w.string(v)
	case bool:
		w.bool(v)
	case int:
		w.int(int64(v))
	case int64:
		w.int(v)
	case uint64:
		w.uint(v)
	case time.Time:
		w.time(v)
	case object:
		w.object(v)
	case list:
		w.open('[')
		for _, e := range v {
			w.next()
			w.value(e)
		}
		w.close(']')
	case []string:
		w.open('[')
		for _, e := range v {
			w.next()
			w.string(e)
		}
		w.close(']')
	case renderer:
		v.render(w)
	default:
		panic("pcloudtest: value without a JSON form")
	}
}

func (w *jsonWriter) object(o object) {
	w.open('{')
	for _, m := range o {
		w.key(m.key)
		w.value(m.value)
	}
	w.close('}')
}
