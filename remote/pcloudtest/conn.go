package pcloudtest

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/shape"
)

// conn is a client's connection, after TLS, with what sticks to it.
type conn struct {
	net.Conn
	shaped *shape.Conn

	mu      sync.Mutex // guards the rest; a leaf
	who     *identity  // with Quirks.StickyConnection
	filters *style     // likewise: the last filtermeta
	pending bool       // the next request has begun to arrive
	waiter  chan struct{}
}

// Read notes when a byte of the next request arrives: that ends a blocked
// diff (pCloud API 11.1). While a handler runs, net/http looks for the end of
// the connection by reading a single byte; its other reads are larger. A
// request that arrived together with the one before it is not noticed.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.mu.Lock()
		c.pending = len(p) == 1
		if c.pending && c.waiter != nil {
			close(c.waiter)
			c.waiter = nil
		}
		c.mu.Unlock()
	}
	return n, err
}

// nextRequest returns a channel that is closed when the next request begins
// to arrive.
func (c *conn) nextRequest() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending {
		done := make(chan struct{})
		close(done)
		return done
	}
	if c.waiter == nil {
		c.waiter = make(chan struct{})
	}
	return c.waiter
}

func (c *conn) identity() *identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who
}

func (c *conn) setIdentity(who *identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.who = who
}

// restoreFilters puts the last filters of the connection into st, and
// keepFilters remembers those of st.
func (c *conn) restoreFilters(st *style) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.filters != nil {
		st.keepFile, st.keepFolder = c.filters.keepFile, c.filters.keepFolder
	}
}

func (c *conn) keepFilters(st style) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filters = &st
}

// reset breaks the connection so that the client sees a reset.
func (c *conn) reset() { c.shaped.Reset() }

// close ends the connection after what was written so far.
func (c *conn) close() { c.Close() }

// listener hands out connections as *conn.
type listener struct {
	net.Listener             // of a shape.Shaper
	tls          *tls.Config // nil: no TLS
}

// Accept does not wait for the TLS handshake, which the connection does on
// its first read.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner}
	c.shaped, _ = inner.(*shape.Conn)
	if l.tls != nil {
		c.Conn = tls.Server(inner, l.tls)
	}
	return c, nil
}

type connKey struct{}

// withConn lets handlers find their connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection that a request came in on.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
