package shape

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// shaped is a listener under conditions on a network of its own.
type shaped struct {
	*Shaper
	net      Network
	listener net.Listener
}

func start(t *testing.T, c Conditions) *shaped {
	t.Helper()
	s, err := New(c)
	require.NoError(t, err)
	w := &shaped{Shaper: s}
	inner, err := w.net.Listen("host:1")
	require.NoError(t, err)
	w.listener = s.Listen(inner)
	t.Cleanup(func() {
		w.listener.Close()
		s.Close()
	})
	return w
}

func (s *shaped) pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	client, server = pair(t, &s.net, s.listener)
	t.Cleanup(func() { client.Close() })
	return client, server
}

func echo(c net.Conn, size int) {
	buf := make([]byte, size)
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			c.Close()
			return
		}
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

func ask(t *testing.T, c net.Conn, size int) {
	t.Helper()
	_, err := c.Write(make([]byte, size))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, size))
	require.NoError(t, err)
}

const rtt = 100 * time.Millisecond

func TestHandshakeAndRequestCostOneRoundTripEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt})
		begin := time.Now()
		client, err := s.net.DialContext(t.Context(), "tcp", "host:1")
		require.NoError(t, err)
		defer client.Close()
		go func() {
			c, err := s.listener.Accept()
			if err == nil {
				echo(c, 10)
			}
		}()
		ask(t, client, 10) // sent before the handshake is over, counts as sent after it
		require.Equal(t, 2*rtt, time.Since(begin))
		ask(t, client, 10)
		require.Equal(t, 3*rtt, time.Since(begin))
	})
}

func TestHandshakesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt})
		begin := time.Now()
		for range 5 {
			c, err := s.net.DialContext(t.Context(), "tcp", "host:1")
			require.NoError(t, err)
			defer c.Close()
		}
		for range 5 {
			_, err := s.listener.Accept()
			require.NoError(t, err)
		}
		require.Equal(t, rtt, time.Since(begin))
		require.Equal(t, int64(5), s.Stats().Connections)
		require.Equal(t, 5, s.Stats().Open)
	})
}

func TestDelayDoesNotLimitThroughput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt})
		client, server := s.pair(t)
		go echo(server, 10)
		ask(t, client, 10)
		begin := time.Now()
		const requests = 100 // pipelined
		go client.Write(make([]byte, 10*requests))
		_, err := io.ReadFull(client, make([]byte, 10*requests))
		require.NoError(t, err)
		require.Equal(t, rtt, time.Since(begin))
	})
}

// transfer sends size bytes on each of the connections at once and returns how
// long each took.
func transfer(t *testing.T, size int, from, to []net.Conn) []time.Duration {
	t.Helper()
	begin := time.Now()
	took := make([]time.Duration, len(from))
	var wg sync.WaitGroup
	for i := range from {
		wg.Go(func() { from[i].Write(make([]byte, size)) })
		wg.Go(func() {
			n, _ := io.ReadFull(to[i], make([]byte, size))
			if n == size {
				took[i] = time.Since(begin)
			}
		})
	}
	wg.Wait()
	return took
}

