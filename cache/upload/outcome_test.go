package upload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func TestPublishNeedsAVerifiedSession(t *testing.T) {
	t.Parallel()
	_, err := uploader(newFake(1)).Publish(t.Context(), target(remote.IfNew()), State{ID: 5, Size: 3})
	require.ErrorIs(t, err, ErrNotVerified)
}

// ready returns a verified session of data.
func ready(t *testing.T, u *Uploader, data []byte) State {
	t.Helper()
	st, err := u.Transfer(t.Context(), source(data), State{}, nil, nil)
	require.NoError(t, err)
	return st
}

func TestPublishOfALostSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		u := uploader(f)
		st := ready(t, u, text(100))
		delete(f.sessions, st.ID)
		_, err := u.Publish(t.Context(), target(remote.IfNew()), st)
		require.ErrorIs(t, err, remote.ErrNoUpload)
		require.Empty(t, f.files)
	})
}

// TestPublishTwice is what a process does that was killed before it could note
// that the first time had succeeded.
func TestPublishTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		u := uploader(f)
		st := ready(t, u, text(100))
		first, err := u.Publish(t.Context(), target(remote.IfNew()), st)
		require.NoError(t, err)
		again, err := uploader(f).Publish(t.Context(), target(remote.IfNew()), st)
		require.NoError(t, err)
		require.Equal(t, first, again)
		require.Len(t, f.files, 1)
	})
}

// TestLostReplies checks that what took effect is not done again.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for _, cond := range []string{"none", "new", "hash"} {
		for _, k := range []fault{lostAfter, nonsense, late, lostBefore} {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(1), remote.Condition{}
				e := remote.Entry{}
				if cond != "new" {
					e = f.write("a.txt", []byte("old"))
				}
				switch cond {
				case "new":
					c = remote.IfNew()
				case "hash":
					c = remote.IfHash(e.Hash)
				}
				f.fault = script("uploadfile", k)
				r, err := uploader(f).Single(t.Context(), target(c), source(text(50)))
				require.NoError(t, err)
				require.False(t, r.Conflicted)
				time.Sleep(time.Minute)
				require.Equal(t, []string{"a.txt"}, f.holding(text(50)))
				require.Len(t, f.files, 1)
				sent := int64(50)
				if k == lostBefore {
					sent = 100 // the first body went nowhere, though it was read
				}
				require.LessOrEqual(t, f.received, sent)
			})
		}
	}
}

// TestNonsenseFromSave: a reply that cannot be read may have been a success,
// although time will not cure it.
func TestNonsenseFromSave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		u := uploader(f)
		st := ready(t, u, text(70))
		f.fault = always("upload_save", nonsense)
		_, err := u.Publish(t.Context(), target(remote.IfNew()), st)
		require.NoError(t, err)
		require.Equal(t, []string{"a.txt"}, f.holding(text(70)))
	})
}

// TestUnknownConflictNames: the reply says what the copy is called.
func TestUnknownConflictNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.oddNames = true
		f.write("a.txt", []byte("other"))
		r, err := uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(9)))
		require.NoError(t, err)
		require.True(t, r.Conflicted)
		require.Equal(t, "a.txt in conflict", r.Entry.Name)

		f.write("a.txt", text(9))
		r, err = uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(9)))
		require.NoError(t, err)
		require.Equal(t, "a.txt", r.Entry.Name)
		require.Equal(t, []string{"a.txt", "a.txt in conflict"}, f.holding(text(9)), "the one just made is gone")
	})
}

// TestResolvedConflictStays: somebody has given a conflict copy another name,
// but the listing does not show it yet.
func TestResolvedConflictStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.write("a.txt", text(9))
		e := f.write("a{CONFLICTED}.txt", text(9))
		f.files[e.FileID].Modified = target(remote.IfNew()).Modified
		f.changed()
		time.Sleep(time.Minute)
		f.lag = 30 * time.Second
		_, err := f.RenameFile(t.Context(), e.FileID, 7, "mine.txt")
		require.NoError(t, err)
		r, err := uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(9)))
		require.NoError(t, err)
		require.Equal(t, "a.txt", r.Entry.Name)
		require.Equal(t, []string{"a.txt", "mine.txt"}, f.holding(text(9)))
	})
}

// TestWholeUsesWhatIsThere: an interrupted call has uploaded the bytes already.
func TestWholeUsesWhatIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.fault = always("renamefile", refused)
		_, err := uploader(f).Whole(t.Context(), target(remote.IfNew()), source(text(90)))
		require.ErrorIs(t, err, remote.ErrTemporary)
		require.Nil(t, f.at("a.txt"))
		f.fault = func(string) fault { return fine }
		_, err = uploader(f).Whole(t.Context(), target(remote.IfNew()), source(text(90)))
		require.NoError(t, err)
		require.Equal(t, []string{"a.txt"}, f.holding(text(90)))
		require.EqualValues(t, 90, f.received)
	})
}

