package cache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

var errDisk = errors.New("the disk refuses")

// failJournal makes commits fail from now on, or not any more.
func failJournal(v *Volume, fail bool) {
	v.saving <- struct{}{}
	defer func() { <-v.saving }()
	v.beforeCommit = nil
	if fail {
		v.beforeCommit = func() error { return errDisk }
	}
}

func TestClosedBytesStayUntilTheJournalHasTheNext(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.write(v, "f", "first")
		failJournal(v, true)
		_, err := w.tryWrite(v, "f", "second")
		require.ErrorIs(w, err, errDisk, "close says so")
		synctest.Wait() // spool files that nothing needs are removed
		v.stop()        // as a kill before the commit
		v = w.open()
		require.Equal(w, "first", w.read(v, "f"))
		w.close(v)
		require.Equal(w, map[string]string{"f": "first"}, w.cloud())
	})
}

func TestJournalCatchesUpAfterAFailure(t *testing.T) {
	bubble(t, pcloudtest.Options{}, func(w *world) {
		v := w.open()
		w.write(v, "gone", "x")
		w.write(v, "kept", "1")
		failJournal(v, true)
		require.ErrorIs(w, w.unlink(v, "gone"), errDisk)
		_, err := w.tryWrite(v, "kept", "2")
		require.ErrorIs(w, err, errDisk)
		time.Sleep(10 * time.Second)
		require.Empty(w, w.cloud(), "nothing is sent that the journal does not have")
		failJournal(v, false)
		time.Sleep(10 * time.Second)
		require.Equal(w, map[string]string{"kept": "2"}, w.cloud(), "without anybody asking")
		require.NoError(w, v.stop())
		v = w.open()
		require.Equal(w, []string{"kept"}, w.list(v, ""))
		require.Empty(w, v.Queue())
		w.close(v)
	})
}
