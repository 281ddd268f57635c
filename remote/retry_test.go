package remote

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

type tokenFunc string

func (t tokenFunc) Token() (*oauth2.Token, error) { return &oauth2.Token{AccessToken: string(t)}, nil }

// failures, by what they say about the effect of the call.
var (
	noEffect = map[string]step{
		"unreachable": unreachable,
		"4000":        reply(`{"result":4000,"error":"slow down"}`),
		"4010":        reply(`{"result":4010,"error":"slow down"}`),
		"429":         answer(429, "Too Many Requests"),
		"408":         answer(408, ""),
	}
	unknownEffect = map[string]step{
		"lost":           lost,
		"silent":         silent,
		"opaque":         func(*http.Request) (*http.Response, error) { return nil, errors.New("no trace was called") },
		"5000":           reply(`{"result":5000,"error":"internal"}`),
		"5002":           reply(`{"result":5002,"error":"no server"}`),
		"500":            answer(500, "<html>"),
		"502":            answer(502, "<html>Bad gateway"),
		"503":            answer(503, ""),
		"truncated":      truncated(`{"result":0,"metadata":` + notesJSON + `}`),
		"unfinished":     reply(`{"result":0,"metadata":{`),
		"html":           html,
		"html unlabeled": reply(`<!doctype html>`),
		"empty":          reply(``),
	}
)

type method struct {
	name  string
	call  func(c *Client, ctx context.Context) error
	reply string
}

var (
	readers = []method{
		{"userinfo", func(c *Client, ctx context.Context) error { _, err := c.UserInfo(ctx); return err }, `{"result":0,"quota":1}`},
		{"list", func(c *Client, ctx context.Context) error { _, err := c.List(ctx, 0); return err }, emptyRoot},
		{"tree", func(c *Client, ctx context.Context) error {
			return c.ListTree(ctx, 0, func(Entry) error { return nil })
		}, emptyRoot},
		{"stat", func(c *Client, ctx context.Context) error { _, err := c.Stat(ctx, 555); return err }, `{"result":0,"metadata":` + notesJSON + `}`},
		{"diff", func(c *Client, ctx context.Context) error { _, err := c.Diff(ctx, 1, 1); return err }, `{"result":0,"diffid":1,"entries":[]}`},
	}
	blind = []method{
		{"createfolderifnotexists", func(c *Client, ctx context.Context) error { _, _, err := c.EnsureFolder(ctx, 0, "Backups"); return err },
			`{"result":0,"created":false,"metadata":` + backupsJSON + `}`},
		{"setfilemtime", func(c *Client, ctx context.Context) error {
			_, err := c.SetFileMtime(ctx, 555, time.Unix(1, 0))
			return err
		}, `{"result":0,"metadata":` + notesJSON + `}`},
		{"deletefile", func(c *Client, ctx context.Context) error { return c.DeleteFile(ctx, 555) }, `{"result":2009,"error":"gone"}`},
		{"deletefolder", func(c *Client, ctx context.Context) error { return c.DeleteFolder(ctx, 5) }, `{"result":2005,"error":"gone"}`},
		{"deletefolderrecursive", func(c *Client, ctx context.Context) error { _, _, err := c.DeleteFolderTree(ctx, 5); return err },
			`{"result":2005,"error":"gone"}`},
		{"upload_create", func(c *Client, ctx context.Context) error { _, err := c.CreateUpload(ctx, 0); return err }, `{"result":0,"uploadid":1}`},
		{"upload_delete", func(c *Client, ctx context.Context) error { return c.DeleteUpload(ctx, 1) }, `{"result":2067}`},
	}
	careful = []method{
		{"createfolder", func(c *Client, ctx context.Context) error { _, err := c.CreateFolder(ctx, 0, "Backups"); return err },
			`{"result":0,"metadata":` + backupsJSON + `}`},
		{"renamefolder", func(c *Client, ctx context.Context) error { _, err := c.RenameFolder(ctx, 9001, 0, "x"); return err },
			`{"result":0,"metadata":` + backupsJSON + `}`},
		{"renamefile", func(c *Client, ctx context.Context) error { _, err := c.RenameFile(ctx, 555, 0, "x"); return err },
			`{"result":0,"metadata":` + notesJSON + `}`},
		{"copyfile", func(c *Client, ctx context.Context) error {
			_, err := c.CopyFile(ctx, 555, CopyTarget{Name: "x"})
			return err
		}, `{"result":0,"metadata":` + notesJSON + `}`},
		{"upload_save", func(c *Client, ctx context.Context) error {
			_, err := c.SaveUpload(ctx, 1, UploadTarget{Name: "x"})
			return err
		}, `{"result":0,"metadata":` + notesJSON + `}`},
		{"revertrevision", func(c *Client, ctx context.Context) error { _, err := c.RevertRevision(ctx, 555, 1); return err },
			`{"result":0,"metadata":` + notesJSON + `}`},
		{"uploadfile", func(c *Client, ctx context.Context) error {
			_, _, err := c.UploadFile(ctx, UploadTarget{Name: "x"}, strings.NewReader("hello"), 5)
			return err
		}, `{"result":0,"metadata":[` + notesJSON + `],"checksums":[{"sha1":"` + helloSHA1 + `"}]}`},
	}
)

