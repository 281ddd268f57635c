//go:build linux

package integration

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// makeTree fills dir with n files of up to most bytes in some directories, with
// names and times of many kinds. The same seed makes the same tree.
func makeTree(tb testing.TB, dir string, n, most int, seed uint64) {
	tb.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	decorations := []string{"", " with spaces", ".tar.gz", " ünïcödé 漢字 🙂", "%2F+&=#?", "~", " 'quotes\"", "#hash", ".", " "}
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("dir %d", i%17))
		if i%5 == 0 {
			sub = filepath.Join(sub, "deeper", ".hidden")
		}
		require.NoError(tb, os.MkdirAll(sub, 0o755))
		name := filepath.Join(sub, fmt.Sprintf("%04d%s", i, decorations[i%len(decorations)]))
		size := 0
		if i%20 != 0 { // some are empty
			size = rnd.IntN(most)
		}
		require.NoError(tb, os.WriteFile(name, randomBytes(rnd, size), 0o644))
		mtime := time.Unix(1e9+rnd.Int64N(7e8), 0)
		require.NoError(tb, os.Chtimes(name, mtime, mtime))
	}
	past := time.Unix(1500000000, 0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chtimes(path, past, past)
		}
		return err
	})
	require.NoError(tb, err)
}

// randomBytes are n bytes that no compression or deduplication finds again.
func randomBytes(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// TestRcloneAsAStranger has rclone do all it can do with 1,000 files, with the
// whole account in sight.
func TestRcloneAsAStranger(t *testing.T) {
	t.Parallel()
	needTools(t, "rclone")
	e := startEmulator(t, "--quota", "20G")
	r := newRclone(t, e, e.AccountToken)
	src := t.TempDir()
	n := 1000
	if raceDetector {
		n = 200
	}
	makeTree(t, src, n, 8<<10, 1)
	want := readTree(t, src)

	step := func(name string, f func(t *testing.T)) {
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	// transfers runs rclone and returns how many files it uploaded.
	transfers := func(t *testing.T, args ...string) int64 {
		before := e.stats(t).Requests["uploadfile"]
		r.run(t, append(args, "--transfers", "8", "--checkers", "8")...)
		return e.stats(t).Requests["uploadfile"] - before
	}
	step("copy", func(t *testing.T) {
		require.Equal(t, int64(n), transfers(t, "copy", src, "emu:stranger/tree"))
		require.Zero(t, transfers(t, "copy", src, "emu:stranger/tree"), "the second time there is nothing to do")
	})
	step("check", func(t *testing.T) {
		r.run(t, "check", "--checksum", src, "emu:stranger/tree", "--checkers", "8")
		r.run(t, "check", "--download", filepath.Join(src, "dir 3"), "emu:stranger/tree/dir 3", "--checkers", "8")
	})
	step("about", func(t *testing.T) {
		require.Contains(t, r.run(t, "about", "emu:"), "Total:   20 GiB")
	})
	step("size", func(t *testing.T) {
		require.Contains(t, r.run(t, "size", "emu:stranger"), fmt.Sprintf("(%d)", n))
	})
	step("sync", func(t *testing.T) {
		victim := filepath.Join(src, "dir 1", "0001 with spaces")
		require.NoError(t, os.WriteFile(victim, []byte("changed"), 0o644))
		require.NoError(t, os.RemoveAll(filepath.Join(src, "dir 2")))
		require.NoError(t, os.WriteFile(filepath.Join(src, "new"), []byte("new"), 0o644))
		require.Equal(t, int64(2), transfers(t, "sync", src, "emu:stranger/tree"))
		want = readTree(t, src)
		r.run(t, "check", src, "emu:stranger/tree", "--checkers", "8")
	})
	step("moveto", func(t *testing.T) {
		require.Zero(t, transfers(t, "moveto", "emu:stranger/tree/new", "emu:stranger/tree/dir 1/moved"), "renamed by the server")
		require.Zero(t, transfers(t, "moveto", "emu:stranger/tree/dir 3", "emu:stranger/elsewhere"), "renamed by the server")
		r.run(t, "moveto", "emu:stranger/elsewhere", "emu:stranger/tree/dir 3")
		r.run(t, "moveto", "emu:stranger/tree/dir 1/moved", "emu:stranger/tree/new")
	})
	step("server-side copy", func(t *testing.T) {
		require.Zero(t, transfers(t, "copyto", "emu:stranger/tree/new", "emu:stranger/tree/copy"), "copied by the server")
		require.Equal(t, "new", r.run(t, "cat", "emu:stranger/tree/copy"))
		r.run(t, "deletefile", "emu:stranger/tree/copy")
	})
	step("rcat", func(t *testing.T) {
		out, err := command{env: r.env, stdin: "from a pipe"}.try(t, "rclone", r.args("rcat", "emu:stranger/piped")...)
		require.NoError(t, err, out)
		require.Equal(t, "from a pipe", r.run(t, "cat", "emu:stranger/piped"))
		require.Equal(t, "a pipe", r.run(t, "cat", "--offset", "5", "emu:stranger/piped"))
	})
	step("dedupe", func(t *testing.T) {
		// pCloud has no two files of one name, so there is nothing to be found.
		r.run(t, "dedupe", "--dedupe-mode", "newest", "emu:stranger/tree")
		require.Contains(t, r.run(t, "size", "emu:stranger/tree"), fmt.Sprintf("(%d)", countFiles(want)))
	})
	step("hashsum", func(t *testing.T) {
		for kind, tool := range map[string]string{"sha1": "sha1sum", "md5": "md5sum"} {
			sums := filepath.Join(t.TempDir(), "sums")
			r.run(t, "hashsum", kind, "emu:stranger/tree/dir 5", "--output-file", sums, "--checkers", "8")
			command{dir: filepath.Join(src, "dir 5")}.run(t, tool, "--check", "--quiet", "--strict", sums)
		}
	})
	step("copy back", func(t *testing.T) {
		r.run(t, "moveto", "emu:stranger/tree/new", "emu:stranger/aside")
		// A part: two requests a file, and rclone allows itself 100 a second.
		dst := t.TempDir()
		r.run(t, "copy", "emu:stranger/tree/dir 5", dst, "--transfers", "8", "--create-empty-src-dirs")
		requireSameTree(t, readTree(t, filepath.Join(src, "dir 5")), readTree(t, dst))
	})
	step("mount", func(t *testing.T) { throughRcloneMount(t, r, src) })
	step("purge", func(t *testing.T) {
		r.run(t, "purge", "emu:stranger/tree")
		out, err := r.try(t, "lsf", "emu:stranger/tree")
		require.Error(t, err)
		require.Contains(t, out, "directory not found")
		require.Equal(t, "aside\npiped\n", r.run(t, "lsf", "--files-only", "emu:stranger"))
	})
}

func countFiles(tree map[string]fileState) (n int) {
	for name := range tree {
		if !strings.HasSuffix(name, "/") {
			n++
		}
	}
	return n
}

// throughRcloneMount lists the tree and reads a part of it through rclone's own
// mount, and writes.
func throughRcloneMount(t *testing.T, r *rclone, src string) {
	needMount(t)
	needTools(t, "fusermount3")
	dir, cache := t.TempDir(), t.TempDir()
	cmd := exec.Command("rclone", r.args("mount", "emu:stranger/tree", dir,
		"--vfs-cache-mode", "writes", "--vfs-write-back", "0s", "--cache-dir", cache)...)
	cmd.Env = r.env
	p := startProcess(t, "rclone mount", cmd)
	t.Cleanup(func() { detach(t, dir) })
	eventually(t, patience, "rclone mounts", func() bool { return p.ended() || mountedAt(dir) != nil })
	require.False(t, p.ended(), "rclone mount: %s", p.stderr.tail())

	names := "cd %s && find . -name new -prune -o -print0 | sort -z | sha1sum"
	require.Equal(t, run(t, "sh", "-c", fmt.Sprintf(names, src)), run(t, "sh", "-c", fmt.Sprintf(names, dir)))
	requireSameTree(t, readTree(t, filepath.Join(src, "dir 7")), readTree(t, filepath.Join(dir, "dir 7")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "through rclone"), []byte("written"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "made by rclone"), 0o755))
	require.NoError(t, os.Rename(filepath.Join(dir, "through rclone"), filepath.Join(dir, "made by rclone", "renamed")))
	eventually(t, patience, "what rclone's mount wrote is in the account", func() bool {
		out, err := r.try(t, "cat", "emu:stranger/tree/made by rclone/renamed")
		return err == nil && out == "written"
	})
	run(t, "fusermount3", "-u", dir)
	require.True(t, p.wait(patience), "rclone mount does not end")
	r.run(t, "purge", "emu:stranger/tree/made by rclone")
}
