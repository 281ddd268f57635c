package pcloudtest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// serverName is what the API host calls itself (pCloud API 2.2).
const serverName = "CloudHTTPd-API v1.1"

// send answers the call: with its reply, or with the refusal err.
func (c *call) send(err error) {
	w := &jsonWriter{style: c.style}
	code, message, extra := 0, "", c.reply
	if err != nil {
		code, message, extra = refusal(err)
	}
	body := object{{"result", code}}
	if id, ok := c.params["id"]; ok {
		body = append(body, member{"id", echoID(id)})
	}
	if code != 0 {
		// Only now: some clients take any reply with this key for a failure.
		body = append(body, member{"error", message})
		c.w.Header().Set("X-Error", codeHeader(code))
	}
	w.object(append(body, extra...))
	c.write(http.StatusOK, "application/json; charset=utf-8", w.buf)
}

// refusal turns an error into what the client is told of it.
func refusal(err error) (code int, message string, extra object) {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.code, e.message, e.extra
	}
	if e, ok := errors.AsType[*store.Error](err); ok {
		return e.Code, e.Message, nil
	}
	return 5000, "Internal error. Try again later.", nil
}

// echoID is the request's id as it goes back: a number as a number.
func echoID(id string) any {
	if n, err := strconv.ParseUint(id, 10, 64); err == nil && strconv.FormatUint(n, 10) == id {
		return n
	}
	return id
}

// write sends a body with the headers of the service.
func (c *call) write(status int, contentType string, body []byte) {
	// What the client still sends is taken before it gets its answer, or
	// closing the connection could destroy the answer on its way.
	if _, err := io.Copy(io.Discard, c.body); err != nil {
		c.conn.reset()
		panic(http.ErrAbortHandler)
	}
	h := c.w.Header()
	h.Set("Server", serverName)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Etag", `"`+etag(body)+`"`)
	h.Set("Cache-Control", "private, max-age=0")
	h.Set("Vary", "Accept-Encoding")
	setKeepAlive(c.w, c.r)
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead {
		return
	}
	if cut, ok := c.fault.cut(len(body)); ok {
		c.w.Write(body[:cut]) // the connection is broken anyway
		flush(c.w)
		c.conn.close()
		panic(http.ErrAbortHandler)
	}
	c.w.Write(body) // an error means that the client has gone
}

// flush sends what the HTTP server holds back.
func flush(w http.ResponseWriter) {
	http.NewResponseController(w).Flush() // fails when the client has gone
}

// etag is a tag of 28 characters that depends on the body alone (pCloud API
// 2.2).
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return base62(sum[:], 28)
}

// base62 spells the first characters of a digest or of random bytes.
func base62(b []byte, n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := make([]byte, 0, n)
	for len(out) < n {
		var word uint64
		if len(b) >= 8 {
			word, b = binary.LittleEndian.Uint64(b), b[8:]
		} else {
			panic("pcloudtest: too few bytes for a token")
		}
		for range min(8, n-len(out)) { // 62^8 is below 2^48: hardly any bias
			out = append(out, digits[word%62])
			word /= 62
		}
	}
	return string(out)
}
