package cache

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// TestSimulationOfTwo has another client change the files that a volume works
// on. Nothing that either wrote and nobody removed or replaced may be lost, no
// bytes may appear that nobody wrote, and the view must be what pCloud has once
// all is quiet.
func TestSimulationOfTwo(t *testing.T) {
	for _, seed := range simulationSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, pcloudtest.Options{Seed: seed}, func(w *world) {
				s := &duel{simulation: emptySimulation(w, seed), gone: map[string]bool{}, strict: seed%2 == 0}
				s.v = s.start()
				defer s.explain()
				s.run(60)
			})
		})
	}
}

// duel is a history of two clients. Each content is written once and so names
// what was written.
type duel struct {
	*simulation
	gone map[string]bool // contents that somebody saw and removed, or replaced by others

	strict bool // we neither move nor remove
}

func (s *duel) run(steps int) {
	for range steps {
		s.step()
	}
	s.note("end")
	s.calm()
	for len(s.handles) > 0 {
		s.release()
	}
	s.quiet()
	s.idle(s.v)
	s.close(s.v)
	require.Empty(s, spoolFiles(s.dir))
}

// quiet waits until nothing is under way and compares.
func (s *duel) quiet() {
	s.drained()
	time.Sleep(time.Minute)
	synctest.Wait()
	cloud := s.cloud()
	view := map[string]string{}
	s.collect("", view, map[string]bool{})
	require.Equal(s, cloud, view, "the view is what pCloud has")
	live := map[string]bool{}
	for p, data := range cloud {
		require.True(s, s.ever[data], "%d bytes under %s that nobody wrote", len(data), p)
		live[data] = true
	}
	stored := map[int]bool{}
	for _, e := range s.srv.Events(0) {
		stored[int(e.Size)] = true
	}
	for data := range s.ever {
		// Names can't be moved and removed on a condition: what others put there at
		// that moment is in the trash. Puts are conditional.
		kept := live[data] || !s.strict && stored[len(data)]
		require.True(s, data == "" || kept || s.gone[data], "%.12q is lost", data)
	}
}

// bytes are of a length that no others have, by which the change feed tells
// whether pCloud ever had them.
func (s *duel) bytes() string { return s.atLeast(0) }

func (s *duel) atLeast(n int) string {
	size := 10 + 9*len(s.ever)
	if s.rng.IntN(4) == 0 {
		size += 9000
	}
	for size < n {
		size += 20_000
	}
	return fmt.Sprintf("%08x", s.rng.Uint32()) + strings.Repeat(string(rune('a'+s.rng.IntN(26))), size)
}

func (s *duel) step() {
	kinds := []func(){s.put, s.put, s.put, s.move, s.remove, s.theirPut, s.theirPut, s.theirMove, s.theirRemove,
		s.pass, s.open, s.change, s.release, s.fsync, s.look, s.kill}
	if s.rng.IntN(12) == 0 {
		s.faults()
		return
	}
	i := s.rng.IntN(len(kinds))
	if s.strict && (i == 3 || i == 4) {
		i = 0
	}
	kinds[i]()
}

// name is one of few.
func (s *duel) name() string { return string(rune('a' + s.rng.IntN(4))) }

// seen notes that somebody removes or replaces what has a name, as a side sees
// it.
func (s *duel) seen(files map[string]string, name string) {
	if data, ok := files[name]; ok {
		s.gone[data] = true
	}
}

func (s *duel) view() map[string]string {
	synctest.Wait() // the change feed does not bring anything between the look and what follows
	view := map[string]string{}
	for _, e := range s.list(s.v, "") {
		view[e] = s.peek(e)
	}
	return view
}

// peek reads a file that others may remove or replace meanwhile.
func (s *duel) peek(name string) string {
	a, err := s.v.Lookup(s.Context(), RootNode, name)
	if err != nil {
		return ""
	}
	h, a, err := s.v.OpenFile(s.Context(), a.ID, OpenFlags{Read: true})
	if err != nil {
		return ""
	}
	defer h.Release()
	p := make([]byte, a.Size)
	n, _ := h.ReadAt(s.Context(), p, 0)
	return string(p[:n])
}

func (s *duel) put() {
	name, data := s.name(), s.bytes()
	s.seen(s.view(), name)
	s.note("we put %s %.8s (%d bytes)", name, data, len(data))
	if _, err := s.tryWrite(s.v, name, data); err == nil {
		s.ever[data] = true
	} else {
		s.note("  failed: %v", err)
		s.ever[data], s.gone[data] = true, true
	}
}

