package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

const appFolder = "/Applications/pcloudfs"

// world is an account on a server in this process, with volumes on it. All of
// it lives in a synctest bubble.
type world struct {
	*testing.T
	srv *pcloudtest.Server
	dir string
}

// bubble runs a test with a server in virtual time.
func bubble(t *testing.T, o pcloudtest.Options, f func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o.InProcess = true
		srv := pcloudtest.New(t, o)
		f(&world{T: t, srv: srv, dir: dir})
	})
}

func (w *world) client() *remote.Client {
	w.Helper()
	tr := w.srv.Transport()
	c, err := remote.New(remote.Options{
		Host: w.srv.APIAddr(), Transport: tr,
		TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.srv.AppToken()}),
	})
	require.NoError(w, err)
	w.Cleanup(func() { c.Close(); tr.CloseIdleConnections() })
	return c
}

// open opens a volume on the world's cache directory.
func (w *world) open(opts ...func(*Options)) *Volume {
	w.Helper()
	o := Options{Remote: w.client(), Dir: w.dir, Identity: "test", NoSync: true, BlockBytes: 8 << 20}
	for _, f := range opts {
		f(&o)
	}
	v, err := Open(w.Context(), o)
	require.NoError(w, err)
	w.Cleanup(func() { v.stop() })
	return v
}

func (w *world) close(v *Volume) {
	w.Helper()
	require.NoError(w, v.Close(w.Context()))
}

// abandon closes a volume without sending anything more.
func (w *world) abandon(v *Volume) {
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	err := v.Close(ctx)
	var left *LeftError
	if err != nil && !errors.As(err, &left) && !errors.Is(err, context.Canceled) {
		require.NoError(w, err)
	}
}

// walk resolves a path to a folder and the last name.
func (w *world) walk(v *Volume, path string) (NodeID, string) {
	w.Helper()
	parts := strings.Split(path, "/")
	dir := RootNode
	for _, p := range parts[:len(parts)-1] {
		a, err := v.Lookup(w.Context(), dir, p)
		require.NoError(w, err, "lookup %q of %q", p, path)
		dir = a.ID
	}
	return dir, parts[len(parts)-1]
}

func (w *world) write(v *Volume, path, data string) Attr {
	w.Helper()
	a, err := w.tryWrite(v, path, data)
	require.NoError(w, err)
	return a
}

// tryWrite makes or overwrites a file as a shell redirection does.
func (w *world) tryWrite(v *Volume, path, data string) (Attr, error) {
	dir, name := w.walk(v, path)
	h, a, err := v.Create(w.Context(), dir, name, OpenFlags{Write: true, Truncate: true})
	if err != nil {
		return a, err
	}
	defer h.Release()
	if _, err := h.WriteAt(w.Context(), []byte(data), 0); err != nil {
		return a, err
	}
	return a, h.Flush(w.Context())
}

func (w *world) read(v *Volume, path string) string {
	w.Helper()
	dir, name := w.walk(v, path)
	a, err := v.Lookup(w.Context(), dir, name)
	require.NoError(w, err, path)
	h, a, err := v.OpenFile(w.Context(), a.ID, OpenFlags{Read: true})
	require.NoError(w, err, path)
	defer h.Release()
	p := make([]byte, a.Size+10)
	n, err := h.ReadAt(w.Context(), p, 0)
	require.NoError(w, err, path)
	require.EqualValues(w, a.Size, n, path)
	return string(p[:n])
}

func (w *world) mkdir(v *Volume, path string) {
	w.Helper()
	dir, name := w.walk(v, path)
	_, err := v.Mkdir(w.Context(), dir, name)
	require.NoError(w, err)
}

func (w *world) rename(v *Volume, from, to string) error {
	d1, n1 := w.walk(v, from)
	d2, n2 := w.walk(v, to)
	return v.Rename(w.Context(), d1, n1, d2, n2, false)
}

func (w *world) unlink(v *Volume, path string) error {
	dir, name := w.walk(v, path)
	return v.Unlink(w.Context(), dir, name)
}

// list shows a folder as "name" and "name/".
func (w *world) list(v *Volume, path string) []string {
	w.Helper()
	dir := RootNode
	if path != "" {
		d, name := w.walk(v, path)
		a, err := v.Lookup(w.Context(), d, name)
		require.NoError(w, err)
		dir = a.ID
	}
	entries, err := v.ReadDir(w.Context(), dir)
	require.NoError(w, err)
	names := []string{}
	for _, e := range entries {
		if e.Attr.Folder {
			e.Name += "/"
		}
		names = append(names, e.Name)
	}
	return names
}

// cloud shows the files that pCloud has below the application folder.
func (w *world) cloud() map[string]string {
	w.Helper()
	for {
		if files, ok := w.snapshot(); ok {
			return files
		}
	}
}

// snapshot fails when a file is renamed or removed while it is taken.
func (w *world) snapshot() (map[string]string, bool) {
	files := map[string]string{}
	for _, e := range w.srv.Tree() {
		data, err := w.srv.ReadFile(e.Path)
		if err != nil {
			return nil, false
		}
		files[strings.TrimPrefix(e.Path, appFolder+"/")] = string(data)
	}
	return files, true
}

// foreign changes a file as another client would.
func (w *world) foreign(path, data string) {
	w.Helper()
	require.NoError(w, w.srv.WriteFile(appFolder+"/"+path, []byte(data), time.Now()))
}

// events lists what happened in pCloud since a moment as "event name".
func (w *world) events(after uint64) []string {
	var list []string
	for _, e := range w.srv.Events(after) {
		list = append(list, fmt.Sprintf("%s %s", e.Event, e.Name))
	}
	return list
}
