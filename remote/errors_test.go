package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every code of pCloud API 12, with all sentinels that it matches.
func TestResultCodes(t *testing.T) {
	sentinel := map[string]error{
		"notexist": fs.ErrNotExist, "exist": fs.ErrExist, "permission": fs.ErrPermission, "invalid": fs.ErrInvalid, "closed": fs.ErrClosed,
		"token": ErrToken, "region": ErrWrongRegion, "notempty": ErrNotEmpty, "busy": ErrBusy, "quota": ErrQuota, "name": ErrInvalidName,
		"recursion": ErrRecursionRefused, "noupload": ErrNoUpload, "offset": ErrUploadOffset, "rate": ErrRateLimit,
		"versiongone": ErrVersionGone, "moved": ErrMoved, "mismatch": ErrMismatch, "protocol": ErrProtocol, "timeout": ErrTimeout,
		"temporary": ErrTemporary,
	}
	span := func(from, to int) (codes []int) {
		for ; from <= to; from++ {
			codes = append(codes, from)
		}
		return codes
	}
	for _, tc := range []struct {
		codes []int
		want  string
	}{
		{[]int{1000, 2000, 2094, 2095, 2205, 2229}, "token permission"},
		{[]int{2321}, "token region permission"},
		{span(1001, 1006), "invalid"},
		{[]int{1007}, "closed"},
		{span(1008, 1016), "invalid"},
		{[]int{1017, 1018}, "notexist"},
		{span(1019, 1042), "invalid"},
		{[]int{1053}, "invalid"},
		{[]int{1101}, "recursion"},
		{[]int{1900, 1902}, "notexist temporary"},
		{[]int{2001}, "name invalid"},
		{[]int{2002, 2005, 2009, 2010, 2029, 2040, 2055, 2208}, "notexist"},
		{[]int{2003, 2012}, "permission"},
		{[]int{2004}, "exist"},
		{[]int{2006}, "notempty"},
		{[]int{2007, 2028, 2042}, "busy"},
		{[]int{2008, 2097}, "quota"},
		{[]int{2011, 2043, 2044, 2206, 2207}, "invalid"},
		{span(2013, 2027), "permission"},
		{span(2030, 2039), "permission"},
		{[]int{2041, 2330}, "temporary"},
		{[]int{2049, 2088, 3000, 3001, 3002, 3003, 6000, 6002, 6003}, ""},
		{[]int{2064, 2074, 2092, 2075, 2110, 2111, 2119, 2122, 2124, 2237, 2261, 2297, 2306, 2340, 2352}, "permission"},
		{[]int{2282, 2283, 2284, 2285, 2287, 2342, 2343, 2344, 2345, 2346}, "permission"},
		{[]int{2067}, "noupload"},
		{[]int{2068}, "offset"},
		{[]int{4000, 4010}, "rate temporary"},
		{[]int{5000, 5001, 5002, 5003, 5004}, "temporary"},
		{[]int{7001, 7002}, "notexist"},
		{span(7003, 7008), "permission"},
		{[]int{7010}, "permission"},
		{[]int{-1, 1, 99999}, ""},
	} {
		for _, code := range tc.codes {
			err := fmt.Errorf("wrapped: %w", &Error{Method: "stat", Result: code})
			var got []string
			for name, s := range sentinel {
				if errors.Is(err, s) {
					got = append(got, name)
				}
			}
			require.ElementsMatch(t, strings.Fields(tc.want), got, "code %d", code)
		}
	}
}

func TestStatusErrors(t *testing.T) {
	for status, want := range map[int]struct{ temporary, token, rate bool }{
		http.StatusBadRequest:         {},
		http.StatusFound:              {},
		http.StatusUnauthorized:       {token: true},
		http.StatusLengthRequired:     {},
		http.StatusRequestTimeout:     {temporary: true},
		http.StatusTooManyRequests:    {temporary: true, rate: true},
		http.StatusBadGateway:         {temporary: true},
		http.StatusServiceUnavailable: {temporary: true},
		509:                           {temporary: true},
	} {
		e := &Error{Method: "stat", Status: status}
		require.Equal(t, want.temporary, e.Temporary(), status)
		require.Equal(t, want.token, errors.Is(e, ErrToken), status)
		require.Equal(t, want.rate, errors.Is(e, ErrRateLimit), status)
		require.Contains(t, e.Error(), fmt.Sprint(status))
	}
	require.NotErrorIs(t, &Error{Method: contentMethod, Status: 401}, ErrToken, "of a link, not of the token")
}

func TestTokenErrorsSayWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		host string
		code int
		want []string
	}{
		{HostUS, 2094, []string{"2094", "not valid at api.pcloud.com", "other region", "use eapi.pcloud.com", "authorise pcloudfs again"}},
		{HostEU, 2094, []string{"2094", "not valid at eapi.pcloud.com", "other region", "use api.pcloud.com"}},
		{"server.test:8443", 2094, []string{"server.test:8443", "api.pcloud.com", "eapi.pcloud.com"}},
		{HostUS, 2321, []string{"2321", "does not live at api.pcloud.com", "use eapi.pcloud.com"}},
		{HostUS, 2095, []string{"2095", "revoked", "authorise pcloudfs again"}},
		{HostUS, 2000, []string{"2000", "wrong or has expired", "authorise pcloudfs again"}},
		{HostUS, 1000, []string{"1000", "no access token was given"}},
	} {
		c, s := newFake(t, Options{Host: tc.host}, reply(fmt.Sprintf(`{"result":%d,"error":"x"}`, tc.code)))
		_, err := c.UserInfo(t.Context())
		require.ErrorIs(t, err, ErrToken)
		for _, want := range tc.want {
			require.Contains(t, err.Error(), want)
		}
		require.Equal(t, 1, s.count(), "a dead token is not tried again")
	}
}

// A server that echoes everything it was sent does not get the token into an
// error or a log line.
func TestTokenIsNeverShown(t *testing.T) {
	echoed := `Bearer ` + testToken
	for name, do := range map[string]step{
		"message":         reply(`{"result":2003,"error":"` + strings.Repeat("x", 190) + echoed + `"}`),
		"failing status":  answer(400, echoed),
		"api and status":  answer(400, `{"result":2000,"error":"`+echoed+`"}`),
		"content type":    answer(200, "x", "Content-Type", testToken),
		"name":            reply(`{"result":0,"metadata":{"name":"../` + echoed + `","fileid":1}}`),
		"time":            reply(`{"result":0,"metadata":{"created":"` + testToken + `"}}`),
		"transport error": func(*http.Request) (*http.Response, error) { return nil, errors.New("malformed: " + echoed) },
		"nested error": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("proxy: %w", errors.New(r.Header.Get("Authorization")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			c, _ := newFake(t, Options{Attempts: 1, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, do)
			_, err := c.Stat(t.Context(), 1)
			_, lerr := c.List(t.Context(), 1)
			for _, err := range []error{err, lerr} {
				require.Error(t, err)
				for ; err != nil; err = errors.Unwrap(err) {
					require.NotContains(t, err.Error(), testToken)
				}
			}
			require.NotEmpty(t, log.String())
			require.NotContains(t, log.String(), testToken)
			require.NotContains(t, fmt.Sprintf("%+v", failure(t, err)), testToken)
		})
	}
}

func TestTokenWithImpossibleCharactersIsNotSent(t *testing.T) {
	for _, token := range []string{"a\r\nX-Evil: 1", "tokén-value", "to ken"} {
		c, s := newFake(t, Options{}, reply(`{"result":0}`))
		c.tokens = tokenFunc(token)
		_, err := c.UserInfo(t.Context())
		require.ErrorContains(t, err, "characters")
		require.NotContains(t, err.Error(), token)
		require.Zero(t, s.count())
	}
}

func TestErrorsOfTheConnectionKeepTheirOwnMeaning(t *testing.T) {
	// As if by a firewall, and by the dialer's own time limit.
	for _, cause := range []error{fs.ErrPermission, fs.ErrNotExist, context.DeadlineExceeded, context.Canceled} {
		c, _ := newFake(t, Options{Attempts: 1}, func(*http.Request) (*http.Response, error) { return nil, cause })
		_, err := c.UserInfo(t.Context())
		require.NotErrorIs(t, err, cause)
		require.ErrorIs(t, err, ErrTemporary)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, host := range []string{"", "https://api.pcloud.com", "api.pcloud.com/x", "me@api.pcloud.com", "api.pcloud.com:", "a b", "a?b", "a#b", `a\b`, "a%41", "a:b"} {
		_, err := New(Options{Host: host})
		require.Error(t, err, host)
	}
	for _, host := range []string{"API.pcloud.com", "localhost:8443", "[::1]:443", "127.0.0.1"} {
		c, err := New(Options{Host: host})
		require.NoError(t, err, host)
		require.Equal(t, strings.ToLower(host), c.Host())
	}
	_, err := New(Options{Host: HostUS, Attempts: -1})
	require.ErrorContains(t, err, "Attempts")
}
