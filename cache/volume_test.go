package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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

func TestWriteReachesPCloudAfterClose(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.mkdir(v, "dir")
		a := w.write(v, "dir/file", "hello")
		require.Equal(w, "hello", w.read(v, "dir/file"), "own changes show at once")
		require.Empty(w, w.cloud(), "nothing is sent before the settle time")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(w, map[string]string{"dir/file": "hello"}, w.cloud())
		dir, name := w.walk(v, "dir/file")
		now, err := v.Lookup(w.Context(), dir, name)
		require.NoError(w, err)
		require.Equal(w, a.ID, now.ID, "the inode number survives the upload")
		w.close(v)

		v = w.open()
		require.Equal(w, "hello", w.read(v, "dir/file"))
		again, err := v.Lookup(w.Context(), dir, name)
		require.NoError(w, err)
		require.Equal(w, a.ID, again.ID, "and a restart")
		w.close(v)
	})
}

func TestTemporaryNameNeverReachesPCloud(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.foreign("final", "old")
		require.Equal(w, "old", w.read(v, "final"))
		var last uint64
		for _, e := range w.srv.Events(0) {
			last = max(last, e.DiffID)
		}
		w.write(v, "final.tmp", "new")
		require.NoError(w, w.rename(v, "final.tmp", "final"))
		require.Equal(w, []string{"final"}, w.list(v, ""))
		require.Equal(w, "new", w.read(v, "final"))
		w.close(v)
		require.Equal(w, map[string]string{"final": "new"}, w.cloud())
		require.Equal(w, []string{"modifyfile final"}, w.events(last))
	})
}

func TestRemovedBeforeUploadCostsNothing(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.write(v, "lock", "x")
		require.NoError(w, w.unlink(v, "lock"))
		require.Empty(w, w.list(v, ""))
		w.close(v)
		require.Zero(w, w.srv.Stats().Requests["uploadfile"])
		require.Zero(w, w.srv.Stats().Requests["deletefile"])
	})
}

func TestRenames(t *testing.T) {
	tests := []struct {
		name     string
		from, to string
		err      error
		want     []string
	}{
		{"file over file", "f1", "f2", nil, []string{"d1/", "d2/", "f2", "full/"}},
		{"file to new name", "f1", "new", nil, []string{"d1/", "d2/", "f2", "full/", "new"}},
		{"file over folder", "f1", "d1", ErrIsFolder, nil},
		{"folder over file", "d1", "f1", ErrNotFolder, nil},
		{"folder over empty folder", "d1", "d2", nil, []string{"d2/", "f1", "f2", "full/"}},
		{"folder over full folder", "d1", "full", ErrNotEmpty, nil},
		{"folder into itself", "full", "full/sub/x", ErrLoop, nil},
		{"onto itself", "f1", "f1", nil, []string{"d1/", "d2/", "f1", "f2", "full/"}},
		{"missing", "nothing", "f1", fs.ErrNotExist, nil},
		{"bad name", "f1", "a\\b", ErrInvalidName, nil},
	}
	for _, tt := range tests {
		for _, uploaded := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/uploaded=%v", tt.name, uploaded), func(t *testing.T) {
				bubble(t, pcloudtest.Options{}, func(w *world) {
					v := w.open()
					for _, d := range []string{"d1", "d2", "full", "full/sub"} {
						w.mkdir(v, d)
					}
					w.write(v, "f1", "one")
					w.write(v, "f2", "two")
					if uploaded {
						require.NoError(w, v.SyncDir(w.Context(), RootNode))
					}
					err := w.rename(v, tt.from, tt.to)
					require.ErrorIs(w, err, tt.err)
					if tt.want != nil {
						require.Equal(w, tt.want, w.list(v, ""))
					}
					if tt.err == nil && tt.from == "f1" {
						require.Equal(w, "one", w.read(v, tt.to))
					}
					w.close(v)
					if tt.want == nil {
						return
					}
					v = w.open()
					require.Equal(w, tt.want, w.list(v, ""), "the same in pCloud")
					w.close(v)
				})
			})
		}
	}
}

