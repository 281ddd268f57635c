package remote

import (
	"context"
	"crypto/sha1"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// Metadata as the server sends it (pCloud API 5.4), with timeformat=timestamp.
const (
	notesJSON = `{"name":"notes.txt","id":"f555","fileid":555,"parentfolderid":9001,"isfolder":false,"size":5,
 "hash":16842913070224563121,"category":4,"contenttype":"text\/plain","icon":"document","ismine":true,"isshared":false,
 "thumb":false,"comments":0,"created":1788256800,"modified":1788256798}`
	backupsJSON = `{"name":"Backups","id":"d9001","folderid":9001,"parentfolderid":0,"isfolder":true,"icon":"folder",
 "ismine":true,"isshared":false,"thumb":false,"comments":0,"path":"\/Backups","created":1788256800,"modified":1788256800}`
	helloSHA1   = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
	helloSHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
)

var (
	notes = Entry{Name: "notes.txt", FileID: 555, ParentID: 9001, Size: 5, Hash: 16842913070224563121,
		Created: time.Unix(1788256800, 0), Modified: time.Unix(1788256798, 0)}
	backups = Entry{Name: "Backups", Folder: true, FolderID: 9001,
		Created: time.Unix(1788256800, 0), Modified: time.Unix(1788256800, 0)}
	helloSums = Checksums{SHA1: sha1.Sum([]byte("hello")), SHA256: helloSHA256}
)

func changed(e Entry, f func(*Entry)) Entry { f(&e); return e }

func TestMethodsSendAndDecode(t *testing.T) {
	at := time.Unix(1788256798, 999)
	file := `{"result":0,"metadata":` + notesJSON + `}`
	folder := `{"result":0,"metadata":` + backupsJSON + `}`
	upload := `{"result":0,"fileids":[555],"metadata":[` + notesJSON + `],"checksums":[{"sha1":"` + helloSHA1 + `","sha256":"` + helloSHA256 + `"}]}`
	listing := `{"result":0,"metadata":{"path":"\/","name":"\/","id":"d0","folderid":0,"isfolder":true,"icon":"folder","ismine":true,
 "isshared":false,"thumb":false,"created":5,"modified":6,"contents":[` + backupsJSON + `,` + notesJSON + `]}}`
	type result = map[string]any
	for _, tc := range []struct {
		name  string
		call  func(ctx context.Context, c *Client) (any, error)
		reply string
		verb  string
		path  string
		query string // without timeformat, sorted
		body  string
		want  any
	}{
		{"userinfo", func(ctx context.Context, c *Client) (any, error) { return c.UserInfo(ctx) },
			`{"result":0,"userid":4711,"email":"dev@example.net","emailverified":true,"registered":1731084012,"premium":true,"plan":0,
			 "quota":10737418240,"usedquota":48213,"freequota":1,"trashrevretentiondays":15,"journey":{"claimed":false,"steps":{}}}`,
			"GET", "/userinfo", "", "",
			UserInfo{UserID: 4711, Email: "dev@example.net", EmailVerified: true, Premium: true, Quota: 10737418240, Used: 48213, TrashDays: 15}},
		{"getapiserver", func(ctx context.Context, c *Client) (any, error) { return c.APIServers(ctx) },
			`{"result":0,"binapi":["binapi.pcloud.com"],"api":["api74.pcloud.com","api.pcloud.com"]}`, "GET", "/getapiserver", "", "",
			APIServers{API: []string{"api74.pcloud.com", "api.pcloud.com"}, BinAPI: []string{"binapi.pcloud.com"}}},
		{"listfolder", func(ctx context.Context, c *Client) (any, error) { return c.List(ctx, RootFolder) }, listing,
			"GET", "/listfolder", "folderid=0", "",
			Folder{Entry{Name: "/", Folder: true, Created: time.Unix(5, 0), Modified: time.Unix(6, 0)},
				[]Entry{backups, changed(notes, func(e *Entry) { e.ParentID = 0 })}}},
		{"listfolder nofiles", func(ctx context.Context, c *Client) (any, error) { return c.ListFolders(ctx, RootFolder) }, listing,
			"GET", "/listfolder", "folderid=0&nofiles=1", "",
			Folder{Entry{Name: "/", Folder: true, Created: time.Unix(5, 0), Modified: time.Unix(6, 0)}, []Entry{backups}}},
		{"listfolder recursive", func(ctx context.Context, c *Client) (any, error) {
			var got []Entry
			err := c.ListTree(ctx, RootFolder, func(e Entry) error { got = append(got, e); return nil })
			return got, err
		}, listing, "GET", "/listfolder", "folderid=0&recursive=1", "",
			[]Entry{backups, changed(notes, func(e *Entry) { e.ParentID = 0 })}},
		{"createfolder", func(ctx context.Context, c *Client) (any, error) { return c.CreateFolder(ctx, 7, "a &+#%é") }, folder,
			"POST", "/createfolder", "folderid=7&name=a+%26%2B%23%25%C3%A9", "", backups},
		{"createfolderifnotexists", func(ctx context.Context, c *Client) (any, error) {
			e, created, err := c.EnsureFolder(ctx, 0, "Backups")
			return result{"entry": e, "created": created}, err
		}, `{"result":0,"created":true,"metadata":` + backupsJSON + `}`,
			"POST", "/createfolderifnotexists", "folderid=0&name=Backups", "", result{"entry": backups, "created": true}},
		{"renamefolder", func(ctx context.Context, c *Client) (any, error) { return c.RenameFolder(ctx, 9001, 0, "Backups") }, folder,
			"POST", "/renamefolder", "folderid=9001&tofolderid=0&toname=Backups", "", backups},
		{"deletefolder", func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteFolder(ctx, 9001) }, folder,
			"POST", "/deletefolder", "folderid=9001", "", nil},
		{"deletefolderrecursive", func(ctx context.Context, c *Client) (any, error) {
			files, folders, err := c.DeleteFolderTree(ctx, 9001)
			return []int64{files, folders}, err
		}, `{"result":0,"deletedfiles":41,"deletedfolders":7}`, "POST", "/deletefolderrecursive", "folderid=9001", "", []int64{41, 7}},
		{"stat", func(ctx context.Context, c *Client) (any, error) { return c.Stat(ctx, 555) }, file, "GET", "/stat", "fileid=555", "", notes},
		{"checksumfile", func(ctx context.Context, c *Client) (any, error) {
			e, sums, err := c.Checksum(ctx, 555)
			return result{"entry": e, "sums": sums}, err
		}, `{"result":0,"sha1":"` + strings.ToUpper(helloSHA1) + `","sha256":"` + helloSHA256 + `","metadata":` + notesJSON + `}`,
			"GET", "/checksumfile", "fileid=555", "", result{"entry": notes, "sums": helloSums}},
		{"getfilesbychecksum", func(ctx context.Context, c *Client) (any, error) { return c.FilesByChecksum(ctx, 5, helloSums.SHA1) },
			`{"result":0,"metadata":[` + notesJSON + `]}`, "GET", "/getfilesbychecksum", "sha1=" + helloSHA1 + "&size=5", "", []Entry{notes}},
		{"copyfile", func(ctx context.Context, c *Client) (any, error) {
			return c.CopyFile(ctx, 1, CopyTarget{Parent: 9001, Name: "notes.txt", Modified: at, Created: at.Add(-time.Second), NoOverwrite: true, Hash: 1<<64 - 1})
		}, file, "POST", "/copyfile",
			"ctime=1788256797&fileid=1&hash=18446744073709551615&mtime=1788256798&noover=1&tofolderid=9001&toname=notes.txt", "", notes},
		{"copyfile onto itself", func(ctx context.Context, c *Client) (any, error) { return c.SetTimes(ctx, notes, at, time.Time{}) }, file,
			"POST", "/copyfile", "fileid=555&mtime=1788256798&tofolderid=9001&toname=notes.txt", "", notes},
		{"setfilemtime before 1970", func(ctx context.Context, c *Client) (any, error) {
			return c.SetFileMtime(ctx, 555, time.Unix(-86400, 0))
		}, file, "POST", "/setfilemtime", "fileid=555&newtm=18446744073709465216", "", notes},
		{"renamefile", func(ctx context.Context, c *Client) (any, error) { return c.RenameFile(ctx, 555, 9001, "notes.txt") },
			`{"result":0,"metadata":` + strings.Replace(notesJSON, "{", `{"deletedfileid":777,`, 1) + `}`, "POST", "/renamefile",
			"fileid=555&tofolderid=9001&toname=notes.txt", "", changed(notes, func(e *Entry) { e.Replaced = 777 })},
		{"deletefile", func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteFile(ctx, 555) }, file,
			"POST", "/deletefile", "fileid=555", "", nil},
		{"listrevisions", func(ctx context.Context, c *Client) (any, error) { return c.Revisions(ctx, 555) },
			`{"result":0,"revisions":[{"revisionid":3,"size":5,"hash":18446744073709551615,"created":9,"sha1":"` + helloSHA1 +
				`","sha256":"` + helloSHA256 + `"}],"metadata":` + notesJSON + `}`, "GET", "/listrevisions", "fileid=555&showchecksums=1", "",
			[]Revision{{ID: 3, Size: 5, Hash: 1<<64 - 1, Created: time.Unix(9, 0), Checksums: helloSums}}},
		{"revertrevision", func(ctx context.Context, c *Client) (any, error) { return c.RevertRevision(ctx, 555, 3) }, file,
			"POST", "/revertrevision", "fileid=555&revisionid=3", "", notes},
		{"uploadfile", func(ctx context.Context, c *Client) (any, error) {
			e, sums, err := c.UploadFile(ctx, UploadTarget{Parent: 9001, Name: "notes.txt", Modified: at, Created: at, If: IfNew()}, strings.NewReader("hello"), 5)
			return result{"entry": e, "sums": sums}, err
		}, upload, "PUT", "/uploadfile", "ctime=1788256798&filename=notes.txt&folderid=9001&ifhash=new&mtime=1788256798&nopartial=1", "hello",
			result{"entry": notes, "sums": helloSums}},
		{"uploadfile conflicted", func(ctx context.Context, c *Client) (any, error) {
			e, _, err := c.UploadFile(ctx, UploadTarget{Parent: 9001, Name: "notes.txt", If: IfHash(1 << 63)}, strings.NewReader("hello"), 5)
			return e, err
		}, strings.Replace(upload, `"name":"notes.txt"`, `"name":"notes{CONFLICTED}.txt","conflicted":true`, 1), "PUT", "/uploadfile",
			"filename=notes.txt&folderid=9001&ifhash=9223372036854775808&nopartial=1", "hello",
			changed(notes, func(e *Entry) { e.Name, e.Conflicted = "notes{CONFLICTED}.txt", true })},
		{"upload_create", func(ctx context.Context, c *Client) (any, error) { return c.CreateUpload(ctx, 10) }, `{"result":0,"uploadid":8123456789}`,
			"POST", "/upload_create", "filesize=10", "", UploadID(8123456789)},
		{"upload_write", func(ctx context.Context, c *Client) (any, error) {
			return nil, c.WriteUpload(ctx, 8123456789, 2, strings.NewReader("hello"), 3)
		}, `{"result":0}`, "PUT", "/upload_write", "uploadid=8123456789&uploadoffset=2", "llo", nil},
		{"upload_info", func(ctx context.Context, c *Client) (any, error) { return c.UploadInfo(ctx, 8123456789) },
			`{"result":0,"size":5,"sha1":"` + helloSHA1 + `","sha256":"` + helloSHA256 + `"}`, "GET", "/upload_info", "uploadid=8123456789", "",
			UploadStatus{5, helloSums}},
		{"upload_save", func(ctx context.Context, c *Client) (any, error) {
			return c.SaveUpload(ctx, 8123456789, UploadTarget{Parent: 9001, Name: "notes.txt", Modified: at, If: IfHash(0)})
		}, file, "POST", "/upload_save", "folderid=9001&ifhash=0&mtime=1788256798&name=notes.txt&uploadid=8123456789", "", notes},
		{"upload_delete", func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteUpload(ctx, 8123456789) }, `{"result":0}`,
			"POST", "/upload_delete", "uploadid=8123456789", "", nil},
		{"upload_writefromfile", func(ctx context.Context, c *Client) (any, error) {
			return nil, c.WriteUploadFromFile(ctx, 8, 100, 555, 1<<63, 4096, 10)
		}, `{"result":0}`, "POST", "/upload_writefromfile", "count=10&fileid=555&hash=9223372036854775808&offset=4096&uploadid=8&uploadoffset=100", "", nil},
		{"upload_writefromupload", func(ctx context.Context, c *Client) (any, error) {
			return nil, c.WriteUploadFromUpload(ctx, 8, 100, 9, 4096, 10)
		}, `{"result":0}`, "POST", "/upload_writefromupload", "count=10&offset=4096&readuploadid=9&uploadid=8&uploadoffset=100", "", nil},
		{"diff", func(ctx context.Context, c *Client) (any, error) { return c.Diff(ctx, 1048599, 10) },
			`{"result":0,"diffid":1048602,"entries":[{"event":"createfolder","time":7,"diffid":1048600,"metadata":` + backupsJSON + `},
			 {"event":"requestsharein","time":8,"diffid":1048601,"share":{"shareid":1},"metadata":"not for us"},
			 {"event":"deletefile","time":9,"diffid":1048602,"metadata":` + notesJSON + `}]}`,
			"GET", "/diff", "diffid=1048599&limit=10", "",
			Changes{1048602, []Change{{Event: EventCreateFolder, Time: time.Unix(7, 0), DiffID: 1048600, Entry: backups},
				{Event: "requestsharein", Time: time.Unix(8, 0), DiffID: 1048601},
				{Event: EventDeleteFile, Time: time.Unix(9, 0), DiffID: 1048602, Entry: changed(notes, func(e *Entry) { e.Deleted = true })}}}},
		{"diff blocking", func(ctx context.Context, c *Client) (any, error) { return c.WaitDiff(ctx, 5, 0) }, `{"result":0,"diffid":5,"entries":[]}`,
			"GET", "/diff", "block=1&diffid=5&limit=5000", "", Changes{DiffID: 5}},
		{"diff last", func(ctx context.Context, c *Client) (any, error) { return c.LastDiff(ctx) }, `{"result":0,"diffid":1048602,"entries":[]}`,
			"GET", "/diff", "last=0", "", DiffID(1048602)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, s := newFake(t, Options{}, reply(tc.reply))
			got, err := tc.call(t.Context(), c)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(tc.want, got, cmp.Comparer(func(a, b Condition) bool { return a == b })))
			require.Len(t, s.seen, 1)
			r := s.seen[0]
			require.Equal(t, []string{"timestamp"}, r.Query["timeformat"])
			r.Query.Del("timeformat")
			require.Equal(t, []string{tc.verb, "server.test", tc.path, tc.query, tc.body},
				[]string{r.Verb, r.Host, r.Path, r.Query.Encode(), r.Body})
			require.Equal(t, int64(len(tc.body)), r.Length)
			want := http.Header{"Connection": {"keep-alive"}, "User-Agent": {"pcloudfs"}, "Authorization": {"Bearer " + testToken}}
			if tc.path == "/getapiserver" {
				want.Del("Authorization")
			}
			if tc.body != "" {
				want.Set("Content-Type", "application/octet-stream")
			}
			require.Empty(t, cmp.Diff(want, r.Header))
		})
	}
}

