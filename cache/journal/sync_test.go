package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// disk stands for fdatasync: it knows how many bytes of which file are safe.
type disk struct {
	mu     sync.Mutex
	safe   map[string]int64
	calls  int
	fail   error
	during func(name string) // called in the middle of a sync
}

func newDisk() *disk { return &disk{safe: make(map[string]int64)} }

func (d *disk) options() Options {
	return Options{hooks: hooks{
		bootID: func() (string, error) { return "boot", nil },
		syncFile: func(f *os.File) error {
			name := filepath.Base(f.Name())
			info, err := f.Stat()
			if err != nil {
				return err
			}
			d.mu.Lock()
			during, fail := d.during, d.fail
			d.mu.Unlock()
			if during != nil {
				during(name)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.calls++
			if fail == nil {
				d.safe[name] = info.Size()
			}
			return fail
		},
	}}
}

func (d *disk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

func (d *disk) of(name string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.safe[name]
}

func (d *disk) set(fail error, during func(string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail, d.during = fail, during
}

// bubble runs a test with a journal on a disk of its own.
func bubble(t *testing.T, test func(t *testing.T, j *Journal, d *disk)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j, err := Open(t.TempDir(), d.options())
		require.NoError(t, err)
		defer j.Close()
		test(t, j, d)
	})
}

// synced returns the names of the pending puts that are marked.
func synced(t *testing.T, j *Journal) []string {
	t.Helper()
	list := []string{}
	for _, in := range pending(t, j) {
		if in.Synced {
			list = append(list, in.Name)
		}
	}
	return list
}

func TestGroupCommitSyncsWithinItsTime(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		var list []Intent
		for i := range 20 {
			in := put(t, j, fmt.Sprint("f", i), "some bytes")
			commit(t, j, in)
			list = append(list, in)
			time.Sleep(10 * time.Millisecond)
		}
		require.Empty(t, synced(t, j))
		require.Zero(t, d.count(), "they wait for each other")
		time.Sleep(300*time.Millisecond - time.Nanosecond)
		require.Empty(t, synced(t, j))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Len(t, synced(t, j), 20, "the first was committed 500 ms ago")
		for _, in := range list {
			require.Equal(t, in.Size, d.of(in.Spool))
		}
		time.Sleep(time.Hour)
		require.Equal(t, 20, d.count(), "nothing is left to do")
	})
}

func TestBytesThatComeDuringASyncAreNotTakenForSynced(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		in := put(t, j, "a", "first")
		commit(t, j, in)
		d.set(nil, func(string) {
			d.set(nil, nil)
			require.NoError(t, os.WriteFile(j.dirs.spool(in.Spool), []byte("first and second"), 0o600))
			in.Size = 16
			commit(t, j, in)
		})
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, synced(t, j))
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, []string{"a"}, synced(t, j))
		require.EqualValues(t, 16, d.of(in.Spool))
	})
}

func TestARecordThatIsGoneIsNotMarked(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		in := put(t, j, "a", "x")
		commit(t, j, in)
		d.set(nil, func(string) { require.NoError(t, j.Commit(Change{Delete: []uint64{in.Seq}})) })
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 1, d.count())
		require.Empty(t, pending(t, j))
	})
}

func TestSyncNow(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		a, b, c := put(t, j, "a", "x"), put(t, j, "b", "y"), put(t, j, "c", "z")
		commit(t, j, a, b, c)
		require.NoError(t, j.SyncSpool(b.Spool))
		require.Equal(t, []string{"b"}, synced(t, j))
		require.Zero(t, d.of(a.Spool))
		require.NoError(t, j.Sync())
		require.Equal(t, []string{"a", "b", "c"}, synced(t, j))
		require.EqualValues(t, 1, d.of(c.Spool))

		free := spool(t, j, "no record yet")
		require.NoError(t, j.SyncSpool(free))
		require.EqualValues(t, 13, d.of(free))
		require.ErrorIs(t, j.SyncSpool("0123456789abcdef"), os.ErrNotExist)
		require.ErrorIs(t, j.SyncSpool("../journal.db"), os.ErrInvalid)
	})
}

func TestCloseSyncs(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		in := put(t, j, "a", "x")
		commit(t, j, in)
		require.NoError(t, j.Close())
		require.EqualValues(t, 1, d.of(in.Spool))
	})
}

func TestASyncThatFailedIsNeverTakenForDone(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		in := put(t, j, "a", "x")
		commit(t, j, in)
		d.set(eio, nil)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 1, d.count())
		d.set(nil, nil) // the kernel says it once
		require.ErrorIs(t, j.SyncSpool(in.Spool), eio)
		commit(t, j, in)
		require.ErrorIs(t, j.Sync(), eio)
		require.Empty(t, synced(t, j))
		require.Equal(t, 1, d.count())
		require.NoError(t, j.Commit(Change{Delete: []uint64{in.Seq}}))
		require.NoError(t, j.Sync())
	})
}