func TestConflictKeepsBoth(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"single", "session", "whole"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			u := uploader(f)
			base := f.write("a.txt", []byte("base"))
			f.write("a.txt", []byte("of somebody else"))
			var r Result
			var err error
			tg := target(remote.IfHash(base.Hash))
			switch way {
			case "single":
				r, err = u.Single(t.Context(), tg, source(text(70)))
			case "session":
				r, err = u.Publish(t.Context(), tg, ready(t, u, text(70)))
			case "whole":
				r, err = u.Whole(t.Context(), tg, source(text(70)))
			}
			require.NoError(t, err, way)
			require.True(t, r.Conflicted, way)
			require.NotEqual(t, "a.txt", r.Entry.Name, way)
			require.Equal(t, text(70), f.at(r.Entry.Name), way)
			require.Equal(t, "of somebody else", string(f.at("a.txt")), way)
			require.Len(t, f.files, 2, way)
		})
	}
}

// TestConflictWithoutAWayToLook reports the conflict when the folder may not be
// listed, and leaves everything as it is.
func TestConflictWithoutAWayToLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.write("a.txt", []byte("other"))
		f.fault = always("listfolder", forbidden)
		r, err := uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(9)))
		require.NoError(t, err)
		require.True(t, r.Conflicted)
		require.Len(t, f.files, 2)
	})
}

// TestOldCopiesOfOthersStay: a conflict copy that is there already and has the
// same bytes, but another time, is not ours to delete.
func TestOldCopiesOfOthersStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.write("a.txt", []byte("other"))
		f.write("a{CONFLICTED}.txt", text(9))
		r, err := uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(9)))
		require.NoError(t, err)
		require.True(t, r.Conflicted)
		require.Equal(t, "a{CONFLICTED}.txt", r.Entry.Name, "the bytes are there")
		require.Len(t, f.files, 2)

		f.fault = script("uploadfile", lostAfter)
		f.write("a.txt", text(9))
		r, err = uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(9)))
		require.NoError(t, err)
		require.Equal(t, "a.txt", r.Entry.Name)
		require.Equal(t, []string{"a.txt", "a{CONFLICTED}.txt"}, f.holding(text(9)))
	})
}

// TestTwoTidyUpAtOnce lets two clients send the same bytes to a name that both
// find taken: one copy has to survive.
func TestTwoTidyUpAtOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(seed)
			f.write("a.txt", []byte("other"))
			f.before = func(string) {
				f.mu.Lock()
				d := time.Duration(f.rnd.IntN(5)) * time.Millisecond
				f.mu.Unlock()
				time.Sleep(d)
			}
			done := make(chan error)
			for range 2 {
				go func() {
					_, err := uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(9)))
					done <- err
				}()
			}
			require.NoError(t, <-done)
			require.NoError(t, <-done)
			require.Len(t, f.holding(text(9)), 1)
			require.Equal(t, "other", string(f.at("a.txt")))
		})
	}
}

// TestDamageIsTakenBack: the server stores wrong bytes every time.
func TestDamageIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, old := range map[string][]byte{"new file": nil, "overwritten": []byte("old")} {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(1), remote.IfNew()
			if old != nil {
				c = remote.IfHash(f.write("a.txt", old).Hash)
			}
			f.fault = always("uploadfile", corrupt)
			_, err := uploader(f).Single(t.Context(), target(c), source(text(50)))
			require.ErrorIs(t, err, ErrMismatch, name)
			require.Equal(t, old, f.at("a.txt"), name)
			require.EqualValues(t, mismatches*50, f.received, name)
		})
	}
}

func TestDamageIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, k := range []fault{corrupt, garbled} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			f.fault = script("uploadfile", k)
			r, err := uploader(f).Single(t.Context(), target(remote.IfNew()), source(text(50)))
			require.NoError(t, err)
			require.False(t, r.Conflicted)
			require.Equal(t, text(50), f.at("a.txt"))
			require.Len(t, f.files, 1)
			sent := int64(100)
			if k == garbled {
				sent = 50 // only the reply was wrong
			}
			require.Equal(t, sent, f.received)
		})
	}
}

