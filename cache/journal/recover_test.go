package journal

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// reopen crashes the process and opens the journal as another would.
func reopen(t *testing.T, j *Journal, o Options) *Journal {
	t.Helper()
	crash(t, j)
	return open(t, j.dirs.root, o)
}

func TestWhatAPutNeedsToBeUsedAgain(t *testing.T) {
	t.Parallel()
	const bytes = "some bytes"
	for _, tt := range []struct {
		name   string
		change func(*Intent)            // before the commit
		spoil  func(*testing.T, string) // the spool file
		boot   string                   // at the next Open; before it was "one"
		reason string                   // "": it is used
		kept   string                   // bytes that are set aside
	}{
		{name: "killed", boot: "one"},
		{name: "power cut after the sync", change: func(in *Intent) { in.Synced = true }, boot: "two"},
		{name: "power cut before the sync", boot: "two", reason: "known to be on the disk", kept: bytes},
		{name: "boot id not known", boot: "", reason: "known to be on the disk", kept: bytes},
		{name: "open again", change: func(in *Intent) { in.Open = true }, boot: "one", reason: "written to again", kept: bytes},
		{name: "longer", spoil: appendTo, boot: "one"},
		{name: "shorter", spoil: func(t *testing.T, p string) { require.NoError(t, os.Truncate(p, 4)) }, boot: "one", reason: "only 4 of its 10 bytes", kept: "some"},
		{name: "shorter although synced", change: func(in *Intent) { in.Synced = true }, spoil: func(t *testing.T, p string) { require.NoError(t, os.Truncate(p, 4)) }, boot: "two", reason: "only 4 of its 10 bytes", kept: "some"},
		{name: "missing", spoil: func(t *testing.T, p string) { require.NoError(t, os.Remove(p)) }, boot: "one", reason: "are missing"},
		{name: "parked", change: func(in *Intent) { in.Parked = "refused" }, boot: "one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := open(t, t.TempDir(), boot("one"))
			in := put(t, j, "my file.txt", bytes)
			if tt.change != nil {
				tt.change(&in)
			}
			commit(t, j, in)
			other := fill(t, j, 1)[0]
			path := j.dirs.spool(in.Spool)
			if tt.spoil != nil {
				tt.spoil(t, path)
			}
			j = reopen(t, j, boot(tt.boot))
			if tt.reason == "" {
				require.Empty(t, j.Damaged())
				require.Equal(t, []Intent{in, other}, pending(t, j))
				require.True(t, exists(path))
				return
			}
			require.Equal(t, []Intent{other}, pending(t, j))
			require.False(t, exists(path))
			require.Len(t, j.Damaged(), 1)
			d := j.Damaged()[0]
			require.Equal(t, in.Seq, d.Seq)
			require.Equal(t, "my file.txt", d.Name)
			require.Regexp(t, tt.reason, d.Reason)
			require.False(t, d.Found.IsZero())
			if tt.kept == "" {
				require.Empty(t, d.Kept)
				return
			}
			got, err := os.ReadFile(d.Kept)
			require.NoError(t, err)
			require.Equal(t, tt.kept, string(got))
			require.Equal(t, j.dirs.asideDir(), filepath.Dir(d.Kept))
			require.Contains(t, d.Kept, "my file.txt")
		})
	}
}

