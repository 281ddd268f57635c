package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// call is one call of an API method, with all its attempts.
type call struct {
	method string
	params params
	body   *source
	how    repeat
	done   []int // results that mean success on a repeat
	slow   bool  // makes the server work: give it more time
	poll   bool  // waits for an event: own time limit, no place in the queue
	limit  int64 // bytes of the reply; default replyLimit

	anonymous bool // needs no token, so it gets none

	// Exactly one of them takes the reply of a successful call: out is decoded
	// into, stream reads by itself, result and all. secret is to be kept out
	// of errors. An attempt that has filled out is not followed by another,
	// unless the caller empties it.
	out    any
	stream func(r io.Reader, secret string) error

	// after checks a reply that was decoded, within the attempt.
	after func() *Error
}

// params are the parameters of a call, all sent in the query.
type params url.Values

func (p params) set(key, value string)    { url.Values(p).Set(key, value) }
func (p params) num(key string, v uint64) { p.set(key, strconv.FormatUint(v, 10)) }
func (p params) flag(key string)          { p.set(key, "1") }

// time sets unix seconds. Times before 1970 are sent as the unsigned number
// that the server takes them for (pCloud API 2.1).
func (p params) time(key string, t time.Time) { p.num(key, uint64(t.Unix())) }

// do makes the call, with repetitions. Its error is an *Error.
func (c *Client) do(ctx context.Context, k *call) error {
	return c.retry(ctx, k.how, k.done, func(n int) *Error {
		start := time.Now()
		err := c.attempt(ctx, k)
		c.note(ctx, k.method, n, start, err)
		return err
	})
}

// note logs an attempt and slows the pacer if the server asked for it.
func (c *Client) note(ctx context.Context, method string, n int, start time.Time, err *Error) {
	if err != nil && (err.Status == http.StatusTooManyRequests || err.Result == 4000 || err.Result == 4010) {
		c.pace.slow(err.retryAfter)
	}
	if !c.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("op", method), slog.Int("attempt", n), slog.Duration("dur", time.Since(start))}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	c.log.LogAttrs(ctx, slog.LevelDebug, "api call", attrs...)
}

// admit waits for a place among the requests in flight and for the pacer.
func (c *Client) admit(ctx context.Context, k *call) (release func(), err error) {
	var held []gate
	release = func() {
		for _, g := range held {
			g.leave()
		}
	}
	var want []gate
	if k.body != nil {
		want = append(want, c.uploads)
	}
	if !k.poll {
		want = append(want, c.calls)
	}
	for _, g := range want {
		if err := g.enter(ctx); err != nil {
			release()
			return nil, err
		}
		held = append(held, g)
	}
	if err := c.pace.wait(ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// attempt makes the call once.
func (c *Client) attempt(ctx context.Context, k *call) *Error {
	release, err := c.admit(ctx, k)
	if err != nil {
		return &Error{Method: k.method, Err: err}
	}
	defer release()

	w := newWatch(ctx, c.o.StallRate, c.o.StallTime)
	defer w.stop()
	var sent trace
	req, secret, err := c.request(sent.attach(w.ctx), k, w)
	if err != nil {
		return &Error{Method: k.method, Err: scrub(err, secret)}
	}
	resp, err := c.api.RoundTrip(req)
	if k.body != nil {
		defer func() { k.body.latest().detach() }()
	}
	if err != nil {
		return c.unanswered(ctx, k, w, &sent, err, secret)
	}
	defer resp.Body.Close()
	if k.body != nil {
		k.body.latest().unwatch()
	}
	fail := c.answer(k, resp, w.reader(resp.Body, k.poll), secret)
	if fail != nil && w.ctx.Err() != nil && fail.Result == 0 && !fail.local {
		// The reply was cut off from this side.
		fail.Err, fail.unknown, fail.garbled = w.why(ctx, fail.Err), true, false
	}
	return fail
}

// request builds the HTTP request of an attempt. It returns the token for
// keeping it out of errors.
func (c *Client) request(ctx context.Context, k *call, w *watch) (*http.Request, string, error) {
	q := url.Values{"timeformat": {"timestamp"}}
	for key, v := range k.params {
		q[key] = v
	}
	u := &url.URL{Scheme: "https", Host: c.host, Path: "/" + k.method, RawQuery: q.Encode()}
	// A transport may repeat a GET by itself on a connection that turned out
	// to be closed, so only calls that can stand it are sent as GET.
	verb := http.MethodPost
	if k.how == reader {
		verb = http.MethodGet
	}
	if k.body != nil && k.body.kind == octetStream {
		verb = http.MethodPut
	}
	req, err := http.NewRequestWithContext(ctx, verb, u.String(), nil)
	if err != nil {
		return nil, "", err
	}
	secret, err := c.token()
	if err != nil && !k.anonymous {
		return nil, secret, err
	}
	if secret != "" && !k.anonymous {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	// Without this header the server closes the connection (pCloud API 2.2).
	req.Header.Set("Connection", "keep-alive")
	req.Header.Set("User-Agent", c.o.UserAgent)
	if k.body == nil {
		w.within(c.replyTime(k))
		return req, secret, nil
	}
	req.Header.Set("Content-Type", k.body.kind)
	req.ContentLength = k.body.n
	reply := c.replyTime(k)
	req.Body = k.body.open(w, reply)
	req.GetBody = func() (io.ReadCloser, error) { return k.body.open(w, reply), nil }
	w.begin()
	return req, secret, nil
}

// token returns the access token, "" if there is none. It is returned with
// the error that it is unusable, too.
func (c *Client) token() (string, error) {
	if c.tokens == nil {
		return "", nil
	}
	t, err := c.tokens.Token()
	if err != nil {
		return "", err
	}
	for _, b := range []byte(t.AccessToken) {
		if b <= ' ' || b > '~' {
			return t.AccessToken, errors.New("the access token contains characters that no token has")
		}
	}
	return t.AccessToken, nil
}

// replyTime is how long the beginning of the reply may take after the request
// has been handed to the transport. Of a body, up to a few megabytes may then
// still be in buffers below; they are given time at a crawl.
func (c *Client) replyTime(k *call) time.Duration {
	d := c.o.CallTimeout
	if k.poll {
		d = c.o.DiffTimeout
	}
	if k.slow {
		d *= 3
	}
	if k.body != nil {
		d += time.Duration(min(k.body.n, 4<<20)/(32<<10)) * time.Second
	}
	return d
}

// unanswered is the error of an attempt that got no reply.
func (c *Client) unanswered(ctx context.Context, k *call, w *watch, sent *trace, err error, secret string) *Error {
	e := &Error{Method: k.method, unknown: !sent.unsent()}
	var untrusted *tls.CertificateVerificationError
	var unknownCA x509.UnknownAuthorityError
	e.final = errors.As(err, &untrusted) || errors.As(err, &unknownCA)
	e.Err = scrub(w.why(ctx, err), secret)
	if k.body != nil {
		if _, broken := k.body.latest().state(); broken != nil && ctx.Err() == nil {
			e.Err, e.final, e.local = broken, true, true
		}
	}
	return e
}
