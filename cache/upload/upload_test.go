package upload

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pcloudfs/pcloudfs/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// content is a source in memory.
type content struct{ *bytes.Reader }

func source(b []byte) content { return content{bytes.NewReader(b)} }

func text(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz"), n/36+1)[:n]
}

func target(c remote.Condition) remote.UploadTarget {
	return remote.UploadTarget{Parent: 7, Name: "a.txt", Modified: time.Unix(1_700_000_000, 0), If: c}
}

func uploader(f *fake) *Uploader { return New(Options{Remote: f, Chunk: chunkSize}) }

// script makes the calls of one method fail as listed, and all others succeed.
func script(method string, kinds ...fault) func(string) fault {
	return func(m string) fault {
		if m != method || len(kinds) == 0 {
			return fine
		}
		k := kinds[0]
		kinds = kinds[1:]
		return k
	}
}

func always(method string, k fault) func(string) fault {
	return func(m string) fault {
		if m == method {
			return k
		}
		return fine
	}
}

func TestSmall(t *testing.T) {
	t.Parallel()
	u := New(Options{Threshold: 10})
	require.True(t, u.Small(10))
	require.False(t, u.Small(11))
}

func TestAllWaysStoreTheBytes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 10 * chunkSize} {
		synctest.Test(t, func(t *testing.T) {
			ctx, data := t.Context(), text(size)
			for name, up := range map[string]func(*Uploader) (Result, error){
				"single": func(u *Uploader) (Result, error) { return u.Single(ctx, target(remote.IfNew()), source(data)) },
				"whole":  func(u *Uploader) (Result, error) { return u.Whole(ctx, target(remote.IfNew()), source(data)) },
				"session": func(u *Uploader) (Result, error) {
					st, err := u.Transfer(ctx, source(data), State{}, nil, nil)
					if err != nil {
						return Result{}, err
					}
					return u.Publish(ctx, target(remote.IfNew()), st)
				},
			} {
				f := newFake(1)
				r, err := up(uploader(f))
				require.NoError(t, err, name)
				require.False(t, r.Conflicted, name)
				require.Equal(t, data, f.at("a.txt"), name)
				require.Equal(t, f.named("a.txt").Entry.FileID, r.Entry.FileID, name)
				require.Equal(t, int64(1_700_000_000), r.Entry.Modified.Unix(), name)
				require.Len(t, f.files, 1, name)
				require.Empty(t, f.sessions, name)
				require.EqualValues(t, size, f.received, name)
			}
		})
	}
}

// TestBreaksCostAtMostAChunk breaks every request of a session somewhere in
// its body, and the process now and then.
func TestBreaksCostAtMostAChunk(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(seed)
			data := text(20*chunkSize + 7)
			breaks := 0
			f.fault = func(m string) fault {
				if m == "upload_write" && f.rnd.IntN(2) == 0 {
					breaks++
					return []fault{partly, lostAfter, lostBefore}[f.rnd.IntN(3)]
				}
				return fine
			}
			var kept State
			save := func(s State) error { kept = s; return nil }
			u := uploader(f)
			for !kept.Done {
				if _, err := u.Transfer(t.Context(), source(data), kept, save, nil); err != nil {
					require.ErrorIs(t, err, remote.ErrTemporary)
				}
			}
			require.Greater(t, breaks, 0)
			require.LessOrEqual(t, f.received, int64(len(data)+breaks*chunkSize))
			require.Len(t, f.sessions, 1, "one session was enough")
			_, err := u.Publish(t.Context(), target(remote.IfNew()), kept)
			require.NoError(t, err)
			require.Equal(t, data, f.at("a.txt"))
		})
	}
}

// TestTransferGoesOnWhileItMoves: only failures in a row count.
func TestTransferGoesOnWhileItMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, n := newFake(1), 0
		f.fault = func(m string) fault {
			if m != "upload_write" {
				return fine
			}
			if n++; n%3 != 0 {
				return lostBefore
			}
			return fine
		}
		_, err := uploader(f).Transfer(t.Context(), source(text(20*chunkSize)), State{}, nil, nil)
		require.NoError(t, err)
		require.Equal(t, 60, n)
	})
}

