package cache

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func (w *world) offline() *OfflineQueue {
	w.Helper()
	q, err := OpenQueue(w.dir, nil)
	require.NoError(w, err)
	w.Cleanup(func() { require.NoError(w, q.Close()) })
	return q
}

func (w *world) items(q *OfflineQueue) []QueueItem {
	w.Helper()
	items, err := q.Items()
	require.NoError(w, err)
	return items
}

// refuseUploads makes pCloud refuse all files for good.
func (w *world) refuseUploads() {
	w.Helper()
	require.NoError(w, w.srv.SetFaults([]pcloudtest.Rule{{Method: "uploadfile", Do: "api", Code: 2003}}))
}

func TestOfflineQueueShowsWhatAVolumeLeft(t *testing.T) {
	t.Parallel()
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.mkdir(v, "dir")
		w.write(v, "dir/old", "abc")
		require.NoError(w, v.Flush(w.Context()))
		w.refuseUploads()
		w.write(v, "dir/a", "hello")
		require.Error(w, v.Flush(w.Context()))
		require.NoError(w, w.rename(v, "dir/old", "dir/new"))
		want := v.Queue()
		w.abandon(v)

		q := w.offline()
		got := w.items(q)
		require.Len(w, got, len(want))
		require.Equal(w, []string{"put dir/a 5 parked", "rename dir/old>dir/new 0 pending"}, []string{brief(got[0]), brief(got[1])})
		require.NotEmpty(w, got[0].Reason)
		for i := range got {
			require.Equal(w, want[i].ID, got[i].ID)
			require.True(w, want[i].Since.Equal(got[i].Since))
		}

		_, err := OpenQueue(w.dir, nil)
		require.ErrorIs(w, err, journal.ErrLocked)
	})
}

func brief(it QueueItem) string {
	s := it.Op + " " + it.Path
	if it.To != "" {
		s += ">" + it.To
	}
	return s + " " + string('0'+rune(it.Bytes)) + " " + it.State
}

func TestOfflineQueueNeedsAQueue(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	_, err := OpenQueue(dir, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, fs.ErrNotExist, "looking makes nothing")
}

func TestOfflineSaveRetryAndDrop(t *testing.T) {
	t.Parallel()
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.refuseUploads()
		w.write(v, "a", "hello")
		w.write(v, "b", "world")
		w.write(v, "empty", "")
		require.Error(w, v.Flush(w.Context()))
		w.abandon(v)

		q := w.offline()
		items := w.items(q)
		require.Len(w, items, 3)
		a, b, empty := items[0].ID, items[1].ID, items[2].ID

		var buf bytes.Buffer
		require.NoError(w, q.Save(a, &buf))
		require.Equal(w, "hello", buf.String())
		require.NoError(w, q.Save(empty, &buf))
		require.Equal(w, "hello", buf.String())
		require.ErrorIs(w, q.Save(999, &buf), ErrNoItem)

		require.NoError(w, q.Retry(b))
		require.ErrorIs(w, q.Retry(b), ErrNoItem, "it is not parked any more")
		require.Equal(w, []string{StateParked, StatePending, StateParked}, states(w.items(q)))
		require.NoError(w, q.Retry())
		require.Equal(w, []string{StatePending, StatePending, StatePending}, states(w.items(q)))

		before := w.spools()
		require.NoError(w, q.Drop(a))
		require.ErrorIs(w, q.Drop(a), ErrNoItem)
		require.Equal(w, before-1, w.spools(), "the bytes of a are gone, those of b are not")
		require.NoError(w, q.Close())

		require.NoError(w, w.srv.SetFaults(nil))
		v = w.open()
		require.Equal(w, []string{"b", "empty"}, w.list(v, ""))
		w.close(v)
		require.Equal(w, map[string]string{"b": "world", "empty": ""}, w.cloud())
	})
}

func (w *world) spools() int {
	w.Helper()
	list, err := os.ReadDir(filepath.Join(w.dir, "spool"))
	require.NoError(w, err)
	return len(list)
}

func states(items []QueueItem) (s []string) {
	for _, it := range items {
		s = append(s, it.State)
	}
	return s
}

func TestOfflineDropKeepsWhatOthersNeed(t *testing.T) {
	t.Parallel()
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open(func(o *Options) { o.MkdirJournal = true })
		require.NoError(w, w.srv.SetFaults([]pcloudtest.Rule{{Method: "createfolder", Do: "api", Code: 2003}}))
		w.mkdir(v, "dir")
		w.write(v, "dir/a", "x")
		w.abandon(v)

		q := w.offline()
		items := w.items(q)
		require.Equal(w, []string{"mkdir dir 0", "put dir/a 1"}, []string{brief(items[0])[:11], brief(items[1])[:11]})
		require.ErrorIs(w, q.Drop(items[0].ID), ErrNeeded)
		require.NoError(w, q.Drop(items[1].ID))
		require.NoError(w, q.Drop(items[0].ID))
		require.Empty(w, w.items(q))
	})
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	type in = journal.Intent
	tests := []struct {
		name        string
		first, then in
		want        bool
	}{
		{"same file", in{Op: opPut, Node: 5}, in{Op: opRename, Node: 5}, true},
		{"replaced file", in{Op: opPut, Node: 5}, in{Op: opPut, Node: 6, Replaced: 5}, true},
		{"in its folder", in{Op: opMkdir, Node: 5}, in{Op: opPut, Node: 6, Parent: 5}, true},
		{"out of its folder", in{Op: opMkdir, Node: 5}, in{Op: opRename, Node: 6, OldParent: 5, Parent: 1}, true},
		{"name freed by a removal", in{Op: opRemove, Node: 5, Parent: 1, Name: "a"}, in{Op: opPut, Node: 6, Parent: 1, Name: "a"}, true},
		{"name freed by a rename", in{Op: opRename, Node: 5, OldParent: 1, OldName: "a"}, in{Op: opPut, Node: 6, Parent: 1, Name: "a"}, true},
		{"another name", in{Op: opRemove, Node: 5, Parent: 1, Name: "a"}, in{Op: opPut, Node: 6, Parent: 1, Name: "b"}, false},
		{"another file", in{Op: opPut, Node: 5, Parent: 1, Name: "a"}, in{Op: opPut, Node: 6, Parent: 1, Name: "b"}, false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, needs(tt.then, tt.first), tt.name)
	}
}

func TestPathsSurviveARestart(t *testing.T) {
	t.Parallel()
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.mkdir(v, "dir")
		w.mkdir(v, "dir/sub")
		w.refuseUploads()
		w.write(v, "dir/sub/a", "hello")
		w.abandon(v)
		v = w.open()
		require.Equal(w, "dir/sub/a", v.Queue()[0].Path, "though nothing was listed yet")
		w.abandon(v)
	})
}
