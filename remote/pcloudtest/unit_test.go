package pcloudtest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "a/b", `q"\`, "\x00\x1f\x7f\n\r\t", "ä€\U0001F600", "\xff\xfe", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w jsonWriter
		w.string(s)
		var back string
		require.NoError(t, json.Unmarshal(w.buf, &back), "%q", w.buf)
		var want strings.Builder
		for _, r := range s { // an invalid byte is U+FFFD
			want.WriteRune(r)
		}
		require.Equal(t, want.String(), back)
	})
}

func TestJSONLayout(t *testing.T) {
	t.Parallel()
	var w jsonWriter
	w.value(object{{"a", 1}, {"e", list{}}, {"o", object{}}, {"l", list{"x", true, uint64(1<<64 - 1)}}, {"t", time.Unix(0, 0)}})
	require.Equal(t, "{\n\t\"a\": 1,\n\t\"e\": [],\n\t\"o\": {},\n\t\"l\": [\n\t\t\"x\",\n\t\ttrue,\n\t\t18446744073709551615\n\t],\n"+
		"\t\"t\": \"Thu, 01 Jan 1970 00:00:00 +0000\"\n}", string(w.buf))
	require.Panics(t, func() { w.value(1.5) })
}

func TestDates(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"0": 0, "1700000000": 1700000000, " 5 ": 5, "-1": -1, "18446744073709551615": -1,
		"2023-11-14": 1699920000, "2023-11-14 22:13": 1699999980, "2023-11-14T22:13:20": 1700000000,
		"2023-11-14T22:13:20Z": 1700000000, "Tue, 14 Nov 2023 22:13:20 GMT": 1700000000,
		"14 Nov 2023 22:13:20 +0000": 1700000000, "20231114221320": 1700000000, "99999999999999": 99999999999999,
	} {
		got, err := parseDate(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got.Unix(), s)
	}
	for _, s := range []string{"", "tomorrow", "1.5", "18446744073709551616", "2023-13-01"} {
		_, err := parseDate(s)
		require.Error(t, err, s)
	}
}

func TestFileTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		icon     string
		category int
		ct       string
		thumb    bool
	}{
		"a.JPG":       {"image", 1, "image/jpeg", true},
		"a.mkv":       {"video", 2, "video/x-matroska", true},
		"a.mp3":       {"audio", 3, "audio/mpeg", false},
		"report.pdf":  {"document", 4, "application/pdf", false},
		"notes.txt":   {"document", 4, "text/plain", false},
		"a.tar.gz":    {"archive", 5, "application/gzip", false},
		"x.xlsx":      {"spreadsheet", 4, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", false},
		"noextension": {"file", 0, "application/octet-stream", false},
		"a.aes":       {"file", 0, "application/octet-stream", false},
		".txt":        {"document", 4, "text/plain", false},
	} {
		got := typeOf(name)
		require.Equal(t, want.icon, got.icon, name)
		require.Equal(t, want.category, got.category, name)
		require.Equal(t, want.ct, got.contentType, name)
		require.Equal(t, want.thumb, got.thumb, name)
	}
}

func TestParametersOfOneSource(t *testing.T) {
	t.Parallel()
	p := params(parseQuery("a=1&b=0&c&d=false&n=-1&m=x&&=v"))
	require.True(t, p.bool("a"))
	for _, k := range []string{"b", "c", "d", "none"} {
		require.False(t, p.bool(k), k)
	}
	require.True(t, p.has("c"))
	n, ok := p.number("n")
	require.True(t, ok)
	require.Equal(t, uint64(1<<64-1), n)
	_, ok = p.number("m")
	require.False(t, ok)
}

func TestTokensAreFullOfEntropy(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		tok := randomToken(68)
		require.Len(t, tok, 68)
		require.False(t, seen[tok])
		seen[tok] = true
	}
	require.NotEqual(t, etag([]byte("a")), etag([]byte("b")))
	require.Len(t, etag(nil), 28)
}

func TestEndedLinksAreForgotten(t *testing.T) {
	t.Parallel()
	var l links
	now := time.Unix(1e9, 0)
	old := l.add(link{expires: now}, now)
	l.add(link{expires: now.Add(3 * time.Hour)}, now.Add(2*time.Hour))
	_, ok := l.find(old)
	require.False(t, ok)
	require.Len(t, l.all, 1)
}

func TestAuthorityIsRenewedInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Unix(1.7e9, 0)
	first, err := openAuthority(dir, now)
	require.NoError(t, err)
	same, err := openAuthority(dir, now.Add(8*365*24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, first.pem, same.pem)
	next, err := openAuthority(dir, now.Add(caLifetime-leafLifetime+time.Hour))
	require.NoError(t, err)
	require.NotEqual(t, first.pem, next.pem)
	again, err := openAuthority(dir, now.Add(caLifetime))
	require.NoError(t, err)
	require.Equal(t, next.pem, again.pem)
}
