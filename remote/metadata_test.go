package remote

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func parseMeta(s string) (Entry, error) {
	b, err := readText(strings.NewReader(s), 1<<20)
	if err != nil {
		return Entry{}, err
	}
	var m meta
	if err := json.Unmarshal(b, &m); err != nil {
		return Entry{}, jsonError(err)
	}
	return m.v.entry()
}

func TestMetadataThatIsRefused(t *testing.T) {
	_, err := parseMeta(notesJSON)
	require.NoError(t, err)
	_, err = parseMeta(backupsJSON)
	require.NoError(t, err)

	replace := func(in, old, with string) string {
		require.Contains(t, in, old)
		return strings.Replace(in, old, with, 1)
	}
	name := func(v string) string { return replace(notesJSON, `"notes.txt"`, v) }
	id := func(v string) string { return replace(notesJSON, `"fileid":555,`, v) }
	size := func(v string) string { return replace(notesJSON, `"size":5,`, v) }
	hash := func(v string) string { return replace(notesJSON, `"hash":16842913070224563121,`, v) }
	for _, bad := range []string{
		`{}`, `[]`, `null`, `5`, `"x"`, `[{}]`,
		name(`""`), name(`"."`), name(`".."`), name(`"/"`), name(`"a/b"`), name(`"a\/b"`), name(`"a\u002fb"`), name(`"a\u0000b"`), name(`"a\u0000"`),
		name(`null`), name(`5`), name(`["x"]`), name("\"\xff\""), name("\"\xc0\xaf\""), name(`"\ud800"`), name(`"\udc00\ud800"`), name(`"\ud800\n"`),
		id(``), id(`"fileid":0,`), id(`"fileid":-1,`), id(`"fileid":4611686018427387904,`), id(`"fileid":18446744073709551616,`), id(`"fileid":"555",`),
		id(`"fileid":5.5,`), id(`"fileid":1e3,`), id(`"fileid":null,`), id(`"fileid":{},`),
		replace(backupsJSON, `"folderid":9001,`, ``), replace(backupsJSON, `"folderid":9001,`, `"folderid":0,`),
		replace(backupsJSON, `"folderid":9001,`, `"folderid":4611686018427387904,`),
		replace(notesJSON, `"parentfolderid":9001,`, ``), replace(notesJSON, `"parentfolderid":9001,`, `"parentfolderid":4611686018427387904,`),
		replace(notesJSON, `"parentfolderid":9001,`, `"parentfolderid":-1,`),
		replace(notesJSON, `"isfolder":false`, `"isfolder":true`), replace(notesJSON, `"isfolder":false`, `"isfolder":0`),
		replace(notesJSON, `"isfolder":false`, `"isfolder":"false"`),
		size(``), size(`"size":-1,`), size(`"size":9223372036854775808,`), size(`"size":"5",`),
		hash(``), hash(`"hash":-1,`), hash(`"hash":18446744073709551616,`),
		replace(notesJSON, `"modified":1788256798`, `"modified":"yesterday"`), replace(notesJSON, `"modified":1788256798`, `"modified":1.5`),
		replace(notesJSON, `"modified":1788256798`, `"modified":{}`), replace(notesJSON, `{`, `{"deletedfileid":4611686018427387904,`),
	} {
		_, err := parseMeta(bad)
		require.ErrorIs(t, err, ErrProtocol, bad)
	}
}