func TestEmptyFileIsUploadedAsForm(t *testing.T) {
	const empty = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	name := `a "b" ü.txt`
	c, s := newFake(t, Options{}, reply(`{"result":0,"fileids":[1],"checksums":[{"sha1":"`+empty+`"}],"metadata":[
		{"name":"x","fileid":1,"parentfolderid":9001,"isfolder":false,"size":0,"hash":3,"created":1,"modified":2}]}`))
	e, sums, err := c.UploadFile(t.Context(), UploadTarget{Parent: 9001, Name: name}, strings.NewReader(""), 0)
	require.NoError(t, err)
	require.Equal(t, FileID(1), e.FileID)
	require.Equal(t, empty, sums.SHA1.String())

	r := s.seen[0]
	require.Equal(t, "POST", r.Verb)
	require.Equal(t, "folderid=9001&nopartial=1&timeformat=timestamp", r.Query.Encode())
	require.Equal(t, int64(len(r.Body)), r.Length)
	typ, p, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/form-data", typ)
	m := multipart.NewReader(strings.NewReader(r.Body), p["boundary"])
	part, err := m.NextPart()
	require.NoError(t, err)
	require.Equal(t, name, part.FileName())
	b, err := io.ReadAll(part)
	require.NoError(t, err)
	require.Empty(t, b)
	_, err = m.NextPart()
	require.ErrorIs(t, err, io.EOF)
}

