package cache

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

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
