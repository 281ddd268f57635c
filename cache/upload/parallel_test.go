package upload

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// several is an uploader whose files go up in up to n streams.
func several(f *fake, n int) *Uploader {
	return New(Options{Remote: joining{f}, Chunk: chunkSize, Streams: n})
}

// random has no two equal ranges.
func random(seed uint64, n int) []byte {
	rnd, b := rand.New(rand.NewPCG(seed, 2)), make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func called(f *fake, method string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if strings.HasPrefix(c, method+":") {
			n++
		}
	}
	return n
}

const probe = 2 // bytes that it takes to see whether sessions can be joined

func TestPartsAreJoined(t *testing.T) {
	t.Parallel()
	for _, streams := range []int{2, 3, 4, 7} {
		for _, size := range []int{least * chunkSize, least*chunkSize + 1, 50 * chunkSize, 51*chunkSize - 5} {
			synctest.Test(t, func(t *testing.T) {
				f, data := newFake(1), random(1, size)
				var states []State
				st, err := several(f, streams).Transfer(t.Context(), source(data), State{}, func(s State) error {
					states = append(states, s)
					return nil
				}, nil)
				require.NoError(t, err)
				require.Equal(t, State{ID: st.ID, Size: int64(size), Done: true, SHA1: st.SHA1}, st)
				require.Equal(t, st, states[len(states)-1])
				if size >= 50*chunkSize {
					require.True(t, slices.ContainsFunc(states, func(s State) bool { return len(s.Parts) == streams-1 }))
				}
				require.Equal(t, data, f.sessions[st.ID])
				require.Len(t, f.sessions, 1, "the parts are deleted")
				require.EqualValues(t, size+probe, f.received)
				for _, s := range states {
					require.LessOrEqual(t, s.Sent(), int64(size))
				}
			})
		}
	}
}

func TestOneStreamIsEnough(t *testing.T) {
	t.Parallel()
	data := random(1, 50*chunkSize)
	for name, o := range map[string]func(f *fake) Options{
		"switched off":   func(f *fake) Options { return Options{Remote: joining{f}, Chunk: chunkSize, Streams: 1} },
		"no joins known": func(f *fake) Options { return Options{Remote: f, Chunk: chunkSize} },
		"small":          func(f *fake) Options { return Options{Remote: joining{f}, Chunk: 13 * chunkSize} },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			_, err := New(o(f)).Transfer(t.Context(), source(data), State{}, nil, nil)
			require.NoError(t, err, name)
			require.Equal(t, 1, called(f, "upload_create"), name)
			require.EqualValues(t, len(data), f.received, name)
		})
	}
}

// TestJoinRefused: whenever the server says that it does not join, the file
// goes up in one stream, and later ones do from the beginning.
func TestJoinRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func(string) fault
		most  int64 // bytes received, in files
	}{
		"at first":                 {always("upload_writefromupload", forbidden), 1},
		"in the end":               {script("upload_writefromupload", fine, forbidden), 2},
		"joins something else":     {script("upload_writefromupload", corrupt), 1},
		"no session for the parts": {script("upload_create", fine, fine, fine, forbidden, forbidden, forbidden), 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, data := newFake(1), random(1, 50*chunkSize)
			f.fault = c.fault
			u := several(f, 4)
			st, err := u.Transfer(t.Context(), source(data), State{}, nil, nil)
			require.NoError(t, err, name)
			require.Equal(t, data, f.sessions[st.ID], name)
			require.Len(t, f.sessions, 1, name)
			require.LessOrEqual(t, f.received, c.most*int64(len(data))+probe, name)

			f.fault = func(string) fault { return fine }
			before := called(f, "upload_create")
			_, err = u.Transfer(t.Context(), source(data), State{}, nil, nil)
			require.NoError(t, err, name)
			require.Equal(t, before+1, called(f, "upload_create"), name)
			time.Sleep(refusal + time.Second)
			_, err = u.Transfer(t.Context(), source(data), State{}, nil, nil)
			require.NoError(t, err, name)
			require.Greater(t, called(f, "upload_create"), before+2, name)
		})
	}
}

// TestDamagedPartIsSentAgain: what happens to one part does not cost the others.
func TestDamagedPartIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, k := range []fault{corrupt, forgotten} {
		cheap := 0
		for n := range 10 {
			synctest.Test(t, func(t *testing.T) {
				f, data := newFake(uint64(n)), random(1, 64*chunkSize)
				kinds := make([]fault, 10+n)
				kinds[9+n] = k
				f.fault = script("upload_write", kinds...)
				st, err := several(f, 4).Transfer(t.Context(), source(data), State{}, nil, nil)
				require.NoError(t, err)
				require.Equal(t, data, f.sessions[st.ID])
				if f.received <= int64(len(data)*5/4+probe) {
					cheap++
				}
			})
		}
		if k == corrupt {
			cheap += 4 // the first session is not looked at before all are joined
		}
		require.GreaterOrEqual(t, cheap, 10, "fault %d", k)
	}
}

