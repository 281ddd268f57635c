//go:build linux

package integration

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	e, m := newTestMount(t)
	names := []string{
		"plain", "PLAIN", "with space", " leading", "trailing ", "trailing.", ".hidden", "..two", "...", "~", "-rf", "*?<>|\":",
		"caf\u00e9", "cafe\u0301", // NFC and NFD are two names
		"漢字", "🙂", "new\nline", "tab\tstop", "bell\a", "del\x7f", "%2F", "%00", "a+b&c=d#e;f", "con", "aux.txt", "desktop.ini", ".DS_Store", "._file",
		"file~f12", "\u202egnp.exe", "\ufeffbom", strings.Repeat("x", 255), strings.Repeat("é", 127), strings.Repeat("漢", 85),
	}
	for i, name := range names {
		require.NoError(t, os.WriteFile(m.path(name), []byte(strconv.Itoa(i)), 0o644), "%q", name)
		require.NoError(t, os.MkdirAll(m.path("dirs", name), 0o755), "%q", name)
	}
	m = drained(t, m)
	tree := e.tree(t)
	for i, name := range names {
		b, err := os.ReadFile(m.path(name))
		require.NoError(t, err, "%q", name)
		require.Equal(t, strconv.Itoa(i), string(b), "%q", name)
		require.Contains(t, tree, "data/"+name)
	}
	for dir, more := range map[string]int{m.Dir: 1, m.path("dirs"): 0} {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, len(names)+more)
		for _, entry := range entries {
			if entry.Name() != "dirs" {
				require.Contains(t, names, entry.Name())
			}
		}
	}
	for _, name := range names {
		require.NoError(t, os.Rename(m.path(name), m.path("dirs", name, name)), "%q", name)
	}
	require.NoError(t, os.RemoveAll(m.path("dirs")))
}

// TestRefusedNames checks that what cannot be in pCloud is refused at once and
// not when it is uploaded.
func TestRefusedNames(t *testing.T) {
	t.Parallel()
	e, m := newTestMount(t)
	require.NoError(t, os.WriteFile(m.path("f"), nil, 0o644))
	require.NoError(t, os.Mkdir(m.path("d"), 0o755))
	for _, tc := range []struct {
		name  string
		errno []error // any of these
	}{
		{`back\slash`, []error{syscall.EINVAL, syscall.EILSEQ}},
		{"not\xffutf8", []error{syscall.EINVAL, syscall.EILSEQ}},
		{strings.Repeat("x", 256), []error{syscall.ENAMETOOLONG}},
		{strings.Repeat("漢", 86), []error{syscall.ENAMETOOLONG}},
	} {
		one := func(err error, what string) {
			t.Helper()
			for _, want := range tc.errno {
				if errors.Is(err, want) {
					return
				}
			}
			t.Errorf("%s %q: %v, not %v", what, tc.name, err, tc.errno)
		}
		begin := time.Now()
		one(os.WriteFile(m.path(tc.name), []byte("text"), 0o644), "create")
		one(os.Mkdir(m.path(tc.name), 0o755), "mkdir")
		one(os.Rename(m.path("f"), m.path(tc.name)), "rename a file to")
		one(os.Rename(m.path("d"), m.path(tc.name)), "rename a folder to")
		_, err := os.Lstat(m.path(tc.name))
		require.Error(t, err)
		require.Less(t, time.Since(begin), time.Second)
	}
	for what, err := range map[string]error{
		"symlink": os.Symlink("f", m.path("symlink")),
		"link":    os.Link(m.path("f"), m.path("link")),
		"mkfifo":  syscall.Mkfifo(m.path("fifo"), 0o644),
	} {
		require.ErrorIs(t, err, syscall.EPERM, what)
	}
	m.stop(t)
	require.Len(t, e.tree(t), 1)
}

// TestNamesFromElsewhere looks at what other clients may do and a Unix
// directory cannot show.
func TestNamesFromElsewhere(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	d := newDuplicati(t, e)
	data := d.makeFolder(t, 0, "data")
	long := strings.Repeat("long name ", 80)
	d.makeFolder(t, data, "both")
	d.upload(t, data, "both", []byte("the file"))
	d.upload(t, data, long, []byte("the long one"))
	d.upload(t, data, "plain", []byte("plain"))
	m := startMount(t, e, mountOptions{})
	entries, err := os.ReadDir(m.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 4)
	texts := map[string]string{}
	for _, entry := range entries {
		require.LessOrEqual(t, len(entry.Name()), 255)
		if !entry.IsDir() {
			b, err := os.ReadFile(m.path(entry.Name()))
			require.NoError(t, err)
			texts[string(b)] = entry.Name()
		}
	}
	require.Len(t, texts, 3)
	require.Equal(t, "plain", texts["plain"])
	require.NoError(t, os.WriteFile(m.path(texts["the long one"]), []byte("overwritten"), 0o644))
	require.NoError(t, os.Remove(m.path(texts["the file"])))
	m.stop(t)
	tree := e.tree(t)
	require.Len(t, tree, 2)
	require.Equal(t, sha1Of([]byte("overwritten")), tree["data/"+long].SHA1, "under its own name")
}

func TestSpace(t *testing.T) {
	t.Parallel()
	needMount(t)
	e := startEmulator(t, "--quota", "3G")
	m := startMount(t, e, mountOptions{})
	df := func(field string) int64 {
		t.Helper()
		out := strings.Fields(run(t, "df", "-B1", "--output="+field, m.Dir))
		n, err := strconv.ParseInt(out[len(out)-1], 10, 64)
		require.NoError(t, err, "%q", out)
		return n
	}
	require.Equal(t, int64(3<<30), df("size"))
	used := df("used")
	const size = 20 << 20
	require.NoError(t, os.WriteFile(m.path("f"), make([]byte, size), 0o644))
	require.GreaterOrEqual(t, df("used"), used+size, "before the upload")
	require.NoError(t, os.MkdirAll(m.path("d", "e"), 0o755))
	require.NoError(t, os.WriteFile(m.path("d", "e", "small"), []byte("x"), 0o644))
	m = drained(t, m)
	require.Equal(t, int64(3<<30), df("size"))
	require.InDelta(t, used+size, df("used"), 1<<20, "after the upload")
	require.Equal(t, df("size"), df("used")+df("avail"))
	require.Positive(t, df("iavail"))

	du := func(args ...string) int64 {
		t.Helper()
		n, err := strconv.ParseInt(strings.Fields(run(t, "du", append(args, m.Dir)...))[0], 10, 64)
		require.NoError(t, err)
		return n
	}
	const directories = 3 * 4096
	require.InDelta(t, size+1, du("-s", "--apparent-size", "-B1"), directories)
	require.InDelta(t, size+512, du("-s", "-B1"), directories+4096)

	// What others put there.
	d := newDuplicati(t, e)
	d.upload(t, 0, "other", make([]byte, size))
	eventually(t, patience, "df shows what others use", func() bool { return df("used") >= used+2*size })
}
