package upload

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// pattern is a source of any size that takes no memory.
type pattern int64

func (p pattern) Size() int64 { return int64(p) }

func (p pattern) ReadAt(b []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(b)), int64(p)-off)))
	for i := range b[:n] {
		at := off + int64(i)
		b[i] = byte(at ^ at>>11)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

const mbit = 1e6 / 8

// TestLinkIsFull: where one stream is slower than the link, several fill it.
func TestLinkIsFull(t *testing.T) {
	t.Parallel()
	shape := pcloudtest.Shape{RTT: 50 * time.Millisecond, Up: 25 * mbit, ConnUp: 5 * mbit}
	const size = 32 << 20
	one, most := transferTime(t, shape, 1, size), transferTime(t, shape, 4, size)
	require.Greater(t, one, 3*most)
	require.Less(t, ratio(shape, 4, size, most), 1.1)
}

// ratio compares a time with that of size bytes at full rate.
func ratio(s pcloudtest.Shape, streams int, size int64, d time.Duration) float64 {
	rate := min(s.Up, int64(streams)*s.ConnUp)
	return d.Seconds() * float64(rate) / float64(size)
}

// transferTime returns how long a transfer takes in virtual time.
func transferTime(t testing.TB, shape pcloudtest.Shape, streams int, size int64) (d time.Duration) {
	run := func(t *testing.T) {
		s := newService(t, pcloudtest.Options{Shape: shape}, 0)
		u := New(Options{Remote: s.c, Streams: streams})
		start := time.Now()
		st, err := u.Transfer(context.Background(), pattern(size), State{}, nil, nil)
		require.NoError(t, err)
		_, err = u.Publish(context.Background(), remote.UploadTarget{Name: "big", If: remote.IfNew()}, st)
		require.NoError(t, err)
		d = time.Since(start)
		require.LessOrEqual(t, s.Stats().BytesIn, size+size/100)
	}
	synctest.Test(t.(*testing.T), run)
	return d
}

// TestPrintRatios prints what several streams are worth, in virtual time: run
// it with -v.
func TestPrintRatios(t *testing.T) {
	if testing.Short() || !testing.Verbose() {
		t.Skip("only prints, with -v")
	}
	const size = 256 << 20
	for _, shape := range []pcloudtest.Shape{
		{RTT: 50 * time.Millisecond, Up: 100 * mbit, ConnUp: 20 * mbit},
		{RTT: 50 * time.Millisecond, Up: 100 * mbit},
		{RTT: 50 * time.Millisecond, Up: 1000 * mbit, ConnUp: 300 * mbit},
	} {
		for _, streams := range []int{1, 2, 4, 6} {
			d := transferTime(t, shape, streams, size)
			rate := min(shape.Up, max(shape.ConnUp, 0)*int64(streams))
			if shape.ConnUp == 0 {
				rate = shape.Up
			}
			fmt.Printf("link %4.0f Mbit/s, connection %4.0f: %d streams %7.2fs, %.3f of bytes/bandwidth, %.3f of what the streams may have\n",
				float64(shape.Up)/mbit, float64(shape.ConnUp)/mbit, streams, d.Seconds(),
				d.Seconds()*float64(shape.Up)/size, d.Seconds()*float64(rate)/size)
		}
	}
}
