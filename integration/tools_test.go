//go:build linux

package integration

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// statOf is stat(2).
func statOf(tb testing.TB, path string) *syscall.Stat_t {
	tb.Helper()
	var st syscall.Stat_t
	require.NoError(tb, syscall.Stat(path, &st), path)
	return &st
}

// sha1Of is the SHA-1 as the emulator's tree has it.
func sha1Of(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

// newTestMount is a server and a mount of an empty folder of it.
func newTestMount(t *testing.T, tools ...string) (*emulator, *mount) {
	t.Helper()
	needMount(t)
	needTools(t, tools...)
	e := startEmulator(t)
	return e, startMount(t, e, mountOptions{})
}

// drained unmounts, and mounts again with an empty cache, so that whatever is
// seen then has been in pCloud.
func drained(t *testing.T, m *mount) *mount {
	t.Helper()
	m.stop(t)
	return m.remountEmpty(t)
}

func TestCpAndMv(t *testing.T) {
	t.Parallel()
	_, m := newTestMount(t)
	src := t.TempDir()
	makeTree(t, src, 200, 64<<10, 2)
	want := readTree(t, src)

	// -a asks for owners, modes, times and extended attributes.
	script(t, m.Dir, "cp -a "+src+" copy")
	requireSameTree(t, want, readTree(t, m.path("copy")))
	script(t, m.Dir, `
		cp -a copy "copy of the copy"
		mkdir into
		mv copy into/moved
		mv "into/moved/dir 3" .`)
	cross := t.TempDir()
	script(t, cross, "cp -a "+src+" out && mv out '"+m.path("moved in")+"' && test ! -e out")
	m = drained(t, m)
	requireSameTree(t, want, readTree(t, m.path("copy of the copy")))
	requireSameTree(t, want, readTree(t, m.path("moved in")))
	script(t, m.Dir, `test ! -e copy && mv "dir 3" into/moved/`)
	requireSameTree(t, want, readTree(t, m.path("into", "moved")))
	script(t, cross, "mv "+m.path("into", "moved")+" back && test ! -e "+m.path("into", "moved"))
	requireSameTree(t, want, readTree(t, filepath.Join(cross, "back")))
	script(t, m.Dir, `rm -rf "copy of the copy" "moved in" into && test -z "$(ls -A)"`)
	m.stop(t)
	require.Empty(t, m.emulator.tree(t))
}

func TestRsyncTwice(t *testing.T) {
	t.Parallel()
	e, m := newTestMount(t, "rsync")
	src := t.TempDir()
	makeTree(t, src, 300, 16<<10, 3)
	want := readTree(t, src)

	rsync := func(args ...string) string {
		return run(t, "rsync", append([]string{"-a", "--itemize-changes"}, append(args, src+"/", m.path("copy"))...)...)
	}
	rsync()
	requireSameTree(t, want, readTree(t, m.path("copy")))
	require.Empty(t, rsync(), "the second time, before the upload")
	m = drained(t, m)
	require.Len(t, e.tree(t), 300)
	// Directories' times and finer parts of a second are not kept by pCloud; both
	// are set again, at no cost of transfers.
	require.NotRegexp(t, `(?m)^[<>]f`, rsync(), "after the upload, with an empty cache")
	require.Empty(t, rsync(), "the fourth time")

	require.NoError(t, os.WriteFile(filepath.Join(src, "dir 1", "0001 with spaces"), []byte("changed"), 0o644))
	require.NoError(t, os.RemoveAll(filepath.Join(src, "dir 2")))
	out := rsync("--delete")
	require.Equal(t, 1, strings.Count(out, "\n>f")+strings.Count(out[:2], ">f"), out)
	want = readTree(t, src)
	m.stop(t)
	e.resetStats(t)
	m = m.remountEmpty(t)
	requireSameTree(t, want, readTree(t, m.path("copy")))
	require.NotRegexp(t, `(?m)^[<>]f`, run(t, "rsync", "-a", "--itemize-changes", "--checksum", "--dry-run", src+"/", m.path("copy")))
}

func TestTimes(t *testing.T) {
	t.Parallel()
	_, m := newTestMount(t)
	script(t, m.Dir, `
		echo text > f
		touch -d '2001-02-03 04:05:06 UTC' f
		test "$(stat -c %Y f)" = 981173106
		mkdir d && touch -d '2011-02-03 04:05:06 UTC' d
		test "$(stat -c %Y d)" = 1296705906
		touch -d '1999-12-31 23:59:59 UTC' new
		touch -d '1970-01-01 00:00:00 UTC' epoch
		touch -d '2037-01-01 00:00:00 UTC' future
		touch -d '2100-01-01 00:00:00 UTC' far
		echo one > a; sleep 0.02; echo two > b; test b -nt a
		sleep 1.5 # f is in pCloud now
		touch -r new f
		test "$(stat -c %Y f)" = 946684799
		cat f >/dev/null; touch -a f; test "$(stat -c %Y f)" = 946684799`)
	m = drained(t, m)
	for name, want := range map[string]int64{"f": 946684799, "new": 946684799, "epoch": 0, "future": 2114380800, "far": 4102444800} {
		require.Equal(t, want, statOf(t, m.path(name)).Mtim.Sec, name)
	}
}

// TestFsyncIsInTheCloud looks into the account the moment the programs end that
// promise that the data is safe.
func TestFsyncIsInTheCloud(t *testing.T) {
	t.Parallel()
	e, m := newTestMount(t)
	rnd := rand.New(rand.NewPCG(4, 0))
	data := randomBytes(rnd, 3<<20)
	local := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(local, data, 0o644))

	run(t, "dd", "if="+local, "of="+m.path("dd"), "conv=fsync", "bs=64k", "status=none")
	require.Equal(t, sha1Of(data), e.tree(t)["data/dd"].SHA1, "dd conv=fsync")
	run(t, "dd", "if="+local, "of="+m.path("dd2"), "conv=fdatasync", "bs=1M", "status=none")
	require.Equal(t, sha1Of(data), e.tree(t)["data/dd2"].SHA1, "dd conv=fdatasync")
	run(t, "dd", "if="+local, "of="+m.path("osync"), "oflag=sync", "bs=1M", "status=none")
	require.Equal(t, sha1Of(data), e.tree(t)["data/osync"].SHA1, "O_SYNC")
	run(t, "dd", "if=/dev/zero", "of="+m.path("dd"), "conv=fsync,notrunc", "bs=4096", "count=1", "seek=3", "status=none")
	copy(data[3*4096:4*4096], make([]byte, 4096))
	require.Equal(t, sha1Of(data), e.tree(t)["data/dd"].SHA1, "a part overwritten, conv=fsync,notrunc")

	script(t, m.Dir, "echo text > f; sync f")
	require.Equal(t, int64(5), e.tree(t)["data/f"].Size, "sync FILE")
	script(t, m.Dir, `
		mkdir -p d/e/g
		for i in $(seq 50); do echo "file $i" > "d/e/g/$i"; done
		mv d/e/g d/h; rm d/h/50; rmdir d/e
		sync d`)
	tree := e.tree(t)
	for i := range 49 {
		require.Equal(t, sha1Of(fmt.Appendf(nil, "file %d\n", i+1)), tree[fmt.Sprintf("data/d/h/%d", i+1)].SHA1, "sync DIR")
	}
	require.NotContains(t, tree, "data/d/h/50")
	script(t, m.Dir, "mv d d2; echo 1 > d2/1; sync .")
	tree = e.tree(t)
	require.Contains(t, tree, "data/d2/h/49")
	require.Equal(t, int64(2), tree["data/d2/1"].Size)

	// Written to a temporary name, synced, renamed: what careful programs do.
	script(t, m.Dir, "dd if="+local+" of=tmp conv=fsync status=none; mv tmp final; sync .")
	require.Contains(t, e.tree(t), "data/final")
	require.NotContains(t, e.tree(t), "data/tmp")
}

