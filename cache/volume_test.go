package cache

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

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
