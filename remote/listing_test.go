package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// tree is a small tree in which the folder 3 is in 2 is in 1.
const tree = `{"result":0,"metadata":{"name":"top","folderid":1,"parentfolderid":0,"isfolder":true,"created":1,"modified":1,"contents":[
 {"name":"a","fileid":1,"parentfolderid":1,"isfolder":false,"size":1,"hash":1,"created":1,"modified":1},
 {"name":"two","folderid":2,"parentfolderid":1,"isfolder":true,"created":1,"modified":1,"unknown":{"deep":[1,{"x":"y"}]},"contents":[
  {"name":"b","fileid":2,"parentfolderid":2,"isfolder":false,"size":1,"hash":1,"created":1,"modified":1},
  {"name":"three","folderid":3,"parentfolderid":2,"isfolder":true,"created":1,"modified":1,"contents":[
   {"name":"c","fileid":3,"parentfolderid":3,"isfolder":false,"size":1,"hash":1,"created":1,"modified":1}]},
  {"name":"d","fileid":4,"parentfolderid":2,"isfolder":false,"size":1,"hash":1,"created":1,"modified":1}]},
 {"name":"empty","folderid":5,"parentfolderid":1,"isfolder":true,"created":1,"modified":1}]}}`

// walk lists the tree of folder 1 that the server answers with body.
func walk(t testing.TB, body string) (names []string, err error) {
	t.Helper()
	c, _ := newFake(t, Options{Attempts: 1}, reply(body))
	known := map[FolderID]bool{1: true}
	err = c.ListTree(t.Context(), 1, func(e Entry) error {
		require.True(t, known[e.ParentID], "%q came before its folder %d", e.Name, e.ParentID)
		known[e.FolderID] = e.Folder
		names = append(names, fmt.Sprintf("%d/%s", e.ParentID, e.Name))
		return nil
	})
	return names, err
}

func TestListTreeGivesFoldersBeforeTheirContents(t *testing.T) {
	want := []string{"1/a", "1/two", "2/b", "2/three", "3/c", "2/d", "1/empty"}
	names, err := walk(t, tree)
	require.NoError(t, err)
	require.Equal(t, want, names)

	// The order of keys means nothing: encoding/json sorts them, which puts
	// contents before everything else that matters.
	var any map[string]any
	dec := json.NewDecoder(strings.NewReader(tree))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&any))
	sorted, err := json.Marshal(any)
	require.NoError(t, err)
	require.Less(t, strings.Index(string(sorted), "contents"), strings.Index(string(sorted), "folderid"))
	names, err = walk(t, string(sorted))
	require.NoError(t, err)
	require.Equal(t, want, names)
}

func TestListTreeIgnoresParentsThatDisagree(t *testing.T) {
	// An application folder may show the real id of its parent.
	for _, body := range []string{strings.ReplaceAll(tree, `"parentfolderid":1`, `"parentfolderid":77`), strings.ReplaceAll(tree, `"parentfolderid":1,`, ``)} {
		names, err := walk(t, body)
		require.NoError(t, err)
		require.Len(t, names, 7)
	}
}

func TestListTreeStopsWithItsCallback(t *testing.T) {
	stop := errors.New("enough")
	c, s := newFake(t, Options{}, reply(tree))
	n := 0
	err := c.ListTree(t.Context(), 1, func(Entry) error { n++; return stop })
	require.ErrorIs(t, err, stop)
	require.False(t, failure(t, err).Temporary())
	require.Equal(t, 1, n)
	require.Equal(t, 1, s.count())
}

func TestListTreeIsRepeatedOnlyBeforeItsFirstEntry(t *testing.T) {
	cut := func(at int) step {
		return func(r *http.Request) (*http.Response, error) {
			resp, _ := reply(tree)(r)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(tree[:at]), errReader{errors.New("reset")}))
			return resp, nil
		}
	}
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, cut(100), reply(tree))
		n := 0
		require.NoError(t, c.ListTree(t.Context(), 1, func(Entry) error { n++; return nil }))
		require.Equal(t, 7, n)
		require.Equal(t, 2, s.count())
	})
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, cut(len(tree)-10), reply(tree))
		err := c.ListTree(t.Context(), 1, func(Entry) error { return nil })
		require.True(t, failure(t, err).Temporary())
		require.Equal(t, 1, s.count())
	})
}

func TestListTreeRefusedForTheRoot(t *testing.T) {
	c, s := newFake(t, Options{}, reply(`{"result":1101,"error":"too big"}`))
	err := c.ListTree(t.Context(), RootFolder, func(Entry) error { return nil })
	require.ErrorIs(t, err, ErrRecursionRefused)
	require.Equal(t, 1, s.count())
}

// endless repeats a piece of a reply for ever, and counts what was taken.
type endless struct {
	head, piece string
	taken       int
	limit       int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.taken > e.limit {
		return 0, errors.New("took too much")
	}
	if e.head == "" {
		e.head = e.piece
	}
	n := copy(p, e.head)
	e.head = e.head[n:]
	e.taken += n
	return n, nil
}

