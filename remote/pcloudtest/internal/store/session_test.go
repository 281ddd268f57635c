package store

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func ten2() io.Reader { return strings.NewReader("0123456789") }

func newSession(t *testing.T, a *Account) uint64 {
	t.Helper()
	id, err := a.CreateSession(-1)
	require.NoError(t, err)
	return id
}

// holds checks what a session has.
func holds(t *testing.T, a *Account, id uint64, want string) {
	t.Helper()
	size, s, err := a.SessionInfo(id)
	require.NoError(t, err)
	require.Equal(t, int64(len(want)), size)
	require.Equal(t, sumsOf(want), s)
}

func TestSessionIsAppendOnly(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		id := newSession(t, a)
		require.Greater(t, id, uint64(1<<32))
		holds(t, a, id, "")
		require.NoError(t, a.WriteSession(id, 0, ten2(), 10))
		for _, off := range []int64{0, 9, 11, -1} {
			require.Equal(t, CodeUploadOffset, Code(a.WriteSession(id, off, ten2(), 10)))
		}
		require.NoError(t, a.WriteSession(id, 10, strings.NewReader("abc-not read"), 3))
		require.NoError(t, a.WriteSession(id, 13, strings.NewReader("all"), -1))
		holds(t, a, id, "0123456789abcall")
		require.Equal(t, 1, a.Sessions())

		put(t, v, 0, "f", "old")
		n, err := v.SaveSession(id, 0, "f", PutOptions{Modified: &time0})
		require.NoError(t, err)
		require.Equal(t, time0, n.Modified)
		require.Equal(t, "0123456789abcall", text(t, v, n.ID))
		s, _, err := v.Checksums(n.ID, 0)
		require.NoError(t, err)
		require.Equal(t, sumsOf("0123456789abcall"), s)
		require.Zero(t, a.Sessions())
		_, err = v.SaveSession(id, 0, "g", PutOptions{})
		require.Equal(t, CodeNoUpload, Code(err), "saved already")
		require.Equal(t, CodeNoUpload, Code(a.DeleteSession(id)))
		require.Equal(t, CodeNoUpload, Code(a.WriteSession(id, 16, ten2(), 10)))
		_, _, err = a.SessionInfo(id)
		require.Equal(t, CodeNoUpload, Code(err))
	})
}

func TestSessionOfNothingIsAnEmptyFile(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		n, err := v.SaveSession(newSession(t, a), 0, "empty", PutOptions{})
		require.NoError(t, err)
		require.Equal(t, put(t, v, 0, "other", "").Hash, n.Hash)
		require.Empty(t, text(t, v, n.ID))
	})
}

func TestSessionKeepsThePrefixOfABrokenWrite(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		id := newSession(t, a)
		broken := errors.New("connection reset")
		err := a.WriteSession(id, 0, io.MultiReader(ten2(), iotest.ErrReader(broken)), 20)
		require.ErrorIs(t, err, broken)
		holds(t, a, id, "0123456789")
		err = a.WriteSession(id, 10, strings.NewReader("ab"), 3)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		holds(t, a, id, "0123456789ab")
	})
}

// TestSessionTwoWriters has a writer that stalls while another, who looked at
// upload_info, goes on.
func TestSessionTwoWriters(t *testing.T) {
	t.Parallel()
	a := open(t, Options{})
	id := newSession(t, a)
	r, w := io.Pipe()
	stalled := make(chan error, 1)
	go func() {
		err := a.WriteSession(id, 0, r, 100)
		r.CloseWithError(err) // nobody reads any more
		stalled <- err
	}()
	_, err := w.Write([]byte("first"))
	require.NoError(t, err)
	_, err = w.Write(nil) // returns when the store asks for more: "first" is stored
	require.NoError(t, err)
	holds(t, a, id, "first")
	require.NoError(t, a.WriteSession(id, 5, strings.NewReader(" second"), 7))
	_, err = w.Write([]byte("late"))
	if err != nil { // refused before it was read
		require.Equal(t, CodeUploadOffset, Code(err))
	}
	require.Equal(t, CodeUploadOffset, Code(<-stalled))
	holds(t, a, id, "first second")
}

