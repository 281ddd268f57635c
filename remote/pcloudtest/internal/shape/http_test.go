package shape

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// handler resets, stalls until the client leaves, or takes and gives bytes.
func handler(left chan<- struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/reset", func(w http.ResponseWriter, r *http.Request) {
		FromContext(r.Context()).Reset()
	})
	mux.HandleFunc("/stall", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // net/http watches the connection from then on only
		<-r.Context().Done()
		left <- struct{}{}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Write(make([]byte, n))
	})
	return mux
}

func post(c *http.Client, url string, n int) (int, error) {
	r, err := c.Post(url, "", strings.NewReader(strings.Repeat("x", n)))
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return len(b), err
}

func TestHTTPInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Conditions{RTT: rtt, Down: 1_000_000})
		left := make(chan struct{}, 1)
		srv := &http.Server{Handler: handler(left), ConnContext: ConnContext}
		var wg sync.WaitGroup
		wg.Go(func() { srv.Serve(s.listener) })
		tr := &http.Transport{DialContext: s.net.DialContext}
		client := &http.Client{Transport: tr}

		begin := time.Now()
		n, err := post(client, "http://host:1/", 1_000_000)
		require.NoError(t, err)
		require.Equal(t, 1_000_000, n)
		require.InDelta(t, 1.2, time.Since(begin).Seconds(), 0.02, "handshake, request, a second of data")
		begin = time.Now()
		_, err = post(client, "http://host:1/", 1)
		require.NoError(t, err)
		require.InDelta(t, 0.1, time.Since(begin).Seconds(), 0.001, "the connection is kept")

		_, err = post(client, "http://host:1/reset", 1)
		require.ErrorIs(t, err, syscall.ECONNRESET)

		impatient := &http.Client{Transport: tr, Timeout: time.Second}
		_, err = post(impatient, "http://host:1/stall", 1)
		require.Error(t, err)
		<-left

		tr.CloseIdleConnections()
		require.NoError(t, srv.Close())
		wg.Wait()
	})
}

func TestTLSOverTCP(t *testing.T) {
	t.Parallel()
	s, err := New(Conditions{RTT: 40 * time.Millisecond, ConnUp: 2_000_000})
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(handler(nil))
	srv.Listener = s.Listen(srv.Listener)
	srv.Config.ConnContext = ConnContext
	srv.StartTLS()
	defer s.Close()
	defer srv.Close()
	url := "https://" + srv.Listener.Addr().String()
	client := srv.Client()

	begin := time.Now()
	n, err := post(client, url, 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.GreaterOrEqual(t, time.Since(begin), 120*time.Millisecond, "TCP, TLS 1.3 and the request")

	begin = time.Now()
	n, err = post(client, url, 1_000_000)
	require.NoError(t, err)
	require.Equal(t, 1_000_000, n)
	require.GreaterOrEqual(t, time.Since(begin), 480*time.Millisecond)
	require.Equal(t, int64(1), s.Stats().Connections)
	require.Greater(t, s.Stats().BytesIn, int64(1_000_000))

	_, err = post(client, url+"/reset", 1)
	require.ErrorIs(t, err, syscall.ECONNRESET)

	require.NoError(t, s.SetConditions(Conditions{}))
	_, err = post(client, url+"/reset", 1)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	n, err = post(client, url, 5_000_000)
	require.NoError(t, err)
	require.Equal(t, 5_000_000, n)
}

func TestFromContextOfAnotherConnection(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	require.Nil(t, FromContext(ConnContext(t.Context(), a)))
	require.Nil(t, FromContext(ConnContext(t.Context(), tls.Client(a, &tls.Config{RootCAs: x509.NewCertPool()}))))
}