func TestNoReplaceAndExclusive(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.write(v, "a", "1")
		w.write(v, "b", "2")
		err := v.Rename(w.Context(), RootNode, "a", RootNode, "b", true)
		require.ErrorIs(w, err, fs.ErrExist)
		_, _, err = v.Create(w.Context(), RootNode, "a", OpenFlags{Write: true, Exclusive: true})
		require.ErrorIs(w, err, fs.ErrExist)
		_, err = v.Mkdir(w.Context(), RootNode, "a")
		require.ErrorIs(w, err, fs.ErrExist)
		w.close(v)
	})
}

func TestRmdir(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.mkdir(v, "d")
		w.write(v, "d/f", "1")
		require.ErrorIs(w, v.Rmdir(w.Context(), RootNode, "d"), ErrNotEmpty)
		require.ErrorIs(w, w.unlink(v, "d"), ErrIsFolder)
		dir, _ := w.walk(v, "d/f")
		require.ErrorIs(w, v.Rmdir(w.Context(), dir, "f"), ErrNotFolder)
		require.NoError(w, w.unlink(v, "d/f"))
		require.NoError(w, v.Rmdir(w.Context(), RootNode, "d"))
		require.Empty(w, w.list(v, ""))
		w.mkdir(v, "d") // at once, over the removal that is still pending
		require.Empty(w, w.list(v, "d"))
		w.close(v)
	})
}

func TestRmdirLosesAgainstAnotherClient(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.mkdir(v, "d")
		w.write(v, "slow", "keeps the queue busy")
		require.Empty(w, w.list(v, "d"))
		require.NoError(w, v.Rmdir(w.Context(), RootNode, "d"))
		w.foreign("d/theirs", "kept")
		w.close(v)
		require.Equal(w, "kept", w.cloud()["d/theirs"])
	})
}

func TestFsyncMeansPCloud(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.write(v, "before", "1")
		h, _, err := v.Create(w.Context(), RootNode, "f", OpenFlags{Write: true})
		require.NoError(w, err)
		_, err = h.WriteAt(w.Context(), []byte("synced"), 0)
		require.NoError(w, err)
		start := time.Now()
		require.NoError(w, h.Sync(w.Context()))
		require.Less(w, time.Since(start), 500*time.Millisecond, "no settling for those who wait")
		require.Equal(w, "synced", w.cloud()["f"])
		require.NoError(w, v.SyncDir(w.Context(), RootNode))
		require.Equal(w, map[string]string{"before": "1", "f": "synced"}, w.cloud())
		_, err = h.WriteAt(w.Context(), []byte(" and more"), 6)
		require.NoError(w, err)
		require.NoError(w, h.Flush(w.Context()))
		time.Sleep(5 * time.Second)
		require.Equal(w, "synced", w.cloud()["f"], "not published while it is open for writing")
		h.Release()
		w.close(v)
		require.Equal(w, "synced and more", w.cloud()["f"])
	})
}

func TestPublishedInTheOrderOfClose(t *testing.T) {
	bubble(t, pcloudtest.Options{Shape: pcloudtest.Shape{RTT: 50 * time.Millisecond, ConnUp: 100_000}}, func(w *world) {
		v := w.open(func(o *Options) { o.Threshold = 1000 })
		w.foreign("old", "x")
		require.Equal(w, []string{"old"}, w.list(v, ""))
		w.write(v, "large", strings.Repeat("x", 300_000))
		w.write(v, "small", "y")
		w.write(v, "old", "new")
		require.NoError(w, w.unlink(v, "small"))
		w.write(v, "last", "z")
		w.close(v)
		var order []string
		for _, e := range w.srv.Events(0) {
			if strings.HasSuffix(e.Event, "file") && !slices.Contains(order, e.Name) {
				order = append(order, e.Name)
			}
		}
		require.Equal(w, []string{"old", "large", "last"}, order)
		require.Equal(w, "new", w.cloud()["old"])
	})
}