func (e *endless) Close() error { return nil }

func TestEndlessRepliesAreCutOff(t *testing.T) {
	const head = `{"result":0,"metadata":{"name":"top","folderid":1,"parentfolderid":0,"isfolder":true,"created":1,"modified":1,`
	file := `{"name":"a","fileid":1,"size":1,"hash":1},`
	for name, body := range map[string]*endless{
		"white space":       {head: head, piece: strings.Repeat(" ", 1000)},
		"a string":          {head: head + `"x":"`, piece: strings.Repeat("x", 1000)},
		"a number":          {head: head + `"x":1`, piece: strings.Repeat("1", 1000)},
		"unknown keys":      {head: head, piece: `"x":1,`},
		"unknown value":     {head: head + `"x":[`, piece: `1,`},
		"nested value":      {head: head + `"x":`, piece: `[`},
		"nested folders":    {head: head, piece: `"contents":[{"name":"f","folderid":2,"isfolder":true,"created":1,"modified":1,`},
		"nested, unnamed":   {head: head, piece: `"contents":[{`},
		"entries":           {head: head + `"contents":[`, piece: file},
		"entries, unnamed":  {head: `{"metadata":{"contents":[{"contents":[`, piece: file},
		"folders, unnamed":  {head: `{"metadata":{"contents":[{"contents":[`, piece: `{"contents":[],"name":"f","folderid":2},`},
		"long name":         {head: head + `"contents":[{"name":"`, piece: strings.Repeat("x", 1000)},
		"keys at the top":   {head: `{`, piece: `"x":1,`},
		"error message":     {head: `{"result":1,"error":"`, piece: "x"},
		"brackets":          {piece: `[`},
		"braces and a name": {piece: `{"a":`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for len(body.piece) < 1000 {
				body.piece += body.piece
			}
			body.limit = 16 << 20
			do := func(r *http.Request) (*http.Response, error) {
				resp, _ := reply("")(r)
				resp.Body, resp.ContentLength = body, -1
				return resp, nil
			}
			c, _ := newFake(t, Options{Attempts: 1, MaxListing: 20_000}, do)
			head := body.head
			for what, call := range map[string]func() error{
				"tree": func() error { return c.ListTree(t.Context(), 1, func(Entry) error { return nil }) },
				"list": func() error { _, err := c.List(t.Context(), 1); return err },
				"stat": func() error { _, err := c.Stat(t.Context(), 1); return err },
				"diff": func() error { _, err := c.Diff(t.Context(), 1, 1); return err },
			} {
				body.head, body.taken = head, 0
				require.ErrorIs(t, call(), ErrProtocol, what)
			}
		})
	}
}

func TestListingsThatAreRefused(t *testing.T) {
	meta := func(s string) string { return `{"result":0,"metadata":` + s + `}` }
	top := func(contents string) string {
		return meta(`{"name":"top","folderid":1,"parentfolderid":0,"isfolder":true,"created":1,"modified":1,"contents":` + contents + `}`)
	}
	for name, body := range map[string]string{
		"no metadata":         `{"result":0}`,
		"metadata null":       meta(`null`),
		"metadata array":      meta(`[]`),
		"metadata twice":      strings.TrimSuffix(tree, "}") + strings.TrimPrefix(tree, `{"result":0`),
		"no contents":         meta(`{"name":"top","folderid":1,"parentfolderid":0,"isfolder":true}`),
		"contents twice":      strings.Replace(top(`[]`), `"contents":[]`, `"contents":[],"contents":[]`, 1),
		"contents object":     top(`{}`),
		"contents null":       top(`null`),
		"contents of numbers": top(`[1]`),
		"other folder":        strings.Replace(top(`[]`), `"folderid":1`, `"folderid":2`, 1),
		"a file":              meta(`{"name":"top","fileid":1,"parentfolderid":0,"isfolder":false,"size":1,"hash":1,"contents":[]}`),
		"file with contents":  top(`[{"name":"a","fileid":1,"isfolder":false,"size":1,"hash":1,"contents":[]}]`),
		"no result":           strings.Replace(tree, `"result":0,`, ``, 1),
		"result of a string":  strings.Replace(tree, `"result":0,`, `"result":"0",`, 1),
		"more behind":         tree + `{}`,
		"not UTF-8":           strings.Replace(tree, "three", "thr\xffe", 1),
		"half a character":    strings.Replace(tree, "three", `thr\ud800ee`, 1),
		"html":                `<html>`,
		"bad child":           top(`[{"name":"a/b","fileid":1,"isfolder":false,"size":1,"hash":1}]`),
		"root as child":       top(`[{"name":"a","folderid":0,"isfolder":true}]`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := walk(t, body)
			require.ErrorIs(t, err, ErrProtocol)
			c, _ := newFake(t, Options{Attempts: 1}, reply(body))
			_, err = c.List(t.Context(), 1)
			if name != "file with contents" { // which a flat listing does not look at
				require.ErrorIs(t, err, ErrProtocol)
			}
		})
	}
}

