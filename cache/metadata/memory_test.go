package metadata

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// maxHeap is what an entry may cost, in bytes of heap.
const maxHeap = 300

// load fills a cache with folders of some files each, with names of 24 bytes.
func load(t testing.TB, c *Cache, folders, files int) {
	t.Helper()
	id := remote.FileID(0)
	for d := range remote.FolderID(folders) {
		f := remote.Folder{Entry: folder(d+1, 0, fmt.Sprintf("folder %017d", d))}
		for range files {
			id++
			f.Contents = append(f.Contents, file(id, d+1, fmt.Sprintf("some file %010d.txt", id)))
		}
		require.True(t, c.Put(c.Begin(d+1), f))
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Not parallel: it measures the heap.
func TestHeapPerEntry(t *testing.T) {
	for _, tt := range []struct{ folders, files int }{{1, 200_000}, {2000, 100}, {20_000, 10}, {50_000, 2}} {
		t.Run(fmt.Sprintf("%d folders of %d", tt.folders, tt.files), func(t *testing.T) {
			c := New(Options{})
			before := heap()
			load(t, c, tt.folders, tt.files)
			per := float64(heap()-before) / float64(c.Len())
			t.Logf("%.0f bytes per entry", per)
			require.Less(t, per, float64(maxHeap))
			runtime.KeepAlive(c)
		})
	}
}

func TestHeapIsBoundedByTheLimit(t *testing.T) {
	const limit = 20_000
	c := New(Options{MaxEntries: limit})
	before := heap()
	load(t, c, 100_000, 1) // the worst: a listing for every entry
	used := float64(heap()-before) / limit
	t.Logf("%.0f bytes per unit of the limit", used)
	require.Less(t, used, float64(maxHeap))
	require.LessOrEqual(t, c.Len(), limit)
}

func BenchmarkLookup(b *testing.B) {
	c := New(Options{})
	load(b, c, 1000, 100)
	i := 0
	for b.Loop() {
		i = (i + 7919) % 100_000
		id := i + 1
		if _, found, known := c.Lookup(remote.FolderID(i/100+1), fmt.Sprintf("some file %010d.txt", id)); !found || !known {
			b.Fatal("not found")
		}
	}
}

func BenchmarkUpsertIntoABigFolder(b *testing.B) {
	c := New(Options{})
	load(b, c, 1, 100_000)
	id := remote.FileID(1_000_000)
	for b.Loop() {
		id++
		c.Upsert(file(id, 1, fmt.Sprintf("some file %010d.txt", id*7919%100_000_000)), late)
	}
}
