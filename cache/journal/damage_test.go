package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// sample is a journal that was closed, to be damaged: its files and what it
// holds.
type sample struct {
	db      []byte
	intents map[uint64]Intent
	deleted map[uint64]Intent // by the last commit
	spools  map[string]string // name -> bytes
	numbers [2]uint64         // larger than all given out
}

// makeSample makes a journal whose database has branch, leaf and free pages.
func makeSample(t testing.TB, n int) *sample {
	t.Helper()
	dir := t.TempDir()
	j := open(t, dir, Options{NoSync: true})
	s := &sample{intents: make(map[uint64]Intent), deleted: make(map[uint64]Intent), spools: make(map[string]string)}
	require.NoError(t, j.SetIdentity("me"))
	var drop []uint64
	for i := range n {
		in := Intent{Seq: j.NextSeq(), Op: OpMkdir, Folder: true, Node: j.NextNode(), Parent: 1, Name: fmt.Sprintf("folder with a name %d", i)}
		if i%30 == 0 {
			data := fmt.Sprintf("bytes of %d", i)
			in = put(t, j, fmt.Sprintf("file %d", i), data)
			in.Synced = true
			s.spools[in.Spool] = data
		}
		c := Change{Put: []Intent{in}, Bind: []Binding{{Node: in.Node, File: 5}}}
		if i%7 == 1 {
			drop = append(drop, in.Seq)
			s.deleted[in.Seq] = in
		} else {
			s.intents[in.Seq] = in
		}
		require.NoError(t, j.Commit(c))
	}
	require.NoError(t, j.Commit(Change{Delete: drop}))
	s.numbers = [2]uint64{j.NextSeq(), uint64(j.NextNode())}
	crash(t, j)
	var err error
	s.db, err = os.ReadFile(j.dirs.db())
	require.NoError(t, err)
	return s
}

// place writes the files of a sample with the given database.
func (s *sample) place(t testing.TB, db []byte) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "spool"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal.db"), db, 0o600))
	for name, data := range s.spools {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "spool", name), []byte(data), 0o600))
	}
	return dir
}

// survive opens the journal with a damaged database: whatever is not as it was
// must be reported, the bytes of all files must be somewhere, and it must work.
func (s *sample) survive(t testing.TB, db []byte, what string) {
	t.Helper()
	dir := s.place(t, db)
	j, err := Open(dir, Options{NoSync: true})
	if err != nil {
		require.ErrorIs(t, err, ErrVersion, what) // the number itself was hit
		require.Equal(t, len(s.spools), countFiles(t, filepath.Join(dir, "spool")))
		return
	}
	defer j.Close()
	list, err := j.Pending()
	require.NoError(t, err, what)
	back := 0
	for _, in := range list {
		want, ok := s.intents[in.Seq]
		if !ok {
			want = s.deleted[in.Seq]
			back++
		}
		require.Equal(t, want, in, what)
		if in.Spool != "" {
			got, err := os.ReadFile(j.dirs.spool(in.Spool))
			require.NoError(t, err, what)
			require.Equal(t, s.spools[in.Spool], string(got), what)
		}
	}
	require.True(t, len(list) == len(s.intents) && back == 0 || len(j.Damaged()) > 0,
		"%s: %d of %d intents, %d that were gone, and no word of it", what, len(list), len(s.intents), back)
	require.Equal(t, len(s.spools), countFiles(t, j.dirs.spoolDir())+countSpools(t, j), what)

	require.Greater(t, j.NextSeq(), s.numbers[0], what)
	require.Greater(t, uint64(j.NextNode()), s.numbers[1], what)
	commit(t, j, put(t, j, "new", "x"))
	require.Len(t, pending(t, j), len(list)+1, what)
	require.NoError(t, j.Close(), what)
	f, err := os.Open(j.dirs.db())
	require.NoError(t, err)
	defer f.Close()
	found, err := inspect(f, nil)
	require.NoError(t, err, what)
	require.False(t, found.torn, what)
	require.Empty(t, found.problems, what)
}

func countFiles(t testing.TB, dir string) int {
	t.Helper()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	return len(files)
}

// countSpools counts spool files in the aside directory.
func countSpools(t testing.TB, j *Journal) (n int) {
	t.Helper()
	files, err := os.ReadDir(j.dirs.asideDir())
	require.NoError(t, err)
	for _, f := range files {
		if name := f.Name(); len(name) > 2*spoolBytes && validSpool(name[:2*spoolBytes]) {
			n++
		}
	}
	return n
}

func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

