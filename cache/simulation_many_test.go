package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// TestSimulationOfMany has several programs at work on one volume at the same
// time: each in a folder of its own, where it must find exactly what it did, and
// all in one folder, where the last ones win.
func TestSimulationOfMany(t *testing.T) {
	for _, seed := range simulationSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, pcloudtest.Options{Seed: seed}, func(w *world) {
				s := &crowd{simulation: emptySimulation(w, seed)}
				s.v = s.start()
				defer s.explain()
				s.run(40)
			})
		})
	}
}

type crowd struct {
	*simulation
	mu sync.Mutex // guards ever
}

func (s *crowd) run(steps int) {
	for _, dir := range []string{"shared", "p0", "p1", "p2", "p3"} {
		s.mkdir(s.v, dir)
	}
	if s.rng.IntN(2) == 0 {
		s.faults()
	}
	all := make([]*program, 4)
	var wg sync.WaitGroup
	for i := range all {
		p := &program{crowd: s, dir: fmt.Sprint("p", i), rng: rand.New(rand.NewPCG(s.rng.Uint64(), 0)), files: map[string]string{}}
		all[i] = p
		wg.Go(func() {
			for range steps {
				p.step()
			}
		})
	}
	wg.Wait()
	s.calm()
	want := map[string]string{}
	for _, p := range all {
		maps.Copy(want, p.files)
	}
	view := map[string]string{}
	s.collect("", view, map[string]bool{})
	s.agree(want, view)
	s.drained()
	s.idle(s.v)
	s.agree(want, s.cloud())
	after := map[string]string{}
	s.collect("", after, map[string]bool{})
	require.Equal(s, view, after)
	require.Equal(s, view, s.cloud())
	s.close(s.v)
}

// agree compares the folders of the programs, and looks at the one of all.
func (s *crowd) agree(want, have map[string]string) {
	s.Helper()
	own := maps.Clone(have)
	for p, data := range have {
		if path.Dir(p) == "shared" {
			delete(own, p)
			require.True(s, s.ever[data], "nobody wrote %s", p)
		}
	}
	require.Equal(s, want, own)
}

// program is one of those at work.
type program struct {
	*crowd
	dir   string
	rng   *rand.Rand
	files map[string]string
}

func (p *program) name(dir string) string { return path.Join(dir, string(rune('a'+p.rng.IntN(4)))) }

// benign are the failures that others at work on the same name may cause.
func (p *program) benign(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) && !isTemporary(err) && !errors.Is(err, ErrStale) && !errors.Is(err, ErrNoSpace) {
		p.Errorf("%s: %v", p.dir, err)
	}
}

func (p *program) write(path string) (string, error) {
	data := fmt.Sprintf("%s %08x", p.dir, p.rng.Uint32())
	if strings.HasPrefix(path, p.dir) {
		data += strings.Repeat("x", p.rng.IntN(6000))
	} // writes of one length at one place don't mix
	p.mu.Lock()
	p.ever[data] = true
	p.mu.Unlock()
	_, err := p.tryWrite(p.v, path, data)
	return data, err
}

func (p *program) step() {
	dir := p.dir
	if p.rng.IntN(3) == 0 {
		dir = "shared"
	}
	own := dir == p.dir
	name := p.name(dir)
	_, exists := p.files[name]
	switch p.rng.IntN(6) {
	case 0, 1, 2:
		data, err := p.write(name)
		switch {
		case own && errors.Is(err, ErrNoSpace):
			data = ""
			fallthrough
		case own:
			p.files[name] = data
		default:
			p.benign(err)
		}
	case 3:
		to := p.name(dir)
		err := p.rename(p.v, name, to)
		p.benign(err)
		if own && exists {
			data := p.files[name]
			delete(p.files, name)
			p.files[to] = data
		}
	case 4:
		p.benign(p.unlink(p.v, name))
		if own {
			delete(p.files, name)
		}
	case 5:
		if own && exists {
			h := p.openFile(p.v, name, readWrite)
			defer h.Release()
			data := []byte("APPENDED")
			if _, err := h.WriteAt(p.Context(), data, int64(len(p.files[name]))); err == nil {
				p.files[name] += string(data)
			}
			p.benign(h.Sync(p.Context()))
		}
	}
}
