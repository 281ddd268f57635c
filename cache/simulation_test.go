package cache

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
	seeds := make([]uint64, *simSeeds)
	for i := range seeds {
		seeds[i] = uint64(i + 1)
	}
	if *simSeed != 0 {
		seeds = []uint64{*simSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, pcloudtest.Options{Seed: seed}, func(w *world) {
				s := newSimulation(w, seed)
				defer func() {
					if t.Failed() {
						t.Logf("history, to be repeated with -run TestSimulation -sim.seed=%d:\n%s", seed, strings.Join(s.log, "\n"))
					}
				}()
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
	files map[string]string
	dirs  map[string]bool
	ever  map[string]bool // every content that a name may show
	log   []string
}

func newSimulation(w *world, seed uint64) *simulation {
	s := &simulation{world: w, rng: rand.New(rand.NewPCG(seed, 0)),
		files: map[string]string{}, dirs: map[string]bool{"": true}, ever: map[string]bool{"": true}}
	s.v = s.start()
	return s
}

func (s *simulation) start() *Volume {
	return s.open(func(o *Options) {
		o.Threshold = 3000
		o.Uploads = 1 + s.rng.IntN(5)
		o.MkdirJournal = s.rng.IntN(2) == 0
	})
}

func (s *simulation) run(steps int) {
	for range steps {
		s.step()
	}
	s.note("end")
	require.NoError(s, s.srv.SetFaults(nil))
	s.compare()
	s.close(s.v)
	require.Equal(s, s.files, s.cloud(), "what pCloud has in the end")
	s.v = s.start()
	s.compare()
	s.close(s.v)
}

func (s *simulation) step() {
	kinds := []struct {
		weight int
		do     func()
	}{
		{20, s.put}, {8, s.modify}, {10, s.move}, {8, s.remove}, {6, s.makeDir}, {4, s.removeDir}, {4, s.moveDir},
		{5, s.sync}, {3, s.setTime}, {6, s.pass}, {4, s.faults}, {3, s.kill}, {6, s.compare},
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
	_, err := s.tryWrite(s.v, p, data)
	if s.dirs[p] {
		require.ErrorIs(s, err, ErrIsFolder)
		return
	}
	require.NoError(s, err)
	s.files[p] = data
	s.ever[data] = true
}

// modify writes into the middle of a file, appends to it, or changes its size.
func (s *simulation) modify() {
	p, ok := s.someFile()
	if !ok {
		return
	}
	old := s.files[p]
	off := s.rng.IntN(len(old) + 1)
	if s.rng.IntN(3) == 0 {
		off = len(old)
	}
	dir, name := s.walk(s.v, p)
	a, err := s.v.Lookup(s.Context(), dir, name)
	require.NoError(s, err)
	if s.rng.IntN(3) == 0 {
		s.note("truncate %s to %d", p, off)
		size := int64(off)
		_, err := s.v.SetAttr(s.Context(), a.ID, Changes{Size: &size})
		if s.tolerated(err) {
			return
		}
		s.files[p] = old[:off]
	} else {
		data := s.bytes()
		s.note("modify %s at %d with %d bytes", p, off, len(data))
		h, _, err := s.v.OpenFile(s.Context(), a.ID, OpenFlags{Write: true})
		require.NoError(s, err)
		defer h.Release()
		_, err = h.WriteAt(s.Context(), []byte(data), int64(off))
		if s.tolerated(err) {
			return
		}
		require.NoError(s, h.Flush(s.Context()))
		tail := ""
		if end := off + len(data); end < len(old) {
			tail = old[end:]
		}
		s.files[p] = old[:off] + data + tail
	}
	s.ever[s.files[p]] = true
}

// tolerated says whether an operation that needs pCloud at once failed for
// want of it.
func (s *simulation) tolerated(err error) bool {
	if err != nil {
		require.True(s, isTemporary(err) || errors.Is(err, ErrNoProgress) || errors.Is(err, context.DeadlineExceeded), "%v", err)
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
	err := s.rename(s.v, from, to)
	if s.dirs[to] {
		require.ErrorIs(s, err, ErrIsFolder)
		return
	}
	require.NoError(s, err)
	data := s.files[from]
	delete(s.files, from)
	s.files[to] = data
}

func (s *simulation) remove() {
	p, ok := s.someFile()
	if !ok {
		return
	}
	s.note("remove %s", p)
	require.NoError(s, s.unlink(s.v, p))
	delete(s.files, p)
}

func (s *simulation) makeDir() {
	p := s.somePath()
	if strings.Count(p, "/") > 2 {
		return
	}
	s.note("mkdir %s", p)
	dir, name := s.walk(s.v, p)
	_, err := s.v.Mkdir(s.Context(), dir, name)
	_, isFile := s.files[p]
	if s.dirs[p] || isFile {
		require.ErrorIs(s, err, fs.ErrExist)
		return
	}
	if err != nil {
		s.note("  failed: %v", err)
		// The reply may have been lost: then it exists.
		require.NoError(s, s.srv.SetFaults(nil))
		synctest.Wait()
		s.v.meta.Drop(remote.RootFolder)
		s.v.meta.Expire()
		a, lerr := s.v.Lookup(s.Context(), dir, name)
		if lerr == nil && a.Folder {
			s.dirs[p] = true
		}
		return
	}
	s.dirs[p] = true
}

func (s *simulation) children(dir string) (n int) {
	for p := range s.files {
		if path.Dir(p) == dir || (dir == "" && !strings.Contains(p, "/")) {
			n++
		}
	}
	for p := range s.dirs {
		if p != "" && path.Dir(p) == dir {
			n++
		}
	}
	return n
}

func (s *simulation) removeDir() {
	p := s.someDir()
	if p == "" {
		return
	}
	s.note("rmdir %s", p)
	dir, name := s.walk(s.v, p)
	err := s.v.Rmdir(s.Context(), dir, name)
	if s.children(p) > 0 {
		require.ErrorIs(s, err, ErrNotEmpty)
		return
	}
	if !s.tolerated(err) {
		delete(s.dirs, p)
	}
}

func (s *simulation) moveDir() {
	from, to := s.someDir(), s.somePath()
	_, isFile := s.files[to]
	inside := to == from || strings.HasPrefix(to, from+"/")
	if from == "" || isFile || inside || strings.Count(to, "/") > 2 || (s.dirs[to] && s.children(to) > 0) || strings.HasPrefix(from, to+"/") {
		return
	}
	s.note("move folder %s to %s", from, to)
	if s.tolerated(s.rename(s.v, from, to)) {
		return
	}
	moved := map[string]string{}
	for p, data := range s.files {
		if strings.HasPrefix(p, from+"/") {
			delete(s.files, p)
			moved[to+strings.TrimPrefix(p, from)] = data
		}
	}
	maps.Copy(s.files, moved)
	for _, p := range slices.Collect(maps.Keys(s.dirs)) {
		if p == from || strings.HasPrefix(p, from+"/") {
			delete(s.dirs, p)
			s.dirs[to+strings.TrimPrefix(p, from)] = true
		}
	}
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
	if s.tolerated(h.Sync(s.Context())) {
		return
	}
	require.Equal(s, s.files[p], s.cloud()[p], "fsynced %s", p)
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
	require.NoError(s, err)
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

func (s *simulation) faults() {
	var rules []pcloudtest.Rule
	methods := []string{"uploadfile", "upload_create", "upload_write", "upload_info", "upload_save", "renamefile", "renamefolder",
		"deletefile", "deletefolder", "createfolder", "copyfile", "checksumfile", "diff", "content", "getfilelink"}
	for range s.rng.IntN(4) {
		r := pcloudtest.Rule{Method: methods[s.rng.IntN(len(methods))], Prob: 0.2 + 0.5*s.rng.Float64(), Count: 1 + s.rng.IntN(6)}
		switch s.rng.IntN(6) {
		case 0:
			r.Do, r.Code = "api", 5000
			if r.Method == "content" {
				r.Do, r.Code = "http", 500
			}
		case 1:
			r.Do, r.Code = "http", 502
		case 2:
			r.Do = "reset-before"
		case 3:
			r.Do = "reset-after"
		case 4:
			r.Do = "truncate"
		case 5:
			r.Do, r.After = "reset-within", int64(s.rng.IntN(5000))
		}
		rules = append(rules, r)
	}
	s.note("faults %+v", rules)
	require.NoError(s, s.srv.SetFaults(rules))
}

// kill ends the volume as kill -9 would and starts another.
func (s *simulation) kill() {
	s.note("kill")
	require.NoError(s, s.v.stop())
	synctest.Wait() // the server finishes what it has received before anybody comes back
	require.NoError(s, s.srv.SetFaults(nil))
	s.v = s.start()
	s.compare()
}

// compare checks that the view is the model.
func (s *simulation) compare() {
	s.note("compare")
	require.NoError(s, s.srv.SetFaults(nil))
	files, dirs := map[string]string{}, map[string]bool{"": true}
	s.collect("", files, dirs)
	require.Equal(s, s.dirs, dirs)
	require.Equal(s, s.files, files)
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