func TestDatabasesDamagedAnywhere(t *testing.T) {
	t.Parallel()
	s := makeSample(t, 300)
	s.survive(t, s.db, "not damaged")
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range rounds(100) {
		db := bytes.Clone(s.db)
		what := fmt.Sprintf("seed %d, round %d: ", seed, i)
		at := rnd.IntN(len(db))
		if rnd.IntN(2) == 0 { // page headers and the elements behind them
			at = at/4096*4096 + rnd.IntN(64)
		}
		switch rnd.IntN(4) {
		case 0:
			bit := rnd.IntN(8)
			db[at] ^= 1 << bit
			what += fmt.Sprintf("bit %d of byte %d flipped", bit, at)
		case 1:
			n := min(1+rnd.IntN(64), len(db)-at)
			for k := range n {
				db[at+k] = byte(rnd.Uint32())
			}
			what += fmt.Sprintf("%d bytes at %d overwritten", n, at)
		case 2:
			at = at / 512 * 512
			clear(db[at:min(at+512*(1+rnd.IntN(16)), len(db))])
			what += fmt.Sprintf("sectors at %d zeroed", at)
		default:
			db = db[:at]
			what += fmt.Sprintf("cut at %d", at)
		}
		s.survive(t, db, what)
	}
}

func TestAnUnreadableDatabaseIsKept(t *testing.T) {
	t.Parallel()
	s := makeSample(t, 50)
	for name, db := range map[string][]byte{
		"empty": {}, "zeroes": make([]byte, 1<<16), "text": bytes.Repeat([]byte("not a database\n"), 5000), "headers gone": append(make([]byte, 1<<13), s.db[1<<13:]...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := s.place(t, db)
			j := open(t, dir, Options{})
			require.Empty(t, pending(t, j))
			id, err := j.Identity()
			require.NoError(t, err)
			require.Empty(t, id)
			d := j.Damaged()
			require.Len(t, d, 1+len(s.spools))
			require.Contains(t, d[0].Reason, "no valid header")
			kept, err := os.ReadFile(d[0].Kept)
			require.NoError(t, err)
			require.True(t, bytes.Equal(db, kept))
		})
	}
}

func TestADamagedPageCostsItsRecordsOnly(t *testing.T) {
	t.Parallel()
	s := makeSample(t, 300)
	dir := s.place(t, s.db)
	path := filepath.Join(dir, "journal.db")
	page := leafOf(t, path, bucketIntents, 150)
	db := bytes.Clone(s.db)
	copy(db[page*4096+8:], "garbage!")
	require.NoError(t, os.WriteFile(path, db, 0o600))
	j := open(t, dir, Options{})
	list := pending(t, j)
	require.Less(t, len(list), len(s.intents))
	require.Greater(t, len(list), len(s.intents)*2/3)
	id, err := j.Identity()
	require.NoError(t, err)
	require.Equal(t, "me", id)
	require.Contains(t, j.Damaged()[0].Reason, fmt.Sprintf("page %d", page))
	require.Contains(t, j.Damaged()[0].Reason, fmt.Sprintf("%d records were saved", len(list)))
}

// leafOf returns the page that has the n-th record of a bucket.
func leafOf(t testing.TB, path, bucket string, n int) (page int64) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	seen := 0
	var last []byte
	_, err = inspect(f, func(b string, k, _ []byte) {
		if b == bucket {
			if seen++; seen == n {
				last = bytes.Clone(k)
			}
		}
	})
	require.NoError(t, err)
	db, err := os.ReadFile(path)
	require.NoError(t, err)
	for id := int64(2); id < int64(len(db))/4096; id++ {
		b := db[id*4096 : (id+1)*4096]
		if native.Uint16(b[8:]) == pageLeaf && inUse(t, path, uint64(id)) && bytes.Contains(b, append(last, 0)[:8]) && bytes.Contains(b, []byte(`"seq"`)) {
			return id
		}
	}
	t.Fatal("no such page")
	return 0
}

func inUse(t testing.TB, path string, id uint64) bool {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	p := &pages{r: f, seen: make(map[uint64]bool)}
	require.NoError(t, p.readMeta())
	p.tree(p.meta.root, "", 0, nil, nil)
	return p.seen[id]
}

func TestInspectAgreesWithBbolt(t *testing.T) {
	t.Parallel()
	s := makeSample(t, 500)
	dir := s.place(t, s.db)
	path := filepath.Join(dir, "journal.db")
	got := make(map[string]string)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	found, err := inspect(f, func(b string, k, v []byte) { got[b+"/"+string(k)] = string(v) })
	require.NoError(t, err)
	require.False(t, found.torn)
	require.Empty(t, found.problems)
	want := make(map[string]string)
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				want[string(name)+"/"+string(k)] = string(v)
				return nil
			})
		})
	}))
	require.Equal(t, want, got)
	require.Greater(t, len(want), 900)
}

