package store

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// treeSpec describes a tree that is made up.
type treeSpec struct {
	files, folders, depth int
	avg                   int64 // mean size of a file in bytes
	seed                  uint64
}

// parseSpec reads "files=100000,folders=1000,depth=4,avg=64k,seed=1"; every key
// may be left out.
func parseSpec(s string) (treeSpec, error) {
	spec := treeSpec{depth: 4, avg: 64 << 10, seed: 1}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := parseCount(value)
		if err != nil {
			return spec, fmt.Errorf("tree %q: %s: %w", s, name, err)
		}
		switch name {
		case "files":
			spec.files = int(n)
		case "folders":
			spec.folders = int(n)
		case "depth":
			spec.depth = int(n)
		case "avg":
			spec.avg = n
		case "seed":
			spec.seed = uint64(n)
		default:
			return spec, fmt.Errorf("tree %q: unknown key %q", s, name)
		}
	}
	if spec.depth < 1 {
		return spec, fmt.Errorf("tree %q: depth must be at least 1", s)
	}
	return spec, nil
}

// parseCount reads a number with an optional binary suffix k, m, g or t.
func parseCount(s string) (int64, error) {
	digits := strings.TrimRight(strings.ToLower(s), "kmgt")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || len(s)-len(digits) > 1 {
		return 0, fmt.Errorf("bad number %q", s)
	}
	if suffix := strings.ToLower(s[len(digits):]); suffix != "" {
		shift := 10 * (1 + strings.Index("kmgt", suffix))
		if n > math.MaxInt64>>shift {
			return 0, fmt.Errorf("number %q is too large", s)
		}
		n <<= shift
	}
	return n, nil
}

// Generate fills folder parent with a made-up tree: spec is a list such as
// "files=100000,folders=1000,depth=4,avg=64k,seed=1". The same spec makes the
// same names, sizes, times and bytes. Contents are computed when they are read
// and cost neither disk nor memory; the quota is not asked.
//
// The feed gets a reset event instead of one event for each entry. Doing it
// again with the same spec changes nothing; another spec for the same folder is
// an error. Other errors: 2003, 2004, 2005.
func (v *View) Generate(parent uint64, spec string) error {
	s, err := parseSpec(spec)
	if err != nil {
		return err
	}
	return v.a.update(func(t *txn) error {
		p, err := v.folder(parent)
		if err != nil {
			return err
		}
		mark := "generated/" + strconv.FormatUint(p.id, 10)
		if was, ok := v.a.settings[mark]; ok {
			if was != spec {
				return fmt.Errorf("tree %q: folder has tree %q already", spec, was)
			}
			return nil
		}
		if err := t.generate(p.id, s); err != nil {
			return err
		}
		t.setting(mark, spec)
		return nil
	})
}

func (t *txn) generate(parent uint64, s treeSpec) error {
	fan := s.fan()
	ids := make([]uint64, s.folders+1)
	ids[0] = parent
	for i := 1; i <= s.folders; i++ {
		place, name := ids[(i-1)/fan], fmt.Sprintf("folder-%06d", i)
		if t.a.tree.child(place, name, true) != nil {
			return fail(CodeExists)
		}
		ids[i] = t.a.next(&t.a.ids.Folder)
		tm := s.time(uint64(i) << 32)
		t.put(&record{folder: true, id: ids[i], parent: place, name: name, created: tm, modified: tm})
	}
	for i := range s.files {
		x := s.random(uint64(i))
		place, name := ids[x%uint64(len(ids))], fmt.Sprintf("file-%07d%s", i, extension(x))
		if t.a.tree.child(place, name, false) != nil {
			return fail(CodeExists)
		}
		tm := s.time(uint64(i))
		t.put(&record{id: t.a.next(&t.a.ids.File), parent: place, name: name, created: tm, modified: tm,
			blob: t.a.generatedBlob(mix(x), s.size(x))})
	}
	t.touch(parent)
	t.a.ids.Diff += uint64(s.files + s.folders)
	t.reset()
	return nil
}

// fan is the least number of subfolders for each folder that keeps to the depth.
func (s treeSpec) fan() int {
	for fan := 1; ; fan++ {
		total, level := 0, 1
		for range s.depth {
			level *= fan
			if total += level; total >= s.folders {
				return fan
			}
		}
	}
}

func (s treeSpec) random(i uint64) uint64 { return mix(mix(s.seed) + i) }

// time is in the two years from 2024 on.
func (s treeSpec) time(i uint64) int64 {
	base := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	return base + int64(s.random(^i)%(2*365*24*3600))
}

// size is exponentially distributed around the mean: many small files, few
// large ones.
func (s treeSpec) size(x uint64) int64 {
	u := float64(mix(x+1)>>11+1) / (1 << 53)
	return int64(-math.Log(u) * float64(s.avg))
}

func extension(x uint64) string {
	exts := [...]string{".txt", ".jpg", ".pdf", ".go", ".bin", ".tar.gz", ""}
	return exts[(x>>40)%uint64(len(exts))]
}

// generatedBlob makes a content out of a seed. Its hash is made without its
// bytes, except for the few that other contents may well be equal to.
func (a *Account) generatedBlob(seed uint64, size int64) *blob {
	a.ids.Blob++
	b := &blob{id: a.ids.Blob, size: size, gen: true, seed: seed, hash: max(mix(^seed), 1)}
	if size <= 64 {
		p := make([]byte, size)
		_, _ = generated{seed, size}.ReadAt(p, 0) // cannot fail within the size
		b.hash = hashOf(sha1.Sum(p))
	}
	return b
}

// generated reads a made-up content: word i is a function of seed and i.
type generated struct {
	seed uint64
	size int64
}

// ReadAt follows io.ReaderAt.
func (g generated) ReadAt(p []byte, off int64) (n int, err error) {
	if off >= g.size {
		return 0, io.EOF
	}
	if int64(len(p)) > g.size-off {
		p, err = p[:g.size-off], io.EOF
	}
	n = len(p)
	word := uint64(off / 8)
	if skip := int(off % 8); skip > 0 {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], mix(g.seed+word))
		p = p[copy(p, w[skip:]):]
		word++
	}
	for ; len(p) >= 8; word++ {
		binary.LittleEndian.PutUint64(p, mix(g.seed+word))
		p = p[8:]
	}
	if len(p) > 0 {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], mix(g.seed+word))
		copy(p, w[:])
	}
	return n, err
}
