package remote

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// trickle is a body that gives n bytes every so often, up to total.
type trickle struct {
	ctx   context.Context
	every time.Duration
	n     int
	left  int
}

func (b *trickle) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if err := sleep(b.ctx, b.every); err != nil {
		return 0, err
	}
	n := min(b.n, b.left, len(p))
	for i := range p[:n] {
		p[i] = 'x'
	}
	b.left -= n
	return n, nil
}

func (b *trickle) Close() error { return nil }

// content answers a request for a whole file of size bytes with body.
func content(size int, body func(ctx context.Context) io.ReadCloser) step {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: int64(size), Body: body(r.Context())}, nil
	}
}

func TestSlowDownloadAboveTheFloorIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		c, s := newFake(t, Options{}, reply(linkReplySize("c1.test", size)),
			content(size, func(ctx context.Context) io.ReadCloser { return &trickle{ctx, 9 * time.Second, 11 << 10, size} }))
		n, err := c.ReadAt(t.Context(), 1, 7, size, make([]byte, size), 0)
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.Equal(t, 2, s.count())
	})
}

func TestStalledDownloadGoesOnElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100 << 10
		c, s := newFake(t, Options{}, reply(linkReplySize("c1.test", size)),
			content(size, func(ctx context.Context) io.ReadCloser { return &trickle{ctx, 9 * time.Second, 8 << 10, size} }),
			reply(linkReplySize("c2.test", size)),
			func(r *http.Request) (*http.Response, error) {
				left := size - 24<<10
				return &http.Response{StatusCode: 206, ContentLength: int64(left),
					Header: http.Header{"Content-Range": {"bytes 24576-102399/102400"}},
					Body:   io.NopCloser(strings.NewReader(strings.Repeat("y", left)))}, nil
			})
		start := time.Now()
		p := make([]byte, size)
		n, err := c.ReadAt(t.Context(), 1, 7, size, p, 0)
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.Equal(t, strings.Repeat("x", 24<<10)+strings.Repeat("y", size-24<<10), string(p), "what had arrived is kept")
		require.GreaterOrEqual(t, time.Since(start), 30*time.Second)
		require.Less(t, time.Since(start), 31*time.Second)
		require.Equal(t, "bytes=24576-102399", s.seen[3].Header.Get("Range"))
	})
}

func TestStalledUploadIsAbandoned(t *testing.T) {
	const size = 1 << 20
	for name, read := range map[string]func(r *http.Request) error{
		"nothing is taken": func(*http.Request) error { return nil },
		"one byte a second": func(r *http.Request) error {
			for {
				if _, err := r.Body.Read(make([]byte, 1)); err != nil {
					return err
				}
				if err := sleep(r.Context(), time.Second); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newFake(t, Options{Attempts: 1}, func(r *http.Request) (*http.Response, error) {
					if err := read(r); err != nil {
						return nil, err
					}
					return silent(r)
				})
				s.raw = true
				start := time.Now()
				_, _, err := c.UploadFile(t.Context(), UploadTarget{Name: "x"}, zeros{}, size)
				require.ErrorIs(t, err, ErrTimeout)
				require.Equal(t, 30*time.Second, time.Since(start))
			})
		})
	}
}

// zeros is an endless file of zeros.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func TestSlowUploadAboveTheFloorIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{Attempts: 1}, func(r *http.Request) (*http.Response, error) {
			for {
				if _, err := io.ReadFull(r.Body, make([]byte, 2<<10)); err != nil {
					break
				}
				if err := sleep(r.Context(), time.Second); err != nil {
					return nil, err
				}
			}
			return reply(`{"result":0}`)(r)
		})
		s.raw = true
		require.NoError(t, c.WriteUpload(t.Context(), 1, 0, zeros{}, 1<<20))
	})
}

// After the last byte, the server has its time to answer, however small the
// floor's window.
func TestReplyToAnUploadHasItsOwnLimit(t *testing.T) {
	for _, tc := range []struct {
		takes time.Duration
		ok    bool
	}{{170 * time.Second, true}, {190 * time.Second, false}} {
		synctest.Test(t, func(t *testing.T) {
			c, s := newFake(t, Options{Attempts: 1}, func(r *http.Request) (*http.Response, error) {
				_, _ = io.Copy(io.Discard, r.Body)
				if err := sleep(r.Context(), tc.takes); err != nil {
					return nil, err
				}
				return reply(uploadedHello)(r)
			})
			s.raw = true
			_, err := upload(t.Context(), c, Condition{})
			require.Equal(t, tc.ok, err == nil)
			if !tc.ok {
				require.ErrorIs(t, err, ErrTimeout)
				require.True(t, failure(t, err).Uncertain())
			}
		})
	}
}

func TestSlowReplyOfAWaitingDiff(t *testing.T) {
	// The header may come at once and the body when there is news.
	synctest.Test(t, func(t *testing.T) {
		body := `{"result":0,"diffid":5,"entries":[]}`
		c, s := newFake(t, Options{Attempts: 1}, func(r *http.Request) (*http.Response, error) {
			resp, _ := reply(body)(r)
			resp.Body = io.NopCloser(io.MultiReader(&trickle{r.Context(), 80 * time.Second, 1, 1}, strings.NewReader(body)))
			return resp, nil
		})
		_, err := c.WaitDiff(t.Context(), 1, 1)
		require.ErrorIs(t, err, ErrProtocol, "the x before it")
		require.Equal(t, 1, s.count())
	})
}

func TestTimeInTheCallbackDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newFake(t, Options{Attempts: 1}, reply(`{"result":0,"metadata":{"name":"/","isfolder":true,"folderid":0,
			"created":1,"modified":1,"contents":[`+backupsJSON+`,`+backupsJSON+`]}}`))
		n := 0
		require.NoError(t, c.ListTree(t.Context(), 0, func(Entry) error {
			n++
			return sleep(t.Context(), time.Hour)
		}))
		require.Equal(t, 2, n)
	})
}
