package shape

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// linger is how long a closed connection goes on sending what it was given.
const linger = 10 * time.Second

// Conn is a server's side of a connection under the conditions of a [Shaper].
//
// As long as there is nothing to imitate it passes calls through. From the
// first call under other conditions on, a goroutine for each direction moves
// data through a delay line; they end with the connection.
type Conn struct {
	inner       net.Conn
	shaper      *Shaper
	established time.Time // the end of the handshake: nothing was sent before

	up, down limiter // of this connection

	in, out               *line
	reading, writing      gate
	readLimit, writeLimit *deadline

	closed chan struct{} // closed by Close or Reset

	mu           sync.Mutex // guards the rest; after Shaper.mu in lock order
	lineIn       bool       // data comes through in
	lineOut      bool       // data goes through out
	lineOutEnded bool       // and nobody sends it any more
	isClosed     bool
}

func newConn(s *Shaper, inner net.Conn, established time.Time) *Conn {
	return &Conn{
		inner: inner, shaper: s, established: established,
		in: newLine(0), out: newLine(0),
		reading: newGate(), writing: newGate(),
		readLimit: newDeadline(), writeLimit: newDeadline(),
		closed: make(chan struct{}),
	}
}

// LocalAddr returns the server's address.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

// Read reads what has arrived from the client.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	return n, c.opError("read", err)
}

func (c *Conn) read(p []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, net.ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.reading.enter(c.readLimit.done()); err != nil {
		return 0, err
	}
	defer c.reading.leave()
	if c.startIn() {
		return c.in.pop(p, c.readLimit.done())
	}
	n, err := c.inner.Read(p)
	c.shaper.bytesIn.Add(int64(n))
	if n > 0 && c.startInWith(p[:n], err) {
		// The conditions were set while this call waited: they hold for what it got.
		return c.in.pop(p, c.readLimit.done())
	}
	return n, err
}

// startIn makes data from the client go through the delay line if the
// conditions ask for it.
func (c *Conn) startIn() bool { return c.startInWith(nil, nil) }

// startInWith does that when first is what was read already, and err the
// error that came with it.
func (c *Conn) startInWith(first []byte, err error) bool {
	cond, _ := c.shaper.now()
	c.mu.Lock()
	if c.lineIn {
		c.mu.Unlock()
		return true
	}
	if c.isClosed || (cond.perfect() && !c.established.After(time.Now())) {
		c.mu.Unlock()
		return false
	}
	c.lineIn = true
	c.inner.SetReadDeadline(time.Time{})
	first = append([]byte(nil), first...)
	c.mu.Unlock()
	if !c.shaper.goroutine(func() { c.receive(first, err) }) {
		c.in.finish(net.ErrClosed, time.Time{})
	}
	return true
}

// receive moves data from the client into the delay line.
func (c *Conn) receive(first []byte, err error) {
	buf := make([]byte, 64<<10)
	n := copy(buf, first)
	for {
		if perr := c.forward(c.in, &c.up, &c.shaper.up, true, buf[:n], nil); perr != nil {
			if !errors.Is(perr, errLeft) {
				return
			}
			// Closed, but sending what is left: a kernel that finds data unread
			// would reset the connection under it.
		}
		if err != nil {
			cond, _ := c.shaper.now()
			c.in.finish(err, c.later(cond))
			return
		}
		n, err = c.inner.Read(buf)
		c.shaper.bytesIn.Add(int64(n))
	}
}

// errLeft is what the writer of a line gets when its reader has closed.
var errLeft = errors.New("reader has left")

// Write queues p for the client. It waits as the rates demand.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.write(p)
	c.shaper.bytesOut.Add(int64(n))
	return n, c.opError("write", err)
}

func (c *Conn) write(p []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, net.ErrClosed
	}
	if err := c.writing.enter(c.writeLimit.done()); err != nil {
		return 0, err
	}
	defer c.writing.leave()
	if !c.startOut() {
		return c.inner.Write(p)
	}
	left := len(p)
	err := c.forward(c.out, &c.down, &c.shaper.down, false, p, &left)
	return len(p) - left, err
}

func (c *Conn) startOut() bool {
	cond, _ := c.shaper.now()
	c.mu.Lock()
	if c.lineOut {
		c.mu.Unlock()
		return true
	}
	if cond.perfect() || c.isClosed {
		c.mu.Unlock()
		return false
	}
	c.lineOut = true
	c.inner.SetWriteDeadline(time.Time{})
	c.mu.Unlock()
	if !c.shaper.goroutine(c.send) {
		c.out.kill(net.ErrClosed)
	}
	return true
}