func TestRates(t *testing.T) {
	t.Parallel()
	const mbit20 = 20_000_000 / 8
	for name, test := range map[string]struct {
		cond  Conditions
		conns int
		up    bool
		want  time.Duration // for a second's worth of 20 Mbit/s on every connection
	}{
		"down in total, one connection":      {Conditions{Down: mbit20}, 1, false, time.Second},
		"down in total, shared fairly":       {Conditions{Down: mbit20}, 4, false, 4 * time.Second},
		"down per connection":                {Conditions{ConnDown: mbit20}, 3, false, time.Second},
		"down per connection and in total":   {Conditions{ConnDown: mbit20, Down: 2 * mbit20}, 4, false, 2 * time.Second},
		"up in total, one connection":        {Conditions{Up: mbit20}, 1, true, time.Second},
		"up in total, shared fairly":         {Conditions{Up: mbit20}, 4, true, 4 * time.Second},
		"up per connection":                  {Conditions{ConnUp: mbit20}, 3, true, time.Second},
		"rate and round-trip time":           {Conditions{RTT: 200 * time.Millisecond, Down: mbit20}, 1, false, 1100 * time.Millisecond},
		"the other direction is not limited": {Conditions{Up: 1000, ConnUp: 1000}, 2, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, test.cond)
				clients, servers := make([]net.Conn, test.conns), make([]net.Conn, test.conns)
				for i := range clients {
					clients[i], servers[i] = s.pair(t)
				}
				from, to := servers, clients
				if test.up {
					from, to = clients, servers
				}
				for _, took := range transfer(t, mbit20, from, to) {
					require.InDelta(t, test.want.Seconds(), took.Seconds(), 0.03*test.want.Seconds()+0.001)
				}
				stats := s.Stats()
				moved := int64(test.conns * mbit20)
				if test.up {
					require.Equal(t, [2]int64{moved, 0}, [2]int64{stats.BytesIn, stats.BytesOut})
				} else {
					require.Equal(t, [2]int64{0, moved}, [2]int64{stats.BytesIn, stats.BytesOut})
				}
				s.ResetStats()
				require.Equal(t, Stats{Open: test.conns}, s.Stats())
			})
		})
	}
}

func TestConditionsCanChangeAtAnyTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{})
		client, server := s.pair(t)
		go echo(server, 10)
		begin := time.Now()
		ask(t, client, 10)
		require.Zero(t, time.Since(begin))
		synctest.Wait() // the server waits for the next request

		require.NoError(t, s.SetConditions(Conditions{RTT: rtt}))
		ask(t, client, 10)
		require.Equal(t, rtt, time.Since(begin), "a read that was already waiting is delayed as well")

		require.NoError(t, s.SetConditions(Conditions{Down: 1})) // 10 bytes would take 10 s
		begin = time.Now()
		time.AfterFunc(time.Second, func() { s.SetConditions(Conditions{}) })
		ask(t, client, 10)
		require.Equal(t, time.Second, time.Since(begin))

		require.Error(t, s.SetConditions(Conditions{Up: -1}))
		require.Equal(t, Conditions{}, s.Conditions())
	})
}

func TestReadDeadlineLosesNothing(t *testing.T) {
	t.Parallel()
	for name, cond := range map[string]Conditions{"perfect": {}, "shaped": {RTT: rtt, Up: 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, cond)
				client, server := s.pair(t)
				begin := time.Now()
				require.NoError(t, server.SetReadDeadline(begin.Add(10*time.Millisecond)))
				_, err := server.Read(make([]byte, 10))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				var ne net.Error
				require.True(t, errors.As(err, &ne) && ne.Timeout())
				require.Equal(t, 10*time.Millisecond, time.Since(begin))

				client.Write([]byte("hello"))
				require.NoError(t, server.SetReadDeadline(time.Unix(1, 0))) // as net/http ends its background read
				_, err = server.Read(make([]byte, 10))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)

				require.NoError(t, server.SetReadDeadline(time.Time{}))
				got := make([]byte, 5)
				_, err = io.ReadFull(server, got)
				require.NoError(t, err)
				require.Equal(t, "hello", string(got))
				server.Close()
			})
		})
	}
}

func TestWriteDeadline(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cond Conditions
		want int
	}{
		"perfect":     {Conditions{}, memBuffer},
		"slow":        {Conditions{Down: 10000}, 10000},
		"no reader":   {Conditions{RTT: rtt}, memBuffer + 8<<20},
		"both limits": {Conditions{Down: 20000, ConnDown: 10000}, 10000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, test.cond)
				_, server := s.pair(t)
				require.NoError(t, server.SetWriteDeadline(time.Now().Add(time.Second)))
				n, err := server.Write(make([]byte, 10<<20))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.InDelta(t, test.want, n, 70<<10)
				if test.cond.Down > 0 {
					require.InDelta(t, test.want, n, 600)
				}
			})
		})
	}
}

func TestCloseSendsWhatWasWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt})
		client, server := s.pair(t)
		client.Write([]byte("never read"))
		data := bytes.Repeat([]byte("x"), 1<<20)
		begin := time.Now()
		_, err := server.Write(data)
		require.NoError(t, err)
		require.NoError(t, server.Close())
		require.Zero(t, time.Since(begin), "neither waits for the client")
		_, err = server.Write(data)
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = server.Read(data)
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, server.Close(), net.ErrClosed)
		got, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Len(t, got, len(data))
		require.Equal(t, rtt/2, time.Since(begin))
		synctest.Wait()
		require.Zero(t, s.Stats().Open)
	})
}

func TestCloseGivesUpOnAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt})
		_, server := s.pair(t)
		server.Write(make([]byte, 1<<20))
		server.Close()
		<-time.After(linger + rtt)
		synctest.Wait()
		require.Zero(t, s.Stats().Open)
	})
}

func TestCloseEndsWaitingCalls(t *testing.T) {
	t.Parallel()
	for name, cond := range map[string]Conditions{"perfect": {}, "delayed": {RTT: rtt}, "slow": {Down: 100}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, cond)
				_, server := s.pair(t)
				errs := make(chan error, 2)
				go func() {
					_, err := server.Read(make([]byte, 1))
					errs <- err
				}()
				go func() {
					_, err := server.Write(make([]byte, 20<<20))
					errs <- err
				}()
				synctest.Wait()
				server.Close()
				require.ErrorIs(t, <-errs, net.ErrClosed)
				require.Error(t, <-errs)
			})
		})
	}
}

func TestCloseDoesNotWaitForTheClientsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt})
		client, server := s.pair(t)
		got := make(chan error, 1)
		go func() {
			_, err := server.Read(make([]byte, 1))
			got <- err
		}()
		synctest.Wait()
		begin := time.Now()
		client.Close() // arrives half a round trip later
		synctest.Wait()
		server.Close()
		require.ErrorIs(t, <-got, net.ErrClosed)
		require.Zero(t, time.Since(begin))
	})
}

func TestClientsEndArrivesAfterItsData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt, Up: 1000})
		client, server := s.pair(t)
		begin := time.Now()
		client.Write(make([]byte, 1000))
		client.Close()
		got, err := io.ReadAll(server)
		require.NoError(t, err)
		require.Len(t, got, 1000)
		require.InDelta(t, 1.05, time.Since(begin).Seconds(), 0.001)
		server.Write([]byte("x"))
		synctest.Wait()
		<-time.After(rtt)
		_, err = server.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		server.Close()
		require.Zero(t, s.Stats().Open)
	})
}

func TestReset(t *testing.T) {
	t.Parallel()
	for name, cond := range map[string]Conditions{"perfect": {}, "shaped": {RTT: rtt, Down: 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, cond)
				client, server := s.pair(t)
				server.Write([]byte("lost"))
				require.NoError(t, server.(*Conn).Reset())
				_, err := client.Read(make([]byte, 4))
				require.ErrorIs(t, err, syscall.ECONNRESET)
				_, err = server.Write([]byte("x"))
				require.ErrorIs(t, err, net.ErrClosed)
				require.NoError(t, server.(*Conn).Reset(), "twice does no harm")
				synctest.Wait()
				require.Zero(t, s.Stats().Open)
			})
		})
	}
}

func TestShaperCloseEndsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt, Down: 1000})
		client, server := s.pair(t)
		draining, drained := s.pair(t)
		drained.Write(make([]byte, 100))
		drained.Close()
		go echo(server, 10)
		client.Write(make([]byte, 25))
		synctest.Wait()
		require.NoError(t, s.Close())
		for _, c := range []net.Conn{client, draining} {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}
		late, err := s.net.DialContext(t.Context(), "tcp", "host:1")
		require.NoError(t, err)
		_, err = late.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "new connections are closed")
		require.Zero(t, s.Stats().Open)
	})
}

func TestListenerCloseDropsHandshakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: time.Hour / 60})
		c, err := s.net.DialContext(t.Context(), "tcp", "host:1")
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, s.listener.Close())
		require.NoError(t, s.listener.Close())
		_, err = s.listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}