func TestTruncateAndAppend(t *testing.T) {
	t.Parallel()
	_, m := newTestMount(t)
	rnd := rand.New(rand.NewPCG(5, 0))
	data := randomBytes(rnd, 1<<20)
	require.NoError(t, os.WriteFile(m.path("big"), data, 0o644))
	m = drained(t, m)
	script(t, m.Dir, `
		truncate -s 500000 big
		test "$(stat -c %s big)" = 500000
		cp big shorter
		truncate -s 700001 big
		printf end >> big
		truncate -s 10M sparse
		: > empty
		for i in 1 2 3; do echo "line $i" >> log; done
		sleep 1.5
		for i in 4 5 6; do echo "line $i" >> log; sleep 0.4; done`)
	m = drained(t, m)
	want := append(append(bytes.Clone(data[:500000]), make([]byte, 200001)...), "end"...)
	for name, want := range map[string][]byte{
		"big": want, "shorter": data[:500000], "sparse": make([]byte, 10<<20), "empty": {},
		"log": []byte("line 1\nline 2\nline 3\nline 4\nline 5\nline 6\n"),
	} {
		got, err := os.ReadFile(m.path(name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), name)
	}
	script(t, m.Dir, `echo "line 7" >> log; test "$(wc -l < log)" = 7; tail -n1 log | grep -q 7`)
}

