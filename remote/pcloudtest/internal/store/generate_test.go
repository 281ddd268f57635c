package store

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseSpec(t *testing.T) {
	t.Parallel()
	s, err := parseSpec(" files=100000, folders=1000,depth=3,avg=64K,seed=9,")
	require.NoError(t, err)
	require.Equal(t, treeSpec{files: 100000, folders: 1000, depth: 3, avg: 64 << 10, seed: 9}, s)
	for _, bad := range []string{"files", "files=x", "files=-1", "files=1kk", "what=1", "depth=0", "avg=9000000t"} {
		_, err := parseSpec(bad)
		require.Error(t, err, bad)
	}
}

func TestGenerate(t *testing.T) {
	const spec = "files=300,folders=40,depth=2,avg=1k,seed=5"
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		d := mkdir(t, v, 0, "d")
		since := cursor(t, v)
		require.NoError(t, v.Generate(d.ID, spec))
		require.NoError(t, v.Generate(d.ID, spec), "it is there already")
		require.Error(t, v.Generate(d.ID, spec+"0"))
		require.Equal(t, CodeNoFolder, Code(v.Generate(99, spec)))

		here := a.View(d.ID)
		files, folders, deepest, bytes := 0, 0, 0, int64(0)
		require.NoError(t, here.List(0, ListOptions{Recursive: true}, func(n Node, depth int) error {
			if n.Folder {
				folders++
				deepest = max(deepest, depth)
				return nil
			}
			files++
			bytes += n.Size
			return nil
		}))
		require.Equal(t, []int{300, 41, 2}, []int{files, folders, deepest})
		require.InEpsilon(t, 300<<10, bytes, 0.25)
		used, _ := a.Usage()
		require.Equal(t, bytes, used)
		require.Equal(t, "reset", tail(t, v, since)[0], "clients learn of it")
		follow(t, here, 50).check(t)

		other := open(t, Options{}).View(0)
		require.NoError(t, other.Generate(0, spec))
		require.Equal(t, paths(t, here), paths(t, other), "the same spec makes the same tree")
	})
}

func TestGeneratedContent(t *testing.T) {
	t.Parallel()
	g := generated{seed: 42, size: 10_007}
	whole, err := io.ReadAll(io.NewSectionReader(g, 0, g.size))
	require.NoError(t, err)
	require.Len(t, whole, 10_007)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		off, n := r.Int64N(g.size), r.IntN(100)
		p := make([]byte, n)
		k, err := g.ReadAt(p, off)
		want := whole[off:min(off+int64(n), g.size)]
		require.Equal(t, want, p[:k])
		if k < n {
			require.ErrorIs(t, err, io.EOF)
		}
	}
	_, err = g.ReadAt(make([]byte, 1), g.size)
	require.ErrorIs(t, err, io.EOF)
}

// TestGeneratedFilesAreLikeOthers uploads the bytes of generated files again.
func TestGeneratedFilesAreLikeOthers(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	require.NoError(t, v.Generate(0, "files=20,avg=200"))
	var all []Node
	require.NoError(t, v.List(0, ListOptions{}, func(n Node, depth int) error {
		if depth > 0 {
			all = append(all, n)
		}
		return nil
	}))
	small := false
	for _, n := range all {
		data := text(t, v, n.ID)
		s, _, err := v.Checksums(n.ID, 0)
		require.NoError(t, err)
		require.Equal(t, sumsOf(data), s)
		found, err := v.ByChecksum(n.Size, s.SHA1)
		require.NoError(t, err)
		require.Equal(t, []Node{n}, found)

		same := put(t, v, 0, n.Name, data)
		require.Equal(t, []uint64{n.ID, n.Hash}, []uint64{same.ID, same.Hash})
		revs, _, err := v.Revisions(n.ID)
		require.NoError(t, err)
		require.Empty(t, revs, "the same content makes no revision")
		if n.Size <= 64 {
			small = true
			d := mkdir(t, v, 0, n.Name)
			require.Equal(t, n.Hash, put(t, v, d.ID, "x", data).Hash)
		}
		changed := put(t, v, 0, n.Name, data+"x")
		require.NotEqual(t, n.Hash, changed.Hash)
		require.Equal(t, n.ID, changed.ID)
	}
	require.True(t, small)
}

// TestBigTree checks that 110,000 entries come up quickly and in little memory.
func TestBigTree(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := open(t, Options{}).View(0)
	start := time.Now()
	require.NoError(t, v.Generate(0, "files=100000,folders=10000,avg=64k"))
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc) / 110_000
	t.Logf("%v, %d bytes per entry", took, each)
	require.Less(t, each, int64(450))
	require.Less(t, took, 20*time.Second, "far more than it takes, for loaded machines")
	n := 0
	require.NoError(t, v.List(0, ListOptions{Recursive: true}, func(Node, int) error { n++; return nil }))
	require.Equal(t, 110_001, n)
}

func BenchmarkGeneratedRead(b *testing.B) {
	g, p := generated{1, 1 << 40}, make([]byte, 128<<10)
	b.SetBytes(int64(len(p)))
	off := int64(0)
	for b.Loop() {
		_, _ = g.ReadAt(p, off)
		off += int64(len(p))
	}
}

func BenchmarkPut(b *testing.B) {
	for _, dir := range []string{"", b.TempDir()} {
		b.Run(map[bool]string{true: "memory", false: "directory"}[dir == ""], func(b *testing.B) {
			v := open(b, Options{Dir: dir}).View(0)
			data := bytes.Repeat([]byte("x"), 4096)
			for i := 0; b.Loop(); i++ {
				put(b, v, 0, fmt.Sprint(i), string(data))
			}
		})
	}
}

func BenchmarkSession(b *testing.B) {
	v := open(b, Options{Quota: 1 << 50, Quirks: Quirks{NoSHA256: true}}).View(0)
	data := strings.Repeat("x", 4<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		id, err := v.a.CreateSession(-1)
		require.NoError(b, err)
		require.NoError(b, v.a.WriteSession(id, 0, strings.NewReader(data), int64(len(data))))
		_, err = v.SaveSession(id, 0, "f", PutOptions{})
		require.NoError(b, err)
		b.StopTimer()
		n, err := v.FileByPath("/f")
		require.NoError(b, err)
		_, err = v.DeleteFile(n.ID)
		require.NoError(b, err)
		require.NoError(b, v.TrashClear(0, true))
		b.StartTimer()
	}
}