func TestPermanentErrorsEndAtOnce(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"uploadfile", "upload_save"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			u := uploader(f)
			st := ready(t, u, text(9))
			f.fault = always(method, forbidden)
			start := time.Now()
			_, err := u.Single(t.Context(), target(remote.IfNew()), source(text(9)))
			if method == "upload_save" {
				_, err = u.Publish(t.Context(), target(remote.IfNew()), st)
			}
			require.Error(t, err)
			require.NotErrorIs(t, err, remote.ErrTemporary)
			require.Less(t, time.Since(start), 100*time.Millisecond)
		})
	}
}

func TestCancelEndsWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.fault = func(string) fault { return refused }
		u := uploader(f)
		for _, call := range []func(ctx context.Context) error{
			func(ctx context.Context) error {
				_, err := u.Single(ctx, target(remote.IfNew()), source(text(9)))
				return err
			},
			func(ctx context.Context) error {
				_, err := u.Whole(ctx, target(remote.IfNew()), source(text(9)))
				return err
			},
			func(ctx context.Context) error {
				_, err := u.Transfer(ctx, source(text(9)), State{}, nil, nil)
				return err
			},
			func(ctx context.Context) error {
				_, err := u.Publish(ctx, target(remote.IfNew()), State{ID: 1, Done: true})
				return err
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			start := time.Now()
			require.Error(t, call(ctx))
			require.LessOrEqual(t, time.Since(start), 101*time.Millisecond)
			cancel()
		}
	})
}

func TestFind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		u := uploader(f)
		find := func() (Result, bool) {
			t.Helper()
			r, ok, err := u.Find(t.Context(), target(remote.IfNew()), source(text(9)))
			require.NoError(t, err)
			return r, ok
		}
		_, ok := find()
		require.False(t, ok, "nothing there")
		f.write("a.txt", []byte("123456789"))
		_, ok = find()
		require.False(t, ok, "other bytes of the same length")
		_, err := u.Single(t.Context(), target(remote.IfNew()), source(text(9)))
		require.NoError(t, err)
		r, ok := find()
		require.True(t, ok && r.Conflicted, "as a conflict copy")
		f.write("a.txt", text(9))
		r, ok = find()
		require.True(t, ok && !r.Conflicted)
		require.Equal(t, []string{"a.txt"}, f.holding(text(9)), "the copy of the same time is gone")

		f.fault = always("listfolder", forbidden)
		_, _, err = u.Find(t.Context(), target(remote.IfNew()), source(text(9)))
		require.Error(t, err)
	})
}

// TestSameBytesNewTime: a version with the bytes that are there already still
// sets the time, whatever gets lost.
func TestSameBytesNewTime(t *testing.T) {
	t.Parallel()
	for _, k := range []fault{fine, lostBefore, lostAfter} {
		for _, byContent := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(1)
				f.byContent = byContent
				e := f.write("a.txt", text(9))
				f.fault = script("uploadfile", k)
				r, err := uploader(f).Single(t.Context(), target(remote.IfHash(e.Hash)), source(text(9)))
				require.NoError(t, err)
				require.False(t, r.Conflicted)
				require.EqualValues(t, 1_700_000_000, f.named("a.txt").Modified.Unix())
				require.Len(t, f.files, 1)
			})
		}
	}
}

func TestConflictNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a{CONFLICTED}.txt":     true,
		"a {CONFLICTED}.txt":    true,
		"a{CONFLICTED} (2).txt": true,
		"a (2){CONFLICTED}.txt": true,
		"a.txt{CONFLICTED}":     true,
		"a.txt":                 false,
		"b{CONFLICTED}.txt":     false,
		"a{CONFLICTED}.doc":     false,
		"a{CONFLICTED":          false,
		"ab{CONFLICTED}.txt":    true, // generous: the bytes decide
		"a long story about {CONFLICTED} interests.txt": false,
	} {
		require.Equal(t, want, conflictName("a.txt", name), name)
	}
	require.True(t, conflictName(".profile", ".profile{CONFLICTED}"))
	require.True(t, conflictName("Makefile", "Makefile{CONFLICTED}"))
	taken := map[string]remote.FileID{"a{CONFLICTED}.txt": 1, "a{CONFLICTED} (1).txt": 2}
	require.Equal(t, "a{CONFLICTED} (2).txt", freeConflictName("a.txt", taken))
	require.True(t, conflictName("a.txt", "a{CONFLICTED} (2).txt"))
}

func TestAbandon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		u := uploader(f)
		require.NoError(t, u.Abandon(t.Context(), State{}))
		require.Empty(t, f.calls)
		st := ready(t, u, text(9))
		require.NoError(t, u.Abandon(t.Context(), st))
		require.Empty(t, f.sessions)
		f.fault = always("upload_delete", refused)
		require.Error(t, u.Abandon(t.Context(), st))
	})
}
