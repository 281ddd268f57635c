package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func linkReply(hosts ...string) string { return linkReplySize(strings.Join(hosts, `","`), 5) }

func linkReplySize(hosts string, size int) string {
	return fmt.Sprintf(`{"result":0,"dwltag":"Ut7Xq0","hash":7,"size":%d,"expires":%d,"path":"\/dpZk3\/n%%C3%%B6tes%%20x.txt","hosts":["%s"]}`,
		size, time.Now().Add(6*time.Hour).Unix(), hosts)
}

// contentHost serves ranges of data, as pCloud's content hosts do.
func contentHost(data string) step {
	return func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}}
		var from, to int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 {
			resp.StatusCode = 206
			resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
			data = data[from : to+1]
		}
		resp.ContentLength = int64(len(data))
		resp.Body = io.NopCloser(strings.NewReader(data))
		return resp, nil
	}
}

func TestReadAtRanges(t *testing.T) {
	for _, tc := range []struct {
		off, n int
		want   string
		err    error
		rng    string
	}{
		{0, 5, "hello", nil, ""},
		{0, 9, "hello", io.EOF, ""},
		{1, 3, "ell", nil, "bytes=1-3"},
		{4, 1, "o", nil, "bytes=4-4"},
		{3, 10, "lo", io.EOF, "bytes=3-4"},
		{5, 1, "", io.EOF, "none"},
		{50, 1, "", io.EOF, "none"},
		{2, 0, "", nil, "none"},
	} {
		c, s := newFake(t, Options{}, reply(linkReply("c1.test:8443")), contentHost("hello"))
		p := make([]byte, tc.n)
		n, err := c.ReadAt(t.Context(), 1, 7, 5, p, int64(tc.off))
		require.Equal(t, tc.err, err)
		require.Equal(t, tc.want, string(p[:n]))
		if tc.rng == "none" {
			require.Zero(t, s.count())
			continue
		}
		require.Equal(t, "fileid=1&hash=7&timeformat=timestamp", s.seen[0].Query.Encode())
		r := s.seen[1]
		require.Equal(t, []string{"GET", "c1.test:8443", "/dpZk3/nötes x.txt", tc.rng}, []string{r.Verb, r.Host, r.Path, r.Header.Get("Range")})
		for _, h := range []string{"Authorization", "Cookie", "Referer", "Origin"} {
			require.Empty(t, r.Header.Get(h), h)
		}
		require.Equal(t, "keep-alive", r.Header.Get("Connection"))
		require.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
	}
	c, _ := newFake(t, Options{}, lost)
	_, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 1), -1)
	require.ErrorIs(t, err, fs.ErrInvalid)
}

// read reads the whole of "hello" and returns the hosts that were asked, "api"
// for the API.
func read(t *testing.T, o Options, steps ...step) (hosts []string, err error) {
	t.Helper()
	c, s := newFake(t, o, steps...)
	p := make([]byte, 5)
	n, err := c.ReadAt(t.Context(), 1, 7, 5, p, 0)
	if err == nil {
		require.Equal(t, "hello", string(p[:n]))
	}
	for _, r := range s.seen {
		hosts = append(hosts, strings.TrimSuffix(strings.Replace(r.Host, "server", "api", 1), ".test"))
	}
	return hosts, err
}

func TestLinkIsRenewed(t *testing.T) {
	for _, status := range []int{401, 403, 404, 410, 500} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			hosts, err := read(t, Options{}, reply(linkReply("c1.test", "c2.test")),
				answer(status, "<title>Invalid link</title>"), reply(linkReply("c3.test")), contentHost("hello"))
			require.NoError(t, err)
			require.Equal(t, []string{"api", "c1", "api", "c3"}, hosts)
			require.Zero(t, time.Since(start), "an old link is no reason to wait")
		})
	}
}

func TestNextHostIsAsked(t *testing.T) {
	long := func(r *http.Request) (*http.Response, error) {
		resp, _ := contentHost("hello!")(r)
		return resp, nil
	}
	compressed := func(r *http.Request) (*http.Response, error) {
		resp, _ := contentHost("hello")(r)
		resp.Header.Set("Content-Encoding", "gzip")
		return resp, nil
	}
	for name, fail := range map[string]step{"unreachable": unreachable, "lost": lost, "silent": silent, "503": answer(503, ""),
		"502": answer(502, "<html>"), "other length": long, "compressed": compressed, "html": html, "416": answer(416, "")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hosts, err := read(t, Options{}, reply(linkReply("c1.test", "c2.test")), fail, contentHost("hello"))
				require.NoError(t, err)
				require.Equal(t, []string{"api", "c1", "c2"}, hosts)
			})
		})
	}
}

func TestRangesThatAreNotTheOneAskedFor(t *testing.T) {
	for _, tc := range []struct {
		rng    string
		length int64
	}{
		{"bytes 1-3/5", 4}, {"bytes 1-3/6", 3}, {"bytes 0-2/5", 3}, {"bytes 1-4/5", 3}, {"bytes 1-3/*", 3}, {"1-3/5", 3}, {"", 3}, {"bytes 1-3/5", -1},
	} {
		c, _ := newFake(t, Options{}, reply(linkReply("c1.test", "c2.test")), func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 206, ContentLength: tc.length, Header: http.Header{"Content-Range": {tc.rng}},
				Body: io.NopCloser(strings.NewReader("XXXX"))}, nil
		}, contentHost("hello"))
		p := make([]byte, 3)
		_, err := c.ReadAt(t.Context(), 1, 7, 5, p, 1)
		require.NoError(t, err)
		require.Equal(t, "ell", string(p), "%v", tc)
	}
}

func TestHostThatWorksIsAskedFirst(t *testing.T) {
	c, s := newFake(t, Options{}, reply(linkReply("c1.test", "c2.test")), unreachable, contentHost("hello"))
	for range 3 {
		_, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0)
		require.NoError(t, err)
	}
	require.Equal(t, "c2.test", s.seen[3].Host)
	require.Equal(t, "c2.test", s.seen[4].Host)
	require.Equal(t, 5, s.count(), "one link for all")
}

func TestAllHostsFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c, _ := newFake(t, Options{Attempts: 3}, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/getfilelink" {
				asked++
				return reply(linkReply("c1.test", "c2.test"))(r)
			}
			return answer(503, "")(r)
		})
		_, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0)
		require.ErrorIs(t, err, ErrTemporary)
		require.Equal(t, 3, asked, "a new link for each attempt")
	})
}

func TestInterruptedReadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := strings.Repeat("0123456789", 100)
		reads := 0
		c, _ := newFake(t, Options{Attempts: 2}, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/getfilelink" {
				return reply(linkReplySize("c1.test", 1000))(r)
			}
			reads++
			resp, err := contentHost(data)(r)
			// Each connection carries 100 bytes: far more breaks than attempts.
			resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 100), errReader{io.ErrUnexpectedEOF}))
			return resp, err
		})
		p := make([]byte, 1000)
		n, err := c.ReadAt(t.Context(), 1, 7, 1000, p, 0)
		require.NoError(t, err)
		require.Equal(t, data, string(p[:n]))
		require.Equal(t, 10, reads)
	})
}

func TestVersionGone(t *testing.T) {
	other := strings.Replace(linkReply("c1.test"), `"hash":7`, `"hash":8`, 1)
	for name, do := range map[string]step{"file deleted": reply(`{"result":2009}`), "revision gone": reply(`{"result":2029}`), "other version": reply(other)} {
		t.Run(name, func(t *testing.T) {
			hosts, err := read(t, Options{}, do)
			require.ErrorIs(t, err, ErrVersionGone)
			require.Equal(t, []string{"api"}, hosts)
		})
	}
}

func TestLinksThatAreRefused(t *testing.T) {
	for _, tc := range []struct{ api, host, path string }{
		{"api.pcloud.com", "evil.com", "/x"},
		{"api.pcloud.com", "pcloud.com.evil.com", "/x"},
		{"api.pcloud.com", "evilpcloud.com", "/x"},
		{"eapi.pcloud.com", "c1.pcloud.com:8443", "/x"},
		{"eapi.pcloud.com", "127.0.0.1", "/x"},
		{"server.test", "user@c1.test", "/x"},
		{"server.test", "c1.test/evil", "/x"},
		{"server.test", "c1.test?x", "/x"},
		{"server.test", "c1 test", "/x"},
		{"server.test", "", "/x"},
		{"server.test", "c1.test", ""},
		{"server.test", "c1.test", "x"},
		{"server.test", "c1.test", "//evil.com/x"},
		{"server.test", "c1.test", "/x#y"},
		{"server.test", "c1.test", "/%zz"},
		{"server.test", "c1.test", "/a b"},
	} {
		body := fmt.Sprintf(`{"result":0,"hash":7,"size":5,"expires":99999999999,"path":%q,"hosts":[%q]}`, tc.path, tc.host)
		c, s := newFake(t, Options{Host: tc.api}, reply(body))
		_, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0)
		require.ErrorIs(t, err, ErrProtocol, "%v", tc)
		require.Equal(t, 1, s.count())
	}
	for _, body := range []string{`{"result":0}`, `{"result":0,"hash":7,"size":5,"path":"/x","hosts":[]}`, `{"result":0,"hash":7,"size":-5,"path":"/x","hosts":["a"]}`,
		`{"result":0,"hash":7,"size":6,"path":"/x","hosts":["a"]}`, `{"result":0,"hash":-7,"size":5,"path":"/x","hosts":["a"]}`} {
		_, err := read(t, Options{}, reply(body))
		require.ErrorIs(t, err, ErrProtocol, body)
	}
	c, s := newFake(t, Options{Host: HostUS}, reply(linkReply("p-lux4.pcloud.com")), contentHost("hello"))
	_, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0)
	require.NoError(t, err)
	require.Equal(t, "p-lux4.pcloud.com", s.seen[1].Host)
}

func TestLinkCacheTimes(t *testing.T) {
	for _, tc := range []struct {
		expires, use time.Duration
	}{
		{6 * time.Hour, time.Hour},
		{30 * time.Minute, 25 * time.Minute},
		{time.Minute, 30 * time.Second},
		{-24 * time.Hour, 30 * time.Second}, // the clock here is wrong
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			c, _ := newFake(t, Options{}, func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/getfilelink" {
					asked++
					return reply(fmt.Sprintf(`{"result":0,"hash":7,"size":5,"expires":%d,"path":"/x","hosts":["c1.test"]}`, time.Now().Add(tc.expires).Unix()))(r)
				}
				return contentHost("hello")(r)
			})
			get := func() {
				_, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0)
				require.NoError(t, err)
			}
			get()
			time.Sleep(tc.use - time.Second)
			get()
			require.Equal(t, 1, asked)
			time.Sleep(2 * time.Second)
			get()
			require.Equal(t, 2, asked)
		})
	}
}

func TestReadersShareARequestForALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := 0
		c, _ := newFake(t, Options{}, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != "/getfilelink" {
				return contentHost("hello")(r)
			}
			mu.Lock()
			asked++
			mu.Unlock()
			if err := sleep(r.Context(), time.Second); err != nil {
				return nil, err
			}
			return reply(linkReply("c1.test"))(r)
		})
		// The one who asks gives up; the others do not notice.
		first, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.ReadAt(first, 1, 7, 5, make([]byte, 5), 0)
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 20 {
			wg.Go(func() {
				if _, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		require.Equal(t, 1, asked)
		cancel()
		wg.Wait()
		require.Equal(t, 2, asked)
	})
}
