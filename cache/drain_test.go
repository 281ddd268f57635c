package cache

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func (w *world) faults(rules ...pcloudtest.Rule) {
	w.Helper()
	require.NoError(w, w.srv.SetFaults(rules))
}

func TestAnyNumberOfParkedChangesDoesNotHoldUpTheRest(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		const n = lookahead + 10
		v := w.open()
		w.faults(pcloudtest.Rule{Method: "uploadfile", Do: "api", Code: 2003, Count: n})
		for i := range n {
			w.write(v, fmt.Sprint(i), "x")
		}
		require.Error(w, v.Flush(w.Context()))
		require.Equal(w, n, v.Status().Parked)
		w.write(v, "fine", "x")
		require.Error(w, v.Flush(w.Context()))
		require.Contains(w, w.cloud(), "fine")
		require.NoError(w, v.Retry())
		w.close(v)
		require.Len(w, w.cloud(), n+1)
	})
}

func TestRefusedFolderHoldsUpOnlyWhatIsInIt(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open(func(o *Options) { o.MkdirJournal = true })
		w.faults(pcloudtest.Rule{Method: "createfolder", Do: "api", Code: 2003, Count: 1})
		w.mkdir(v, "d")
		w.mkdir(v, "d/e")
		w.write(v, "d/e/f", "x")
		w.write(v, "g", "y")
		require.Error(w, v.Flush(w.Context()))
		require.Equal(w, map[string]string{"g": "y"}, w.cloud())
		h := w.openFile(v, "d/e/f", OpenFlags{Read: true})
		start := time.Now()
		require.Error(w, h.Sync(w.Context()))
		require.Less(w, time.Since(start), time.Minute, "at once")
		h.Release()
		require.ErrorIs(w, v.Drop(v.Queue()[0].ID), ErrNeeded)
		require.NoError(w, v.Retry())
		w.close(v)
		require.Equal(w, map[string]string{"g": "y", "d/e/f": "x"}, w.cloud())
	})
}

func TestDroppedChangesInReverseOrderLeaveNothing(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.foreign("f", "x")
		w.foreign("other", "z")
		v := w.open(func(o *Options) { o.MkdirJournal = true })
		w.list(v, "")
		w.faults(pcloudtest.Rule{Do: "http", Code: 503})
		w.mkdir(v, "d")
		w.write(v, "f", "changed")
		require.NoError(w, w.rename(v, "f", "d/g"))
		w.write(v, "new", "y")
		require.NoError(w, w.unlink(v, "other"))
		time.Sleep(time.Minute)
		q := v.Queue()
		for i := len(q) - 1; i >= 0; i-- {
			for v.Drop(q[i].ID) != nil { // while it is being tried
				time.Sleep(time.Second)
			}
		}
		w.faults()
		require.Equal(w, []string{"f", "other"}, w.list(v, ""))
		require.Equal(w, "x", w.read(v, "f"))
		require.Empty(w, v.slots)
		require.Empty(w, v.nodes)
		w.close(v)
		require.Len(w, w.cloud(), 2)
	})
}

func TestWithoutChangeFeedListingsAge(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.faults(pcloudtest.Rule{Method: "diff", Do: "api", Code: 2003})
		v := w.open(func(o *Options) { o.TTL = 5 * time.Second })
		require.Empty(w, w.list(v, ""))
		w.foreign("f", "1")
		time.Sleep(7 * time.Second)
		require.Equal(w, "1", w.read(v, "f"))
		w.faults() // it is given now
		time.Sleep(time.Minute)
		require.Equal(w, "1", w.read(v, "f"))
		w.foreign("f", "2")
		time.Sleep(time.Second)
		require.Equal(w, "2", w.read(v, "f"))
		w.close(v)
	})
}