func TestKilledVolumeGoesOn(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open(func(o *Options) { o.Threshold = 1000 })
		w.foreign("keep", "theirs")
		w.foreign("gone", "x")
		w.foreign("moved", "content of moved")
		w.list(v, "")
		require.NoError(w, w.srv.SetFaults([]pcloudtest.Rule{{Do: "api", Code: 5000}}))
		first := w.write(v, "new", "bytes")
		w.write(v, "keep", strings.Repeat("changed ", 1000))
		require.NoError(w, w.unlink(v, "gone"))
		require.NoError(w, w.rename(v, "moved", "there"))
		w.abandon(v)
		require.NoError(w, w.srv.SetFaults(nil))

		v = w.open(func(o *Options) { o.Threshold = 1000 })
		require.Equal(w, []string{"keep", "new", "there"}, w.list(v, ""), "as it was left")
		require.Equal(w, "bytes", w.read(v, "new"))
		require.Equal(w, "content of moved", w.read(v, "there"))
		a, err := v.Lookup(w.Context(), RootNode, "new")
		require.NoError(w, err)
		require.Equal(w, first.ID, a.ID)
		w.close(v)
		require.Equal(w, map[string]string{
			"keep": strings.Repeat("changed ", 1000), "new": "bytes", "there": "content of moved",
		}, w.cloud())
	})
}

func TestRaceAgainstAnotherClientKeepsBoth(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.foreign("f", "first")
		require.Equal(w, "first", w.read(v, "f"))
		w.write(v, "f", "ours")
		w.foreign("f", "theirs")
		w.close(v)
		cloud := w.cloud()
		require.Equal(w, "theirs", cloud["f"])
		require.Len(w, cloud, 2, "%v", cloud)
		for name, data := range cloud {
			if name != "f" {
				require.Equal(w, "ours", data)
			}
		}
	})
}

func TestReplacedFileThatOthersRemovedGetsItsName(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.foreign("f", "first")
		require.Equal(w, "first", w.read(v, "f"))
		w.write(v, "f", "ours")
		require.NoError(w, w.srv.Remove(appFolder+"/f"))
		w.close(v)
		require.Equal(w, map[string]string{"f": "ours"}, w.cloud())
	})
}

func TestChangesOfOthersShow(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		require.Empty(w, w.list(v, ""))
		w.foreign("f", "one")
		time.Sleep(time.Second)
		require.Equal(w, "one", w.read(v, "f"))
		w.foreign("f", "another")
		time.Sleep(time.Second)
		require.Equal(w, "another", w.read(v, "f"))
		require.NoError(w, w.srv.Rename(appFolder+"/f", appFolder+"/g"))
		time.Sleep(time.Second)
		require.Equal(w, []string{"g"}, w.list(v, ""))
		require.NoError(w, w.srv.Remove(appFolder+"/g"))
		time.Sleep(time.Second)
		require.Empty(w, w.list(v, ""))
		w.close(v)
	})
}

func TestOpenHandleKeepsItsVersion(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.foreign("f", strings.Repeat("a", 1<<20))
		a, err := v.Lookup(w.Context(), RootNode, "f")
		require.NoError(w, err)
		h, _, err := v.OpenFile(w.Context(), a.ID, OpenFlags{Read: true})
		require.NoError(w, err)
		w.foreign("f", strings.Repeat("b", 1<<20))
		time.Sleep(time.Second)
		p := make([]byte, 1<<20)
		n, err := h.ReadAt(w.Context(), p, 0)
		require.NoError(w, err)
		require.Equal(w, strings.Repeat("a", 1<<20), string(p[:n]))
		require.Equal(w, strings.Repeat("b", 1<<20), w.read(v, "f"))
		h.Release()
		w.close(v)
	})
}

func TestUnlinkedOpenFileStaysReadable(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.foreign("clean", "in pCloud")
		w.write(v, "dirty", "only here")
		var hs []*Handle
		for _, name := range []string{"clean", "dirty"} {
			a, err := v.Lookup(w.Context(), RootNode, name)
			require.NoError(w, err)
			h, _, err := v.OpenFile(w.Context(), a.ID, OpenFlags{Read: true, Write: true})
			require.NoError(w, err)
			require.NoError(w, w.unlink(v, name))
			hs = append(hs, h)
		}
		time.Sleep(10 * time.Second)
		for i, want := range []string{"in pCloud", "only here"} {
			p := make([]byte, 100)
			n, err := hs[i].ReadAt(w.Context(), p, 0)
			require.NoError(w, err)
			require.Equal(w, want, string(p[:n]))
			a, err := v.Stat(w.Context(), hs[i].n.id)
			require.NoError(w, err)
			require.Zero(w, a.Nlink)
			require.NoError(w, hs[i].Sync(w.Context()))
			hs[i].Release()
		}
		w.close(v)
		require.Empty(w, w.cloud())
	})
}

