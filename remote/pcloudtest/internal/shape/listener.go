package shape

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Listen returns a listener whose connections have the conditions of s. The
// listener owns inner and closes it. Closing it ends its goroutines and drops
// the connections that were not accepted yet, but not the accepted ones.
func (s *Shaper) Listen(inner net.Listener) net.Listener {
	l := &listener{Listener: inner, shaper: s, ready: make(chan accepted), closed: make(chan struct{})}
	l.wg.Go(l.run)
	return l
}

type listener struct {
	net.Listener
	shaper *Shaper
	ready  chan accepted

	once   sync.Once
	closed chan struct{}
	wg     sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

// run takes connections from the inner listener, each of which waits for its
// handshake on its own.
func (l *listener) run() {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			if !l.deliver(accepted{err: err}) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		c, ok := l.shaper.conn(inner)
		if !ok {
			continue
		}
		l.wg.Go(func() {
			if !l.handshake(c) || !l.deliver(accepted{conn: c}) {
				c.Reset()
			}
		})
	}
}

func (l *listener) handshake(c *Conn) bool {
	wait := time.Until(c.established)
	if wait <= 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.closed:
		return false
	case <-c.closed:
		return false
	}
}

func (l *listener) deliver(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.closed:
		return false
	}
}

// Accept waits for a connection whose handshake is over.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close stops listening. It may be called more than once.
func (l *listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
		l.wg.Wait()
	})
	return err
}
