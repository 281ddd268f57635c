package remote

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func diffOf(t *testing.T, entries string) ([]Change, error) {
	t.Helper()
	c, _ := newFake(t, Options{Attempts: 1}, reply(`{"result":0,"diffid":9,"entries":[`+entries+`]}`))
	ch, err := c.Diff(t.Context(), 1, 100)
	return ch.Entries, err
}

func TestDiffEvents(t *testing.T) {
	moved := changed(notes, func(e *Entry) { e.Replaced = 777 })
	got, err := diffOf(t, `
		{"event":"reset","time":1,"diffid":2},
		{"event":"modifyuserinfo","time":1,"diffid":3,"userinfo":{"userid":4711,"quota":100,"usedquota":7,"premium":true,"email":"a@b"}},
		{"event":"modifyfolder","time":1,"diffid":4,"metadata":`+backupsJSON+`},
		{"event":"modifyfile","time":1,"diffid":5,"metadata":`+strings.Replace(notesJSON, "{", `{"deletedfileid":777,`, 1)+`},
		{"event":"deletefolder","time":1,"diffid":6,"metadata":{"name":"x","folderid":5,"parentfolderid":0,"isfolder":true}},
		{"event":"deletefile","time":1,"diffid":7,"metadata":{"name":"x","fileid":5,"parentfolderid":0,"isfolder":false}},
		{"event":"modifyfolder","time":1,"diffid":8,"metadata":{"name":"/","folderid":0,"isfolder":true}},
		{"event":"somethingnew","time":1,"diffid":9,"metadata":{"name":5}}`)
	require.NoError(t, err)
	at := time.Unix(1, 0)
	require.Equal(t, []Change{
		{Event: EventReset, Time: at, DiffID: 2},
		{Event: EventUserInfo, Time: at, DiffID: 3, User: &UserInfo{UserID: 4711, Email: "a@b", Premium: true, Quota: 100, Used: 7}},
		{Event: EventModifyFolder, Time: at, DiffID: 4, Entry: backups},
		{Event: EventModifyFile, Time: at, DiffID: 5, Entry: moved},
		{Event: EventDeleteFolder, Time: at, DiffID: 6, Entry: Entry{Name: "x", Folder: true, FolderID: 5, Deleted: true}},
		{Event: EventDeleteFile, Time: at, DiffID: 7, Entry: Entry{Name: "x", FileID: 5, Deleted: true}},
		{Event: "somethingnew", Time: at, DiffID: 9},
	}, got, "the root is in no folder, and its event left out")
}

func TestDiffsThatAreRefused(t *testing.T) {
	for _, bad := range []string{
		`5`, `{}`, `{"event":"reset","diffid":4611686018427387904}`, `{"event":"reset","diffid":-1}`, `{"event":5}`,
		`{"event":"createfile","diffid":1}`,
		`{"event":"createfile","diffid":1,"metadata":[]}`,
		`{"event":"createfile","diffid":1,"metadata":"x"}`,
		`{"event":"createfile","diffid":1,"metadata":` + backupsJSON + `}`,
		`{"event":"deletefolder","diffid":1,"metadata":` + notesJSON + `}`,
		`{"event":"createfile","diffid":1,"metadata":` + strings.Replace(notesJSON, "notes.txt", "../x", 1) + `}`,
		`{"event":"modifyuserinfo","diffid":1,"userinfo":{"quota":-5}}`,
		`{"event":"modifyuserinfo","diffid":1,"userinfo":7}`,
	} {
		_, err := diffOf(t, bad)
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
	for _, bad := range []string{`{"result":0,"entries":[]}`, `{"result":0,"diffid":-1,"entries":[]}`, `{"result":0,"diffid":4611686018427387904}`, `{"result":0,"diffid":1,"entries":{}}`} {
		c, _ := newFake(t, Options{Attempts: 1}, reply(bad))
		_, err := c.LastDiff(t.Context())
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
}

func TestDiffAsksForBoundedReplies(t *testing.T) {
	for limit, want := range map[int]string{0: "5000", -1: "5000", 7: "7", 1 << 30: "50000"} {
		c, s := newFake(t, Options{}, reply(`{"result":0,"diffid":1}`))
		_, err := c.Diff(t.Context(), 0, limit)
		require.NoError(t, err)
		require.Equal(t, want, s.seen[0].Query.Get("limit"))
	}
	event := fmt.Sprintf(`{"event":"x","diffid":1,"share":%q},`, strings.Repeat("x", 1000))
	_, err := diffOf(t, strings.TrimSuffix(strings.Repeat(event, 5000), ","))
	require.ErrorIs(t, err, ErrProtocol, "many times more than was asked for")
}

func TestAccountRepliesThatAreRefused(t *testing.T) {
	for _, bad := range []string{`{"result":0}`, `{"result":0,"quota":-1}`, `{"result":0,"quota":1,"usedquota":-1}`, `{"result":0,"quota":"1"}`} {
		c, _ := newFake(t, Options{Attempts: 1}, reply(bad))
		_, err := c.UserInfo(t.Context())
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
	for _, bad := range []string{`{"result":0,"api":["a/b"],"binapi":[]}`, `{"result":0,"api":"x"}`, `{"result":0,"api":[],"binapi":["u@h"]}`} {
		c, _ := newFake(t, Options{Attempts: 1}, reply(bad))
		_, err := c.APIServers(t.Context())
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
}

func TestRevisionsAndSessionsThatAreRefused(t *testing.T) {
	for _, bad := range []string{`[{"revisionid":1,"size":1,"hash":1}]`, `[{"revisionid":1,"size":-1,"hash":1,"sha1":"` + helloSHA1 + `"}]`,
		`[{"revisionid":4611686018427387904,"size":1,"hash":1,"sha1":"` + helloSHA1 + `"}]`} {
		c, _ := newFake(t, Options{Attempts: 1}, reply(`{"result":0,"revisions":`+bad+`}`))
		_, err := c.Revisions(t.Context(), 1)
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
	for _, bad := range []string{`{"result":0,"size":1}`, `{"result":0,"sha1":"` + helloSHA1 + `"}`, `{"result":0,"size":-1,"sha1":"` + helloSHA1 + `"}`,
		`{"result":0,"size":1,"sha1":"` + helloSHA1 + `","md5":"short"}`} {
		c, _ := newFake(t, Options{Attempts: 1}, reply(bad))
		_, err := c.UploadInfo(t.Context(), 1)
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
	for _, bad := range []string{`{"result":0}`, `{"result":0,"uploadid":-1}`, `{"result":0,"uploadid":"1"}`} {
		c, _ := newFake(t, Options{Attempts: 1}, reply(bad))
		_, err := c.CreateUpload(t.Context(), 1)
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
	c, _ := newFake(t, Options{Attempts: 1}, reply(`{"result":0,"metadata":[`+notesJSON+`]}`))
	_, err := c.FilesByChecksum(t.Context(), 6, helloSums.SHA1)
	require.ErrorIs(t, err, ErrProtocol, "a file of another size")
}
