package store

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reopen closes an account and opens it again.
func reopen(t *testing.T, a *Account) *Account {
	t.Helper()
	dir := a.dir
	require.NoError(t, a.Close())
	return open(t, Options{Dir: dir})
}

// files counts the files below a part of an account's directory.
func files(t *testing.T, a *Account, part string) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Join(a.dir, part), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	}))
	return n
}

func TestReopen(t *testing.T) {
	t.Parallel()
	a := open(t, Options{Dir: t.TempDir(), Seed: 7, Quota: 1 << 20})
	v := a.View(0)
	app := mkdir(t, v, 0, "app")
	f := put(t, v, app.ID, "f", "1")
	put(t, v, app.ID, "f", "2")
	gone := trashed(t, v, "gone")
	bit := a.View(app.ID).bit
	since := cursor(t, v)
	in := put(t, v, app.ID, "in", "1")
	require.NoError(t, a.SetSetting("token", "secret"))
	one, two := newSession(t, a), newSession(t, a)
	require.NoError(t, a.WriteSession(one, 0, ten2(), 10))
	require.NoError(t, v.Generate(app.ID, "files=5,seed=2"))
	tree := paths(t, v)

	a = reopen(t, a)
	v = a.View(0)
	require.Equal(t, tree, paths(t, v))
	n, err := v.FileByID(in.ID)
	require.NoError(t, err)
	require.Equal(t, in, n)
	revs, _, err := v.Revisions(f.ID)
	require.NoError(t, err)
	require.Len(t, revs, 1)
	require.Equal(t, [][3]any{{"gone", uint64(0), uint64(0)}}, bin(t, v, 0))
	_, err = v.TrashRestore(gone.ID, false, nil)
	require.NoError(t, err)
	value, ok := a.Setting("token")
	require.Equal(t, []any{"secret", true}, []any{value, ok})
	_, quota := a.Usage()
	require.Equal(t, int64(1<<20), quota)
	require.Equal(t, bit, a.View(app.ID).bit)
	require.Equal(t, "reset", tail(t, v, since)[0], "Generate told clients to start over")
	require.NoError(t, v.Generate(app.ID, "files=5,seed=2"), "it knows that it did")

	holds(t, a, one, "0123456789")
	require.NoError(t, a.WriteSession(one, 10, strings.NewReader("abc"), 3))
	holds(t, a, one, "0123456789abc")
	holds(t, a, two, "")
	require.Greater(t, newSession(t, a), two, "numbers are not given out twice")
	require.NoError(t, a.DeleteSession(two))
	a = reopen(t, a)
	require.Equal(t, 2, a.Sessions())
	require.Equal(t, CodeNoUpload, Code(a.DeleteSession(two)))
}

func TestPagesOfTheStateAreNotMistakenAfterReopening(t *testing.T) {
	t.Parallel()
	a := open(t, Options{Dir: t.TempDir()})
	v := a.View(0)
	put(t, v, 0, "f", "1")
	put(t, v, 0, "g", "1")
	_, page, err := v.Diff(0, 1)
	require.NoError(t, err)
	end := cursor(t, v)
	a = reopen(t, a)
	v = a.View(0)
	h := put(t, v, 0, "h", "1")
	require.Equal(t, "reset", tail(t, v, page)[0])
	events, _, err := v.Diff(end, 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, h.ID, events[0].Node.ID)
}

// TestContentsGo checks that bytes go with the last file that has them.
func TestContentsGo(t *testing.T) {
	t.Parallel()
	a := open(t, Options{Dir: t.TempDir()})
	v := a.View(0)
	f := put(t, v, 0, "f", "1")
	_, err := v.CopyFile(f.ID, 0, "g", CopyOptions{})
	require.NoError(t, err)
	put(t, v, 0, "f", "2")
	require.Equal(t, 2, files(t, a, "blobs"))
	put(t, v, 0, "f", "2") // the same again is not kept
	require.Equal(t, 2, files(t, a, "blobs"))
	_, err = v.DeleteFile(f.ID)
	require.NoError(t, err)
	require.NoError(t, v.TrashClear(0, true))
	require.Equal(t, 1, files(t, a, "blobs"), "the copy still has the first content")

	c, _, err := v.OpenContent(f.ID+100, nil, 0)
	require.Equal(t, CodeNoFile, Code(err))
	require.Nil(t, c)
	_, err = v.Put(0, "a/b", blobOf(t, a, []byte("3")), PutOptions{})
	require.Equal(t, CodeInvalidName, Code(err))
	blobOf(t, a, []byte("4")).Release()
	w, err := a.NewBlob()
	require.NoError(t, err)
	_, err = w.Write([]byte("5"))
	require.NoError(t, err)
	w.Abort()
	id := newSession(t, a)
	require.NoError(t, a.WriteSession(id, 0, ten2(), 10))
	_, err = v.SaveSession(id, 99, "x", PutOptions{})
	require.Equal(t, CodeNoFolder, Code(err))
	require.NoError(t, a.DeleteSession(id))
	require.Equal(t, []int{1, 0, 0}, []int{files(t, a, "blobs"), files(t, a, "tmp"), files(t, a, "sessions")})
}

