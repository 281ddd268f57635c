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
	bolt "go.etcd.io/bbolt"

	"github.com/pcloudfs/pcloudfs/remote"
)

// boot returns options for a process that runs under the given boot id and
// syncs spool files only when it is told to.
func boot(id string) Options {
	return Options{hooks: hooks{bootID: func() (string, error) { return id, nil }, group: time.Hour}}
}

func open(t testing.TB, dir string, o Options) *Journal {
	t.Helper()
	j, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

// crash lets go of a journal as the end of the process does: nothing is
// finished.
func crash(t testing.TB, j *Journal) {
	t.Helper()
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.calls.Wait()
	close(j.quit)
	j.keeper.Wait()
	close(j.requests)
	j.writer.Wait()
	require.NoError(t, j.closeFiles())
}

// spool makes a spool file with some bytes.
func spool(t testing.TB, j *Journal, data string) string {
	t.Helper()
	name, f, err := j.NewSpool()
	require.NoError(t, err)
	_, err = f.WriteString(data)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return name
}

// put returns an intent to upload a new spool file.
func put(t testing.TB, j *Journal, name, data string) Intent {
	t.Helper()
	return Intent{
		Seq: j.NextSeq(), Op: OpPut, Node: j.NextNode(), Parent: 1, Name: name,
		Spool: spool(t, j, data), Size: int64(len(data)),
	}
}

func commit(t testing.TB, j *Journal, in ...Intent) {
	t.Helper()
	require.NoError(t, j.Commit(Change{Put: in}))
}

func pending(t testing.TB, j *Journal) []Intent {
	t.Helper()
	list, err := j.Pending()
	require.NoError(t, err)
	return list
}

// fill commits intents that need no spool file.
func fill(t testing.TB, j *Journal, n int) []Intent {
	t.Helper()
	var list []Intent
	for range n {
		list = append(list, Intent{Seq: j.NextSeq(), Op: OpMkdir, Folder: true, Node: j.NextNode(), Parent: 1, Name: "some folder"})
	}
	commit(t, j, list...)
	return list
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestIntentsSurviveReopeningInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, Options{})
	p := put(t, j, "a", "hello")
	m := Intent{Seq: j.NextSeq(), Op: OpMkdir, Folder: true, Node: j.NextNode(), Parent: 1, Name: "dir", Issued: time.Unix(5, 6).UTC()}
	r := Intent{Seq: j.NextSeq(), Op: OpRename, Node: p.Node, Parent: m.Node, Name: "b", OldParent: 1, OldName: "a", Replaced: 7}
	commit(t, j, r)
	commit(t, j, p, m)
	gone := put(t, j, "gone", "x")
	commit(t, j, gone)
	r.Tries, r.Parked = 3, "refused"
	require.NoError(t, j.Commit(Change{Put: []Intent{r}, Delete: []uint64{gone.Seq, 999_999}}))
	require.NoError(t, j.Close())

	j = open(t, dir, Options{})
	p.Synced = true
	require.Equal(t, []Intent{p, m, r}, pending(t, j))
	require.Empty(t, j.Damaged())
}

func TestCommitRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{})
	ok := Intent{Seq: 5, Op: OpRemove, Node: 1}
	for name, c := range map[string]Change{
		"no sequence number":  {Put: []Intent{{Op: OpRemove}}},
		"no operation":        {Put: []Intent{{Seq: 1}}},
		"unknown operation":   {Put: []Intent{{Seq: 1, Op: "link"}}},
		"negative size":       {Put: []Intent{{Seq: 1, Op: OpPut, Size: -1}}},
		"spool outside":       {Put: []Intent{{Seq: 1, Op: OpPut, Spool: "../journal.db"}}},
		"put twice":           {Put: []Intent{ok, ok}},
		"put and deleted":     {Put: []Intent{ok}, Delete: []uint64{5}},
		"one of several only": {Put: []Intent{ok, {Seq: 6}}},
	} {
		require.Error(t, j.Commit(c), name)
	}
	require.Empty(t, pending(t, j))
}

func TestConcurrentCommitsAllCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, Options{})
	const workers, each = 16, 20
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for range each {
				n := j.NextNode()
				errs[w] = errors.Join(errs[w], j.Commit(Change{
					Put:  []Intent{{Seq: j.NextSeq(), Op: OpMkdir, Node: n}},
					Bind: []Binding{{Node: n, Folder: true, FolderID: remote.FolderID(n - FirstLocalNode)}},
				}), j.Commit(Change{Put: []Intent{{}}})) // the refused ones must not disturb the others
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.ErrorContains(t, err, "without sequence number")
	}
	require.NoError(t, j.Close())
	j = open(t, dir, Options{})
	list := pending(t, j)
	require.Len(t, list, workers*each)
	for _, in := range list {
		n, ok := j.NodeOfFolder(remote.FolderID(in.Node - FirstLocalNode))
		require.True(t, ok)
		require.Equal(t, in.Node, n)
	}
}

func TestCommitsThatMeetShareATransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, err := Open(t.TempDir(), Options{})
		require.NoError(t, err)
		defer j.Close()
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { _ = j.update(func(*txn) error { <-release; return nil }, nil) })
		synctest.Wait() // the writer is in the first transaction
		ids := make(chan int, 50)
		for range cap(ids) {
			wg.Go(func() {
				_ = j.update(func(tx *txn) error { ids <- tx.meta.Tx().ID(); return nil }, nil)
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		close(ids)
		seen := make(map[int]int)
		for id := range ids {
			seen[id]++
		}
		require.Len(t, seen, 1)
	})
}

func TestOneBadRequestDoesNotSpoilABatch(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{NoSync: true})
	bad := errors.New("bad")
	refused := errors.New("refused")
	after := 0
	mk := func(n uint64) *request {
		return &request{
			apply: func(tx *txn) error { return tx.putIntent(n, []byte("x")) },
			after: func() { after++ }, done: make(chan error, 1),
		}
	}
	batch := []*request{mk(1), mk(2), mk(3), mk(4)}
	batch[1].check = func(*txn) error { return refused }
	batch[2].apply = func(*txn) error { return &os.PathError{Op: "write", Err: errors.Join(bad, os.ErrInvalid, enospc)} }
	j.writeBatch(batch)
	require.NoError(t, <-batch[0].done)
	require.ErrorIs(t, <-batch[1].done, refused)
	require.ErrorIs(t, <-batch[2].done, bad)
	require.NoError(t, <-batch[3].done)
	require.Equal(t, 2, after)
	require.NoError(t, j.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucketIntents))
		for n, want := range map[uint64]bool{1: true, 2: false, 3: false, 4: true} {
			require.Equal(t, want, b.Get(beKey(n)) != nil, "%d", n)
		}
		return nil
	}))
}

func TestNothingIsWrittenOnceASyncFailed(t *testing.T) {
	t.Parallel()
	j, err := Open(t.TempDir(), Options{})
	require.NoError(t, err)
	defer j.Close()
	commit(t, j, Intent{Seq: j.NextSeq(), Op: OpRemove})
	require.ErrorIs(t, j.update(func(*txn) error { return eio }, nil), ErrFailed)
	err = j.Commit(Change{Put: []Intent{{Seq: j.NextSeq(), Op: OpRemove}}})
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, eio)
	require.Len(t, pending(t, j), 1)
}

func TestAFullDiskIsNotTheEnd(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{})
	require.ErrorIs(t, j.update(func(*txn) error { return &os.PathError{Op: "write", Err: enospc} }, nil), enospc)
	commit(t, j, Intent{Seq: j.NextSeq(), Op: OpRemove})
}

func TestAPanicOfTheDatabaseIsAnError(t *testing.T) {
	t.Parallel()
	j, err := Open(t.TempDir(), Options{})
	require.NoError(t, err)
	defer j.Close()
	require.ErrorIs(t, j.update(func(*txn) error { panic("assertion failed") }, nil), ErrFailed)
	require.ErrorIs(t, j.update(func(*txn) error { return nil }, nil), ErrFailed)
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, Options{})
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, j.Close())
	require.NoError(t, j.Close(), "closing twice")
	open(t, dir, Options{})
}

func TestNewerFormatIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for _, damaged := range []bool{false, true} {
		t.Run(fmt.Sprintf("damaged=%v", damaged), func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, dir, Options{})
			p := put(t, j, "a", "bytes")
			commit(t, j, p)
			fill(t, j, 50)
			require.NoError(t, j.update(func(tx *txn) error { return tx.meta.Put([]byte(keyVersion), []byte("2")) }, nil))
			require.NoError(t, j.Close())
			path := filepath.Join(dir, "journal.db")
			if damaged {
				breakPage(t, path, bucketIntents)
			}
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = Open(dir, Options{})
			require.ErrorIs(t, err, ErrVersion)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)
			require.True(t, exists(j.dirs.spool(p.Spool)))
		})
	}
}