func TestBigFile(t *testing.T) {
	t.Parallel()
	e, m := newTestMount(t)
	size := int64(300 << 20)
	if raceDetector {
		size = 64 << 20
	}
	clock := newStopwatch(t, e)
	// openssl is not everywhere; the generator is seeded and need not be good.
	local := filepath.Join(t.TempDir(), "big")
	f, err := os.Create(local)
	require.NoError(t, err)
	src := rand.NewChaCha8([32]byte{6})
	buf := make([]byte, 1<<20)
	for range size >> 20 {
		_, _ = src.Read(buf)
		_, err := f.Write(buf)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	sum := strings.Fields(run(t, "sha256sum", local))[0]
	clock.reset()
	run(t, "cp", local, m.path("big"))
	clock.lap("cp into the mount")
	require.Equal(t, sum, strings.Fields(run(t, "sha256sum", m.path("big")))[0], "before the upload")
	m.stop(t)
	clock.lap("drain at unmount")
	require.Equal(t, size, e.tree(t)["data/big"].Size)
	m = m.remountEmpty(t)
	clock.reset()
	require.Equal(t, sum, strings.Fields(run(t, "sha256sum", m.path("big")))[0], "with an empty cache")
	clock.lap("read back with an empty cache")
	// Its ends, as a tool that looks for an index does.
	m = drained(t, m)
	e.resetStats(t)
	tail := run(t, "tail", "-c", "1000", m.path("big"))
	require.Equal(t, buf[len(buf)-1000:], []byte(tail))
	require.Less(t, e.stats(t).BytesOut, int64(8<<20), "bytes for the last 1000")
	script(t, m.Dir, "cmp "+local+" big")
}

func TestGit(t *testing.T) {
	t.Parallel()
	e, m := newTestMount(t, "git")
	env := []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org"}
	git := func(dir, text string) string {
		return command{dir: dir, env: env}.run(t, "bash", "-euo", "pipefail", "-c", text)
	}
	src := t.TempDir()
	makeTree(t, src, 100, 8<<10, 7)
	git(m.Dir, `
		git init -q -b main repo && cd repo
		cp -r `+src+`/. .
		git add -A && git commit -q -m first
		echo more >> new && git add new && git commit -q -m second
		git checkout -q -b side HEAD~1 && echo other > side && git add side && git commit -q -m third
		git checkout -q main && git merge -q side -m merge
		git gc -q
		git fsck --strict
		test -z "$(git status --porcelain)"`)
	git(t.TempDir(), "git clone -q "+m.path("repo")+" clone && cd clone && git fsck --strict && git commit -q --allow-empty -m more && git push -q origin main:pushed")
	head := git(m.path("repo"), "git rev-parse HEAD pushed")
	m = drained(t, m)
	require.Equal(t, head, git(m.path("repo"), "git fsck --strict >/dev/null && git rev-parse HEAD pushed"))
	require.Empty(t, git(m.path("repo"), "git status --porcelain"))
	for name := range e.tree(t) {
		require.NotContains(t, name, ".lock", "left behind")
	}
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	e, m := newTestMount(t, "sqlite3")
	script(t, m.Dir, `
		sqlite3 db 'CREATE TABLE t(i INTEGER PRIMARY KEY, s TEXT)'
		for i in $(seq 10); do sqlite3 db "INSERT INTO t(s) VALUES('row $i')"; done
		sqlite3 db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000) INSERT INTO t(s) SELECT 'bulk '||i FROM n"
		sqlite3 db "DELETE FROM t WHERE i % 3 = 0"
		sqlite3 db VACUUM
		test "$(sqlite3 db 'PRAGMA integrity_check')" = ok`)
	want := run(t, "sqlite3", m.path("db"), "SELECT count(*), sum(i), min(s), max(s) FROM t")
	m = drained(t, m)
	require.Equal(t, want, run(t, "sqlite3", m.path("db"), "SELECT count(*), sum(i), min(s), max(s) FROM t"))
	require.Equal(t, "ok\n", run(t, "sqlite3", m.path("db"), "PRAGMA integrity_check"))
	require.NotContains(t, e.tree(t), "data/db-journal")
}