func TestRestartContinues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, data := newFake(1), text(100*chunkSize)
		var kept State
		for _, part := range []int64{25, 50, 75} {
			ctx, kill := context.WithCancel(t.Context())
			_, err := uploader(f).Transfer(ctx, source(data), kept, func(s State) error {
				if kept = s; s.Size >= part*chunkSize {
					kill()
				}
				return nil
			}, nil)
			require.ErrorIs(t, err, context.Canceled)
		}
		st, err := uploader(f).Transfer(t.Context(), source(data), kept, nil, nil)
		require.NoError(t, err)
		require.True(t, st.Done)
		require.LessOrEqual(t, f.received, int64(len(data)+3*chunkSize))
	})
}

// TestUselessSessions gives Transfer states that do not lead anywhere.
func TestUselessSessions(t *testing.T) {
	t.Parallel()
	data := text(3 * chunkSize)
	for name, have := range map[string][]byte{
		"gone":         nil,
		"other bytes":  []byte("something else"),
		"longer":       text(4 * chunkSize),
		"other ending": append(text(2*chunkSize), 'x'),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			if have != nil {
				f.sessions[5] = have
			}
			var saved []State
			st, err := uploader(f).Transfer(t.Context(), source(data), State{ID: 5, Size: 10}, func(s State) error {
				saved = append(saved, s)
				return nil
			}, nil)
			require.NoError(t, err, name)
			require.NotEqual(t, remote.UploadID(5), st.ID, name)
			require.Equal(t, State{}, saved[0], name)
			require.Equal(t, data, f.sessions[st.ID], name)
			require.Len(t, f.sessions, 1, "%s: the old session is deleted", name)
		})
	}
}

// TestGarbledInfoDoesNotCostTheSession: one wrong digest is asked for again.
func TestGarbledInfoDoesNotCostTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, data := newFake(1), text(3*chunkSize)
		f.fault = script("upload_info", garbled, fine, garbled)
		f.sessions[5] = text(2 * chunkSize)
		st, err := uploader(f).Transfer(t.Context(), source(data), State{ID: 5}, nil, nil)
		require.NoError(t, err)
		require.EqualValues(t, 5, st.ID)
		require.EqualValues(t, chunkSize, f.received)
	})
}

func TestTransferGivesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func(string) fault
		want  error
	}{
		"server away":             {always("upload_create", refused), remote.ErrTemporary},
		"no chunk arrives":        {always("upload_write", lostBefore), remote.ErrTemporary},
		"sessions get lost":       {always("upload_write", forgotten), remote.ErrNoUpload},
		"bytes get damaged":       {always("upload_write", corrupt), ErrMismatch},
		"sessions refused":        {always("upload_create", forbidden), ErrNoSessions},
		"first write refused":     {always("upload_write", forbidden), ErrNoSessions},
		"not allowed to look":     {always("upload_info", forbidden), nil},
		"digest is always wrong":  {always("upload_info", garbled), ErrMismatch},
		"nobody answers any more": {always("upload_info", lostBefore), remote.ErrTemporary},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			f.fault = c.fault
			st, err := uploader(f).Transfer(t.Context(), source(text(5*chunkSize)), State{}, nil, nil)
			require.Error(t, err, name)
			if c.want != nil {
				require.ErrorIs(t, err, c.want, name)
			}
			require.False(t, st.Done, name)
			require.Empty(t, f.files, name)
			if errors.Is(err, ErrNoSessions) {
				require.Empty(t, f.sessions, name)
				require.Zero(t, st, name)
			}
			require.LessOrEqual(t, f.received, int64(5*chunkSize*(restarts+1)), name)
		})
	}
}

func TestRefusalIsRememberedForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.fault = always("upload_create", forbidden)
		u := uploader(f)
		for range 3 {
			_, err := u.Transfer(t.Context(), source(text(9)), State{}, nil, nil)
			require.ErrorIs(t, err, ErrNoSessions)
		}
		require.Len(t, f.calls, 1)
		f.fault = func(string) fault { return fine }
		time.Sleep(refusal + time.Second)
		_, err := u.Transfer(t.Context(), source(text(9)), State{}, nil, nil)
		require.NoError(t, err)
	})
}

