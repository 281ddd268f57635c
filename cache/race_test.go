package cache

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// The tests of this file are about what other clients do to files that are
// being changed here.

func (w *world) openFile(v *Volume, path string, f OpenFlags) *Handle {
	w.Helper()
	dir, name := w.walk(v, path)
	a, err := v.Lookup(w.Context(), dir, name)
	require.NoError(w, err)
	h, _, err := v.OpenFile(w.Context(), a.ID, f)
	require.NoError(w, err)
	return h
}

func (w *world) writeAt(h *Handle, data string, off int64) {
	w.Helper()
	_, err := h.WriteAt(w.Context(), []byte(data), off)
	require.NoError(w, err)
}

func (w *world) readAll(h *Handle) string {
	w.Helper()
	p := make([]byte, 1<<20)
	n, err := h.ReadAt(w.Context(), p, 0)
	require.NoError(w, err)
	return string(p[:n])
}

// contents lists what pCloud has, whatever the names.
func (w *world) contents() []string {
	var all []string
	for _, data := range w.cloud() {
		all = append(all, data)
	}
	slices.Sort(all)
	return all
}

var readWrite = OpenFlags{Read: true, Write: true}

func TestChangeOfAnOldVersionDoesNotReplaceTheNewOne(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.foreign("f", "base")
		v := w.open()
		h := w.openFile(v, "f", readWrite)
		w.writeAt(h, "BA", 0) // fetched by now, and not recorded
		w.foreign("f", "theirs")
		time.Sleep(2 * time.Second)
		w.list(v, "")
		require.NoError(w, h.Flush(w.Context()))
		h.Release()
		w.close(v)
		require.Equal(w, []string{"BAse", "theirs"}, w.contents())
		require.Equal(w, "theirs", w.cloud()["f"])
	})
}

func TestBothSidesOfAConflictAreFilesOfTheirOwn(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.foreign("f", "base")
		v := w.open()
		h := w.openFile(v, "f", readWrite)
		w.writeAt(h, "BA", 0)
		require.NoError(w, h.Flush(w.Context()))
		w.foreign("f", "theirs")
		require.NoError(w, h.Sync(w.Context()))
		time.Sleep(2 * time.Second)
		names := w.list(v, "")
		require.Len(w, names, 2)
		require.Equal(w, "theirs", w.read(v, "f"))
		theirs, err := v.Lookup(w.Context(), RootNode, "f")
		require.NoError(w, err)
		require.NotEqual(w, h.n.id, theirs.ID)

		w.writeAt(h, "XY", 2) // goes on in ours
		require.NoError(w, h.Flush(w.Context()))
		h.Release()
		require.Equal(w, "theirs", w.read(v, "f"))
		w.write(v, "f", "replaced")
		w.close(v)
		require.Equal(w, []string{"BAXY", "replaced"}, w.contents())
		require.Equal(w, "replaced", w.cloud()["f"])

		v = w.open()
		ours := names[1-slices.Index(names, "f")]
		a, err := v.Lookup(w.Context(), RootNode, ours)
		require.NoError(w, err)
		require.Equal(w, h.n.id, a.ID, "after a restart too")
		b, err := v.Lookup(w.Context(), RootNode, "f")
		require.NoError(w, err)
		require.Equal(w, theirs.ID, b.ID)
		require.NoError(w, w.unlink(v, ours))
		w.close(v)
		require.Equal(w, map[string]string{"f": "replaced"}, w.cloud())
	})
}

func TestReaderOfAReplacedFileKeepsIt(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		w.foreign("f", "old")
		v := w.open()
		h := w.openFile(v, "f", OpenFlags{Read: true})
		w.write(v, "f.tmp", "new")
		require.NoError(w, w.rename(v, "f.tmp", "f"))
		require.NoError(w, v.Flush(w.Context()))
		require.Equal(w, map[string]string{"f": "new"}, w.cloud())
		require.Equal(w, "old", w.readAll(h))
		h.Release()
		w.close(v)
	})
}

func TestTimeOfAFileThatIsBeingSent(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		require.NoError(w, w.srv.SetFaults([]pcloudtest.Rule{{Method: "uploadfile", Do: "stall", Delay: 5 * time.Second, Count: 1}}))
		a := w.write(v, "f", "x")
		time.Sleep(3 * time.Second)
		when := time.Unix(1_000_000_000, 0)
		_, err := v.SetAttr(w.Context(), a.ID, Changes{Mtime: &when})
		require.NoError(w, err)
		w.close(v)
		v = w.open()
		a, err = v.Lookup(w.Context(), RootNode, "f")
		require.NoError(w, err)
		require.Equal(w, when.Unix(), a.Mtime.Unix())
		w.close(v)
	})
}

func TestRenameOfWhatOthersRemoved(t *testing.T) {
	for _, written := range []bool{false, true} {
		bubble(t, pcloudtest.Options{}, func(w *world) {
			w.foreign("f", "x")
			v := w.open()
			h := w.openFile(v, "f", readWrite)
			require.NoError(w, w.srv.SetFaults([]pcloudtest.Rule{{Method: "renamefile", Do: "stall", Delay: 5 * time.Second, Count: 1}}))
			require.NoError(w, w.rename(v, "f", "g"))
			if written {
				w.writeAt(h, "new", 0)
			}
			require.NoError(w, w.srv.Remove(appFolder+"/f"))
			h.Release()
			w.close(v)
			v = w.open()
			require.Empty(w, v.Queue())
			if written {
				require.Equal(w, map[string]string{"g": "new"}, w.cloud())
				require.Equal(w, []string{"g"}, w.list(v, ""))
			} else {
				require.Empty(w, w.list(v, ""))
			}
			w.close(v)
		})
	}
}

func TestFileInAFolderThatIsMovedAndChangedAgain(t *testing.T) {
	bubble(t, pcloudtest.Options{Quota: 100_000}, func(w *world) {
		v := w.open()
		w.mkdir(v, "d")
		w.write(v, "f", "x")
		require.NoError(w, v.Flush(w.Context()))
		h := w.openFile(v, "f", readWrite)
		w.writeAt(h, strings.Repeat("y", 60_000), 0)
		require.NoError(w, h.Flush(w.Context()))
		w.foreign("theirs", strings.Repeat("z", 60_000))
		require.Error(w, h.Sync(w.Context()), "no room")
		require.NoError(w, w.rename(v, "f", "d/g"))
		require.NoError(w, w.srv.Remove(appFolder+"/theirs"))
		h.Release()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		require.NoError(w, v.Retry())
		w.close(v)
		require.Equal(w, map[string]string{"d/g": strings.Repeat("y", 60_000)}, w.cloud())
	})
}