func appendTo(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.WriteString(" and more")
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestSyncedPutsSurviveSeveralBoots(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	in := put(t, j, "a", "x")
	commit(t, j, in)
	require.NoError(t, j.Sync())
	for _, id := range []string{"two", "two", "three"} {
		j = reopen(t, j, boot(id))
		require.Len(t, pending(t, j), 1)
		require.Empty(t, j.Damaged())
	}
}

func TestReportsStayUntilWhatWasKeptIsTakenAway(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	a, b := put(t, j, "a", "x"), put(t, j, "b", "y")
	commit(t, j, a, b)
	missing := put(t, j, "c", "z")
	commit(t, j, missing)
	require.NoError(t, os.Remove(j.dirs.spool(missing.Spool)))
	j = reopen(t, j, boot("two"))
	first := j.Damaged()
	require.Len(t, first, 3)

	j = reopen(t, j, boot("two"))
	again := j.Damaged()
	require.Len(t, again, 2, "the one of which nothing is left was told once")
	require.NoError(t, os.Remove(again[0].Kept))
	j = reopen(t, j, boot("three"))
	require.Len(t, j.Damaged(), 1)
	require.Equal(t, again[1].Kept, j.Damaged()[0].Kept)
	require.True(t, again[1].Found.Equal(j.Damaged()[0].Found))
}

func TestSpoolFilesOfNoRecord(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	empty, written := spool(t, j, ""), spool(t, j, "never closed")
	stranger := j.dirs.spool("notes.txt")
	require.NoError(t, os.WriteFile(stranger, []byte("put here by someone"), 0o600))
	j = reopen(t, j, boot("one"))
	require.False(t, exists(j.dirs.spool(empty)))
	require.False(t, exists(j.dirs.spool(written)))
	require.False(t, exists(stranger))
	require.Len(t, j.Damaged(), 2)
	for _, d := range j.Damaged() {
		p, err := os.ReadFile(d.Kept)
		require.NoError(t, err)
		require.Contains(t, []string{"never closed", "put here by someone"}, string(p))
	}
}

func TestAppliedPutsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	done, more := put(t, j, "done", "uploaded"), put(t, j, "more", "uploaded")
	commit(t, j, done, more)
	require.NoError(t, j.Commit(Change{Delete: []uint64{done.Seq, more.Seq}}))
	appendTo(t, j.dirs.spool(more.Spool)) // a handle is still open
	j = reopen(t, j, boot("one"))         // killed before RemoveSpool
	require.False(t, exists(j.dirs.spool(done.Spool)))
	require.Len(t, j.Damaged(), 1, "what was written since is kept")
	p, err := os.ReadFile(j.Damaged()[0].Kept)
	require.NoError(t, err)
	require.Equal(t, "uploaded and more", string(p))
}

func TestReplacedSpoolFilesAreReleasedToo(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	in := put(t, j, "a", "old")
	commit(t, j, in)
	old := in.Spool
	in.Spool, in.Size = spool(t, j, "newer"), 5
	commit(t, j, in)
	j = reopen(t, j, boot("one"))
	require.False(t, exists(j.dirs.spool(old)))
	require.Empty(t, j.Damaged())
	require.Equal(t, []Intent{in}, pending(t, j))
}

func TestTwoRecordsOfOneSpoolFile(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	good := put(t, j, "good", "bytes")
	bad := good
	bad.Seq, bad.Name, bad.Size = j.NextSeq(), "bad", 50
	commit(t, j, good, bad)
	j = reopen(t, j, boot("one"))
	require.Equal(t, []Intent{good}, pending(t, j))
	require.True(t, exists(j.dirs.spool(good.Spool)), "the good one needs it")
	require.Len(t, j.Damaged(), 1)
	require.Empty(t, j.Damaged()[0].Kept)
}

