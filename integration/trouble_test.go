//go:build linux

package integration

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTroubledNetwork has tools work while many requests go wrong, in every way
// that networks and services have. The tools notice nothing, and nothing is
// lost, doubled or half there.
func TestTroubledNetwork(t *testing.T) {
	t.Parallel()
	needMount(t)
	needTools(t, "rsync")
	src := t.TempDir()
	makeTree(t, src, 120, 200<<10, 9)
	want := readTree(t, src)
	troubles := map[string][]rule{
		"refused":       {{"do": "api", "code": 5000, "prob": 0.05}},
		"slow down":     {{"do": "api", "code": 4000, "count": 4, "skip": 20}},
		"bad gateway":   {{"do": "http", "code": 502, "prob": 0.05}},
		"never arrived": {{"do": "reset-before", "prob": 0.05}},
		"broken off":    {{"do": "reset-within", "after": 10_000, "prob": 0.05}},
		"reply lost":    {{"method": "uploadfile", "do": "reset-after", "prob": 0.2}, {"method": "renamefile", "do": "reset-after", "prob": 0.2}, {"method": "deletefile", "do": "reset-after", "prob": 0.2}, {"method": "deletefolderrecursive", "do": "reset-after", "prob": 0.2}, {"method": "copyfile", "do": "reset-after", "prob": 0.2}},
		"reply cut":     {{"method": "listfolder", "do": "truncate", "prob": 0.1}, {"method": "uploadfile", "do": "truncate", "prob": 0.1}, {"method": "content", "do": "truncate", "prob": 0.1}},
		"wrong digest":  {{"method": "uploadfile", "do": "wrong-digest", "prob": 0.1}},
		"expired links": {{"method": "content", "do": "expired-link", "prob": 0.1}},
		"feed broken":   {{"method": "diff", "do": "api", "code": 5001}},
		"stalls":        {{"do": "stall", "delay": "1s", "prob": 0.01}},
		"feed reset":    {{"method": "diff", "do": "reset-diff", "prob": 0.3}},
	}
	for _, name := range slices.Sorted(maps.Keys(troubles)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEmulator(t)
			m := startMount(t, e, mountOptions{})
			// Folders are there before: mkdir is a lock to some programs, so it rather
			// fails than leave it open who made the folder.
			folders := []string{"-a", "--include=*/", "--exclude=*", src + "/"}
			run(t, "rsync", append(folders, m.path("copy"))...)
			run(t, "rsync", append(folders, m.path("second"))...)
			e.faults(t, troubles[name]...)
			inTrouble(t, e, m, src, want)
		})
	}
}

// inTrouble copies, moves and removes, and compares all there is on both sides.
func inTrouble(t *testing.T, e *emulator, m *mount, src string, want map[string]fileState) {
	run(t, "rsync", "-a", src+"/", m.path("copy"))
	requireSameTree(t, want, readTree(t, m.path("copy")))
	script(t, m.Dir, `
		cp -a copy/. second
		sync second
		mv second/"dir 1" moved
		rm -rf second
		mv moved "copy/dir 1/moved"
		mv "copy/dir 1/moved" .`)
	m.stop(t)
	part := readTree(t, src+"/dir 1")
	require.Len(t, e.tree(t), countFiles(want)+countFiles(part), "files in pCloud")

	e.faults(t) // a mount may well refuse to start in trouble
	m = m.remountEmpty(t)
	requireSameTree(t, want, readTree(t, m.path("copy")))
	requireSameTree(t, part, readTree(t, m.path("moved")))
	script(t, m.Dir, "rm -rf *")
	m.stop(t)
	require.Empty(t, e.tree(t))
	require.Zero(t, e.stats(t).UploadSessions, "sessions left behind")
}
