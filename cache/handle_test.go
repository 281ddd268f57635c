package cache

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func TestEveryHandleHearsOfAFailureOnce(t *testing.T) {
	bubble(t, pcloudtest.Options{Quota: 100_000}, func(w *world) {
		v := w.open()
		w.write(v, "f", "x")
		require.NoError(w, v.Flush(w.Context()))
		h1, h2 := w.openFile(v, "f", readWrite), w.openFile(v, "f", readWrite)
		w.writeAt(h1, strings.Repeat("y", 60_000), 0)
		w.foreign("theirs", strings.Repeat("z", 60_000))
		for _, h := range []*Handle{h1, h2} {
			require.ErrorIs(w, h.Sync(w.Context()), remote.ErrQuota)
			require.NoError(w, h.Flush(w.Context()))
			h.Release()
		}
		h := w.openFile(v, "f", OpenFlags{Read: true})
		require.ErrorIs(w, h.Sync(w.Context()), remote.ErrQuota, "it is not in pCloud still")
		h.Release()

		require.NoError(w, w.srv.Remove(appFolder+"/theirs"))
		require.NoError(w, v.Retry())
		h = w.openFile(v, "f", OpenFlags{Read: true})
		require.NoError(w, h.Sync(w.Context()))
		h.Release()
		w.close(v)
		require.Len(w, w.cloud()["f"], 60_000)
	})
}

func TestSynchronousWriteThatFailsHasNoCount(t *testing.T) {
	bubble(t, pcloudtest.Options{Quota: 100_000}, func(w *world) {
		v := w.open()
		h, _, err := v.Create(w.Context(), RootNode, "f", OpenFlags{Write: true, Sync: true})
		require.NoError(w, err)
		w.foreign("theirs", strings.Repeat("z", 60_000))
		n, err := h.WriteAt(w.Context(), []byte(strings.Repeat("y", 60_000)), 0)
		require.ErrorIs(w, err, remote.ErrQuota)
		require.Zero(w, n)
		h.Release()
		w.abandon(v)
	})
}

func TestOpenFileThatOthersRemove(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.foreign("f", "x")
		v := w.open()
		h := w.openFile(v, "f", readWrite)
		w.writeAt(h, "y", 1)
		require.NoError(w, w.srv.Remove(appFolder+"/f"))
		time.Sleep(2 * time.Second)
		a, err := v.Stat(w.Context(), h.n.id)
		require.NoError(w, err)
		require.EqualValues(w, 2, a.Size)
		require.Equal(w, "xy", w.readAll(h))
		require.NoError(w, h.Flush(w.Context()))
		h.Release()
		w.close(v)
		require.Equal(w, map[string]string{"f": "xy"}, w.cloud(), "what was written after the removal is kept")
	})
}