func (s *duel) move() {
	from, to := s.name(), s.name()
	view := s.view()
	if from != to && view[from] != "" {
		s.seen(view, to)
	}
	s.note("we move %s to %s: %v", from, to, s.rename(s.v, from, to))
}

func (s *duel) remove() {
	name := s.name()
	s.seen(s.view(), name)
	s.note("we remove %s: %v", name, s.unlink(s.v, name))
}

func (s *duel) theirPut() {
	name, data := s.name(), s.bytes()
	s.seen(s.cloud(), name)
	s.note("they put %s %.8s (%d bytes)", name, data, len(data))
	s.ever[data] = true
	s.foreign(name, data)
}

func (s *duel) theirMove() {
	from, to := s.name(), s.name()
	cloud := s.cloud()
	if from == to || cloud[from] == "" {
		return
	}
	s.seen(cloud, to)
	s.note("they move %s to %s", from, to)
	s.note("  %v", s.srv.Rename(appFolder+"/"+from, appFolder+"/"+to))
}

func (s *duel) theirRemove() {
	names := slices.Sorted(maps.Keys(s.cloud()))
	if len(names) == 0 {
		return
	}
	name := names[s.rng.IntN(len(names))]
	s.seen(s.cloud(), name)
	s.note("they remove %s", name)
	s.note("  %v", s.srv.Remove(appFolder+"/"+name)) // we may have been first
}

// open keeps a handle of a file for writing.
func (s *duel) open() {
	if len(s.handles) > 2 {
		return
	}
	a, err := s.v.Lookup(s.Context(), RootNode, s.name())
	if err != nil {
		return
	}
	h, _, err := s.v.OpenFile(s.Context(), a.ID, readWrite)
	if err != nil {
		return
	}
	s.note("we open %s", h.n.name)
	s.handles = append(s.handles, &simHandle{h, &simFile{}})
}

// change replaces all of an open file, which makes another content of it.
func (s *duel) change() {
	h := s.someHandle()
	if h == nil {
		return
	}
	old := make([]byte, 100_000)
	n, err := h.ReadAt(s.Context(), old, 0)
	if err != nil || n == 0 {
		return
	}
	data := s.atLeast(n)
	if _, err := h.WriteAt(s.Context(), []byte(data), 0); err != nil {
		s.note("  write failed: %v", err)
		return
	}
	s.note("we write %.8s over %.8s through a handle of %s", data, old[:n], h.n.name)
	s.gone[string(old[:n])] = true
	s.ever[data] = true
	h.f.data = data
	if s.unlinked(h) || h.Flush(s.Context()) != nil || s.unlinked(h) {
		s.gone[data] = true
	}
}

func (s *duel) unlinked(h *simHandle) bool {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	return h.n.unlinked
}

func (s *duel) release() {
	if h := s.someHandle(); h != nil {
		i := slices.Index(s.handles, h)
		s.handles = slices.Delete(s.handles, i, i+1)
		h.Release()
	}
}

func (s *duel) fsync() {
	if h := s.someHandle(); h != nil {
		s.note("we fsync: %v", h.Sync(s.Context()))
	}
}

func (s *duel) look() {
	s.note("quiet")
	s.calm()
	for len(s.handles) > 0 {
		s.release()
	}
	s.quiet()
}

func (s *duel) kill() {
	if s.rng.IntN(3) > 0 {
		return
	}
	s.note("kill")
	require.NoError(s, s.v.stop())
	synctest.Wait()
	for _, h := range s.handles {
		h.Release()
	}
	s.handles = nil
	s.calm()
	s.v = s.start()
}

// emptySimulation is a simulation without a volume.
func emptySimulation(w *world, seed uint64) *simulation {
	s := &simulation{world: w, rng: rand.New(rand.NewPCG(seed, 0)),
		files: map[string]*simFile{}, dirs: map[string]bool{"": true}, ever: map[string]bool{"": true}}
	s.options = s.someOptions()
	return s
}

// explain shows the history of a test that failed.
func (s *simulation) explain() {
	if s.Failed() {
		name, _, _ := strings.Cut(s.Name(), "/")
		s.Logf("history, to be repeated with -run '%s$' -sim.seed=%s:\n%s", name, path.Base(s.Name()), strings.Join(s.log, "\n"))
	}
}

func simulationSeeds() []uint64 {
	if *simSeed != 0 {
		return []uint64{*simSeed}
	}
	seeds := make([]uint64, *simSeeds)
	for i := range seeds {
		seeds[i] = uint64(i + 1)
	}
	return seeds
}