// send moves data from the delay line to the client, and closes the connection
// after the last of it.
func (c *Conn) send() {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.out.pop(buf, nil)
		if err == nil {
			_, err = c.inner.Write(buf[:n])
		}
		if err != nil {
			c.out.kill(err)
			c.mu.Lock()
			c.lineOutEnded = true
			over := c.isClosed
			c.mu.Unlock()
			if over {
				c.finish()
			}
			return
		}
	}
}

// forward moves p into l, a quantum at a time, as the limiters allow. It
// counts down *left, if given, by what it has moved.
func (c *Conn) forward(l *line, own, shared *limiter, inward bool, p []byte, left *int) error {
	expired := c.writeLimit.done()
	if inward {
		expired = nil
	}
	for len(p) > 0 {
		cond, changed := c.shaper.now()
		q := quantum(cond.ConnDown, cond.Down)
		window := c.window(cond.ConnDown, cond.Down, cond.RTT)
		if inward {
			q = quantum(cond.ConnUp, cond.Up)
			window = c.window(cond.ConnUp, cond.Up, cond.RTT)
		}
		q = min(q, len(p))
		again, err := c.wait(own.reserve(q), changed, expired)
		if err == nil && !again {
			again, err = c.wait(shared.reserve(q), changed, expired)
		}
		if err != nil {
			return err
		}
		if again {
			continue
		}
		n, err := l.push(p[:q], c.later(cond), window, expired)
		p = p[n:]
		if left != nil {
			*left -= n
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// window bounds what is in flight in one direction: twice what the rate puts
// there.
func (c *Conn) window(conn, total int64, rtt time.Duration) int {
	const smallest, largest = 256 << 10, 8 << 20
	r := conn
	if r == 0 || (total > 0 && total < r) {
		r = total
	}
	switch {
	case rtt == 0:
		return smallest
	case r == 0:
		return largest
	}
	return int(min(max(float64(r)*rtt.Seconds(), smallest), largest))
}

// later is when data that is sent now arrives.
func (c *Conn) later(cond Conditions) time.Time {
	t := time.Now()
	if t.Before(c.established) {
		t = c.established
	}
	return t.Add(cond.RTT / 2)
}

// wait waits until t. It returns true when the conditions changed meanwhile.
func (c *Conn) wait(t time.Time, changed, expired <-chan struct{}) (bool, error) {
	d := time.Until(t)
	if d <= 0 {
		return false, nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case <-changed:
		return true, nil
	case <-expired:
		return false, os.ErrDeadlineExceeded
	case <-c.closed:
		return false, errLeft
	}
}

// Close closes the connection. What was written is still sent, in the
// background and for a limited time.
func (c *Conn) Close() error {
	if !c.markClosed() {
		return c.opError("close", net.ErrClosed)
	}
	c.in.leave(net.ErrClosed, errLeft)
	c.mu.Lock()
	drain := c.lineOut && !c.lineOutEnded
	c.mu.Unlock()
	if !drain {
		return c.finish()
	}
	c.inner.SetWriteDeadline(time.Now().Add(linger))
	c.out.finish(io.EOF, time.Time{}) // send closes the connection after it
	return nil
}

// Reset breaks the connection at once: what is in flight is lost, and the
// client sees a reset rather than an end.
func (c *Conn) Reset() error {
	first := c.markClosed()
	// Before the lines end: send would close in the ordinary way.
	switch i := c.inner.(type) {
	case interface{ SetLinger(sec int) error }: // *net.TCPConn
		i.SetLinger(0)
	case interface{ Reset() error }:
		i.Reset()
	}
	c.in.kill(net.ErrClosed)
	c.out.kill(net.ErrClosed)
	err := c.finish()
	if !first {
		return nil
	}
	return err
}

// markClosed returns false if the connection was closed before.
func (c *Conn) markClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed {
		return false
	}
	c.isClosed = true
	close(c.closed)
	return true
}

// finish closes the inner connection and gives up what belongs to this one.
func (c *Conn) finish() error {
	c.readLimit.stop()
	c.writeLimit.stop()
	c.shaper.forget(c)
	return c.inner.Close()
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline ends reads that wait at t.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(t, c.readLimit, &c.lineIn, c.inner.SetReadDeadline)
}

// SetWriteDeadline ends writes that wait at t.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(t, c.writeLimit, &c.lineOut, c.inner.SetWriteDeadline)
}

func (c *Conn) setDeadline(t time.Time, d *deadline, viaLine *bool, inner func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed {
		return c.opError("set", net.ErrClosed)
	}
	d.set(t)
	if *viaLine {
		return nil // the line's goroutine uses the inner connection without a limit
	}
	return inner(t)
}

// opError makes err what callers of a net.Conn expect.
func (c *Conn) opError(op string, err error) error {
	var op2 *net.OpError
	switch {
	case err == nil, err == io.EOF, errors.As(err, &op2):
		return err
	case errors.Is(err, errLeft):
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