// TestKilledPartsCostAtMostAChunkEach kills transfers with several streams and
// goes on with what was saved.
func TestKilledPartsCostAtMostAChunkEach(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 5))
			f, data := newFake(seed), random(seed, 64*chunkSize+int(seed))
			var kept State
			kills, streams := 0, 2+rnd.IntN(4)
			f.fault = func(m string) fault {
				if m == "upload_write" && f.rnd.IntN(8) == 0 {
					return []fault{partly, lostAfter}[f.rnd.IntN(2)]
				}
				return fine
			}
			for !kept.Done {
				f.mu.Lock()
				before := int64(0)
				for _, p := range kept.Parts {
					before += int64(len(f.sessions[p.ID]))
				}
				f.mu.Unlock()
				ctx, kill := context.WithCancel(t.Context())
				time.AfterFunc(time.Duration(5+rnd.IntN(60))*time.Millisecond, kill)
				_, err := several(f, streams).Transfer(ctx, source(data), kept, func(s State) error {
					kept = Recorded(s.Journal())
					return nil
				}, nil)
				kill()
				if err != nil {
					kills++
					require.Truef(t, errors.Is(err, context.Canceled) || errors.Is(err, remote.ErrTemporary), "%v", err)
				}
				time.Sleep(time.Second)
			}
			require.Equal(t, data, f.sessions[kept.ID])
			f.mu.Lock()
			defer f.mu.Unlock()
			require.LessOrEqual(t, f.received, int64(len(data)+(kills+1)*(streams*chunkSize+probe)))
		})
	}
}

// TestPartsOfAnotherProcess gives Transfer what it cannot go on with as it is.
func TestPartsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	data := random(3, 20*chunkSize)
	for name, c := range map[string]struct {
		parts []Part
		join  bool
		most  int // bytes received
	}{
		"goes on":          {[]Part{{ID: 6, Offset: 10 * chunkSize, Size: 0}}, true, 14 * chunkSize},
		"no joins":         {[]Part{{ID: 6, Offset: 10 * chunkSize}}, false, 18 * chunkSize},
		"a part is gone":   {[]Part{{ID: 6, Offset: 10 * chunkSize}, {ID: 7, Offset: 15 * chunkSize}}, true, 14 * chunkSize},
		"misplaced":        {[]Part{{ID: 6, Offset: 11 * chunkSize}}, true, 18 * chunkSize},
		"beyond the end":   {[]Part{{ID: 6, Offset: 10 * chunkSize}, {ID: 7, Offset: 99 * chunkSize}}, true, 14 * chunkSize},
		"before the start": {[]Part{{ID: 7, Offset: -5}, {ID: 6, Offset: 10 * chunkSize}, {ID: 8, Offset: 10 * chunkSize}}, true, 14 * chunkSize},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			f.sessions[5], f.sessions[6] = data[:2*chunkSize:2*chunkSize], data[10*chunkSize:14*chunkSize:14*chunkSize]
			o := Options{Remote: f, Chunk: chunkSize, Streams: 2}
			if c.join {
				o.Remote = joining{f}
			}
			st, err := New(o).Transfer(t.Context(), source(data), State{ID: 5, Parts: c.parts}, nil, nil)
			require.NoError(t, err, name)
			require.EqualValues(t, 5, st.ID, name)
			require.Equal(t, data, f.sessions[5], name)
			require.Empty(t, st.Parts, name)
			require.NotContains(t, f.sessions, remote.UploadID(6), name)
			require.LessOrEqual(t, f.received, int64(c.most+probe), name)
		})
	}
}

// TestRestIsDivided: also what is left of one session, which has more than the
// journal says, goes up in several streams, and nothing twice.
func TestRestIsDivided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, data := newFake(1), random(3, 100*chunkSize)
		u := several(f, 4)
		_, err := u.Transfer(t.Context(), source(data[:50*chunkSize]), State{}, nil, nil)
		require.NoError(t, err)
		f.sessions[5] = data[: 40*chunkSize : 40*chunkSize]
		f.received = 0
		parts := 0
		start := time.Now()
		st, err := u.Transfer(t.Context(), source(data), State{ID: 5, Size: chunkSize}, func(s State) error {
			parts = max(parts, len(s.Parts))
			return nil
		}, nil)
		require.NoError(t, err)
		require.Equal(t, data, f.sessions[st.ID])
		require.GreaterOrEqual(t, parts, 3)
		require.EqualValues(t, 60*chunkSize, f.received)
		require.Less(t, time.Since(start), 40*time.Millisecond)
	})
}

// TestJoinIsContinued: a part of a part was joined when the process died.
func TestJoinIsContinued(t *testing.T) {
	t.Parallel()
	data := random(3, 20*chunkSize)
	for _, joined := range []int{0, 1, 5 * chunkSize, 5*chunkSize + 1, 10 * chunkSize} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			n := 10*chunkSize + joined
			f.sessions[5] = data[:n:n]
			f.sessions[6], f.sessions[7] = data[10*chunkSize:15*chunkSize:15*chunkSize], data[15*chunkSize:]
			st, err := several(f, 3).Transfer(t.Context(), source(data), State{ID: 5, Size: 10 * chunkSize, Parts: []Part{
				{ID: 6, Offset: 10 * chunkSize, Size: 5 * chunkSize}, {ID: 7, Offset: 15 * chunkSize, Size: 5 * chunkSize},
			}}, nil, nil)
			require.NoError(t, err)
			require.EqualValues(t, 5, st.ID)
			require.Equal(t, data, f.sessions[5])
			require.Len(t, f.sessions, 1)
			require.Zero(t, f.received)
		})
	}
}

// TestFilesShareTheStreams: there are no streams beside the first ones while
// those are enough.
func TestFilesShareTheStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, data := newFake(1), random(1, 100*chunkSize)
		u := several(f, 4)
		var wg sync.WaitGroup
		var first atomic.Int64
		for i := range 4 {
			wg.Go(func() {
				src := data
				if i == 0 {
					src = data[:50*chunkSize]
				}
				st, err := u.Transfer(t.Context(), source(src), State{}, func(s State) error {
					if len(s.Parts) > 0 {
						first.CompareAndSwap(0, s.Size)
					}
					return nil
				}, nil)
				require.NoError(t, err)
				f.mu.Lock()
				defer f.mu.Unlock()
				require.Equal(t, src, f.sessions[st.ID])
			})
		}
		wg.Wait()
		require.GreaterOrEqual(t, first.Load(), int64(45*chunkSize), "when the short one was done")
		require.Len(t, f.sessions, 4)
	})
}

// crowd counts how many writes there are at a time.
type crowd struct {
	joining
	now, most atomic.Int64
}

func (c *crowd) WriteUpload(ctx context.Context, id remote.UploadID, off int64, r io.ReaderAt, n int64) error {
	if n <= probe/2 {
		return c.joining.WriteUpload(ctx, id, off, r, n)
	}
	now := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	time.Sleep(10 * time.Millisecond)
	return c.joining.WriteUpload(ctx, id, off, r, n)
}

func TestNeverMoreStreams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ streams, files, want int }{{4, 1, 4}, {4, 2, 4}, {3, 3, 3}, {2, 5, 5}} {
		synctest.Test(t, func(t *testing.T) {
			f := &crowd{joining: joining{newFake(1)}}
			u := New(Options{Remote: f, Chunk: chunkSize, Streams: c.streams})
			var wg sync.WaitGroup
			for range c.files {
				wg.Go(func() {
					_, err := u.Transfer(t.Context(), source(text(60*chunkSize)), State{}, nil, nil)
					require.NoError(t, err)
				})
			}
			wg.Wait()
			require.EqualValues(t, c.want, f.most.Load(), "%+v", c)
		})
	}
}

func TestSaveErrorEndsAllStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		_, err := several(newFake(1), 4).Transfer(t.Context(), source(random(1, 50*chunkSize)), State{}, func(s State) error {
			if len(s.Parts) > 1 {
				return full
			}
			return nil
		}, nil)
		require.ErrorIs(t, err, full)
	})
}

func TestAbandonDeletesAllSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.sessions[5], f.sessions[6] = []byte("a"), []byte("b")
		require.NoError(t, uploader(f).Abandon(t.Context(), State{ID: 5, Parts: []Part{{ID: 6}}}))
		require.Empty(t, f.sessions)
		require.Empty(t, uploader(f).Abandon(t.Context(), State{}))
	})
}

func TestStatesSurviveTheJournal(t *testing.T) {
	t.Parallel()
	for _, st := range []State{
		{}, {ID: 5, Size: 7}, {ID: 5, Size: 7, Done: true, SHA1: remote.SHA1{1}},
		{ID: 5, Parts: []Part{{ID: 6, Offset: 7, Size: 8}}}, {Parts: []Part{{ID: 6, Offset: 7}}},
		{ID: 5, Size: 9, Gone: 3, Hash: []byte{1, 2}},
	} {
		require.Equal(t, st, Recorded(st.Journal()))
	}
	require.Nil(t, State{}.Journal())
	require.EqualValues(t, 12, State{Size: 10, Parts: []Part{{Offset: 4, Size: 6}, {Offset: 8, Size: 4}}}.Sent())
}
