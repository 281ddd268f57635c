package pcloudtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxForm bounds the part of a body that holds parameters.
const maxForm = 1 << 20

// params are the parameters of one call. They come from the query string,
// the form body and the cookies; each source overrides those before it (pCloud
// API 2.1). Names that no method knows are ignored.
type params map[string]string

// parseParams reads the query string and the cookies; add takes a form body.
// Within one source the first of several values counts.
func parseParams(r *http.Request) params {
	p := make(params)
	p.add(parseQuery(r.URL.RawQuery))
	return p
}

// add takes over the values of a source of higher precedence.
func (p params) add(q map[string]string) {
	for k, v := range q {
		p[k] = v
	}
}

// addCookies takes over the cookies, the source of highest precedence.
func (p params) addCookies(r *http.Request) {
	q := make(map[string]string)
	for _, c := range r.Cookies() {
		if _, ok := q[c.Name]; !ok {
			q[c.Name] = unescape(c.Value)
		}
	}
	p.add(q)
}

// parseQuery reads a query string or a urlencoded form. Unlike net/url it
// takes a semicolon and a stray percent sign as they are: clients that build
// their requests by hand send them.
func parseQuery(s string) map[string]string {
	q := make(map[string]string)
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		k = unescape(k)
		if _, ok := q[k]; !ok {
			q[k] = unescape(v)
		}
	}
	return q
}

// unescape decodes percent signs and plus signs; what cannot be decoded
// stays.
func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return strings.ReplaceAll(s, "+", " ")
}

// readForm reads a urlencoded body.
func readForm(body io.Reader) (map[string]string, error) {
	b, err := io.ReadAll(io.LimitReader(body, maxForm+1))
	if err != nil {
		return nil, fmt.Errorf("read form: %w", err)
	}
	if len(b) > maxForm {
		return nil, errors.New("form too large")
	}
	return parseQuery(string(b)), nil
}

func (p params) has(name string) bool { _, ok := p[name]; return ok }

// bool reads a flag: anything but 0, false and nothing is true.
func (p params) bool(name string) bool {
	switch p[name] {
	case "", "0", "false":
		return false
	}
	return true
}

// number reads a decimal parameter. ok is false when it is absent or not a
// number.
func (p params) number(name string) (n uint64, ok bool) {
	v, there := p[name]
	if !there {
		return 0, false
	}
	n, err := parseNumber(v)
	return n, err == nil
}

// date reads a time; nil when it is absent. A value that is no date is
// refused with 1013.
func (p params) date(name string) (*time.Time, error) {
	v := p[name]
	if v == "" {
		return nil, nil
	}
	t, err := parseDate(v)
	if err != nil {
		return nil, fail(1013, "Invalid date/time provided.")
	}
	return &t, nil
}