func TestADamagedRecordCostsItselfOnly(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	a, b, c := put(t, j, "a", "aa"), put(t, j, "b", "bb"), put(t, j, "c", "cc")
	commit(t, j, a, b, c)
	garbage := []byte("\x00\x01\x02\x03{\"seq\":7}")
	future := withCRC(`{"seq":` + strconv.FormatUint(c.Seq+1, 10) + `,"op":"link","node":"1","parent":"1"}`)
	require.NoError(t, j.update(func(tx *txn) error {
		if err := tx.intents.Put([]byte("odd key"), garbage); err != nil {
			return err
		}
		if err := tx.intents.Put(beKey(b.Seq), garbage); err != nil {
			return err
		}
		return tx.intents.Put(beKey(c.Seq+1), future)
	}, nil))
	j = reopen(t, j, boot("one"))
	require.Equal(t, []Intent{a, c}, pending(t, j))
	reasons := ""
	raw, spools := 0, 0
	for _, d := range j.Damaged() {
		reasons += d.Reason + "\n"
		if d.Kept == "" {
			continue
		}
		p, err := os.ReadFile(d.Kept)
		require.NoError(t, err)
		switch string(p) {
		case string(garbage), string(future):
			raw++
		case "bb":
			spools++
		}
	}
	require.Equal(t, 3, raw, reasons)
	require.Equal(t, 1, spools, reasons)
	require.Contains(t, reasons, "checksum")
	require.Contains(t, reasons, "unknown operation")
	require.Contains(t, reasons, "never closed")

	j = reopen(t, j, boot("one"))
	require.Equal(t, []Intent{a, c}, pending(t, j))
	require.NoError(t, j.update(func(tx *txn) error {
		require.Equal(t, garbage, tx.damaged.Get(beKey(b.Seq)))
		return nil
	}, nil))
}

func TestRecordsThatVanishAreNoticed(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	list := fill(t, j, 3)
	require.NoError(t, j.update(func(tx *txn) error { return tx.intents.Delete(beKey(list[1].Seq)) }, nil))
	j = reopen(t, j, boot("one"))
	require.Len(t, j.Damaged(), 1)
	require.Contains(t, j.Damaged()[0].Reason, "holds 2 records and should hold 3")
	j = reopen(t, j, boot("one"))
	require.Empty(t, j.Damaged())
}

func TestARecoveryThatWasInterruptedIsFinished(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	in := put(t, j, "report.odt", "bytes")
	commit(t, j, in)
	// The file was moved, the record is still there.
	kept, err := j.SetAside(in.Spool, in.Name)
	require.NoError(t, err)
	j = reopen(t, j, boot("two"))
	require.Empty(t, pending(t, j))
	require.Len(t, j.Damaged(), 1)
	require.Equal(t, kept, j.Damaged()[0].Kept)
}

func TestALostCounterStartsFarAhead(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	seq, node := j.NextSeq(), j.NextNode()
	crash(t, j)
	db, err := bolt.Open(j.dirs.db(), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyNode), beKey(1))
	}))
	require.NoError(t, db.Close())
	j = open(t, j.dirs.root, boot("one"))
	require.Greater(t, j.NextSeq(), seq+1_000_000)
	n := j.NextNode()
	require.Greater(t, n, node+1_000_000)
	j = reopen(t, j, boot("one"))
	require.Greater(t, j.NextNode(), n)
}

func TestSetAsideNeverOverwrites(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), boot("one"))
	long := strings.Repeat("ü", 300)
	for label, want := range map[string]string{
		"": "", "report.odt": ".report.odt", "../../etc/passwd": "..._.._etc_passwd",
		"a\x00b\nc\xff": ".a_b_c_", long: "." + strings.Repeat("ü", maxLabel/2),
	} {
		name := spool(t, j, "one")
		first, err := j.SetAside(name, label)
		require.NoError(t, err)
		require.Equal(t, j.dirs.aside(name+want), first)
		// The name comes again.
		require.NoError(t, os.WriteFile(j.dirs.spool(name), []byte("two"), 0o600))
		second, err := j.SetAside(name, label)
		require.NoError(t, err)
		require.NotEqual(t, first, second)
		for path, data := range map[string]string{first: "one", second: "two"} {
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, data, string(got))
		}
	}
	_, err := j.SetAside("0123456789abcdef", "x")
	require.ErrorIs(t, err, os.ErrNotExist)
	files, err := os.ReadDir(j.dirs.asideDir())
	require.NoError(t, err)
	require.Len(t, files, 10, "an attempt that failed leaves nothing")
}
