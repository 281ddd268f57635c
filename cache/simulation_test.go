package cache

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run only the history of this seed")
	simSeeds = flag.Int("sim.seeds", 60, "number of histories")
)

// TestSimulation drives a volume and a server in this process through random
// histories, with API errors, lost replies, broken connections, and kills, in
// virtual time. The view must agree with a plain model all the time, pCloud
// must show nothing but complete versions, and have exactly the model's files
// in the end.
func TestSimulation(t *testing.T) {
	for _, seed := range simulationSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, pcloudtest.Options{Seed: seed}, func(w *world) {
				s := newSimulation(w, seed)
				defer s.explain()
				s.run(80)
			})
		})
	}
}

// simulation is one history. Files and folders have few names, so that they
// meet often.
type simulation struct {
	*world
	v     *Volume
	rng   *rand.Rand
	files map[string]*simFile
	dirs  map[string]bool
	ever  map[string]bool // every content that a name may show
	log   []string
	logMu sync.Mutex

	handles []*simHandle
	options func(*Options)
	refused bool        // pCloud has refused something that is not settled yet
	late    bool        // what a killed volume had asked for may happen after the next one has begun
	mortal  bool        // crashSoon was called
	died    atomic.Bool // the journal takes nothing any more
	always  []pcloudtest.Rule
	before  *simModel // the last step
}

// simFile is a file of the model.
type simFile struct {
	data string
	safe string // as of the last close or fsync
	kept bool   // there was one
}

func newSimulation(w *world, seed uint64) *simulation {
	s := emptySimulation(w, seed)
	s.v = s.start()
	return s
}

func (s *simulation) start() *Volume { return s.open(s.options) }

// someOptions chooses what the volumes of a history are like.
func (s *simulation) someOptions() func(*Options) {
	uploads, lazy, tiny, pick := 1+s.rng.IntN(5), s.rng.IntN(2) == 0, s.rng.IntN(4) == 0, s.rng.IntN(12)
	return func(o *Options) {
		o.Threshold, o.Uploads, o.MkdirJournal = 3000, uploads, lazy
		if *simSeed != 0 {
			o.Log = slog.New(slog.NewTextHandler(simLog{s}, nil))
		}
		if tiny {
			o.MetaEntries = 5
		}
		switch pick {
		case 0:
			o.Fsync = OnDisk
		case 1:
			o.Close = InCloud
		case 2:
			o.Spool = 60_000
		}
	}
}

func (s *simulation) run(steps int) {
	if s.rng.IntN(6) == 0 {
		s.noFeed()
	}
	for range steps {
		s.before = s.model()
		s.step()
		if s.died.Load() {
			s.kill()
		}
	}
	s.note("end")
	s.v.saving <- struct{}{}
	s.v.beforeCommit = nil
	<-s.v.saving
	s.calm()
	for len(s.handles) > 0 {
		s.closeHandle()
	}
	s.drained()
	s.compare()
	s.idle(s.v)
	s.close(s.v)
	require.Equal(s, s.contents(), s.cloud(), "what pCloud has in the end")
	require.Empty(s, spoolFiles(s.dir))
	s.v = s.start()
	require.Empty(s, s.v.Queue())
	s.compare()
	s.close(s.v)
}

// contents is the model as pCloud should show it.
func (s *simulation) contents() map[string]string {
	files := map[string]string{}
	for p, f := range s.files {
		files[p] = f.data
	}
	return files
}

func (s *simulation) step() {
	kinds := []struct {
		weight int
		do     func()
	}{
		{20, s.put}, {8, s.modify}, {10, s.move}, {8, s.remove}, {6, s.makeDir}, {4, s.removeDir}, {4, s.moveDir},
		{5, s.sync}, {3, s.setTime}, {6, s.pass}, {4, s.faults}, {3, s.kill}, {6, s.compare},
		{6, s.openHandle}, {8, s.writeHandle}, {5, s.readHandle}, {4, s.flushHandle}, {5, s.closeHandle},
		{2, s.refusals}, {2, s.retry}, {1, s.revoke}, {2, s.crashSoon},
	}
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := s.rng.IntN(sum)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			k.do()
			return
		}
	}
}