func TestADurablePutIsNotReplacedByOneThatIsNot(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		old := put(t, j, "old", "old bytes")
		commit(t, j, old)
		require.NoError(t, j.Sync())

		other := put(t, j, "new", "new bytes")
		require.NoError(t, j.Commit(Change{Put: []Intent{other}, Delete: []uint64{old.Seq}}))
		require.EqualValues(t, 9, d.of(other.Spool), "synced before the old one is given up")
		require.Equal(t, []string{"new"}, synced(t, j))

		d.set(eio, nil)
		bad := put(t, j, "bad", "lost bytes")
		require.ErrorIs(t, j.Commit(Change{Put: []Intent{bad}, Delete: []uint64{other.Seq}}), eio)
		require.Equal(t, []string{"new"}, synced(t, j), "the old one stays when the new one cannot be made durable")

		// Nothing durable is given up here, so nothing waits.
		d.set(nil, nil)
		a, b := put(t, j, "a", "x"), put(t, j, "b", "y")
		commit(t, j, a)
		require.NoError(t, j.Commit(Change{Put: []Intent{b}, Delete: []uint64{a.Seq}}))
		require.Zero(t, d.of(b.Spool))
	})
}

func TestBytesThatAreSyncedStaySo(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		in := put(t, j, "a", "0123456789")
		commit(t, j, in)
		require.NoError(t, j.Sync())
		calls := d.count()

		in.Upload = &Upload{ID: 5, Size: 3} // the caller's copy does not know of Synced
		commit(t, j, in)
		require.Equal(t, []string{"a"}, synced(t, j))
		renamed := in
		renamed.Seq, renamed.Name = j.NextSeq(), "b"
		require.NoError(t, j.Commit(Change{Put: []Intent{renamed}, Delete: []uint64{in.Seq}}))
		require.Equal(t, []string{"b"}, synced(t, j))
		time.Sleep(time.Hour)
		require.Equal(t, calls, d.count())

		// Written to again: what is then committed is other bytes.
		renamed.Open = true
		commit(t, j, renamed)
		renamed.Open = false
		commit(t, j, renamed)
		require.Empty(t, synced(t, j))
		require.NoError(t, j.Sync())
		require.Equal(t, []string{"b"}, synced(t, j))
		require.Equal(t, calls+1, d.count())
	})
}

func TestAFailedCommitLeavesTheSyncOfTheOldRecord(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		in := put(t, j, "a", "x")
		commit(t, j, in)
		marks := j.syncer.expect([]Intent{in}, nil)
		j.syncer.withdraw(marks)
		fresh := put(t, j, "b", "y")
		j.syncer.withdraw(j.syncer.expect([]Intent{fresh}, nil))
		require.NoError(t, j.Sync())
		require.Equal(t, []string{"a"}, synced(t, j))
		require.Zero(t, d.of(fresh.Spool))
	})
}

func TestPutsOfAKilledProcessAreSynced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDisk(), t.TempDir()
		j, err := Open(dir, d.options())
		require.NoError(t, err)
		in := put(t, j, "a", "x")
		commit(t, j, in)
		crash(t, j)
		j, err = Open(dir, d.options())
		require.NoError(t, err)
		defer j.Close()
		require.Empty(t, synced(t, j))
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, []string{"a"}, synced(t, j))
	})
}

func TestNoSyncWaitsForNothing(t *testing.T) {
	t.Parallel()
	d := newDisk()
	o := d.options()
	o.NoSync = true
	j := open(t, t.TempDir(), o)
	commit(t, j, put(t, j, "a", "x"))
	require.NoError(t, j.Sync())
	require.Equal(t, []string{"a"}, synced(t, j))
	require.Zero(t, d.count())
}

func TestManyFilesAreSyncedInOneGo(t *testing.T) {
	bubble(t, func(t *testing.T, j *Journal, d *disk) {
		var list []Intent
		for i := range syncGroup*2 + 5 {
			list = append(list, put(t, j, fmt.Sprint(i), "x"))
		}
		commit(t, j, list...)
		require.NoError(t, j.RemoveSpool(list[7].Spool), "one disappears")
		require.NoError(t, j.Sync())
		require.Len(t, synced(t, j), len(list))
		require.Equal(t, len(list)-1, d.count())
	})
}

func TestReleasedFilesAreForgottenOnceTheyAreRemoved(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	var list []Intent
	var seqs []uint64
	for i := range 5 {
		in := put(t, j, fmt.Sprint(i), "x")
		list, seqs = append(list, in), append(seqs, in.Seq)
	}
	commit(t, j, list...)
	require.NoError(t, j.Commit(Change{Delete: seqs}))
	require.Equal(t, 5, released(t, j))
	for _, in := range list[1:] {
		require.NoError(t, j.RemoveSpool(in.Spool))
	}
	require.NoError(t, j.Sync())
	require.Equal(t, 1, released(t, j))
	// A record that names the file again takes it back.
	again := list[0]
	again.Seq = j.NextSeq()
	commit(t, j, again)
	require.Zero(t, released(t, j))
}

func released(t *testing.T, j *Journal) (n int) {
	t.Helper()
	require.NoError(t, errors.Join(j.update(func(tx *txn) error {
		n = 0
		return tx.released.ForEach(func(_, _ []byte) error { n++; return nil })
	}, nil)))
	return n
}