func TestArrayInPlaceOfEmptyObject(t *testing.T) {
	c, _ := newFake(t, Options{}, reply(`{"result":0,"metadata":[],"diffid":7,"entries":[{"event":"modifyuserinfo","diffid":6,"time":1,"userinfo":[ ]}]}`))
	ch, err := c.Diff(t.Context(), 1, 1)
	require.NoError(t, err)
	require.Equal(t, []Change{{Event: EventUserInfo, Time: time.Unix(1, 0), DiffID: 6, User: &UserInfo{}}}, ch.Entries)

	_, err = c.Stat(t.Context(), 1)
	require.ErrorIs(t, err, ErrProtocol, "empty metadata is still no file")
}

func TestImpossibleNamesAreRefusedWithoutRequest(t *testing.T) {
	c, s := newFake(t, Options{}, reply(`{"result":0}`))
	for _, name := range []string{"", ".", "..", "a/b", "a\x00b", `a\b`, "\xff", strings.Repeat("x", 1024)} {
		target := UploadTarget{Name: name}
		_, e1 := c.CreateFolder(t.Context(), 0, name)
		_, _, e2 := c.EnsureFolder(t.Context(), 0, name)
		_, e3 := c.RenameFolder(t.Context(), 1, 0, name)
		_, e4 := c.RenameFile(t.Context(), 1, 0, name)
		_, e5 := c.CopyFile(t.Context(), 1, CopyTarget{Name: name})
		_, _, e6 := c.UploadFile(t.Context(), target, strings.NewReader("x"), 1)
		_, e7 := c.SaveUpload(t.Context(), 1, target)
		for i, err := range []error{e1, e2, e3, e4, e5, e6, e7} {
			require.ErrorIs(t, err, ErrInvalidName, "%q %d", name, i)
			require.False(t, failure(t, err).Uncertain())
		}
	}
	require.Zero(t, s.count())

	_, _, err := c.EnsureFolder(t.Context(), 0, strings.Repeat("x", 1023))
	require.NotErrorIs(t, err, ErrInvalidName)
	require.Equal(t, 1, s.count())
}

