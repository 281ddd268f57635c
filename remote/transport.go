package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// newTransport makes a transport that speaks HTTP/1.1 over verified TLS with
// at most conns connections per host.
func newTransport(roots *x509.CertPool, conns int) *http.Transport {
	d := &net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}
	var only1 http.Protocols
	only1.SetHTTP1(true)
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: d.DialContext,
		TLSClientConfig: &tls.Config{
			RootCAs:    roots,
			MinVersion: tls.VersionTLS12,
		},
		TLSHandshakeTimeout: 20 * time.Second,
		// pCloud offers no HTTP/2, and descriptors, pipelining and keep-alive
		// are all defined by HTTP/1.1 connections (pCloud API 2.2).
		ForceAttemptHTTP2: false,
		TLSNextProto:      map[string]func(string, *tls.Conn) http.RoundTripper{},
		Protocols:         &only1,
		MaxConnsPerHost:   conns,
		// Without these, all but two connections would be closed after use.
		MaxIdleConns:        4 * conns,
		MaxIdleConnsPerHost: conns,
		// The server keeps them for 30 minutes; routers in between forget
		// them much earlier, and a forgotten one costs an uncertain failure.
		IdleConnTimeout:        2 * time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         64 << 10,
	}
}

// trace finds out whether a failed request can have reached the server.
type trace struct {
	asked, got atomic.Bool
}

func (t *trace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	})
}

// unsent reports whether the request certainly never left: the transport
// looked for a connection and got none. A transport that does not tell is
// assumed to have sent it.
func (t *trace) unsent() bool { return t.asked.Load() && !t.got.Load() }

// gate lets a fixed number of requests through at a time. Waiting here and
// not inside the transport keeps time limits of attempts from running while
// they queue.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

func (g gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }
