package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// spoolFile is a file that grows and loses its beginning.
type spoolFile struct {
	data []byte
	gone int64

	mu   sync.Mutex
	read int64 // the lowest byte that was read
}

// ReadAt gives zeros for what is gone, as a file with a hole does.
func (s *spoolFile) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	s.read = min(s.read, off)
	s.mu.Unlock()
	n, err := bytes.NewReader(s.data).ReadAt(p, off)
	if hole := min(int64(n), s.gone-off); hole > 0 {
		clear(p[:hole])
	}
	return n, err
}

func (s *spoolFile) Size() int64 { return int64(len(s.data)) }

func publish(t *testing.T, u *Uploader, st State) Result {
	t.Helper()
	r, err := u.Publish(t.Context(), target(remote.IfNew()), st)
	require.NoError(t, err)
	return r
}

func TestWholeChunksGoUpWhileTheFileGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, data, src := newFake(1), random(1, 20*chunkSize+9), &spoolFile{}
		u, saved := uploader(f), State{}
		g := u.Grow(src, State{}, func(st State) error { saved = st; return nil })
		require.NoError(t, g.Advance(t.Context(), 0))
		require.Empty(t, f.calls, "nothing to do yet")
		for n := 0; n < len(data); n += 50 {
			src.data = data[:n]
			require.NoError(t, g.Advance(t.Context(), int64(n)))
			require.EqualValues(t, n/chunkSize*chunkSize, g.State().Size)
			require.EqualValues(t, g.State().Size, f.received)
			require.Equal(t, g.State(), saved)
		}
		src.data = data
		last := int64(0)
		st, err := g.Finish(t.Context(), src, nil, func(n int64) { last = n })
		require.NoError(t, err)
		require.True(t, st.Done)
		require.Equal(t, st, saved)
		require.EqualValues(t, len(data), last)
		require.EqualValues(t, len(data), f.received)
		publish(t, u, st)
		require.Equal(t, data, f.at("a.txt"))
	})
}

// TestFileWithoutItsBeginning finishes files of which only the end is left, in
// this process and another.
func TestFileWithoutItsBeginning(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"same process", "grown after a restart", "closed before the restart", "several streams"} {
		synctest.Test(t, func(t *testing.T) {
			f, src := newFake(1), &spoolFile{data: random(1, 60*chunkSize)}
			var saved State
			save := func(st State) error { saved = Recorded(st.Journal()); return nil }
			u := uploader(f)
			if way == "several streams" {
				u = several(f, 4)
			}
			g := u.Grow(src, State{}, save)
			require.NoError(t, g.Advance(t.Context(), 10*chunkSize+5))
			n, err := g.Release(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 10*chunkSize, n)
			require.Equal(t, n, saved.Gone)
			src.gone, src.read = n, 1<<40
			switch way {
			case "same process", "several streams":
				require.NoError(t, g.Advance(t.Context(), 15*chunkSize))
				_, err = g.Finish(t.Context(), src, save, nil)
			case "grown after a restart":
				g = u.Grow(src, saved, save)
				require.NoError(t, g.Advance(t.Context(), 15*chunkSize))
				n, err := g.Release(t.Context())
				require.NoError(t, err)
				src.gone = n
				_, err = g.Finish(t.Context(), src, save, nil)
				require.NoError(t, err)
			case "closed before the restart":
				_, err = u.Transfer(t.Context(), src, saved, save, nil)
			}
			require.NoError(t, err, way)
			require.True(t, saved.Done, way)
			require.GreaterOrEqual(t, src.read, n, "%s: holes are not read", way)
			publish(t, u, saved)
			require.Equal(t, src.data, f.at("a.txt"), way)
			require.Empty(t, f.sessions, way)
			if way == "several streams" {
				require.Positive(t, called(f, "upload_writefromupload"))
			}
		})
	}
}

// TestSessionLost: without the session the file begins anew, if it is there.
func TestSessionLost(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*Uploader, *Growing, *spoolFile) error{
		"advance": func(u *Uploader, g *Growing, s *spoolFile) error {
			return g.Advance(context.Background(), 20*chunkSize)
		},
		"release": func(u *Uploader, g *Growing, s *spoolFile) error {
			_, err := g.Release(context.Background())
			return err
		},
		"finish": func(u *Uploader, g *Growing, s *spoolFile) error {
			_, err := g.Finish(context.Background(), s, nil, nil)
			return err
		},
		"transfer": func(u *Uploader, g *Growing, s *spoolFile) error {
			_, err := u.Transfer(context.Background(), s, g.State(), nil, nil)
			return err
		},
		"publish": func(u *Uploader, g *Growing, s *spoolFile) error {
			st := g.State()
			st.Done, st.Size = true, s.Size()
			_, err := u.Publish(context.Background(), target(remote.IfNew()), st)
			return err
		},
	}
	for way, do := range ways {
		for _, gone := range []bool{false, true} {
			for _, lose := range []string{"gone", "other bytes", "shorter"} {
				if way == "publish" && lose != "gone" || way == "advance" && lose == "other bytes" {
					continue // not noticed there
				}
				synctest.Test(t, func(t *testing.T) {
					f, src := newFake(1), &spoolFile{data: random(1, 20*chunkSize)}
					u := uploader(f)
					g := u.Grow(src, State{}, nil)
					require.NoError(t, g.Advance(t.Context(), 6*chunkSize))
					if gone {
						n, err := g.Release(t.Context())
						require.NoError(t, err)
						src.gone = n
					}
					require.NoError(t, g.Advance(t.Context(), 8*chunkSize))
					st := g.State()
					switch lose {
					case "gone":
						delete(f.sessions, st.ID)
					case "other bytes":
						f.sessions[st.ID] = bytes.Repeat([]byte("x"), 8*chunkSize)
					case "shorter":
						f.sessions[st.ID] = f.sessions[st.ID][:5*chunkSize]
					}
					err := do(u, g, src)
					name := fmt.Sprint(way, gone, lose)
					switch {
					case gone:
						require.ErrorIs(t, err, ErrBytesGone, name)
						require.NotErrorIs(t, err, remote.ErrNoUpload, "%s: it would be begun anew", name)
						require.Equal(t, st.ID, g.State().ID, name)
						require.EqualValues(t, 6*chunkSize, g.State().Gone, name)
						require.Zero(t, called(f, "upload_delete"), name)
						require.Equal(t, 1, called(f, "upload_create"), name)
						require.Empty(t, f.files)
					case way == "publish":
						require.ErrorIs(t, err, remote.ErrNoUpload, name)
					default:
						require.NoError(t, err, name)
						st, err := g.Finish(t.Context(), src, nil, nil)
						require.NoError(t, err, name)
						require.Equal(t, src.data, f.sessions[st.ID], name)
					}
				})
			}
		}
	}
}

// TestStatesThatCannotGoOn: never are holes sent for bytes.
func TestStatesThatCannotGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, src := newFake(1), &spoolFile{data: random(1, 20*chunkSize)}
		u := uploader(f)
		g := u.Grow(src, State{}, nil)
		require.NoError(t, g.Advance(t.Context(), 6*chunkSize))
		_, err := g.Release(t.Context())
		require.NoError(t, err)
		before := len(f.calls)
		for name, change := range map[string]func(*State){
			"no digest":           func(st *State) { st.Hash = nil },
			"garbled digest":      func(st *State) { st.Hash = bytes.Repeat([]byte{1}, len(st.Hash)) },
			"digest of less":      func(st *State) { st.Gone++ },
			"negative":            func(st *State) { st.Gone = -5 },
			"no session":          func(st *State) { st.ID = 0 },
			"digest of a 1st bit": func(st *State) { st.Hash = st.Hash[len(st.Hash)-8:] },
		} {
			st := g.State()
			change(&st)
			_, err := u.Transfer(t.Context(), src, st, nil, nil)
			require.ErrorIs(t, err, ErrBytesGone, name)
			require.ErrorIs(t, u.Grow(src, st, nil).Advance(t.Context(), 9*chunkSize), ErrBytesGone, name)
		}
		require.Len(t, f.calls, before)
	})
}

// TestReleaseFindsDamage: bytes are not given up for what the server has not.
func TestReleaseFindsDamage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, src := newFake(1), &spoolFile{data: random(1, 10*chunkSize)}
		f.fault = script("upload_write", fine, corrupt)
		g := uploader(f).Grow(src, State{}, nil)
		require.NoError(t, g.Advance(t.Context(), 4*chunkSize))
		n, err := g.Release(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, g.Advance(t.Context(), 4*chunkSize))
		n, err = g.Release(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 4*chunkSize, n)
		st, err := g.Finish(t.Context(), src, nil, nil)
		require.NoError(t, err)
		require.Equal(t, src.data, f.sessions[st.ID])
		require.Len(t, f.sessions, 1)
	})
}

func TestReleaseWhenItCannotBeSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, src, full := newFake(1), &spoolFile{data: random(1, 10*chunkSize)}, errors.New("disk full")
		g := uploader(f).Grow(src, State{}, func(st State) error {
			if st.Gone > 0 {
				return full
			}
			return nil
		})
		require.NoError(t, g.Advance(t.Context(), 4*chunkSize))
		n, err := g.Release(t.Context())
		require.ErrorIs(t, err, full)
		require.Zero(t, n)
	})
}

func TestInvalidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, src := newFake(1), &spoolFile{data: random(1, 20*chunkSize)}
		u := uploader(f)
		g := u.Grow(src, State{}, nil)
		require.NoError(t, g.Advance(t.Context(), 6*chunkSize))
		old := g.State().ID
		calls := len(f.calls)
		require.NoError(t, g.Invalidate())
		require.Len(t, f.calls, calls, "it does not wait for the network")
		require.Zero(t, g.State())
		src.data = random(2, 20*chunkSize)
		require.NoError(t, g.Advance(t.Context(), 6*chunkSize))
		require.NotEqual(t, old, g.State().ID)
		require.Len(t, f.sessions, 1, "the old one is deleted")
		n, err := g.Release(t.Context())
		require.NoError(t, err)
		src.gone = n
		require.ErrorIs(t, g.Invalidate(), ErrBytesGone)
		st, err := g.Finish(t.Context(), src, nil, nil)
		require.NoError(t, err)
		require.Equal(t, src.data, f.sessions[st.ID])
		require.NoError(t, g.Abandon(t.Context()))
		require.Empty(t, f.sessions)
	})
}

// TestInvalidateEndsTheCall: a call that is under way does not go on with bytes
// that are not what they were.
func TestInvalidateEndsTheCall(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*Growing, *spoolFile) error{
		"advance": func(g *Growing, s *spoolFile) error { return g.Advance(context.Background(), 20*chunkSize) },
		"finish": func(g *Growing, s *spoolFile) error {
			_, err := g.Finish(context.Background(), s, nil, nil)
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, src := newFake(1), &spoolFile{data: random(1, 20*chunkSize)}
			g := uploader(f).Grow(src, State{}, nil)
			time.AfterFunc(8*time.Millisecond, func() {
				if err := g.Invalidate(); err != nil {
					t.Error(err)
				}
			})
			require.ErrorIs(t, call(g, src), ErrSourceChanged, name)
			require.Less(t, f.received, int64(10*chunkSize), name)
			require.Zero(t, g.State(), name)
			src.data = random(2, 20*chunkSize)
			st, err := g.Finish(t.Context(), src, nil, nil)
			require.NoError(t, err, name)
			require.Equal(t, src.data, f.sessions[st.ID], name)
			require.Len(t, f.sessions, 1, name)
		})
	}
}

func TestGrowingWhereSessionsAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, src := newFake(1), &spoolFile{data: random(1, 20*chunkSize)}
		f.fault = always("upload_create", forbidden)
		g := uploader(f).Grow(src, State{}, nil)
		for range 3 {
			require.ErrorIs(t, g.Advance(t.Context(), 5*chunkSize), ErrNoSessions)
		}
		_, err := g.Finish(t.Context(), src, nil, nil)
		require.ErrorIs(t, err, ErrNoSessions)
		require.Len(t, f.calls, 1)
		require.Zero(t, g.State())
	})
}

// TestFileBecomesShorter: a state of more than there is does not end in a loop.
func TestFileBecomesShorter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, src := newFake(1), &spoolFile{data: random(1, 20*chunkSize)}
		g := uploader(f).Grow(src, State{}, nil)
		require.NoError(t, g.Advance(t.Context(), 10*chunkSize))
		src.data = src.data[:7*chunkSize]
		st, err := g.Finish(t.Context(), src, nil, nil)
		require.NoError(t, err)
		require.Equal(t, src.data, f.sessions[st.ID])
	})
}

// TestGrowingHistories lets a file grow, be overwritten, lose its beginning and
// its process, with everything that can go wrong in between.
func TestGrowingHistories(t *testing.T) {
	t.Parallel()
	lost := 0
	for seed := range uint64(1500) {
		synctest.Test(t, func(t *testing.T) {
			h := &growth{rnd: rand.New(rand.NewPCG(seed, 9)), f: newFake(seed), src: &spoolFile{}}
			if err := h.run(t.Context()); err != nil {
				t.Fatalf("seed %d: %v\ncalls %v", seed, err, h.f.calls)
			}
			if h.lost {
				lost++
			}
		})
	}
	require.Less(t, lost, 500)
	require.Greater(t, lost, 20)
}

type growth struct {
	rnd   *rand.Rand
	f     *fake
	src   *spoolFile
	saved State
	lose  bool // sessions get lost
	lost  bool
}

func (h *growth) uploader() *Uploader {
	return New(Options{Remote: joining{h.f}, Chunk: chunkSize, Streams: 1 + h.rnd.IntN(4)})
}

func (h *growth) save(st State) error {
	h.saved = Recorded(st.Journal())
	return nil
}

// fails is called under the lock of the fake, whose random numbers it uses.
func (h *growth) fails(method string) fault {
	if h.f.rnd.IntN(6) > 0 {
		return fine
	}
	kinds := []fault{refused, lostBefore, lostAfter}
	if method == "upload_write" {
		kinds = append(kinds, partly, partly, late)
	}
	if h.lose && (method == "upload_write" || method == "upload_info") {
		kinds = append(kinds, forgotten)
	}
	return kinds[h.f.rnd.IntN(len(kinds))]
}

// run writes a file in steps. What was released is never needed again, unless
// its session is lost.
func (h *growth) run(ctx context.Context) error {
	h.lose = h.rnd.IntN(3) == 0
	h.f.fault = h.fails
	u := h.uploader()
	g := u.Grow(h.src, State{}, h.save)
	for range 3 + h.rnd.IntN(15) {
		var err error
		switch h.rnd.IntN(8) {
		case 0: // a new process
			u = h.uploader()
			g = u.Grow(h.src, h.saved, h.save)
			time.Sleep(time.Second)
		case 1:
			if err = g.Invalidate(); err == nil && len(h.src.data) > 0 {
				h.src.data = bytes.Clone(h.src.data)
				h.src.data[h.rnd.IntN(len(h.src.data))]++
			} else if errors.Is(err, ErrBytesGone) && g.State().Gone > 0 {
				err = nil
			}
		case 2:
			var n int64
			if n, err = g.Release(ctx); err == nil {
				h.src.gone = n
			}
		default:
			h.src.data = append(h.src.data, random(h.rnd.Uint64(), h.rnd.IntN(8*chunkSize))...)
			err = g.Advance(ctx, h.src.Size())
		}
		if over, err := h.judge(err); over || err != nil {
			return err
		}
	}
	var st State
	for n := 0; ; n++ {
		var err error
		if h.rnd.IntN(2) == 0 {
			st, err = g.Finish(ctx, h.src, h.save, nil)
		} else {
			st, err = u.Transfer(ctx, h.src, g.State(), h.save, nil)
		}
		if err == nil {
			break
		}
		if over, err := h.judge(err); over || err != nil {
			return err
		}
		if n > 100 {
			return errors.New("it never ends")
		}
		g = u.Grow(h.src, h.saved, h.save)
		time.Sleep(time.Second)
	}
	if !bytes.Equal(h.f.sessions[st.ID], h.src.data) {
		return errors.New("the session has other bytes")
	}
	return nil
}

// judge says whether the file is lost, or returns an error if err may not
// happen.
func (h *growth) judge(err error) (bool, error) {
	switch {
	case err == nil, errors.Is(err, remote.ErrTemporary), errors.Is(err, remote.ErrUploadOffset):
		return false, nil
	case errors.Is(err, ErrBytesGone) && h.lose && h.src.gone > 0:
		h.lost = true
		return true, nil
	case h.lose && errors.Is(err, remote.ErrNoUpload):
		return false, nil // lost too often
	}
	return false, err
}

// TestFileLargerThanItsPlace sends a file of which never more than a few chunks
// exist locally, through breaks and restarts, to the server.
func TestFileLargerThanItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size, chunk, place = 4 << 20, 128 << 10, 512 << 10
		s := newService(t, pcloudtest.Options{Shape: pcloudtest.Shape{RTT: 50 * time.Millisecond, Up: 1 << 20}}, 3)
		require.NoError(t, s.SetFaults([]pcloudtest.Rule{{Method: "upload_write", Do: "reset-within", After: chunk / 2, Count: 3, Skip: 5}}))
		data, src := random(1, size), &spoolFile{}
		var kept State
		save := func(st State) error { kept = Recorded(st.Journal()); return nil }
		u := New(Options{Remote: s.c, Chunk: chunk})
		g := u.Grow(src, State{}, save)
		for n := place / 2; n <= size; n += place / 2 {
			src.data = data[:n]
			require.LessOrEqual(t, src.Size()-src.gone, int64(place))
			require.NoError(t, g.Advance(t.Context(), int64(n)))
			gone, err := g.Release(t.Context())
			require.NoError(t, err)
			src.gone = gone
			if n%(3*place) == 0 {
				g = u.Grow(src, kept, save)
			}
		}
		st, err := g.Finish(t.Context(), src, save, nil)
		require.NoError(t, err)
		_, err = u.Publish(t.Context(), remote.UploadTarget{Name: "big", If: remote.IfNew()}, st)
		require.NoError(t, err)
		require.Equal(t, []string{"big"}, s.having(data))
		require.LessOrEqual(t, s.Stats().BytesIn, int64(size*101/100+3*chunk))
	})
}
