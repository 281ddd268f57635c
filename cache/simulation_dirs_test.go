package cache

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func (s *simulation) makeDir() {
	p := s.somePath()
	if strings.Count(p, "/") > 2 {
		return
	}
	s.note("mkdir %s", p)
	dir, name := s.walk(s.v, p)
	_, err := s.v.Mkdir(s.Context(), dir, name)
	if s.dirs[p] || s.files[p] != nil {
		require.ErrorIs(s, err, fs.ErrExist)
		return
	}
	if s.died.Load() {
		s.dirs[p] = true
		return
	}
	if err != nil {
		s.note("  failed: %v", err)
		// The reply may have been lost: then it exists.
		s.calm()
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
	if !s.tolerated(err) || s.died.Load() {
		delete(s.dirs, p)
	}
}

func (s *simulation) moveDir() {
	from, to := s.someDir(), s.somePath()
	isFile := s.files[to] != nil
	inside := to == from || strings.HasPrefix(to, from+"/")
	if from == "" || isFile || inside || strings.Count(to, "/") > 2 || (s.dirs[to] && s.children(to) > 0) || strings.HasPrefix(from, to+"/") {
		return
	}
	s.note("move folder %s to %s", from, to)
	if s.tolerated(s.rename(s.v, from, to)) && !s.died.Load() {
		return
	}
	moved := map[string]*simFile{}
	for p, f := range s.files {
		if strings.HasPrefix(p, from+"/") {
			delete(s.files, p)
			moved[to+strings.TrimPrefix(p, from)] = f
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