func TestSaveErrorEndsTheTransfer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		_, err := uploader(newFake(1)).Transfer(t.Context(), source(text(9)), State{}, func(State) error { return full }, nil)
		require.ErrorIs(t, err, full)
	})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, last, steps := newFake(1), int64(0), 0
		data := text(10 * chunkSize)
		_, err := uploader(f).Transfer(t.Context(), source(data), State{}, nil, func(n int64) {
			require.Greater(t, n, last)
			last = n
			steps++
		})
		require.NoError(t, err)
		require.EqualValues(t, len(data), last)
		require.Greater(t, steps, 10, "also within a chunk")
	})
}

// unsteady is a source that misbehaves.
type unsteady struct {
	size   func() int64
	readAt func(p []byte, off int64) (int, error)
}

func (s unsteady) Size() int64                             { return s.size() }
func (s unsteady) ReadAt(p []byte, off int64) (int, error) { return s.readAt(p, off) }

func TestUnsteadySources(t *testing.T) {
	t.Parallel()
	data := text(4 * chunkSize)
	broken := errors.New("bad sector")
	whole := func() int64 { return int64(len(data)) }
	reads := 0
	for name, c := range map[string]struct {
		src  unsteady
		want error
	}{
		"bad sector": {unsteady{whole, func(p []byte, off int64) (int, error) { return 0, broken }}, broken},
		"shorter": {unsteady{whole, func(p []byte, off int64) (int, error) {
			return bytes.NewReader(data[:chunkSize]).ReadAt(p, off)
		}}, ErrSourceChanged},
		"other bytes each time": {unsteady{whole, func(p []byte, off int64) (int, error) {
			reads++
			for i := range p {
				p[i] = byte(reads)
			}
			return len(p), nil
		}}, ErrSourceChanged},
	} {
		for _, way := range []string{"single", "session", "whole"} {
			if way == "single" && name == "other bytes each time" {
				continue // read once, it is consistent
			}
			synctest.Test(t, func(t *testing.T) {
				f := newFake(3)
				u := uploader(f)
				var err error
				switch way {
				case "single":
					_, err = u.Single(t.Context(), target(remote.IfNew()), c.src)
				case "session":
					_, err = u.Transfer(t.Context(), c.src, State{}, nil, nil)
				case "whole":
					_, err = u.Whole(t.Context(), target(remote.IfNew()), c.src)
				}
				require.ErrorIs(t, err, c.want, "%s, %s", name, way)
				require.Nil(t, f.at("a.txt"), "%s, %s", name, way)
				require.Empty(t, f.files, "%s, %s", name, way)
			})
		}
	}
}

func TestSourceGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		size := int64(3 * chunkSize)
		src := unsteady{func() int64 { return size }, func(p []byte, off int64) (int, error) {
			size++
			return len(p), nil
		}}
		_, err := uploader(newFake(1)).Transfer(t.Context(), src, State{}, nil, nil)
		require.ErrorIs(t, err, ErrSourceChanged)
	})
}

// TestSenderHashesWhateverTheOrder reads as no transport would.
func TestSenderHashesWhateverTheOrder(t *testing.T) {
	t.Parallel()
	data := text(1000)
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		base := newPrefix(bytes.NewReader(data))
		require.NoError(t, base.extend(t.Context(), rnd.Int64N(500)))
		s := newSender(base, nil)
		for range rnd.IntN(30) {
			_, _ = s.ReadAt(make([]byte, rnd.IntN(300)), rnd.Int64N(700))
		}
		require.NoError(t, s.close())
		_, _ = s.ReadAt(make([]byte, 10), s.p.n) // too late to count
		n := base.n + rnd.Int64N(1000-base.n)
		p, err := s.prefix(t.Context(), n)
		require.NoError(t, err)
		require.EqualValues(t, sha1.Sum(data[:n]), p.sum())
	}
}

func TestReadErrorIsNotTakenForTheEnd(t *testing.T) {
	t.Parallel()
	p := newPrefix(iotestReader{})
	require.ErrorIs(t, p.extend(t.Context(), 10), io.ErrClosedPipe)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, newPrefix(strings.NewReader("x")).extend(ctx, 1), context.Canceled)
}

type iotestReader struct{}

func (iotestReader) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }
