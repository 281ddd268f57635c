package source

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseTakesHostAndFolderFromTheURL(t *testing.T) {
	t.Parallel()
	tests := []struct{ url, host, path string }{
		{"pcloud://api.pcloud.com", HostUS, ""},
		{"pcloud://api.pcloud.com/", HostUS, ""},
		{"pcloud://eapi.pcloud.com/x", HostEU, "x"},
		{"PCLOUD://API.pCloud.com/Backup", HostUS, "Backup"},
		{" pcloud://api.pcloud.com/a \n", HostUS, "a"},
		{"pcloud://api.pcloud.com/Backup/Sub/", HostUS, "Backup/Sub"},
		{"pcloud://api.pcloud.com//Backup//", HostUS, "Backup"},
		{"pcloud://api.pcloud.com/a//b", HostUS, "a/b"},
		// Percent-decoding, once.
		{"pcloud://api.pcloud.com/My%20Folder", HostUS, "My Folder"},
		{"pcloud://api.pcloud.com/My Folder", HostUS, "My Folder"},
		{"pcloud://api.pcloud.com/%C3%BCber/ü", HostUS, "über/ü"},
		{"pcloud://api.pcloud.com/a%2520b", HostUS, "a%20b"},
		{"pcloud://api.pcloud.com/back%23up", HostUS, "back#up"},
		{"pcloud://api.pcloud.com/what%3F?x=1", HostUS, "what?"},
		{"pcloud://api.pcloud.com/100%/%zz/%4", HostUS, "100%/%zz/%4"},
		{"pcloud://api.pcloud.com/%+1", HostUS, "%+1"},
		{"pcloud://api.pcloud.com/a+b", HostUS, "a+b"},
		{"pcloud://api.pcloud.com/a%2Bb", HostUS, "a+b"},
		{"pcloud://api.pcloud.com/a&b=c", HostUS, "a&b=c"},
		{"pcloud://api.pcloud.com/a:b@c", HostUS, "a:b@c"},
		// Separators.
		{`pcloud://api.pcloud.com/Backup\`, HostUS, "Backup"},
		{`pcloud://api.pcloud.com\a\b`, HostUS, "a/b"},
		{"pcloud://api.pcloud.com/a%2Fb%5Cc", HostUS, "a/b/c"},
		// Dot segments.
		{"pcloud://api.pcloud.com/a/../b", HostUS, "b"},
		{"pcloud://api.pcloud.com/a/./b/.", HostUS, "a/b"},
		{"pcloud://api.pcloud.com/../../b", HostUS, "b"},
		{"pcloud://api.pcloud.com/..", HostUS, ""},
		{"pcloud://api.pcloud.com/a/%2e%2E/b", HostUS, "b"},
		{"pcloud://api.pcloud.com/a%2f..%5c..%2f..%2fb", HostUS, "b"},
		{`pcloud://api.pcloud.com/a\..\..\b`, HostUS, "b"},
		{"pcloud://api.pcloud.com/.../..a", HostUS, ".../..a"},
		// Surrounding white space.
		{"pcloud://api.pcloud.com/%20Backup%20", HostUS, "Backup"},
		{"pcloud://api.pcloud.com/%20/%20a%20/%20b%20/%20", HostUS, "a / b"},
		{"pcloud://api.pcloud.com/%20../a", HostUS, "a"},
		{"pcloud://api.pcloud.com/a/../%20..%20", HostUS, ""},
		{"pcloud://api.pcloud.com/a%0A", HostUS, "a"},
		// Ports.
		{"pcloud://api.pcloud.com:443/x", HostUS, "x"},
		{"pcloud://eapi.pcloud.com:8443", HostEU, ""},
		{"pcloud://api.pcloud.com:/x", HostUS, "x"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(tt.url)
			require.NoError(t, err)
			require.Equal(t, tt.host, got.Host)
			require.Equal(t, tt.path, got.Path)
			require.True(t, got.Token.Empty())
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ url, want string }{
		{"", "must begin with pcloud://"},
		{"/mnt", "must begin with pcloud://"},
		{"pcloud://api.pcloud.com/" + strings.Repeat("SECRET", 10000), "longer than"},
		{"pcloud:/api.pcloud.com/x", "must begin with pcloud://"},
		{"https://api.pcloud.com/x", "must begin with pcloud://"},
		{"pcloud://", "names no host"},
		{"pcloud:///x", "names no host"},
		{"pcloud://?authid=SECRET", "names no host"},
		{"pcloud://example.com/x?authid=SECRET", "must be api.pcloud.com"},
		{"pcloud://api.pcloud.com.example.com/x", "must be api.pcloud.com"},
		{"pcloud://api.pcloud.com./x", "must be api.pcloud.com"},
		{"pcloud://api%2Epcloud.com/x", "must be api.pcloud.com"},
		{"pcloud://my.pcloud.com/x", "must be api.pcloud.com"},
		{"pcloud://user:SECRET@api.pcloud.com/x", "user name"},
		{"pcloud://api.pcloud.com@example.com/x", "user name"},
		{"pcloud://api.pcloud.com:SECRET/x", "port"},
		{"pcloud://api.pcloud.com:65536/x", "port"},
		{"pcloud://api.pcloud.com:0/x", "port"},
		{"pcloud://api.pcloud.com/back#up", "%23"},
		{"pcloud://api.pcloud.com/x?authid=SEC#RET", "%23"},
		{"pcloud://api.pcloud.com/a%00b", "control character"},
		{"pcloud://api.pcloud.com/a%0Ab", "control character"},
		{"pcloud://api.pcloud.com/a%7Fb", "control character"},
		{"pcloud://api.pcloud.com/a%FFb", "UTF-8"},
		{"pcloud://api.pcloud.com/x?authid=SECRET&authid=SECRET2", "more than once"},
		{"pcloud://api.pcloud.com/x?authid=SECRET%0Ax", "white space"},
		{"pcloud://api.pcloud.com/x?authid=SECRET%20x", "white space"},
		{"pcloud://api.pcloud.com/x?authid=SECRETü", "white space or characters"},
		{"pcloud://api.pcloud.com/x?authid=" + strings.Repeat("SECRET", 1000), "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.url[:min(len(tt.url), 60)], func(t *testing.T) {
			t.Parallel()
			got, err := Parse(tt.url)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "SEC")
			require.Zero(t, got)
		})
	}
}

func TestParseTakesTheTokenFromAuthid(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query, token string
		ignored      bool
	}{
		{"", "", false},
		{"?", "", false},
		{"?authid=abc", "abc", false},
		{"?AuthID=abc", "abc", false},
		{"?%61uthid=abc", "abc", false},
		{"?authid=a%2Bb%3D%26%25", "a+b=&%", false},
		{"?authid=a+b", "a+b", false},
		{"?authid=a=b", "a=b", false},
		{"?authid=a?b", "a?b", false},
		{"?authid=%20abc%20", "abc", false},
		{"?authid=", "", false},
		{"?authid", "", false},
		{"?&authid=abc&", "abc", false},
		{"?read-write-timeout=30s&authid=abc", "abc", true},
		{"?authid=abc&use-ssl", "abc", true},
		{"?auth=abc", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			got, err := Parse("pcloud://eapi.pcloud.com/f" + tt.query)
			require.NoError(t, err)
			require.Equal(t, "f", got.Path)
			require.Equal(t, tt.token, got.Token.Reveal())
			require.Equal(t, tt.ignored, got.Ignored)
		})
	}
}

func TestStringIsNormalAndParsesBack(t *testing.T) {
	t.Parallel()
	src, err := Parse(`pcloud://EAPI.pcloud.com:443//a, b\%23x%3F/ü+%25/?authid=s3cr3t`)
	require.NoError(t, err)
	require.Equal(t, "a, b/#x?/ü+%", src.Path)
	require.Equal(t, "pcloud://eapi.pcloud.com/a%2C%20b/%23x%3F/%C3%BC%2B%25", src.String())
	require.Equal(t, HostUS, src.OtherHost())
	again, err := Parse(src.String())
	require.NoError(t, err)
	require.Equal(t, src.Path, again.Path)
}

func TestTokenIsNeverPrinted(t *testing.T) {
	t.Parallel()
	tok, err := ParseToken("s3cr3t")
	require.NoError(t, err)
	type holder struct {
		Public  Token
		private Token
		src     Source
	}
	h := holder{tok, tok, Source{Token: tok}}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("m", "token", tok, "holder", h, "source", h.src)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "token", tok, "holder", h, "source", h.src)
	js, err := json.Marshal(h)
	require.NoError(t, err)
	out := log.String() + string(js)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb+" "+verb+" "+verb+"\n", tok, h, h.src)
	}
	require.NotContains(t, out, "s3cr3t")
	require.NotContains(t, out, fmt.Sprintf("%x", "s3cr3t"))
	require.Contains(t, out, "[hidden]")
	require.Equal(t, "s3cr3t", tok.Reveal())
	require.Equal(t, "", Token{}.String())
}

func TestRedact(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"nothing here", "nothing here"},
		{"a authid=SECRET&x=1", "a authid=[hidden]&x=1"},
		{`unknown command "pcloud://h/p?AuthID=SECRET" for`, `unknown command "pcloud://h/p?[hidden]" for`},
		{"pcloud://h/p?%61uthid=SECRET: no", "pcloud://h/p?[hidden] no"},
		{"İ authid=SECRET İ authid=SECRET", "İ authid=[hidden] İ authid=[hidden]"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, Redact(tt.in))
	}
}

// FuzzParse looks for a URL that panics, whose path would leave the folder,
// whose token shows in an error, or whose normal form reads differently.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"/a/b", "/%20../..%5C/a%2fb\\", "/a/../ b/ ..", "//.//..//", "/100%/%zz", "/%23?x", ":443/ü", "/%e2%80%83..", "/a%00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tail string) {
		const token = "Zq7secretZq7"
		src, err := Parse("pcloud://api.pcloud.com" + tail + "?authid=" + token + "&" + tail)
		if err != nil {
			if strings.Contains(err.Error(), token) {
				t.Fatalf("the error shows the token: %v", err)
			}
			return
		}
		if src.Path != "" {
			for part := range strings.SplitSeq(src.Path, "/") {
				if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\\x00") {
					t.Fatalf("component %q in path %q of %q", part, src.Path, tail)
				}
			}
		}
		if s := src.String(); strings.Contains(s, token) || strings.ContainsAny(s, " ,\\#?") {
			t.Fatalf("normal form %q of %q", s, tail)
		}
		again, err := Parse(src.String())
		if err != nil || again.Path != src.Path || again.Host != src.Host {
			t.Fatalf("%q gives %q, whose normal form %q gives %q, %v", tail, src.Path, src, again.Path, err)
		}
	})
}