func TestSessionCopies(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		old := put(t, v, 0, "f", "old content")
		f := put(t, v, 0, "f", "new content")
		id, src := newSession(t, a), newSession(t, a)
		require.NoError(t, a.WriteSession(src, 0, ten2(), 10))
		require.NoError(t, v.SessionFromFile(id, 0, f.ID, nil, 4, 7))
		require.NoError(t, v.SessionFromFile(id, 7, f.ID, &old.Hash, 0, 3))
		require.NoError(t, a.SessionFromSession(id, 10, src, 2, 3))
		require.NoError(t, a.SessionFromSession(id, 13, id, 0, 7))
		require.NoError(t, a.SessionFromSession(id, 20, src, 10, 0))
		holds(t, a, id, "contentold234content")
		holds(t, a, src, "0123456789")
		for what, tc := range map[string]struct {
			code int
			err  error
		}{
			"offset":       {CodeUploadOffset, v.SessionFromFile(id, 0, f.ID, nil, 0, 3)},
			"beyond":       {CodeUploadOffset, v.SessionFromFile(id, 20, f.ID, nil, 5, 7)},
			"negative":     {CodeUploadOffset, v.SessionFromFile(id, 20, f.ID, nil, -1, 1)},
			"version":      {CodeNoFile, v.SessionFromFile(id, 20, f.ID, ptr(uint64(1)), 0, 3)},
			"file":         {CodeNoFile, v.SessionFromFile(id, 20, 99, nil, 0, 3)},
			"session":      {CodeNoUpload, v.SessionFromFile(99, 0, f.ID, nil, 0, 3)},
			"source":       {CodeNoUpload, a.SessionFromSession(id, 20, 99, 0, 1)},
			"beyond other": {CodeUploadOffset, a.SessionFromSession(id, 20, src, 5, 6)},
		} {
			require.Equal(t, tc.code, Code(tc.err), what)
		}
		holds(t, a, id, "contentold234content")
	})
}

func TestSessionsEnd(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		one, two := newSession(t, a), newSession(t, a)
		require.NotEqual(t, one, two)
		require.NoError(t, a.DeleteSession(one))
		require.Equal(t, CodeNoUpload, Code(a.DeleteSession(one)))
		require.Equal(t, 1, a.Sessions())
		a.DropSessions()
		require.Zero(t, a.Sessions())
		require.Equal(t, CodeNoUpload, Code(a.WriteSession(two, 0, ten2(), 10)))
	})
	c := newClock()
	a := open(t, Options{Now: c.now, Quirks: Quirks{SessionExpiry: 24 * time.Hour}})
	id := newSession(t, a)
	c.advance(24 * time.Hour)
	holds(t, a, id, "")
	c.advance(time.Second)
	_, _, err := a.SessionInfo(id)
	require.Equal(t, CodeNoUpload, Code(err))
	require.Zero(t, a.Sessions())
}

// TestSessionRefusedSave checks that every refusal of Put leaves the session.
func TestSessionRefusedSave(t *testing.T) {
	eachMode(t, Options{Quota: 12}, func(t *testing.T, a *Account) {
		v := a.View(0)
		put(t, v, 0, "f", "1234")
		id := newSession(t, a)
		require.NoError(t, a.WriteSession(id, 0, ten2(), 10))
		for code, save := range map[int]func() (Node, error){
			CodeInvalidName: func() (Node, error) { return v.SaveSession(id, 0, "a/b", PutOptions{}) },
			CodeNoFolder:    func() (Node, error) { return v.SaveSession(id, 99, "x", PutOptions{}) },
			CodeOverQuota:   func() (Node, error) { return v.SaveSession(id, 0, "x", PutOptions{}) },
		} {
			_, err := save()
			require.Equal(t, code, Code(err))
		}
		require.NoError(t, a.WriteSession(id, 10, strings.NewReader("ab"), 2))
		n, err := v.SaveSession(id, 0, "f", PutOptions{})
		require.NoError(t, err)
		require.Equal(t, "0123456789ab", text(t, v, n.ID))
	})
}

func TestLargeSession(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		data := make([]byte, 3*pieceSize+12345)
		_, err := generated{7, int64(len(data))}.ReadAt(data, 0)
		require.NoError(t, err)
		id, other := newSession(t, a), newSession(t, a)
		var wg sync.WaitGroup
		for i, s := range []uint64{id, other} {
			wg.Go(func() {
				part := data[:len(data)-i]
				for off := 0; off < len(part); {
					n := min(100_003, len(part)-off)
					if err := a.WriteSession(s, int64(off), bytes.NewReader(part[off:off+n]), int64(n)); err != nil {
						t.Error(err)
						return
					}
					off += n
				}
			})
		}
		wg.Wait()
		holds(t, a, other, string(data[:len(data)-1]))
		v := a.View(0)
		n, err := v.SaveSession(id, 0, "f", PutOptions{})
		require.NoError(t, err)
		require.Equal(t, put(t, v, 0, "g", string(data)).Hash, n.Hash)
		require.Equal(t, string(data), text(t, v, n.ID))
	})
}
