package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// checkEntry says what every entry satisfies that comes out of the client.
func checkEntry(t *testing.T, e Entry) {
	t.Helper()
	ok := e.Name != "" && e.Name != "." && e.Name != ".." && !strings.ContainsAny(e.Name, "/\x00") && utf8.ValidString(e.Name) &&
		e.Size >= 0 && e.ParentID <= MaxID && e.Replaced <= MaxID && e.Modified.Year() >= 0 && e.Modified.Year() <= 10000
	if e.Folder {
		ok = ok && e.FolderID > 0 && e.FolderID <= MaxID && e.FileID == 0
	} else {
		ok = ok && e.FileID > 0 && e.FileID <= MaxID && e.FolderID == 0
	}
	require.True(t, ok, "%+v", e)
}

// bytesReply answers every request with b.
func bytesReply(b []byte) step {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := reply("")(r)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		return resp, err
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add(notesJSON)
	f.Add(backupsJSON)
	f.Add(`[]`)
	f.Add(`{"name":"\ud83d\ude00","fileid":1,"parentfolderid":0,"size":0,"hash":18446744073709551615,"isdeleted":true}`)
	f.Add(`{"name":"x","folderid":1,"parentfolderid":0,"created":"Tue, 01 Sep 2026 10:00:00 +0000","modified":18446744073709465216}`)
	f.Add("{\"name\":\"\xff\"}")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseMeta(s)
		if err == nil {
			require.True(t, utf8.ValidString(s))
			checkEntry(t, e)
		} else if !errors.Is(err, ErrProtocol) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%v", err)
		}
	})
}