func TestMetadataThatIsStrangeButTrue(t *testing.T) {
	for in, want := range map[string]Entry{
		`{"name":"a\\b","fileid":1,"parentfolderid":0,"size":0,"hash":0}`:                                       {Name: `a\b`, FileID: 1},
		`{"name":"... ","fileid":4611686018427387903,"parentfolderid":0,"size":9223372036854775807,"hash":1}`:   {Name: "... ", FileID: MaxID, Size: 1<<63 - 1, Hash: 1},
		`{"name":"x","folderid":1,"parentfolderid":0}`:                                                          {Name: "x", Folder: true, FolderID: 1},
		`{"name":"gone","fileid":1,"parentfolderid":0,"isfolder":false,"isdeleted":true}`:                       {Name: "gone", FileID: 1, Deleted: true},
		`{"name":"\ud83d\ude00\ufffd","fileid":1,"parentfolderid":0,"size":0,"hash":0}`:                         {Name: "😀\ufffd", FileID: 1},
		`{"name":"\n\u0001","fileid":1,"folderid":7,"isfolder":false,"parentfolderid":0,"size":0,"hash":0}`:     {Name: "\n\x01", FileID: 1},
		`{"name":"t","fileid":1,"parentfolderid":0,"size":0,"hash":0,"modified":-86400}`:                        {Name: "t", FileID: 1, Modified: time.Unix(-86400, 0)},
		`{"name":"t","fileid":1,"parentfolderid":0,"size":0,"hash":0,"modified":18446744073709465216}`:          {Name: "t", FileID: 1, Modified: time.Unix(-86400, 0)},
		`{"name":"t","fileid":1,"parentfolderid":0,"size":0,"hash":0,"modified":9223372036854775807}`:           {Name: "t", FileID: 1, Modified: time.Unix(maxUnix, 0)},
		`{"name":"t","fileid":1,"parentfolderid":0,"size":0,"hash":0,"modified":-9223372036854775808}`:          {Name: "t", FileID: 1, Modified: time.Unix(minUnix, 0)},
		`{"name":"t","fileid":1,"parentfolderid":0,"size":0,"hash":0,"created":null,"modified":null}`:           {Name: "t", FileID: 1},
		`{"name":"` + strings.Repeat("x", 5000) + `","fileid":1,"parentfolderid":0,"size":0,"hash":0,"x":[{}]}`: {Name: strings.Repeat("x", 5000), FileID: 1},
	} {
		got, err := parseMeta(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	got, err := parseMeta(strings.Replace(notesJSON, "1788256798", `"Tue, 01 Sep 2026 10:00:00 +0000"`, 1))
	require.NoError(t, err)
	require.True(t, got.Modified.Equal(time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)))
}

// The reader must judge the same however the bytes are cut into reads.
func TestTextReader(t *testing.T) {
	for in, ok := range map[string]bool{
		"":                        true,
		"plain":                   true,
		"ünïcödé 😀 \ufffd":        true,
		`\u00e9\ud83d\ude00`:      true,
		`\\ud800`:                 true,
		`\\\ud83d\ude00`:          true,
		"\xff":                    false,
		"a\x80":                   false,
		"\xc3(":                   false,
		"\xed\xa0\x80":            false, // a surrogate in UTF-8
		"\xf5\x80\x80\x80":        false,
		"\xe0\x80\xaf":            false, // overlong
		`\ud800`:                  true,  // cut off: for the JSON decoder to say
		`\ud800x`:                 false,
		`\ud800\n`:                false,
		`\ud800\u0041`:            false,
		`\ud800\ud800`:            false,
		`\udc00`:                  false,
		`\uD83D\uDE00`:            true,
		`\ud83d\ude00\ud83d"`:     false,
		"\xf0\x9f\x98\x80\\ud800": true,
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.HalfReader(strings.NewReader(in)),
			iotest.DataErrReader(strings.NewReader(in))} {
			out, err := io.ReadAll(&textReader{r: r})
			if ok {
				require.NoError(t, err, "%q", in)
				require.Equal(t, in, string(out))
			} else {
				require.ErrorIs(t, err, ErrProtocol, "%q", in)
			}
		}
	}
	_, err := io.ReadAll(&textReader{r: strings.NewReader("\xf0\x9f")})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = io.ReadAll(&textReader{r: iotest.ErrReader(io.ErrClosedPipe)})
	require.ErrorIs(t, err, errTransport)
	require.False(t, utf8.ValidString("\xed\xa0\x80"))
}