func TestLongListingsAndDeepValues(t *testing.T) {
	const n = 10_000 // some megabytes: the budget is for each entry
	body := strings.Replace(emptyRoot, "[]", "["+strings.Repeat(notesJSON+",", n-1)+notesJSON+"]", 1)
	c, _ := newFake(t, Options{Attempts: 1}, reply(body))
	f, err := c.List(t.Context(), RootFolder)
	require.NoError(t, err)
	require.Len(t, f.Contents, n)

	c, _ = newFake(t, Options{Attempts: 1, MaxListing: n - 1}, reply(body))
	_, err = c.List(t.Context(), RootFolder)
	require.ErrorIs(t, err, ErrProtocol)

	for depth, ok := range map[int]bool{skipDepth - 1: true, skipDepth + 1: false} {
		deep := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		c, _ := newFake(t, Options{Attempts: 1}, reply(strings.Replace(emptyRoot, "{", `{"x":`+deep+`,`, 1)))
		_, err := c.List(t.Context(), RootFolder)
		require.Equal(t, ok, err == nil, "%v", err)
	}
}

func TestListOfTheRoot(t *testing.T) {
	// The root of an application folder may have an id and a name of its own.
	for _, meta := range []string{`"name":"/","folderid":0`, `"name":"pcloudfs","folderid":4711,"parentfolderid":3`} {
		c, _ := newFake(t, Options{}, reply(`{"metadata":{`+meta+`,"isfolder":true,"created":1,"modified":2,"contents":[`+backupsJSON+`]},"result":0}`))
		f, err := c.List(t.Context(), RootFolder)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(Folder{Entry{Name: "/", Folder: true, Created: time.Unix(1, 0), Modified: time.Unix(2, 0)}, []Entry{backups}}, f))
	}
}

func TestListErrorAfterTheEntries(t *testing.T) {
	c, _ := newFake(t, Options{Attempts: 1}, reply(strings.Replace(strings.Replace(tree, `"result":0,`, ``, 1), `]}}`, `]},"result":5000}`, 1)))
	_, err := c.List(t.Context(), 1)
	require.Equal(t, 5000, failure(t, err).Result)
}

func TestResolveFolder(t *testing.T) {
	dir := func(id, parent int, name string) string {
		return fmt.Sprintf(`{"name":%q,"folderid":%d,"parentfolderid":%d,"isfolder":true,"created":1,"modified":1}`, name, id, parent)
	}
	made := 100
	c, s := newFake(t, Options{}, func(r *http.Request) (*http.Response, error) {
		q := r.URL.Query()
		if r.URL.Path == "/createfolderifnotexists" {
			made++
			return reply(fmt.Sprintf(`{"result":0,"created":true,"metadata":{"name":%q,"folderid":%d,"parentfolderid":%s,"isfolder":true}}`, q.Get("name"), made, q.Get("folderid")))(r)
		}
		children := map[string]string{"0": dir(1, 0, "Backups") + `,{"name":"photos","fileid":7,"size":1,"hash":1}`, "1": dir(2, 1, "photos")}[q.Get("folderid")]
		return reply(`{"result":0,"metadata":{"name":"x","folderid":` + q.Get("folderid") + `,"parentfolderid":0,"isfolder":true,"contents":[` + children + `]}}`)(r)
	})
	for path, want := range map[string]FolderID{"": 0, "/": 0, "Backups": 1, "/Backups//photos/": 2} {
		e, err := c.ResolveFolder(t.Context(), path, false)
		require.NoError(t, err)
		require.Equal(t, want, e.FolderID, path)
	}
	for path, missing := range map[string]string{"backups": "backups", "photos": "photos", "Backups/photos/2026/x": "2026"} {
		_, err := c.ResolveFolder(t.Context(), path, false)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Contains(t, err.Error(), fmt.Sprintf("no folder %q in", missing))
	}
	for _, path := range []string{"..", "Backups/../x", "a/./b", `a\b`} {
		_, err := c.ResolveFolder(t.Context(), path, true)
		require.ErrorIs(t, err, ErrInvalidName)
	}
	require.Equal(t, 100, made)
	e, err := c.ResolveFolder(t.Context(), "Backups/new/newer", true)
	require.NoError(t, err)
	require.Equal(t, Entry{Name: "newer", Folder: true, FolderID: 102, ParentID: 101}, e)
	for _, r := range s.seen {
		require.True(t, r.Path != "/listfolder" || r.Query.Get("nofiles") == "1")
	}
}

func BenchmarkListTree(b *testing.B) {
	var body strings.Builder
	body.WriteString(strings.TrimSuffix(emptyRoot, "]}}"))
	const n = 10_000
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		body.WriteString(notesJSON)
	}
	body.WriteString("]}}")
	c, s := newFake(b, Options{}, reply(body.String()))
	for name, list := range map[string]func() error{
		"tree": func() error { return c.ListTree(b.Context(), 0, func(Entry) error { return nil }) },
		"flat": func() error { _, err := c.List(b.Context(), 0); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.seen = nil
				require.NoError(b, list())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
		})
	}
}