// TestLeftoversOfACrash puts files where a killed process may leave them.
func TestLeftoversOfACrash(t *testing.T) {
	t.Parallel()
	a := open(t, Options{Dir: t.TempDir()})
	v := a.View(0)
	f := put(t, v, 0, "f", "1")
	id := newSession(t, a)
	require.NoError(t, a.WriteSession(id, 0, ten2(), 10))
	require.NoError(t, a.Close())
	for _, path := range []string{
		a.blobPath(1000 << 8), filepath.Join(a.dir, "tmp", "blob123"), a.sessionPath(1),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	long, err := os.OpenFile(a.sessionPath(id), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = long.WriteString("not recorded")
	require.NoError(t, err)
	require.NoError(t, long.Close())

	a = open(t, Options{Dir: a.dir})
	require.Equal(t, []int{1, 0, 1}, []int{files(t, a, "blobs"), files(t, a, "tmp"), files(t, a, "sessions")})
	require.NoError(t, a.WriteSession(id, 10, strings.NewReader("ab"), 2))
	n, err := a.View(0).SaveSession(id, 0, "g", PutOptions{})
	require.NoError(t, err)
	require.Equal(t, "0123456789ab", text(t, a.View(0), n.ID))
	require.Equal(t, "1", text(t, a.View(0), f.ID))
	reopen(t, a) // would find a content that is too long
}

// TestReportedUploadSurvives looks at the directory as a kill would leave it
// while a write is stalled whose first bytes upload_info has reported.
func TestReportedUploadSurvives(t *testing.T) {
	t.Parallel()
	a := open(t, Options{Dir: t.TempDir()})
	id := newSession(t, a)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- a.WriteSession(id, 0, r, 100) }()
	_, err := w.Write([]byte("first"))
	require.NoError(t, err)
	_, err = w.Write(nil) // returns when the store asks for more: "first" is stored
	require.NoError(t, err)
	holds(t, a, id, "first")

	dir := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(dir, os.DirFS(a.dir)))
	holds(t, open(t, Options{Dir: dir}), id, "first")
	require.NoError(t, w.Close())
	require.ErrorIs(t, <-done, io.ErrUnexpectedEOF)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what, want string
		spoil      func(t *testing.T, a *Account)
	}{
		{"another directory", "something else", func(t *testing.T, a *Account) {
			require.NoError(t, os.RemoveAll(a.dir))
			require.NoError(t, os.MkdirAll(filepath.Join(a.dir, "photos"), 0o700))
		}},
		{"another file", "damaged", func(t *testing.T, a *Account) {
			require.NoError(t, os.WriteFile(filepath.Join(a.dir, "account.db"), make([]byte, 1<<16), 0o600))
		}},
		{"cut off", "damaged", func(t *testing.T, a *Account) {
			require.NoError(t, os.Truncate(filepath.Join(a.dir, "account.db"), 3*4096))
		}},
		{"pages overwritten", "damaged", func(t *testing.T, a *Account) {
			f, err := os.OpenFile(filepath.Join(a.dir, "account.db"), os.O_RDWR, 0)
			require.NoError(t, err)
			defer f.Close()
			info, err := f.Stat()
			require.NoError(t, err)
			_, err = f.WriteAt([]byte(strings.Repeat("garbage!", int(info.Size()-8192)/8)), 8192)
			require.NoError(t, err)
		}},
		{"content missing", "missing", func(t *testing.T, a *Account) {
			require.NoError(t, os.RemoveAll(filepath.Join(a.dir, "blobs")))
		}},
		{"content cut off", "damaged", func(t *testing.T, a *Account) {
			require.NoError(t, os.Truncate(a.blobPath(1), 0))
		}},
		{"upload missing", "missing", func(t *testing.T, a *Account) {
			require.NoError(t, os.RemoveAll(filepath.Join(a.dir, "sessions")))
		}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			a := open(t, Options{Dir: t.TempDir()})
			put(t, a.View(0), 0, "f", "1")
			newSession(t, a)
			require.NoError(t, a.Close())
			tc.spoil(t, a)
			_, err := Open(Options{Dir: a.dir})
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, a.dir)
		})
	}
	a := open(t, Options{Dir: t.TempDir()})
	_, err := Open(Options{Dir: a.dir})
	require.ErrorContains(t, err, "in use")
}

func FuzzDecode(f *testing.F) {
	b := &blob{id: 1, size: 3, hash: 5, sum: &digests{}}
	r := &record{id: 1, name: "x", blob: b}
	f.Add(encodeFile(r))
	f.Add(encodeBlob(b))
	f.Add(encodeEvent(&event{typ: EventCreateFile, rec: r}))
	s, err := encodeSession(&session{dig: newDigester(allSums)})
	require.NoError(f, err)
	f.Add(s)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, decode := range []func(*decoder){
			func(d *decoder) { d.record(); d.uint() },
			func(d *decoder) { d.blob(1) },
			func(d *decoder) { d.event(1) },
			func(d *decoder) { d.session(1) },
		} {
			d := &decoder{rest: in}
			decode(d)
			_ = d.end() // must not panic
		}
	})
}