func FuzzListTree(f *testing.F) {
	f.Add([]byte(tree))
	f.Add([]byte(emptyRoot))
	f.Add([]byte(`{"result":1101,"error":"x"}`))
	f.Add([]byte(`{"metadata":{"contents":[{"contents":[{"name":"a","fileid":1,"size":1,"hash":1,"parentfolderid":3}],"name":"x","folderid":3,"isfolder":true}],
		"folderid":1,"isfolder":true,"name":"t","parentfolderid":0},"result":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := newFake(t, Options{Attempts: 1}, bytesReply(b))
		known := map[FolderID]bool{1: true}
		n := 0
		err := c.ListTree(t.Context(), 1, func(e Entry) error {
			n++
			checkEntry(t, e)
			require.True(t, known[e.ParentID], "%q came before its folder", e.Name)
			if e.Folder {
				known[e.FolderID] = true
			}
			return nil
		})
		list, lerr := c.List(t.Context(), 1)
		for _, e := range list.Contents {
			checkEntry(t, e)
			require.Equal(t, FolderID(1), e.ParentID)
		}
		if err == nil || lerr == nil {
			require.True(t, json.Valid(b) && utf8.Valid(b))
		}
		if err == nil && lerr == nil {
			require.GreaterOrEqual(t, n, len(list.Contents))
		}
	})
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"result":0,"diffid":9,"entries":[{"event":"reset","time":1,"diffid":2},{"event":"modifyuserinfo","diffid":3,"userinfo":{"quota":1}},
		{"event":"modifyfolder","time":1,"diffid":4,"metadata":` + backupsJSON + `},{"event":"deletefile","time":1,"diffid":5,"metadata":` + notesJSON + `}]}`))
	f.Add([]byte(`{"result":0,"diffid":9,"entries":[]}`))
	f.Add([]byte(`{"result":0,"diffid":9,"entries":[{"event":"createfile","metadata":[]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := newFake(t, Options{Attempts: 1}, bytesReply(b))
		ch, err := c.Diff(t.Context(), 1, 10)
		if err != nil {
			failure(t, err)
			return
		}
		require.LessOrEqual(t, ch.DiffID, DiffID(MaxID))
		for _, e := range ch.Entries {
			if strings.HasSuffix(e.Event, "file") || strings.HasSuffix(e.Event, "folder") && e.Entry.Name != "" {
				switch e.Event {
				case EventCreateFile, EventCreateFolder, EventModifyFile, EventModifyFolder, EventDeleteFile, EventDeleteFolder:
					checkEntry(t, e.Entry)
					require.Equal(t, strings.HasSuffix(e.Event, "folder"), e.Entry.Folder)
				}
			}
		}
	})
}

// FuzzCall gives one reply to every method.
func FuzzCall(f *testing.F) {
	for _, m := range append(append(readers, blind...), careful...) {
		f.Add(200, "application/json", []byte(m.reply))
	}
	f.Add(200, "application/json", []byte(`{"result":0,"size":5,"sha1":"`+helloSHA1+`","quota":1,"diffid":1,"uploadid":1,"hash":7,"path":"/x","hosts":["c1.test"]}`))
	f.Add(200, "text/html", []byte(`<html>`))
	f.Add(404, "", []byte(testToken))
	f.Add(503, "application/json", []byte(`{"result":5000,"error":"pZq-secret-token-x7"}`))
	f.Fuzz(func(t *testing.T, status int, typ string, b []byte) {
		if status < 200 || status > 599 {
			status = 200
		}
		var c *Client
		answer := func(r *http.Request) (*http.Response, error) {
			resp, err := bytesReply(b)(r)
			resp.StatusCode = status
			resp.Header.Set("Content-Type", typ)
			return resp, err
		}
		ctx := t.Context()
		for _, m := range append(append(readers[:len(readers):len(readers)], blind...), careful...) {
			c, _ = newFake(t, Options{Attempts: 1}, answer) // so that refusals do not slow the next one
			checkError(t, m.call(c, ctx), m.name)
		}
		for name, call := range map[string]func(context.Context) error{
			"checksum":  func(ctx context.Context) error { _, _, err := c.Checksum(ctx, 1); return err },
			"bysum":     func(ctx context.Context) error { _, err := c.FilesByChecksum(ctx, 1, SHA1{}); return err },
			"revisions": func(ctx context.Context) error { _, err := c.Revisions(ctx, 1); return err },
			"info":      func(ctx context.Context) error { _, err := c.UploadInfo(ctx, 1); return err },
			"servers":   func(ctx context.Context) error { _, err := c.APIServers(ctx); return err },
			"resolve":   func(ctx context.Context) error { _, err := c.ResolveFolder(ctx, "a/b", true); return err },
			"read": func(ctx context.Context) error {
				n, err := c.ReadAt(ctx, 1, 7, 5, make([]byte, 5), 0)
				require.True(t, err == nil || n < 5)
				return err
			},
		} {
			c, _ = newFake(t, Options{Attempts: 1}, answer)
			checkError(t, call(ctx), name)
		}
	})
}

func checkError(t *testing.T, err error, name string) {
	t.Helper()
	if err == nil {
		return
	}
	var e *Error
	require.True(t, errors.As(err, &e), "%s: %T", name, err)
	require.NotContains(t, err.Error(), testToken)
	require.True(t, utf8.ValidString(err.Error()))
	require.Less(t, len(err.Error()), 4096)
	if e.Result == 0 && errors.Is(err, fs.ErrNotExist) && name != "resolve" {
		t.Fatalf("%s: %v is not a statement of the API", name, err)
	}
}

// FuzzScan compares the scanner with encoding/json.
func FuzzScan(f *testing.F) {
	for _, s := range []string{tree, notesJSON, `[]`, `{}`, ` [1, -0.5e+7,true ,false,null,"\u00e9\"\\"] `, `01`, `1.`, `-`, `nul`, `"a`, `"\x"`, "\"\n\"", `{"a":1,}`, `[1 2]`, `{"a"}`, `{1:2}`, `[,]`, `1}`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) >= skipDepth {
			return
		}
		s := newScanner(bytes.NewReader(b), 1<<20)
		err := s.skip()
		if err == nil {
			err = s.end()
		}
		require.Equal(t, json.Valid(b), err == nil, "%q: %v", b, err)
	})
}

// FuzzText compares the reader with the whole text at once.
func FuzzText(f *testing.F) {
	f.Add([]byte(notesJSON), 3)
	f.Add([]byte(`\ud83d\ude00`), 1)
	f.Add([]byte("\xf0\x9f\x98\x80\xff"), 2)
	f.Add([]byte("\\\xff"), 0)
	f.Add([]byte("\\u00\xff\xff"), 0)
	f.Add([]byte(`\uDAAA`), 0)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		b = []byte(`"` + string(b) + `"`)
		whole, err := io.ReadAll(&textReader{r: bytes.NewReader(b)})
		if cut <= 0 || cut > len(b) {
			cut = len(b)
		}
		parts, perr := io.ReadAll(&textReader{r: io.MultiReader(bytes.NewReader(b[:cut]), bytes.NewReader(b[cut:]))})
		require.Equal(t, err == nil, perr == nil)
		if err != nil {
			return
		}
		require.Equal(t, whole, parts)
		require.True(t, utf8.Valid(b))
		// What JSON makes of it loses nothing: it encodes to the same again.
		var s, again string
		if json.Unmarshal(b, &s) == nil {
			out, err := json.Marshal(s)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(out, &again))
			require.Equal(t, s, again)
			require.Equal(t, strings.Count(string(b), "\ufffd")+strings.Count(strings.ToLower(string(b)), `\ufffd`), strings.Count(s, "\ufffd"))
		}
	})
}
