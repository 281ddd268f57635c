package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const uploadedHello = `{"result":0,"metadata":[` + notesJSON + `],"checksums":[{"sha1":"` + helloSHA1 + `","sha256":"` + helloSHA256 + `"}]}`

// half is a connection that breaks in the middle of the request's body.
func half(r *http.Request) (*http.Response, error) {
	_, _ = io.ReadFull(r.Body, make([]byte, r.ContentLength/2))
	return lost(r)
}

func whole(do step) step {
	return func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return do(r)
	}
}

func upload(ctx context.Context, c *Client, cond Condition) (Entry, error) {
	e, _, err := c.UploadFile(ctx, UploadTarget{Parent: 9001, Name: "notes.txt", If: cond}, strings.NewReader("hello"), 5)
	return e, err
}

func TestUploadBrokenInTheMiddleIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, half, whole(reply(`{"result":2041,"error":"broke"}`)), whole(reply(uploadedHello)))
		s.raw = true
		e, err := upload(t.Context(), c, Condition{})
		require.NoError(t, err)
		require.Equal(t, notes, e)
		require.Equal(t, 3, s.count())
	})
}

func TestUploadIsNotRepeatedWhenThatCouldConflict(t *testing.T) {
	for _, cond := range []Condition{IfNew(), IfHash(1)} {
		synctest.Test(t, func(t *testing.T) {
			c, s := newFake(t, Options{}, half, whole(reply(uploadedHello)))
			s.raw = true
			_, err := upload(t.Context(), c, cond)
			require.True(t, failure(t, err).Uncertain())
			require.Equal(t, 1, s.count())
		})
	}
}

func TestUploadWithWrongChecksum(t *testing.T) {
	wrong := strings.Replace(uploadedHello, helloSHA1, strings.Repeat("0", 40), 1)
	short := strings.Replace(uploadedHello, `"size":5`, `"size":4`, 1)
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, reply(wrong), reply(short), reply(uploadedHello))
		e, err := upload(t.Context(), c, Condition{})
		require.NoError(t, err)
		require.Equal(t, notes, e)
		require.Equal(t, 3, s.count())
		require.Equal(t, "hello", s.seen[2].Body)
	})
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, reply(wrong), reply(uploadedHello))
		e, err := upload(t.Context(), c, IfHash(1))
		require.ErrorIs(t, err, ErrMismatch)
		require.Equal(t, notes, e, "for the caller to send it again, on condition of this version")
		require.True(t, failure(t, err).Uncertain())
		require.Equal(t, 1, s.count())
	})
}

func TestEntryComesOnlyWithTheMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := strings.Replace(uploadedHello, helloSHA1, strings.Repeat("0", 40), 1)
		c, _ := newFake(t, Options{Attempts: 2}, reply(wrong), unreachable)
		e, err := upload(t.Context(), c, Condition{})
		require.NotErrorIs(t, err, ErrMismatch)
		require.True(t, failure(t, err).Uncertain())
		require.Zero(t, e)
	})
}

func TestUploadRepliesThatAreWrong(t *testing.T) {
	for _, bad := range []string{
		`{"result":0}`,
		`{"result":0,"metadata":[],"checksums":[]}`,
		`{"result":0,"metadata":[` + notesJSON + `,` + notesJSON + `],"checksums":[{"sha1":"` + helloSHA1 + `"}]}`,
		`{"result":0,"metadata":[` + notesJSON + `],"checksums":[[]]}`,
		`{"result":0,"metadata":[` + notesJSON + `],"checksums":[{"sha1":"xyz"}]}`,
		`{"result":0,"metadata":[` + backupsJSON + `],"checksums":[{"sha1":"` + helloSHA1 + `"}]}`,
		`{"result":0,"metadata":` + notesJSON + `,"checksums":[{"sha1":"` + helloSHA1 + `"}]}`,
	} {
		c, s := newFake(t, Options{}, reply(bad))
		_, err := upload(t.Context(), c, Condition{})
		require.ErrorIs(t, err, ErrProtocol, bad)
		require.True(t, failure(t, err).Uncertain())
		require.Equal(t, 1, s.count())
	}
}

func TestUploadSourceThatFails(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, src := range map[string]io.ReaderAt{"error": readerAt(func([]byte, int64) (int, error) { return 0, broken }), "short": strings.NewReader("hell")} {
		t.Run(name, func(t *testing.T) {
			c, s := newFake(t, Options{}, func(r *http.Request) (*http.Response, error) {
				_, err := io.Copy(io.Discard, r.Body)
				return nil, err
			})
			s.raw = true
			_, _, err := c.UploadFile(t.Context(), UploadTarget{Name: "x"}, src, 5)
			require.Equal(t, 1, s.count())
			require.False(t, failure(t, err).Temporary())
			if name == "error" {
				require.ErrorIs(t, err, broken)
			} else {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			}
		})
	}
}

