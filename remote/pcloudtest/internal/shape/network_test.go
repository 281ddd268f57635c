package shape

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pair returns a client's and a server's end that met through listen.
func pair(t *testing.T, n *Network, l net.Listener) (client, server net.Conn) {
	t.Helper()
	got := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			c = nil
		}
		got <- c
	}()
	client, err := n.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	server = <-got
	require.NotNil(t, server)
	return client, server
}

func memPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	var n Network
	l, err := n.Listen("host:1")
	require.NoError(t, err)
	defer l.Close()
	return pair(t, &n, l)
}

func TestNetworkCarriesDataBothWays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := memPair(t)
		data := bytes.Repeat([]byte("0123456789abcdef"), 3*memBuffer/16)
		go func() {
			client.Write(data)
			client.(*memConn).CloseWrite()
		}()
		got, err := io.ReadAll(server)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))

		_, err = server.Write([]byte("bye"))
		require.NoError(t, err, "the other direction is open")
		require.NoError(t, server.Close())
		got, err = io.ReadAll(client)
		require.NoError(t, err)
		require.Equal(t, "bye", string(got))
		_, err = client.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, client.Close())
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestNetworkWriteWaitsForTheReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := memPair(t)
		require.NoError(t, client.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := client.Write(make([]byte, 2*memBuffer))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, memBuffer, n)
		client.Close()
		server.Close()
	})
}

func TestNetworkDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := memPair(t)
		defer client.Close()
		defer server.Close()
		buf := make([]byte, 1)
		start := time.Now()
		require.NoError(t, client.SetReadDeadline(start.Add(time.Second)))
		time.AfterFunc(500*time.Millisecond, func() { client.SetReadDeadline(start.Add(3 * time.Second)) })
		_, err := client.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var ne net.Error
		require.True(t, errors.As(err, &ne) && ne.Timeout())
		require.Equal(t, 3*time.Second, time.Since(start), "a deadline can be moved while a read waits")

		server.Write([]byte("x"))
		_, err = client.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "also when there is data")
		require.NoError(t, client.SetReadDeadline(time.Time{}))
		n, err := client.Read(buf)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

func TestNetworkReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := memPair(t)
		server.Write([]byte("lost"))
		waiting := make(chan error, 1)
		go func() {
			_, err := client.Write(make([]byte, 2*memBuffer))
			waiting <- err
		}()
		synctest.Wait()
		server.(*memConn).Reset()
		require.ErrorIs(t, <-waiting, syscall.ECONNRESET)
		_, err := client.Read(make([]byte, 9))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = server.Read(make([]byte, 9))
		require.ErrorIs(t, err, net.ErrClosed)
		client.Close()
	})
}

func TestNetworkAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n Network
		_, err := n.DialContext(t.Context(), "tcp", "nobody:1")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		l, err := n.Listen("a:1")
		require.NoError(t, err)
		_, err = n.Listen("a:1")
		require.ErrorIs(t, err, syscall.EADDRINUSE)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = n.DialContext(ctx, "tcp", "a:1")
		require.ErrorIs(t, err, context.DeadlineExceeded, "nobody accepts")
		require.NoError(t, l.Close())
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = n.DialContext(t.Context(), "tcp", "a:1")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		l, err = n.Listen("a:1")
		require.NoError(t, err, "the address is free again")
		l.Close()
	})
}
