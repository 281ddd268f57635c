package shape

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// memBuffer is what each direction of a connection in memory holds.
const memBuffer = 64 << 10

// Network is a network inside the process: addresses are any strings, and
// connections are buffers in memory. All waiting is on channels, durable in
// the sense of testing/synctest. The zero value is ready for use.
type Network struct {
	mu        sync.Mutex // guards listeners; a leaf
	listeners map[string]*memListener
}

// Listen opens an address of the network.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.listeners[addr]; ok {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: memAddr(addr), Err: syscall.EADDRINUSE}
	}
	if n.listeners == nil {
		n.listeners = make(map[string]*memListener)
	}
	l := &memListener{network: n, addr: memAddr(addr), dialled: make(chan *memConn), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// DialContext connects to an address; it is for [http.Transport.DialContext].
// It returns when the listener has accepted the connection.
func (n *Network) DialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "mem", Addr: memAddr(addr), Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	client, server := memPipe(memAddr("client"), l.addr)
	select {
	case l.dialled <- server:
		return client, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: l.addr, Err: ctx.Err()}
	}
}

func (n *Network) remove(l *memListener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.listeners, string(l.addr))
}

type memAddr string

func (memAddr) Network() string  { return "mem" }
func (a memAddr) String() string { return string(a) }

type memListener struct {
	network *Network
	addr    memAddr
	dialled chan *memConn
	once    sync.Once
	closed  chan struct{}
}

func (l *memListener) Addr() net.Addr { return l.addr }

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dialled:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() {
		l.network.remove(l)
		close(l.closed)
	})
	return nil
}

// memConn is one end of a connection in memory.
type memConn struct {
	local, remote         memAddr
	in, out               *line
	reading, writing      gate
	readLimit, writeLimit *deadline
	once                  sync.Once
	closed                chan struct{}
}

// memPipe returns the two ends of a new connection.
func memPipe(a, b memAddr) (*memConn, *memConn) {
	ab, ba := newLine(memBuffer), newLine(memBuffer)
	end := func(local, remote memAddr, in, out *line) *memConn {
		return &memConn{
			local: local, remote: remote, in: in, out: out,
			reading: newGate(), writing: newGate(),
			readLimit: newDeadline(), writeLimit: newDeadline(),
			closed: make(chan struct{}),
		}
	}
	return end(a, b, ba, ab), end(b, a, ab, ba)
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) Read(p []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, c.opError("read", net.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	expired := c.readLimit.done()
	if err := c.reading.enter(expired); err != nil {
		return 0, c.opError("read", err)
	}
	defer c.reading.leave()
	n, err := c.in.pop(p, expired)
	return n, c.opError("read", err)
}

func (c *memConn) Write(p []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, c.opError("write", net.ErrClosed)
	}
	expired := c.writeLimit.done()
	if err := c.writing.enter(expired); err != nil {
		return 0, c.opError("write", err)
	}
	defer c.writing.leave()
	total := 0
	for total < len(p) {
		n, err := c.out.push(p[total:], time.Time{}, 0, expired)
		total += n
		if err != nil {
			return total, c.opError("write", err)
		}
	}
	return total, nil
}

// Close ends the connection: the other end can still read what was written.
func (c *memConn) Close() error {
	c.end(func() {
		c.out.finish(io.EOF, time.Time{})
		c.in.leave(net.ErrClosed, syscall.EPIPE)
	})
	return nil
}

// CloseWrite ends the direction from this end to the other.
func (c *memConn) CloseWrite() error {
	c.out.finish(io.EOF, time.Time{})
	return nil
}

// Reset breaks the connection: the other end gets ECONNRESET at once.
func (c *memConn) Reset() error {
	c.end(func() {
		c.out.kill(syscall.ECONNRESET)
		c.in.kill(syscall.ECONNRESET)
	})
	return nil
}

func (c *memConn) end(f func()) {
	c.once.Do(func() {
		close(c.closed)
		f()
		c.readLimit.stop()
		c.writeLimit.stop()
	})
}

func (c *memConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *memConn) SetReadDeadline(t time.Time) error  { return c.setDeadline(c.readLimit, t) }
func (c *memConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(c.writeLimit, t) }

func (c *memConn) setDeadline(d *deadline, t time.Time) error {
	if isClosed(c.closed) {
		return c.opError("set", net.ErrClosed)
	}
	d.set(t)
	return nil
}

func (c *memConn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if isClosed(c.closed) {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
}