func TestADatabaseOfFreePagesIsMadeAnew(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{NoSync: true})
	require.NoError(t, j.SetIdentity("me"))
	list := fill(t, j, 100_000)
	node := j.NextNode()
	require.NoError(t, j.Commit(Change{Bind: []Binding{{Node: node, File: 7}}}))
	var c Change
	for _, in := range list[100:] {
		c.Delete = append(c.Delete, in.Seq)
	}
	require.NoError(t, j.Commit(c))
	require.NoError(t, j.Commit(Change{}))
	before, err := os.Stat(j.dirs.db())
	require.NoError(t, err)
	seq := j.NextSeq()
	j = reopen(t, j, Options{NoSync: true})
	after, err := os.Stat(j.dirs.db())
	require.NoError(t, err)
	require.Less(t, after.Size(), before.Size()/10)
	require.Empty(t, j.Damaged())
	require.Equal(t, list[:100], pending(t, j))
	b, ok := j.BindingOf(node)
	require.True(t, ok)
	require.EqualValues(t, 7, b.File)
	id, err := j.Identity()
	require.NoError(t, err)
	require.Equal(t, "me", id)
	require.Greater(t, j.NextSeq(), seq)
}

// A power cut in the middle of a commit leaves any part of what the commit
// wrote and did not sync: sectors of data pages while the header is the old
// one, or a part of the new header when all data is there.
func TestPowerCutInTheMiddleOfACommit(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	j := open(t, dir, boot("one"))
	fill(t, j, 100)
	state := func() ([]byte, []Intent) {
		db, err := os.ReadFile(j.dirs.db())
		require.NoError(t, err)
		return db, pending(t, j)
	}
	before, had := state()
	for range rounds(40) {
		if rnd.IntN(2) == 0 || len(had) < 20 {
			fill(t, j, 1+rnd.IntN(100))
		} else {
			var c Change
			for _, i := range rnd.Perm(len(had))[:len(had)/2] {
				c.Delete = append(c.Delete, had[i].Seq)
			}
			require.NoError(t, j.Commit(c))
		}
		after, have := state()
		for range 3 {
			image := tear(before, after, rnd, false)
			require.Equal(t, had, openImage(t, image), "data without the header")
			image = tear(before, after, rnd, true)
			got := openImage(t, image)
			require.True(t, len(got) == len(had) && equalIntents(got, had) || len(got) == len(have) && equalIntents(got, have), "data and part of the header")
		}
		before, had = after, have
	}
}

const sector = 512

// tear returns a database between two states: with all data pages of the second
// and part of its headers, or with some of its data pages and the old headers.
func tear(before, after []byte, rnd *rand.Rand, header bool) []byte {
	image := make([]byte, max(len(before), len(after)))
	copy(image, before)
	const headers = 2 * 4096
	if header {
		copy(image[headers:], after[headers:])
		for page := range 2 {
			from := page * 4096
			copy(image[from:], after[from:from+rnd.IntN(pageHeader+metaLen+1)])
		}
		return image
	}
	share := rnd.Float64()
	for at := headers; at < len(after); at += sector {
		if rnd.Float64() < share {
			copy(image[at:], after[at:min(at+sector, len(after))])
		}
	}
	if rnd.IntN(2) == 0 { // the file had not grown yet
		image = image[:len(before)]
	}
	return image
}

func openImage(t *testing.T, image []byte) []Intent {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal.db"), image, 0o600))
	o := boot("two")
	o.NoSync = true
	j, err := Open(dir, o)
	require.NoError(t, err)
	defer j.Close()
	for _, d := range j.Damaged() {
		require.Contains(t, d.Reason, "one of the two headers")
	}
	return pending(t, j)
}

func equalIntents(a, b []Intent) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func FuzzInspect(f *testing.F) {
	s := makeSample(f, 60)
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(4096*3), []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Fuzz(func(t *testing.T, at uint32, p []byte) {
		db := bytes.Clone(s.db)
		copy(db[int(at)%len(db):], p)
		pairs := 0
		found, err := inspect(bytes.NewReader(db), func(_ string, _, _ []byte) { pairs++ })
		if err != nil && !errors.Is(err, errNoDB) {
			t.Fatal(err)
		}
		if pairs > 1000 || len(found.problems) > maxProblems {
			t.Fatalf("%d pairs, %d problems", pairs, len(found.problems))
		}
	})
}
