package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// contentMethod is the Error.Method of requests to content hosts.
const contentMethod = "content"

// ReadAt reads a range of one version of a file, whose size is known from its
// metadata, into p. Like io.ReaderAt it returns io.EOF with fewer than len(p)
// bytes at the end, and only there.
//
// Links are cached and renewed when a content host does not know them any
// more; other hosts are tried when one does not answer; a transfer that breaks
// off goes on where it was. ErrVersionGone when the version can not be had any
// more.
func (c *Client) ReadAt(ctx context.Context, id FileID, h Hash, size int64, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &Error{Method: contentMethod, Err: fmt.Errorf("offset %d: %w", off, fs.ErrInvalid)}
	}
	var eof error
	if int64(len(p)) > size-off {
		p, eof = p[:max(0, size-off)], io.EOF
	}
	key := linkKey{id, h}
	read := 0
	for read < len(p) {
		err := c.retry(ctx, reader, nil, func(n int) *Error {
			before := read
			e := c.readLink(ctx, key, size, n, p, off, &read)
			if e != nil && n == 1 && staleLink(e) {
				// Expected to happen when a link gets old: no pause.
				e = c.readLink(ctx, key, size, n, p, off, &read)
			}
			if e != nil && read > before && ctx.Err() == nil {
				return nil // it moves: start counting attempts anew
			}
			return e
		})
		if err != nil {
			return read, err
		}
	}
	return read, eof
}

// readLink reads from the hosts of a link in turn until one gives something,
// and advances *read. A link with which none did is forgotten.
func (c *Client) readLink(ctx context.Context, key linkKey, size int64, n int, p []byte, off int64, read *int) *Error {
	l, err := c.link(ctx, key)
	if err != nil {
		e := *asError(err) // may be shared with other callers
		e.final = true     // FileLink has its own attempts
		return &e
	}
	if l.Size != size {
		return &Error{Method: contentMethod, Err: protocolErrorf("version has %d bytes and not %d", l.Size, size)}
	}
	first := int(l.first.Load())
	var failed *Error
	for i := range l.urls {
		at := (first + i) % len(l.urls)
		start := time.Now()
		got, e := c.readURL(ctx, l.urls[at], l.Size, p[*read:], off+int64(*read))
		*read += got
		c.note(ctx, contentMethod, n, start, e)
		if e == nil {
			if i > 0 {
				l.first.Store(int32(at)) // this one works
			}
			return nil
		}
		secret, _ := c.token() // a content host may have heard of it
		e.Err = scrub(e.Err, secret)
		failed = e
		if ctx.Err() != nil || e.Status == http.StatusTooManyRequests {
			return e
		}
		if staleLink(e) {
			break
		}
	}
	c.links.drop(key, l)
	return failed
}

// staleLink lists the statuses that ask for a new link rather than another
// host (pCloud API 9.2).
func staleLink(e *Error) bool {
	if e.Method != contentMethod {
		return false
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusInternalServerError:
		return true
	}
	return false
}

// readURL reads one range from one host.
func (c *Client) readURL(ctx context.Context, addr string, size int64, p []byte, off int64) (int, *Error) {
	if err := c.transfers.enter(ctx); err != nil {
		return 0, &Error{Method: contentMethod, Err: err}
	}
	defer c.transfers.leave()
	if err := c.pace.wait(ctx); err != nil {
		return 0, &Error{Method: contentMethod, Err: err}
	}
	w := newWatch(ctx, c.o.StallRate, c.o.StallTime)
	defer w.stop()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, addr, nil)
	if err != nil {
		return 0, &Error{Method: contentMethod, Err: protocolErrorf("path of the link")}
	}
	// No Authorization: content hosts need none (pCloud API 9.2).
	req.Header.Set("Connection", "keep-alive")
	req.Header.Set("User-Agent", c.o.UserAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if off > 0 || int64(len(p)) < size {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	}
	w.begin()
	resp, err := c.content.RoundTrip(req)
	if err != nil {
		return 0, &Error{Method: contentMethod, Err: w.why(ctx, err)}
	}
	defer resp.Body.Close()
	if e := checkContent(resp, size, int64(len(p)), off); e != nil {
		return 0, e
	}
	n, err := io.ReadFull(w.reader(resp.Body, false), p)
	if err != nil {
		if err != io.ErrUnexpectedEOF && err != io.EOF {
			err = w.why(ctx, err)
		} else {
			err = io.ErrUnexpectedEOF
		}
		return n, &Error{Method: contentMethod, Status: resp.StatusCode, Err: err}
	}
	if resp.ContentLength == int64(n) {
		// Seeing the end lets the connection be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, 1)
	}
	return n, nil
}

// checkContent makes sure that the reply is the range asked for.
func checkContent(resp *http.Response, size, n, off int64) *Error {
	wrong := func(format string, args ...any) *Error {
		return &Error{Method: contentMethod, Status: resp.StatusCode, Err: protocolErrorf(format, args...), garbled: true}
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return wrong("content is encoded")
	}
	switch resp.StatusCode {
	case http.StatusOK:
		// The range was ignored; what was asked for has to be the beginning.
		if off != 0 || resp.ContentLength != size {
			return wrong("whole file of %d bytes instead of %d bytes at %d of %d", resp.ContentLength, n, off, size)
		}
	case http.StatusPartialContent:
		from, to, total, err := contentRange(resp.Header.Get("Content-Range"))
		if err != nil || from != off || to != off+n-1 || total != size || resp.ContentLength != n {
			return wrong("range %.60q of %d bytes instead of %d bytes at %d of %d",
				resp.Header.Get("Content-Range"), resp.ContentLength, n, off, size)
		}
	default:
		e := &Error{Method: contentMethod, Status: resp.StatusCode, retryAfter: retryAfter(resp.Header)}
		// Whatever it is, a new link may lead to a host that does better.
		e.garbled = e.Status != http.StatusTooManyRequests
		return e
	}
	return nil
}

// contentRange parses "bytes FROM-TO/TOTAL".
func contentRange(s string) (from, to, total int64, err error) {
	s, ok := strings.CutPrefix(s, "bytes ")
	span, all, ok2 := strings.Cut(s, "/")
	a, b, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, 0, errors.New("malformed range")
	}
	var errs [3]error
	from, errs[0] = strconv.ParseInt(a, 10, 64)
	to, errs[1] = strconv.ParseInt(b, 10, 64)
	total, errs[2] = strconv.ParseInt(all, 10, 64)
	return from, to, total, errors.Join(errs[:]...)
}