func TestCreationTimeNeedsModificationTime(t *testing.T) {
	c, s := newFake(t, Options{}, reply(`{"result":0}`))
	_, err := c.CopyFile(t.Context(), 1, CopyTarget{Name: "x", Created: time.Unix(1, 0)})
	require.Error(t, err)
	_, err = c.SetTimes(t.Context(), notes, time.Time{}, time.Unix(1, 0))
	require.Error(t, err)
	require.Zero(t, s.count())
}

func TestSetTimesNoticesSecondFile(t *testing.T) {
	c, _ := newFake(t, Options{}, reply(`{"result":0,"metadata":`+notesJSON+`}`))
	old := notes
	old.FileID = 554
	got, err := c.SetTimes(t.Context(), old, time.Unix(1, 0), time.Time{})
	require.ErrorIs(t, err, ErrMoved)
	require.Equal(t, notes, got)
}

func TestRenameOntoItselfSucceeds(t *testing.T) {
	c, s := newFake(t, Options{}, reply(`{"result":2049,"error":"same"}`), reply(`{"result":0,"metadata":`+notesJSON+`}`))
	e, err := c.RenameFile(t.Context(), 555, 9001, "notes.txt")
	require.NoError(t, err)
	require.Equal(t, notes, e)
	require.Equal(t, "/stat", s.seen[1].Path)
}

func TestDeleteUploadOfLostSession(t *testing.T) {
	c, _ := newFake(t, Options{}, reply(`{"result":2067,"error":"gone"}`))
	require.NoError(t, c.DeleteUpload(t.Context(), 1))
}