type readerAt func(p []byte, off int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// A transport may go on reading the body after RoundTrip has returned; the
// caller's reader must not notice.
func TestSourceIsNotTouchedAfterReturn(t *testing.T) {
	var body io.Reader
	c, s := newFake(t, Options{Attempts: 1}, func(r *http.Request) (*http.Response, error) {
		body = r.Body
		return lost(r)
	})
	s.raw = true
	over := false
	_, _, err := c.UploadFile(t.Context(), UploadTarget{Name: "x"}, readerAt(func(p []byte, off int64) (int, error) {
		require.False(t, over)
		return len(p), nil
	}), 100)
	require.Error(t, err)
	over = true
	n, err := body.Read(make([]byte, 10))
	require.Zero(t, n)
	require.Error(t, err)
}

// session is the server's side of one upload session.
type session struct {
	mu   sync.Mutex
	data []byte
	seen []string
}

func (u *session) write(r *http.Request, most int64) (*http.Response, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	off, _ := strconv.Atoi(r.URL.Query().Get("uploadoffset"))
	u.seen = append(u.seen, r.URL.Query().Get("uploadoffset"))
	if off != len(u.data) {
		return reply(`{"result":2068,"error":"offset"}`)(r)
	}
	b, _ := io.ReadAll(io.LimitReader(r.Body, most))
	u.data = append(u.data, b...)
	if int64(len(b)) < r.ContentLength || most == r.ContentLength {
		return lost(r)
	}
	return reply(`{"result":0}`)(r)
}

func (u *session) info(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return reply(`{"result":0,"size":` + strconv.Itoa(len(u.data)) + `,"sha1":"` + helloSHA1 + `"}`)(r)
}

func TestWriteUploadGoesOnWhereTheSessionEnds(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10)
	for name, first := range map[string]int64{"nothing arrived": 0, "a part arrived": 33, "only the reply was lost": 90} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &session{data: data[:10:10]}
				writes := 0
				c, s := newFake(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == "/upload_info" {
						return u.info(r)
					}
					if writes++; writes == 1 {
						return u.write(r, first)
					}
					return u.write(r, 1<<20)
				})
				s.raw = true
				require.NoError(t, c.WriteUpload(t.Context(), 1, 10, bytes.NewReader(data), 90))
				require.Equal(t, string(data), string(u.data))
			})
		})
	}
}

func TestWriteUploadAtTheWrongOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, reply(`{"result":2068,"error":"offset"}`))
		err := c.WriteUpload(t.Context(), 1, 10, strings.NewReader("hello hello hello"), 5)
		require.ErrorIs(t, err, ErrUploadOffset)
		require.Equal(t, 1, s.count())
	})
	// After a lost reply the session turns out to be somewhere else.
	for _, size := range []string{"9", "16"} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newFake(t, Options{}, lost, reply(`{"result":0,"size":`+size+`,"sha1":"`+helloSHA1+`"}`))
			require.ErrorIs(t, c.WriteUpload(t.Context(), 1, 10, strings.NewReader("hello hello hello"), 5), ErrUploadOffset)
		})
	}
}

// The server may still be busy with the broken attempt when it is asked.
func TestWriteUploadOvertakenByItsFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		info := func(size string) step { return reply(`{"result":0,"size":` + size + `,"sha1":"` + helloSHA1 + `"}`) }
		c, s := newFake(t, Options{}, lost, info("0"), reply(`{"result":2068}`), info("5"))
		require.NoError(t, c.WriteUpload(t.Context(), 1, 0, strings.NewReader("hello"), 5))
		require.Equal(t, 4, s.count())
	})
}

func TestServerSideCopyIsNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newFake(t, Options{}, lost, reply(`{"result":0,"size":104,"sha1":"`+helloSHA1+`"}`), reply(`{"result":0}`))
		require.NoError(t, c.WriteUploadFromFile(t.Context(), 1, 100, 5, 6, 1000, 10))
		require.Equal(t, "1004", s.seen[2].Query.Get("offset"))
		require.Equal(t, "104", s.seen[2].Query.Get("uploadoffset"))
		require.Equal(t, "6", s.seen[2].Query.Get("count"))
	})
}

func TestSessionThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newFake(t, Options{}, lost, reply(`{"result":2067}`))
		require.ErrorIs(t, c.WriteUpload(t.Context(), 1, 0, strings.NewReader("hello"), 5), ErrNoUpload)
	})
}

func TestNothingToWriteIsNoRequest(t *testing.T) {
	c, s := newFake(t, Options{}, lost)
	require.NoError(t, c.WriteUpload(t.Context(), 1, 0, strings.NewReader(""), 0))
	require.Zero(t, s.count())
}

// Uploads leave room for other calls.
func TestUploadsLeaveConnectionsForMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c, _ := newFake(t, Options{MaxConns: 4}, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/upload_write" {
				<-release
			}
			return reply(`{"result":0,"quota":1}`)(r)
		})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _ = c.WriteUpload(t.Context(), 1, 0, strings.NewReader("hello"), 5) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.UserInfo(ctx)
		require.NoError(t, err)
		close(release)
		wg.Wait()
	})
}