const emptyRoot = `{"result":0,"metadata":{"name":"/","isfolder":true,"folderid":0,"created":1,"modified":1,"contents":[]}}`

// each runs f in a bubble for every method of the list and every failure.
func each(t *testing.T, methods []method, failures map[string]step, f func(t *testing.T, m method, fail step)) {
	for _, m := range methods {
		for name, fail := range failures {
			t.Run(m.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, m, fail) })
			})
		}
	}
}

func TestWhatHadNoEffectIsRepeated(t *testing.T) {
	all := append(append(readers[:len(readers):len(readers)], careful...), blind[0], blind[1], blind[5])
	each(t, all, noEffect, func(t *testing.T, m method, fail step) {
		c, s := newFake(t, Options{}, fail, fail, reply(m.reply))
		require.NoError(t, m.call(c, t.Context()))
		require.Equal(t, 3, s.count())
	})
}

func TestReadersAndBlindCallsAreRepeated(t *testing.T) {
	each(t, append(readers[:len(readers):len(readers)], blind...), unknownEffect, func(t *testing.T, m method, fail step) {
		c, s := newFake(t, Options{}, fail, fail, reply(m.reply))
		require.NoError(t, m.call(c, t.Context()), "for a deletion, gone means done by the attempt before")
		require.Equal(t, 3, s.count())
	})
}

func TestOthersAreNotRepeatedBlindly(t *testing.T) {
	each(t, careful, unknownEffect, func(t *testing.T, m method, fail step) {
		c, s := newFake(t, Options{}, fail, reply(m.reply))
		err := m.call(c, t.Context())
		e := failure(t, err)
		require.True(t, e.Uncertain())
		require.Contains(t, e.Error(), "may have taken effect")
		require.Equal(t, 1, s.count())
	})
}

func TestAttemptsEnd(t *testing.T) {
	for name, fail := range map[string]step{"unreachable": unreachable, "lost": lost, "5000": reply(`{"result":5000}`)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newFake(t, Options{Attempts: 5}, fail)
				_, err := c.UserInfo(t.Context())
				require.True(t, failure(t, err).Temporary())
				require.False(t, failure(t, err).Uncertain(), "reading has no effect")
				require.Equal(t, 5, s.count())

				err = c.DeleteFile(t.Context(), 1)
				require.Equal(t, name != "unreachable", failure(t, err).Uncertain())
				require.Equal(t, 10, s.count())
			})
		})
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	for _, fail := range []step{reply(`{"result":2003,"error":"no"}`), reply(`{"result":2008}`), answer(400, "what?"), answer(302, ""),
		reply(`{"result":0}`), reply(`{"metadata":{}}`), reply(`[]`), reply(`{"result":"0"}`)} {
		synctest.Test(t, func(t *testing.T) {
			c, s := newFake(t, Options{}, fail)
			_, err := c.Stat(t.Context(), 1)
			require.Error(t, err)
			require.Equal(t, 1, s.count())
		})
	}
}

func TestGoneIsAnErrorOnTheFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, unreachable, reply(`{"result":2009}`))
		require.ErrorIs(t, c.DeleteFile(t.Context(), 1), fs.ErrNotExist)
		require.Equal(t, 2, s.count(), "the first attempt certainly did nothing")
	})
}

func TestUncertaintyOutlastsLaterAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newFake(t, Options{}, lost, reply(`{"result":2003,"error":"no"}`))
		err := c.DeleteFile(t.Context(), 1)
		require.ErrorIs(t, err, fs.ErrPermission)
		require.True(t, failure(t, err).Uncertain(), "the first attempt may have deleted it")
	})
}

func TestHostileReplyToAnEffectIsUncertain(t *testing.T) {
	c, _ := newFake(t, Options{}, reply(`{"result":0,"metadata":{"name":"../x","fileid":1,"parentfolderid":1}}`))
	_, err := c.SaveUpload(t.Context(), 1, UploadTarget{Name: "x"})
	require.ErrorIs(t, err, ErrProtocol)
	require.True(t, failure(t, err).Uncertain())
}

func TestBackoffGrowsWithJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		c, _ := newFake(t, Options{Attempts: 10}, func(r *http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			return lost(r)
		})
		_, err := c.UserInfo(t.Context())
		require.Error(t, err)
		require.Len(t, at, 10)
		full := 250 * time.Millisecond
		for i := 1; i < len(at); i++ {
			d := at[i].Sub(at[i-1])
			require.GreaterOrEqual(t, d, full/2, "pause %d", i)
			require.LessOrEqual(t, d, full, "pause %d", i)
			full = min(2*full, 30*time.Second)
		}
	})
}

// Result 4000 blocks an address for minutes, and longer for those who insist.
func TestBlockedLoginWaitsLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := reply(`{"result":4000}`)
		c, _ := newFake(t, Options{}, blocked, blocked, blocked, blocked, reply(`{"result":0,"quota":1}`))
		start := time.Now()
		_, err := c.UserInfo(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(start), 15*time.Second)
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "86400": time.Minute, "Sat, 01 Jan 2000 00:00:09 GMT": 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newFake(t, Options{}, answer(503, "", "Retry-After", header), reply(`{"result":0,"quota":1}`))
			start := time.Now()
			_, err := c.UserInfo(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, time.Since(start))
		})
	}
}

func TestEveryWaitEndsWithItsContext(t *testing.T) {
	waits := map[string]func(c *Client) step{
		"no answer": func(*Client) step { return silent },
		"back-off":  func(*Client) step { return unreachable },
		"a slot": func(c *Client) step {
			for range cap(c.calls) {
				c.calls <- struct{}{}
			}
			return reply(`{"result":0}`)
		},
		"the pacer": func(c *Client) step {
			c.pace.slow(time.Minute)
			return reply(`{"result":0}`)
		},
		"a reply": func(*Client) step {
			return func(r *http.Request) (*http.Response, error) {
				resp, _ := reply(`{"result":0`)(r)
				resp.Body = stuck{r.Context()}
				return resp, nil
			}
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newFake(t, Options{Attempts: 1000, BackoffMin: time.Minute, BackoffMax: time.Minute}, nil)
				s.steps[0] = wait(c)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				_, err := c.CreateFolder(ctx, 0, "x")
				require.Equal(t, 10*time.Second, time.Since(start))
				e := failure(t, err)
				require.Equal(t, name == "no answer" || name == "a reply", e.Uncertain())
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.False(t, e.Temporary())
			})
		})
	}
}

// stuck is a body that never goes on.
type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s stuck) Close() error             { return nil }

func TestTimeLimitsOfAttempts(t *testing.T) {
	for _, tc := range []struct {
		name string
		call func(c *Client, ctx context.Context) error
		want time.Duration
	}{
		{"call", func(c *Client, ctx context.Context) error { _, err := c.Stat(ctx, 1); return err }, time.Minute},
		{"slow call", func(c *Client, ctx context.Context) error { _, _, err := c.DeleteFolderTree(ctx, 1); return err }, 3 * time.Minute},
		{"waiting diff", func(c *Client, ctx context.Context) error { _, err := c.WaitDiff(ctx, 1, 1); return err }, 90 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newFake(t, Options{Attempts: 1}, silent)
				start := time.Now()
				err := tc.call(c, t.Context())
				require.Equal(t, tc.want, time.Since(start))
				require.ErrorIs(t, err, ErrTimeout)
				require.NotErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, context.Canceled)
				require.True(t, failure(t, err).Temporary())
			})
		})
	}
}
