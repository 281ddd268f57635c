package shape

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Shaper applies conditions to the connections of all its listeners. Its
// methods may be called concurrently.
type Shaper struct {
	up, down limiter // of all connections together

	bytesIn, bytesOut, accepted atomic.Int64

	mu      sync.Mutex // guards the rest; taken before the locks of a conn
	cond    Conditions
	changed chan struct{} // closed when cond is replaced
	conns   map[*Conn]struct{}
	closed  bool

	wg sync.WaitGroup // goroutines of connections
}

// Stats are counts since the last reset; Open is a state.
type Stats struct {
	BytesIn, BytesOut int64 // what connections carried, TLS included; In is from clients
	Connections       int64 // accepted
	Open              int
}

// New returns a shaper with the given conditions, which must be valid.
func New(c Conditions) (*Shaper, error) {
	s := &Shaper{changed: make(chan struct{}), conns: make(map[*Conn]struct{})}
	if err := s.SetConditions(c); err != nil {
		return nil, err
	}
	return s, nil
}

// SetConditions replaces the conditions, for open connections too. Data that
// is already in flight keeps its time.
func (s *Shaper) SetConditions(c Conditions) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("network conditions: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cond = c
	s.up.setRate(c.Up)
	s.down.setRate(c.Down)
	for conn := range s.conns {
		conn.up.setRate(c.ConnUp)
		conn.down.setRate(c.ConnDown)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// Conditions returns the present conditions.
func (s *Shaper) Conditions() Conditions {
	c, _ := s.now()
	return c
}

// now returns the conditions and a channel that is closed when they change.
func (s *Shaper) now() (Conditions, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cond, s.changed
}

// Stats returns the counters.
func (s *Shaper) Stats() Stats {
	s.mu.Lock()
	open := len(s.conns)
	s.mu.Unlock()
	return Stats{
		BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
		Connections: s.accepted.Load(), Open: open,
	}
}

// ResetStats sets the counters to zero.
func (s *Shaper) ResetStats() {
	s.bytesIn.Store(0)
	s.bytesOut.Store(0)
	s.accepted.Store(0)
}

// Close resets every connection and waits for their goroutines. Listeners are
// closed by their owners, before or after.
func (s *Shaper) Close() error {
	s.mu.Lock()
	s.closed = true
	open := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.Reset()
	}
	s.wg.Wait()
	return nil
}

// conn wraps an accepted connection, or closes it when the shaper is closed.
func (s *Shaper) conn(inner net.Conn) (*Conn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		inner.Close()
		return nil, false
	}
	c := newConn(s, inner, time.Now().Add(s.cond.RTT))
	c.up.setRate(s.cond.ConnUp)
	c.down.setRate(s.cond.ConnDown)
	s.conns[c] = struct{}{}
	s.accepted.Add(1)
	return c, true
}

func (s *Shaper) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// goroutine runs f so that Close waits for it; false when it is too late.
func (s *Shaper) goroutine(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

type connKey struct{}

// ConnContext is for [http.Server.ConnContext]: handlers can then reach their
// connection with [FromContext].
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		c = t.NetConn()
	}
	if sc, ok := c.(*Conn); ok {
		return context.WithValue(ctx, connKey{}, sc)
	}
	return ctx
}

// FromContext returns the connection that a request came in on, or nil.
func FromContext(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}