func TestClosedJournal(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{})
	require.NoError(t, j.Close())
	require.ErrorIs(t, j.Commit(Change{}), ErrClosed)
	_, err := j.Pending()
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, j.Sync(), ErrClosed)
	require.ErrorIs(t, j.SyncSpool("0123456789abcdef"), ErrClosed)
	require.ErrorIs(t, j.SetIdentity("x"), ErrClosed)
	_, err = j.Identity()
	require.ErrorIs(t, err, ErrClosed)
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, Options{})
	id, err := j.Identity()
	require.NoError(t, err)
	require.Empty(t, id)
	require.NoError(t, j.SetIdentity("account 7"))
	crash(t, j)
	id, err = open(t, dir, Options{}).Identity()
	require.NoError(t, err)
	require.Equal(t, "account 7", id)
}

func TestNumbersNeverRepeat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var lastSeq uint64
	lastNode := FirstLocalNode - 1
	for run := range 4 {
		j, err := Open(dir, Options{})
		require.NoError(t, err)
		for range counterBlock*2 + run {
			seq, node := j.NextSeq(), j.NextNode()
			require.Greater(t, seq, lastSeq)
			require.Greater(t, node, lastNode)
			lastSeq, lastNode = seq, node
		}
		crash(t, j)
	}
	require.Less(t, lastSeq, uint64(20*counterBlock), "numbers are for people too")

	// Numbers that the caller made up are left out as well.
	j := open(t, dir, Options{})
	require.NoError(t, j.Commit(Change{
		Put:  []Intent{{Seq: lastSeq + 1_000_000, Op: OpRemove}},
		Bind: []Binding{{Node: lastNode + 2_000_000, File: 1}},
	}))
	require.Equal(t, lastSeq+1_000_001, j.NextSeq())
	crash(t, j)
	j = open(t, dir, Options{})
	require.Greater(t, j.NextSeq(), lastSeq+1_000_001)
	require.Greater(t, j.NextNode(), lastNode+2_000_000)
}

func TestBindings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, Options{})
	_, ok := j.BindingOf(FirstLocalNode)
	require.False(t, ok)
	a, b, c := j.NextNode(), j.NextNode(), j.NextNode()
	fileA := Binding{Node: a, File: 7}
	folderB := Binding{Node: b, Folder: true, FolderID: 7}
	again := Binding{Node: c, File: 9}
	require.NoError(t, j.Commit(Change{Bind: []Binding{fileA, folderB, {Node: c, File: 8}}}))
	require.NoError(t, j.Commit(Change{Bind: []Binding{again}}))
	verify := func(j *Journal) {
		for _, want := range []Binding{fileA, folderB, again} {
			got, ok := j.BindingOf(want.Node)
			require.True(t, ok)
			require.Equal(t, want, got)
		}
		n, ok := j.NodeOfFile(7)
		require.True(t, ok)
		require.Equal(t, a, n)
		n, ok = j.NodeOfFolder(7)
		require.True(t, ok)
		require.Equal(t, b, n)
		_, ok = j.NodeOfFile(8)
		require.False(t, ok, "bound to another one since")
	}
	verify(j)
	crash(t, j)
	j = open(t, dir, Options{})
	verify(j)
	require.NoError(t, j.Commit(Change{Unbind: []NodeID{a, 12345}}))
	_, ok = j.BindingOf(a)
	require.False(t, ok)
	_, ok = j.NodeOfFile(7)
	require.False(t, ok)
	crash(t, j)
	_, ok = open(t, dir, Options{}).NodeOfFile(7)
	require.False(t, ok)
}

func TestDirectoryIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "journal")
	j := open(t, dir, Options{})
	name := spool(t, j, "secret")
	commit(t, j, Intent{Seq: 1, Op: OpRemove})
	for path, mode := range map[string]os.FileMode{
		dir: 0o700, j.dirs.spoolDir(): 0o700, j.dirs.asideDir(): 0o700, j.dirs.db(): 0o600, j.dirs.spool(name): 0o600,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
}
