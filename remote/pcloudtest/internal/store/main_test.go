package store

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if dir := childDir(); dir != "" {
		runChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// clock is a settable Options.Now.
type clock struct{ t time.Time }

func newClock() *clock { return &clock{time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

// open opens an account that is closed at the end of the test.
func open(tb testing.TB, o Options) *Account {
	tb.Helper()
	a, err := Open(o)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, a.Close()) })
	return a
}

// eachMode runs a test on an account in memory and on one in a directory.
func eachMode(t *testing.T, o Options, fn func(t *testing.T, a *Account)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		fn(t, open(t, o))
	})
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		o := o
		o.Dir = t.TempDir()
		fn(t, open(t, o))
	})
}

func blobOf(tb rapid.TB, a *Account, data []byte) *Blob {
	tb.Helper()
	w, err := a.NewBlob()
	require.NoError(tb, err)
	_, err = w.Write(data)
	require.NoError(tb, err)
	b, err := w.Commit()
	require.NoError(tb, err)
	return b
}

func put(tb rapid.TB, v *View, parent uint64, name, data string) Node {
	tb.Helper()
	n, err := v.Put(parent, name, blobOf(tb, v.a, []byte(data)), PutOptions{})
	require.NoError(tb, err)
	return n
}

func mkdir(tb rapid.TB, v *View, parent uint64, name string) Node {
	tb.Helper()
	n, created, err := v.CreateFolder(parent, name, false)
	require.NoError(tb, err)
	require.True(tb, created)
	return n
}

// text reads a file's current content.
func text(tb rapid.TB, v *View, id uint64) string {
	tb.Helper()
	c, _, err := v.OpenContent(id, nil, 0)
	require.NoError(tb, err)
	defer c.Close()
	var out bytes.Buffer
	_, err = io.Copy(&out, io.NewSectionReader(c, 0, c.Size()))
	require.NoError(tb, err)
	return out.String()
}

// paths lists what a view has, with the contents of files.
func paths(tb rapid.TB, v *View) map[string]string {
	tb.Helper()
	out := map[string]string{}
	var at []string
	require.NoError(tb, v.List(0, ListOptions{Recursive: true}, func(n Node, depth int) error {
		if depth == 0 {
			at = []string{""}
			return nil
		}
		at = append(at[:depth], at[depth-1]+"/"+n.Name)
		if n.Folder {
			out[at[depth]+"/"] = ""
		} else {
			out[at[depth]] = text(tb, v, n.ID)
		}
		return nil
	}))
	return out
}

// time0 is some moment in whole seconds.
var time0 = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

func ptr[T any](v T) *T { return &v }