func TestRefusedChangeIsParkedAndTheRestGoesOn(t *testing.T) {
	bubble(t, pcloudtest.Options{Quota: 300_000}, func(w *world) {
		v := w.open()
		w.write(v, "big", strings.Repeat("x", 200_000))
		w.write(v, "small", "fits")
		w.foreign("theirs", strings.Repeat("y", 200_000)) // while there was room
		a, err := v.Lookup(w.Context(), RootNode, "big")
		require.NoError(w, err)
		h, _, err := v.OpenFile(w.Context(), a.ID, OpenFlags{Write: true})
		require.NoError(w, err)
		require.ErrorIs(w, h.Sync(w.Context()), remote.ErrQuota)
		require.NoError(w, h.Sync(w.Context()), "reported once")
		h.Release()
		err = v.Close(w.Context())
		var left *LeftError
		require.ErrorAs(w, err, &left)
		require.Equal(w, 1, left.Parked)
		require.Equal(w, "fits", w.cloud()["small"])
		require.Len(w, w.cloud(), 2)

		v = w.open()
		require.Equal(w, strings.Repeat("x", 200_000), w.read(v, "big"), "nothing is lost")
		require.NoError(w, w.unlink(v, "big"))
		w.close(v)
	})
}

func TestFullAccountIsToldAtWrite(t *testing.T) {
	bubble(t, pcloudtest.Options{Quota: 100_000}, func(w *world) {
		v := w.open()
		_, err := w.tryWrite(v, "big", strings.Repeat("x", 200_000))
		require.ErrorIs(w, err, ErrNoSpace)
		w.write(v, "fits", strings.Repeat("x", 90_000))
		_, err = w.tryWrite(v, "more", strings.Repeat("x", 20_000))
		require.ErrorIs(w, err, ErrNoSpace, "what waits to be sent counts")
		require.EqualValues(w, 10_000, v.Statfs().Avail)
		require.NoError(w, w.unlink(v, "fits"))
		w.write(v, "more", strings.Repeat("x", 20_000))
		w.close(v)
	})
}

func TestFullSpoolSlowsWriters(t *testing.T) {
	bubble(t, pcloudtest.Options{Shape: pcloudtest.Shape{Up: 100_000}}, func(w *world) {
		v := w.open(func(o *Options) { o.Spool = 250_000 })
		start := time.Now()
		for i := range 10 {
			w.write(v, fmt.Sprint(i), strings.Repeat("x", 100_000))
			v.mu.Lock()
			require.LessOrEqual(w, v.spooled, int64(250_000))
			v.mu.Unlock()
		}
		require.Greater(w, time.Since(start), 7*time.Second, "as fast as the link, no faster")
		w.close(v)
		require.Len(w, w.cloud(), 10)
	})
}

func TestSpoolThatCannotMoveSaysSo(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open(func(o *Options) { o.Spool = 1000 })
		_, err := w.tryWrite(v, "f", strings.Repeat("x", 2000))
		require.ErrorIs(w, err, ErrNoSpace)
		w.close(v)
	})
}

func TestTreeIsRemovedByOneCall(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.mkdir(v, "d")
		w.mkdir(v, "d/sub")
		for i := range 20 {
			w.write(v, fmt.Sprintf("d/%d", i), "x")
			w.write(v, fmt.Sprintf("d/sub/%d", i), "x")
		}
		require.NoError(w, v.Flush(w.Context()))
		w.write(v, "holds the queue back", "until the tree is removed here")
		for i := range 20 {
			require.NoError(w, w.unlink(v, fmt.Sprintf("d/%d", i)))
			require.NoError(w, w.unlink(v, fmt.Sprintf("d/sub/%d", i)))
		}
		dir, _ := w.walk(v, "d/sub")
		require.NoError(w, v.Rmdir(w.Context(), dir, "sub"))
		require.NoError(w, v.Rmdir(w.Context(), RootNode, "d"))
		w.close(v)
		require.Len(w, w.cloud(), 1)
		st := w.srv.Stats()
		require.EqualValues(w, 1, st.Requests["deletefolderrecursive"])
		require.Zero(w, st.Requests["deletefile"])
	})
}