func (s *simulation) note(format string, args ...any) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.log = append(s.log, fmt.Sprintf("%s ", time.Now().Format("05.000"))+fmt.Sprintf(format, args...))
}

func (s *simulation) someDir() string {
	return slices.Sorted(maps.Keys(s.dirs))[s.rng.IntN(len(s.dirs))]
}

// somePath is a name that may be free, a file or a folder.
func (s *simulation) somePath() string {
	return path.Join(s.someDir(), string(rune('a'+s.rng.IntN(5))))
}

func (s *simulation) someFile() (string, bool) {
	if len(s.files) == 0 {
		return "", false
	}
	return slices.Sorted(maps.Keys(s.files))[s.rng.IntN(len(s.files))], true
}

func (s *simulation) bytes() string {
	size := s.rng.IntN(200)
	if s.rng.IntN(4) == 0 {
		size = 3000 + s.rng.IntN(20_000)
	}
	return fmt.Sprintf("%08x", s.rng.Uint32()) + strings.Repeat(string(rune('a'+s.rng.IntN(26))), size)
}

func (s *simulation) put() {
	p, data := s.somePath(), s.bytes()
	s.note("put %s %d bytes", p, len(data))
	s.ever[data] = true // it may be in pCloud before the close returns
	_, err := s.tryWrite(s.v, p, data)
	if s.dirs[p] {
		require.True(s, s.died.Load() || errors.Is(err, ErrIsFolder), "%v", err)
		return
	}
	f := s.files[p]
	if f == nil {
		f = &simFile{}
		s.files[p] = f
	}
	if s.tolerated(err) {
		if !errors.Is(err, ErrNoSpace) { // the write came before what failed
			f.data = data
		} else {
			f.data = ""
		}
		s.record(f)
		return
	}
	f.data = data
	s.record(f)
}

// record notes that the journal has a file now.
func (s *simulation) record(f *simFile) {
	s.ever[f.data] = true
	if !s.died.Load() {
		f.safe, f.kept = f.data, true
	}
}

// modify writes into the middle of a file, appends to it, or changes its size.
func (s *simulation) modify() {
	p, ok := s.someFile()
	if !ok {
		return
	}
	f := s.files[p]
	off := s.somewhere(f)
	dir, name := s.walk(s.v, p)
	a, err := s.v.Lookup(s.Context(), dir, name)
	require.NoError(s, err)
	if s.rng.IntN(3) == 0 {
		s.note("truncate %s to %d", p, off)
		size := int64(off)
		s.ever[f.data[:off]] = true
		_, err := s.v.SetAttr(s.Context(), a.ID, Changes{Size: &size})
		if s.tolerated(err) && !s.died.Load() {
			return
		}
		f.data = f.data[:off]
		if !s.hasWriter(f) {
			s.record(f)
		}
		return
	}
	data := s.bytes()
	s.note("modify %s at %d with %d bytes", p, off, len(data))
	h, _, err := s.v.OpenFile(s.Context(), a.ID, OpenFlags{Write: true})
	require.NoError(s, err)
	defer h.Release()
	s.ever[spliced(f.data, data, off)] = true
	_, err = h.WriteAt(s.Context(), []byte(data), int64(off))
	if s.tolerated(err) {
		return
	}
	f.data = spliced(f.data, data, off)
	s.tolerated(h.Flush(s.Context()))
	s.record(f)
}

// somewhere is an offset in a file, often its end.
func (s *simulation) somewhere(f *simFile) int {
	if s.rng.IntN(3) == 0 {
		return len(f.data)
	}
	return s.rng.IntN(len(f.data) + 1)
}

func spliced(old, data string, off int) string {
	tail := ""
	if end := off + len(data); end < len(old) {
		tail = old[end:]
	}
	return old[:off] + data + tail
}

