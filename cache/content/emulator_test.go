package content

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// newService returns a server with one file of these bytes, and a client.
func newService(t *testing.T, o pcloudtest.Options, data []byte) (*pcloudtest.Server, *remote.Client, remote.Entry) {
	t.Helper()
	o.InProcess = true
	s := pcloudtest.New(t, o)
	require.NoError(t, s.WriteFile("/Applications/pcloudfs/file", data, time.Now()))
	tr := s.Transport()
	c, err := remote.New(remote.Options{
		Host: s.APIAddr(), TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: s.AppToken()}), Transport: tr,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		tr.CloseIdleConnections()
	})
	f, err := c.List(t.Context(), remote.RootFolder)
	require.NoError(t, err)
	return s, c, f.Contents[0]
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// TestEmulatorFaults reads through every fault of content hosts, sequentially
// and at random at once. The client may repeat; the bytes have to be right.
func TestEmulatorFaults(t *testing.T) {
	t.Parallel()
	for _, rule := range []pcloudtest.Rule{
		{Method: "content", Do: "expired-link", Prob: 0.2},
		{Method: "content", Do: "truncate", Prob: 0.2, After: 5000},
		{Method: "content", Do: "reset-after", Prob: 0.2},
		{Method: "content", Do: "reset-before", Prob: 0.2},
		{Method: "content", Do: "http", Code: 503, Prob: 0.2},
		{Method: "content", Do: "stall", Delay: 5 * time.Minute, Prob: 0.05},
		{Method: "getfilelink", Do: "api", Code: 5002, Prob: 0.2},
	} {
		synctest.Test(t, func(t *testing.T) {
			data := randomBytes(3<<20 + 17)
			srv, c, e := newService(t, pcloudtest.Options{Shape: pcloudtest.Shape{RTT: 20 * time.Millisecond}}, data)
			require.NoError(t, srv.SetFaults([]pcloudtest.Rule{rule}))
			s := newStore(t, Options{Fetch: c, MaxBytes: 2 << 20})
			check := func(off int64, n int, ra *Readahead) {
				p := make([]byte, n)
				m, err := s.ReadAt(t.Context(), Key{e.FileID, e.Hash}, e.Size, p, off, ra)
				if err != nil || !bytes.Equal(p[:m], data[off:min(off+int64(n), e.Size)]) {
					t.Errorf("%s: %d bytes at %d: %v", rule.Do, m, off, err)
				}
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				var ra Readahead
				defer ra.Stop()
				for off := int64(0); off < e.Size; off += 100_000 {
					check(off, 100_000, &ra)
				}
			})
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(3, 3))
				for range 20 {
					check(rnd.Int64N(e.Size), 1+rnd.IntN(70_000), nil)
				}
			})
			wg.Wait()
		})
	}
}

// TestEmulatorThroughput reads at 50 ms, 20 Mbit/s per connection and 100 Mbit/s
// in all, and has to use nine tenths of that.
func TestEmulatorThroughput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		data := randomBytes(64 << 20)
		shape := pcloudtest.Shape{RTT: 50 * time.Millisecond, ConnDown: 20e6 / 8, Down: 100e6 / 8}
		_, c, e := newService(t, pcloudtest.Options{Shape: shape}, data)
		s := newStore(t, Options{Fetch: c})
		var ra Readahead
		defer ra.Stop()
		start := time.Now()
		p := make([]byte, 128<<10)
		for off := int64(0); off < e.Size; off += int64(len(p)) {
			n, err := s.ReadAt(t.Context(), Key{e.FileID, e.Hash}, e.Size, p, off, &ra)
			require.NoError(t, err)
			require.True(t, bytes.Equal(p[:n], data[off:off+int64(n)]))
		}
		took := time.Since(start)
		ideal := time.Duration(float64(e.Size) / (100e6 / 8) * float64(time.Second))
		t.Logf("%v, at the full rate %v: %.2f", took, ideal, ideal.Seconds()/took.Seconds())
		require.Less(t, took.Seconds(), ideal.Seconds()/0.9)
	})
}
