package upload

import (
	"flag"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

var benchSize = flag.Int64("upload.benchsize", 256<<20, "bytes to send in benchmarks")

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
	times := make(map[int]time.Duration)
	for _, streams := range []int{1, 4, 6} {
		synctest.Test(t, func(t *testing.T) { times[streams] = sendPattern(t, shape, streams, size) })
		require.Less(t, ratio(shape, streams, size, times[streams]), 1.1, "%d streams", streams)
	}
	require.Greater(t, times[1], 3*times[4])
}

// ratio compares a time with what size bytes need at the rate that so many
// connections have together.
func ratio(s pcloudtest.Shape, streams int, size int64, d time.Duration) float64 {
	rate := s.Up
	if s.ConnUp > 0 {
		rate = min(rate, int64(streams)*s.ConnUp)
	}
	return d.Seconds() * float64(rate) / float64(size)
}

// sendPattern returns how long a file of size bytes takes, from nothing to its
// name.
func sendPattern(t testing.TB, shape pcloudtest.Shape, streams int, size int64) time.Duration {
	s := newService(t, pcloudtest.Options{Shape: shape}, 0)
	u := New(Options{Remote: s.c, Streams: streams})
	start := time.Now()
	st, err := u.Transfer(t.Context(), pattern(size), State{}, nil, nil)
	require.NoError(t, err)
	_, err = u.Publish(t.Context(), remote.UploadTarget{Name: "big", If: remote.IfNew()}, st)
	require.NoError(t, err)
	d := time.Since(start)
	require.LessOrEqual(t, s.Stats().BytesIn, size+size/100)
	return d
}

// BenchmarkStreams reports how the time of one file compares with size divided
// by the bandwidth of the link ("of-link"), and of what its connections may
// have ("of-streams"). It takes its real time: use -benchtime=1x.
func BenchmarkStreams(b *testing.B) {
	for _, shape := range []pcloudtest.Shape{
		{RTT: 50 * time.Millisecond, Up: 100 * mbit, ConnUp: 20 * mbit},
		{RTT: 50 * time.Millisecond, Up: 100 * mbit},
		{RTT: 50 * time.Millisecond, Up: 1000 * mbit, ConnUp: 200 * mbit},
	} {
		for _, streams := range []int{1, 4, 6} {
			b.Run(fmt.Sprintf("link=%v/conn=%v/streams=%d", shape.Up/mbit, shape.ConnUp/mbit, streams), func(b *testing.B) {
				var d time.Duration
				for b.Loop() {
					d += sendPattern(b, shape, streams, *benchSize)
				}
				d /= time.Duration(b.N)
				b.SetBytes(*benchSize)
				b.ReportMetric(d.Seconds()*float64(shape.Up)/float64(*benchSize), "of-link")
				b.ReportMetric(ratio(shape, streams, *benchSize, d), "of-streams")
			})
		}
	}
}