// tolerated says whether an operation that needs pCloud at once failed for
// want of it.
func (s *simulation) tolerated(err error) bool {
	if err != nil {
		require.True(s, isTemporary(err) || s.died.Load() || errors.Is(err, ErrNoProgress) || errors.Is(err, context.DeadlineExceeded) ||
			errors.Is(err, remote.ErrQuota) || errors.Is(err, fs.ErrPermission) || errors.Is(err, remote.ErrToken) || errors.Is(err, ErrNoSpace) ||
			strings.Contains(err.Error(), "can't be sent"), "%v", err)
		s.note("  failed: %v", err)
	}
	return err != nil
}

func (s *simulation) move() {
	from, ok := s.someFile()
	if !ok {
		return
	}
	to := s.somePath()
	s.note("move %s to %s", from, to)
	f := s.files[from]
	if (s.files[to] != nil || s.dirs[to]) && to != from {
		s.record(f) // so that one of both survives
	}
	s.ever[f.data] = true
	err := s.rename(s.v, from, to)
	if s.dirs[to] {
		require.True(s, s.died.Load() || errors.Is(err, ErrIsFolder), "%v", err)
		return
	}
	s.tolerated(err)
	delete(s.files, from)
	s.files[to] = f
}

func (s *simulation) remove() {
	p, ok := s.someFile()
	if !ok {
		return
	}
	s.note("remove %s", p)
	s.tolerated(s.unlink(s.v, p))
	delete(s.files, p)
}

// sync checks that after fsync pCloud has the file.
func (s *simulation) sync() {
	p, ok := s.someFile()
	if !ok {
		return
	}
	s.note("fsync %s", p)
	dir, name := s.walk(s.v, p)
	a, err := s.v.Lookup(s.Context(), dir, name)
	require.NoError(s, err)
	h, _, err := s.v.OpenFile(s.Context(), a.ID, OpenFlags{Read: true})
	require.NoError(s, err)
	defer h.Release()
	f := s.files[p]
	s.ever[f.data] = true
	err = h.Sync(s.Context())
	s.record(f)
	if s.tolerated(err) || s.v.fsync == OnDisk {
		return
	}
	require.Equal(s, f.data, s.cloud()[p], "fsynced %s", p)
}

func (s *simulation) setTime() {
	p, ok := s.someFile()
	if !ok {
		return
	}
	s.note("utimes %s", p)
	dir, name := s.walk(s.v, p)
	a, err := s.v.Lookup(s.Context(), dir, name)
	require.NoError(s, err)
	when := time.Unix(int64(s.rng.IntN(1e9)), 0)
	_, err = s.v.SetAttr(s.Context(), a.ID, Changes{Mtime: &when})
	s.tolerated(err)
}

func (s *simulation) pass() {
	d := time.Duration(s.rng.IntN(3000)) * time.Millisecond
	s.note("pass %v", d)
	time.Sleep(d)
	s.noHalves()
}

// noHalves checks that pCloud shows complete versions only.
func (s *simulation) noHalves() {
	for p, data := range s.cloud() {
		require.True(s, s.ever[data], "pCloud shows %d bytes under %s that nobody wrote", len(data), p)
	}
}

// compare checks that the view is the model.
func (s *simulation) compare() {
	if s.died.Load() {
		return
	}
	if s.refused && s.rng.IntN(2) == 0 {
		s.calm()
		s.drained()
	}
	if s.refused { // some names show late then
		return
	}
	s.note("compare")
	s.calm()
	files, dirs := map[string]string{}, map[string]bool{"": true}
	s.collect("", files, dirs)
	require.Equal(s, s.dirs, dirs)
	require.Equal(s, s.contents(), files)
}

func (s *simulation) collect(dir string, files map[string]string, dirs map[string]bool) {
	for _, name := range s.list(s.v, dir) {
		p := path.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			dirs[p] = true
			s.collect(p, files, dirs)
			continue
		}
		files[p] = s.read(s.v, p)
	}
}