func TestTreeThatOthersUseIsNotRemoved(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.mkdir(v, "d")
		for i := range 10 {
			w.write(v, fmt.Sprintf("d/%d", i), "x")
		}
		require.NoError(w, v.Flush(w.Context()))
		w.write(v, "holds the queue back", "until the tree is removed here")
		for i := range 10 {
			require.NoError(w, w.unlink(v, fmt.Sprintf("d/%d", i)))
		}
		require.NoError(w, v.Rmdir(w.Context(), RootNode, "d"))
		w.foreign("d/theirs", "kept")
		w.close(v)
		require.Equal(w, "kept", w.cloud()["d/theirs"])
		require.Len(w, w.cloud(), 2)
	})
}

func TestMkdirInTheQueue(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		lazy := func(o *Options) { o.MkdirJournal = true }
		v := w.open(lazy)
		w.mkdir(v, "a")
		w.mkdir(v, "a/b")
		w.mkdir(v, "gone")
		w.write(v, "a/b/f", "x")
		dir, _ := w.walk(v, "gone")
		require.NoError(w, v.Rmdir(w.Context(), dir, "gone"))
		require.NoError(w, w.rename(v, "a/b", "c"))
		w.write(v, "c/g", "y")
		require.Zero(w, w.srv.Stats().Requests["createfolder"])
		require.NoError(w, v.stop()) // and a restart in between
		v = w.open(lazy)
		require.Equal(w, []string{"a/", "c/"}, w.list(v, ""))
		require.Equal(w, []string{"f", "g"}, w.list(v, "c"))
		w.close(v)
		require.Equal(w, map[string]string{"c/f": "x", "c/g": "y"}, w.cloud())
		require.EqualValues(w, 2, w.srv.Stats().Requests["createfolder"])
	})
}

func TestQueueItems(t *testing.T) {
	bubble(t, pcloudtest.Options{Quota: 300_000}, func(w *world) {
		v := w.open()
		w.mkdir(v, "d")
		w.write(v, "d/big", strings.Repeat("x", 200_000))
		w.foreign("theirs", strings.Repeat("y", 200_000))
		items := v.Queue()
		require.Len(w, items, 1)
		require.Equal(w, "d/big", items[0].Path)
		require.Equal(w, StatePending, items[0].State)
		require.EqualValues(w, 200_000, items[0].Bytes)
		require.Error(w, v.Flush(w.Context()), "pCloud refuses it")
		items = v.Queue()
		require.Equal(w, StateParked, items[0].State)
		require.Contains(w, items[0].Reason, "2008")
		require.Equal(w, 1, v.Status().Parked)

		var saved strings.Builder
		require.NoError(w, v.Save(items[0].ID, &saved))
		require.Equal(w, strings.Repeat("x", 200_000), saved.String())
		require.ErrorIs(w, v.Retry(items[0].ID+100), ErrNoItem)
		require.NoError(w, w.srv.Remove(appFolder+"/theirs"))
		require.NoError(w, v.Retry())
		require.NoError(w, v.Flush(w.Context()))
		require.Contains(w, w.cloud(), "d/big")

		w.write(v, "dropped", "x")
		w.write(v, "d/big", "changed")
		for _, it := range v.Queue() {
			require.NoError(w, v.Drop(it.ID))
		}
		synctest.Wait()
		require.Equal(w, []string{"d/"}, w.list(v, ""))
		require.Equal(w, strings.Repeat("x", 200_000), w.read(v, "d/big"), "what pCloud has shows again")
		w.close(v)
	})
}

func TestDurabilityOptions(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open(func(o *Options) { o.Fsync = OnDisk })
		h, _, err := v.Create(w.Context(), RootNode, "f", OpenFlags{Write: true})
		require.NoError(w, err)
		_, err = h.WriteAt(w.Context(), []byte("x"), 0)
		require.NoError(w, err)
		require.NoError(w, h.Sync(w.Context()))
		require.NoError(w, v.SyncDir(w.Context(), RootNode))
		require.Empty(w, w.cloud())
		h.Release()
		w.close(v)

		v = w.open(func(o *Options) { o.Close = InCloud })
		w.write(v, "g", "y")
		require.Equal(w, "y", w.cloud()["g"])
		w.close(v)
	})
}

