package cache

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

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
	if s.rng.IntN(4) == 0 {
		rules = append(rules, pcloudtest.Rule{Method: "upload_write", Do: "lose-session", Count: 1 + s.rng.IntN(2)})
	}
	s.note("faults %+v", rules)
	require.NoError(s, s.srv.SetFaults(append(rules, s.always...)))
}

// calm ends all faults but those that last for the whole history.
func (s *simulation) calm() { require.NoError(s, s.srv.SetFaults(s.always)) }

// noFeed makes pCloud refuse the change feed.
func (s *simulation) noFeed() {
	s.note("no change feed")
	s.always = []pcloudtest.Rule{{Method: "diff", Do: "api", Code: 2003}}
	s.calm()
}

// refusals makes pCloud refuse changes for good, as with a full account.
func (s *simulation) refusals() {
	if s.mortal {
		return
	}
	s.refused = true
	methods := []string{"uploadfile", "upload_create", "upload_save", "renamefile", "deletefile", "createfolder", "renamefolder", "deletefolder"}
	r := pcloudtest.Rule{Method: methods[s.rng.IntN(len(methods))], Do: "api", Code: 2003, Count: 1 + s.rng.IntN(3)}
	if r.Method[0] == 'u' {
		r.Code = 2008
	}
	s.note("refusals %+v", r)
	require.NoError(s, s.srv.SetFaults(append([]pcloudtest.Rule{r}, s.always...)))
}

func (s *simulation) retry() {
	s.note("retry")
	s.tolerated(s.v.Retry())
}

// revoke makes the token invalid for a while.
func (s *simulation) revoke() {
	d := time.Duration(s.rng.IntN(20)) * time.Second
	s.note("no token for %v", d)
	require.NoError(s, s.srv.SetFaults([]pcloudtest.Rule{{Do: "api", Code: 2000}}))
	time.Sleep(d)
	s.calm()
}

// crashSoon lets the journal take a few more commits and then none: what a kill
// at that moment leaves.
func (s *simulation) crashSoon() {
	left := s.rng.IntN(8)
	if s.refused {
		return
	}
	s.mortal = true
	s.note("crash after %d commits", left)
	s.v.saving <- struct{}{}
	defer func() { <-s.v.saving }()
	s.v.beforeCommit = func() error {
		if left--; left >= 0 {
			return nil
		}
		s.died.Store(true)
		return errDisk
	}
}

// kill ends the volume as kill -9 would and starts another.
func (s *simulation) kill() {
	s.note("kill, died=%v", s.died.Load())
	s.dumpQueue()
	if err := s.v.stop(); err != nil {
		require.ErrorIs(s, err, errDisk)
	}
	for _, h := range s.handles {
		h.Release()
	}
	s.handles = nil
	if !s.late || s.rng.IntN(2) == 0 {
		synctest.Wait() // the server finishes what it has received before anybody comes back
	}
	s.calm()
	s.v = s.start()
	s.mortal = false
	if s.died.Load() {
		s.died.Store(false)
		s.adopt()
	}
	for p, f := range s.files {
		if f.data = f.safe; !f.kept {
			delete(s.files, p)
		}
	}
	s.compare()
}

// adopt takes the view for the model after a death in the middle of an
// operation, if it is as before or as after it.
func (s *simulation) adopt() {
	files, dirs := map[string]string{}, map[string]bool{"": true}
	s.collect("", files, dirs)
	fits := func(m *simModel) bool {
		if !maps.Equal(m.dirs, dirs) {
			return false
		}
		for p, f := range m.files {
			data, ok := files[p]
			if (!ok && f.kept) || (ok && data != f.data && (data != f.safe || !f.kept)) {
				return false
			}
		}
		for p := range files {
			if m.files[p] == nil {
				return false
			}
		}
		return true
	}
	after := s.model()
	switch {
	case fits(after):
		s.note("died after")
	case s.before != nil && fits(s.before):
		s.note("died before")
		s.files, s.dirs = s.before.files, s.before.dirs
	default:
		require.Failf(s, "neither as before nor as after", "files %q\ndirs %v\nbefore %v\nafter %v", slices.Sorted(maps.Keys(files)), dirs, s.before, after)
	}
	for p, f := range s.files {
		if data, ok := files[p]; ok {
			f.data, f.safe, f.kept = data, data, true
		} else {
			f.kept = false
		}
	}
}

// simModel is a copy of the model.
type simModel struct {
	files map[string]*simFile
	dirs  map[string]bool
}

func (m *simModel) String() string {
	text := fmt.Sprint(slices.Sorted(maps.Keys(m.dirs)))
	for _, p := range slices.Sorted(maps.Keys(m.files)) {
		f := m.files[p]
		text += fmt.Sprintf(" %s(%d %d %v)", p, len(f.data), len(f.safe), f.kept)
	}
	return text
}

// simLog makes the log of volumes part of the history.
type simLog struct{ *simulation }

func (s simLog) Write(p []byte) (int, error) {
	s.note("    %s", p)
	return len(p), nil
}

func (s *simulation) model() *simModel {
	m := &simModel{files: map[string]*simFile{}, dirs: maps.Clone(s.dirs)}
	for p, f := range s.files {
		c := *f
		m.files[p] = &c
	}
	return m
}

// drained waits until pCloud has taken everything.
func (s *simulation) drained() {
	for range 20 {
		require.NoError(s, s.v.Retry())
		if s.v.Flush(s.Context()) == nil && !s.v.anyRefused() {
			s.refused = false
			return
		}
		time.Sleep(time.Minute)
	}
	s.dumpQueue()
	require.Fail(s, "pCloud refuses nothing any more")
}

func (v *Volume) anyRefused() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.queue, (*pending).refused)
}

// idle checks that a volume that nothing is done with keeps nothing.
func (w *world) idle(v *Volume) {
	w.Helper()
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	require.Empty(w, v.queue)
	require.Empty(w, v.slots)
	require.Empty(w, v.dirTimes)
	require.Zero(w, v.charged, "charged")
	require.Zero(w, v.spooled, "spooled")
	for _, n := range v.nodes {
		require.Failf(w, "node left", "%+v", *n)
	}
	require.Empty(w, v.garbage)
	require.Empty(w, spoolFiles(w.dir))
	pending, err := v.journal.Pending()
	require.NoError(w, err)
	require.Empty(w, pending)
}

func spoolFiles(dir string) []string {
	entries, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return []string{err.Error()}
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// dumpQueue notes what is pending, to explain a failure.
func (s *simulation) dumpQueue() {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	for _, p := range s.v.queue {
		s.note("  %d %s %d %q -> %q started=%v parked=%q stuck=%v", p.Seq, p.Op, p.Node&0xffff, p.OldName, p.Name, p.started, p.Parked, p.stuck)
	}
}
