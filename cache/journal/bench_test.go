package journal

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func BenchmarkCommit(b *testing.B) {
	j := open(b, b.TempDir(), Options{})
	for b.Loop() {
		in := Intent{Seq: j.NextSeq(), Op: OpMkdir, Node: j.NextNode(), Parent: 1, Name: "a folder"}
		require.NoError(b, j.Commit(Change{Put: []Intent{in}}))
		require.NoError(b, j.Commit(Change{Delete: []uint64{in.Seq}}))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(2*b.N), "µs/commit")
}

// BenchmarkCommitParallel is how long a commit takes for 16 writers at a time.
func BenchmarkCommitParallel(b *testing.B) {
	j := open(b, b.TempDir(), Options{})
	b.SetParallelism(16 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			in := Intent{Seq: j.NextSeq(), Op: OpMkdir, Node: j.NextNode(), Parent: 1, Name: "a folder"}
			if err := j.Commit(Change{Put: []Intent{in}}); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkGroupCommit is the sync of 500 new files of 20 KB.
func BenchmarkGroupCommit(b *testing.B) {
	j := open(b, b.TempDir(), Options{})
	data := string(make([]byte, 20<<10))
	for b.Loop() {
		b.StopTimer()
		var list []Intent
		for i := range 500 {
			list = append(list, put(b, j, fmt.Sprint(i), data))
		}
		commit(b, j, list...)
		b.StartTimer()
		require.NoError(b, j.Sync())
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(500*b.N), "µs/file")
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	j := open(b, dir, Options{NoSync: true})
	fill(b, j, 10_000)
	var bind []Binding
	for i := range 100_000 {
		bind = append(bind, Binding{Node: j.NextNode(), File: remote.FileID(i)})
	}
	require.NoError(b, j.Commit(Change{Bind: bind}))
	require.NoError(b, j.Close())
	for b.Loop() {
		j, err := Open(dir, Options{})
		require.NoError(b, err)
		require.NoError(b, j.Close())
	}
}

func BenchmarkNodeOfFile(b *testing.B) {
	j := open(b, b.TempDir(), Options{NoSync: true})
	require.NoError(b, j.Commit(Change{Bind: []Binding{{Node: j.NextNode(), File: 5}}}))
	for b.Loop() {
		if _, ok := j.NodeOfFile(5); !ok {
			b.Fatal("not found")
		}
	}
}
