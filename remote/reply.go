package remote

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

// replyLimit is the size of an ordinary reply that is still read: thousands
// of times what the server sends.
const replyLimit = 4 << 20

// status is the part that all replies have in common (pCloud API 2.2).
type status struct {
	Result *int `json:"result"`
	Error  any  `json:"error"` // a string, if the server is honest
}

// failure turns the status into an error: nil if the call succeeded.
func (s *status) failure(k *call, host, secret string) *Error {
	if s.Result == nil {
		return &Error{Method: k.method, Err: protocolErrorf("no result in it"), unknown: true}
	}
	if *s.Result == 0 {
		return nil
	}
	msg, _ := s.Error.(string)
	return &Error{Method: k.method, Result: *s.Result, Message: shorten(msg, secret), host: host,
		unknown: effectUnknown(*s.Result)}
}

// answer reads the reply of an attempt.
func (c *Client) answer(k *call, resp *http.Response, r io.Reader, secret string) *Error {
	var e *Error
	switch {
	case resp.StatusCode != http.StatusOK:
		e = c.refusal(k, resp, r, secret)
	case k.stream != nil:
		err := k.stream(&textReader{r: r}, secret)
		if !errors.As(err, &e) && err != nil {
			e = &Error{Err: jsonError(err), unknown: true, garbled: garbled(err)}
		}
	default:
		e = c.decode(k, r, secret)
	}
	if e == nil {
		return nil
	}
	e.Method, e.Status, e.host = k.method, resp.StatusCode, c.host
	if e.Result == 0 && e.Err != nil && resp.StatusCode == http.StatusOK && notJSON(resp) {
		e.garbled = true
		e.Err = protocolErrorf("not JSON but %s", contentType(resp))
	}
	e.Err = scrub(e.Err, secret)
	e.retryAfter = retryAfter(resp.Header)
	return e
}

// refusal is the error for a reply with another status than 200: the API's own
// if the body is one, otherwise that of the front end before it.
func (c *Client) refusal(k *call, resp *http.Response, r io.Reader, secret string) *Error {
	b, err := io.ReadAll(io.LimitReader(&textReader{r: r}, 64<<10))
	var s status
	if err == nil && json.Unmarshal(b, &s) == nil && s.Result != nil && *s.Result != 0 {
		return s.failure(k, c.host, secret)
	}
	return &Error{unknown: resp.StatusCode >= 500}
}

// decode reads a whole reply into k.out.
func (c *Client) decode(k *call, r io.Reader, secret string) *Error {
	b, err := readText(r, cmp.Or(k.limit, replyLimit))
	if err != nil {
		return &Error{Err: err, unknown: true}
	}
	var s status
	if err := json.Unmarshal(b, &s); err != nil {
		return &Error{Err: jsonError(err), unknown: true, garbled: garbled(err)}
	}
	if e := s.failure(k, c.host, secret); e != nil {
		return e
	}
	if k.out != nil {
		if err := json.Unmarshal(b, k.out); err != nil {
			return &Error{Err: jsonError(err), unknown: true}
		}
	}
	if k.after != nil {
		return k.after()
	}
	return nil
}

// readText reads at most limit bytes of valid text.
func readText(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(&textReader{r: r}, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = protocolErrorf("longer than %d bytes", limit)
	}
	return b, err
}

// jsonError is the error for a reply that does not decode. A reply that merely
// ends too early was cut off on the way.
func jsonError(err error) error {
	if errors.Is(err, ErrProtocol) || errors.Is(err, errTransport) {
		return err
	}
	var syntax *json.SyntaxError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.As(err, &syntax) && syntax.Error() == "unexpected end of JSON input" {
		return io.ErrUnexpectedEOF
	}
	return protocolErrorf("%v", err)
}

// garbled reports whether the reply is not even JSON, so that it hardly came
// from the API.
func garbled(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax) || errors.Is(err, errNotJSON)
}

// notJSON reports whether the reply claims to be something else, such as the
// page of a captive portal.
func notJSON(resp *http.Response) bool {
	t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return t != "" && t != "application/json"
}

func contentType(resp *http.Response) string {
	t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return shorten(t, "")
}

// object decodes a JSON object, and takes the empty array that the server may
// write for an empty object as one (pCloud API 2.5).
type object[T any] struct{ v T }

func (o *object[T]) UnmarshalJSON(b []byte) error {
	if b[0] == '[' && len(bytes.Trim(b, "[] \t\r\n")) == 0 {
		return nil
	}
	return json.Unmarshal(b, &o.v)
}
