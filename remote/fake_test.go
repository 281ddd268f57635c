package remote

import (
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

const testToken = "pZq-secret-token-x7"

// seen is a request as the server got it.
type seen struct {
	Verb, Path, Host string
	Query            url.Values
	Header           http.Header
	Body             string
	Length           int64
	Chunked          bool
}

func see(r *http.Request) seen {
	s := seen{Verb: r.Method, Path: r.URL.Path, Host: r.Host, Query: r.URL.Query(), Header: r.Header,
		Length: r.ContentLength, Chunked: len(r.TransferEncoding) > 0}
	if s.Host == "" {
		s.Host = r.URL.Host
	}
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		s.Body = string(b)
		r.Body.Close()
	}
	return s
}

// script answers requests one after the other and records them; the last step
// answers all that follow.
type script struct {
	steps []step
	raw   bool // leave bodies to the steps

	mu   sync.Mutex // guards seen
	seen []seen
}

type step func(r *http.Request) (*http.Response, error)

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	var got seen
	if !s.raw {
		got = see(r)
	}
	s.mu.Lock()
	n := len(s.seen)
	s.seen = append(s.seen, got)
	s.mu.Unlock()
	return s.steps[min(n, len(s.steps)-1)](r)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// answer makes a reply of the API with a status.
func answer(status int, body string, header ...string) step {
	return func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, ContentLength: int64(len(body)),
			Body: io.NopCloser(strings.NewReader(body)), Request: r}
		resp.Header.Set("Content-Type", "application/json; charset=utf-8")
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
}

func reply(body string) step { return answer(http.StatusOK, body) }

// truncated is a reply of which only the beginning arrives.
func truncated(body string) step {
	return func(r *http.Request) (*http.Response, error) {
		resp, _ := reply(body)(r)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:len(body)/2]), errReader{io.ErrUnexpectedEOF}))
		return resp, nil
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

var html = answer(http.StatusOK, "<html><body>Please log in to the hotel network</body></html>", "Content-Type", "text/html")

// lost is a request that was sent and never answered.
func lost(r *http.Request) (*http.Response, error) {
	if t := httptrace.ContextClientTrace(r.Context()); t != nil {
		t.GetConn("host")
		t.GotConn(httptrace.GotConnInfo{})
	}
	return nil, errors.New("read: connection reset by peer")
}

// unreachable is a request for which there was no connection.
func unreachable(r *http.Request) (*http.Response, error) {
	if t := httptrace.ContextClientTrace(r.Context()); t != nil {
		t.GetConn("host")
	}
	return nil, errors.New("dial tcp: connection refused")
}

// silent is a request that is never answered.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// newFake makes a client on top of a script.
func newFake(t testing.TB, o Options, steps ...step) (*Client, *script) {
	t.Helper()
	s := &script{steps: steps}
	if o.Transport == nil {
		o.Transport = s
	}
	if o.Host == "" {
		o.Host = "server.test"
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	o.TokenSource = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: testToken})
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, s
}

// newServer makes a client of a real TLS server on this machine.
func newServer(t testing.TB, o Options, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = true // which the client must not take up
	srv.StartTLS()
	t.Cleanup(srv.Close)
	o.Host = srv.Listener.Addr().String()
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(srv.Certificate())
	o.TokenSource = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: testToken})
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, srv
}

func failure(t testing.TB, err error) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	return e
}