func TestPartialChangesOfRemoteFiles(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.foreign("f", "0123456789")
		a, err := v.Lookup(w.Context(), RootNode, "f")
		require.NoError(w, err)
		h, _, err := v.OpenFile(w.Context(), a.ID, OpenFlags{Read: true, Write: true})
		require.NoError(w, err)
		_, err = h.WriteAt(w.Context(), []byte("XY"), 4)
		require.NoError(w, err)
		require.NoError(w, h.Flush(w.Context()))
		h.Release()
		require.Equal(w, "0123XY6789", w.read(v, "f"))
		size := int64(6)
		_, err = v.SetAttr(w.Context(), a.ID, Changes{Size: &size})
		require.NoError(w, err)
		require.Equal(w, "0123XY", w.read(v, "f"))
		size = 8
		_, err = v.SetAttr(w.Context(), a.ID, Changes{Size: &size})
		require.NoError(w, err)
		require.Equal(w, "0123XY\x00\x00", w.read(v, "f"))
		w.close(v)
		require.Equal(w, map[string]string{"f": "0123XY\x00\x00"}, w.cloud())
	})
}

func TestTimes(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.foreign("old", "y")
		v := w.open()
		w.write(v, "new", "x")
		when := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
		for _, name := range []string{"new", "old"} {
			a, err := v.Lookup(w.Context(), RootNode, name)
			require.NoError(w, err)
			a, err = v.SetAttr(w.Context(), a.ID, Changes{Mtime: &when})
			require.NoError(w, err)
			require.True(w, a.Mtime.Equal(when))
		}
		w.close(v)
		require.EqualValues(w, 1, w.srv.Stats().Requests["uploadfile"], "a time costs no upload")
		v = w.open()
		for _, name := range []string{"new", "old"} {
			a, err := v.Lookup(w.Context(), RootNode, name)
			require.NoError(w, err)
			require.Equal(w, when.Unix(), a.Mtime.Unix(), name)
		}
		w.close(v)
	})
}

func TestNames(t *testing.T) {
	long := strings.Repeat("ä", 200) // 400 bytes
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.foreign(long, "long name")
		w.foreign("both", "the file")
		require.NoError(w, w.srv.MkdirAll(appFolder+"/both"))
		names := w.list(v, "")
		require.Len(w, names, 3)
		require.Equal(w, "both/", names[0])
		require.Equal(w, "the file", w.read(v, names[1]))
		require.Equal(w, "long name", w.read(v, names[2]))
		require.LessOrEqual(w, len(names[2]), NameMax)
		require.NoError(w, w.unlink(v, names[1]))
		require.NoError(w, w.rename(v, names[2], "short"))
		w.close(v)
		require.Equal(w, map[string]string{"short": "long name"}, w.cloud())
	})
	for _, name := range []string{"", ".", "..", "a\\b", "a/b", "a\x00b", "\xff"} {
		require.ErrorIs(t, checkName(name), ErrInvalidName, "%q", name)
	}
	require.ErrorIs(t, checkName(strings.Repeat("x", 256)), ErrNameTooLong)
	require.NoError(t, checkName(strings.Repeat("x", 255)))
}

func TestReadOnly(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.foreign("f", "x")
		v := w.open(func(o *Options) { o.ReadOnly = true })
		require.Equal(w, "x", w.read(v, "f"))
		_, err := w.tryWrite(v, "f", "y")
		require.ErrorIs(w, err, ErrReadOnly)
		require.ErrorIs(w, w.unlink(v, "f"), ErrReadOnly)
		w.close(v)
	})
}

func TestCacheDirectoryOfAnotherAccountIsRefused(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.close(w.open())
		_, err := Open(w.Context(), Options{Remote: w.client(), Dir: w.dir, Identity: "another", NoSync: true})
		require.ErrorIs(w, err, ErrIdentity)
	})
}
