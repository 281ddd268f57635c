package upload

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

var emulatorSeeds = flag.Int("upload.emulatorseeds", 60, "histories to run against the server")

// service is a pCloud server in this process with a client of it.
type service struct {
	*pcloudtest.Server
	c *remote.Client
}

const appFolder = "/Applications/pcloudfs/"

func newService(t testing.TB, o pcloudtest.Options, attempts int) service {
	t.Helper()
	o.InProcess = true
	s := pcloudtest.New(t, o)
	tr := s.Transport()
	c, err := remote.New(remote.Options{
		Host: s.APIAddr(), TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: s.AppToken()}),
		Transport: tr, Attempts: attempts,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		tr.CloseIdleConnections()
	})
	return service{s, c}
}

// having returns the names below the application's folder with these bytes.
func (s service) having(data []byte) (names []string) {
	sum := sha1.Sum(data)
	for _, e := range s.Tree() {
		if e.SHA1 == hex.EncodeToString(sum[:]) {
			names = append(names, strings.TrimPrefix(e.Path, appFolder))
		}
	}
	slices.Sort(names)
	return names
}

// TestEmulator runs uploads with the real client against the server, with
// faults of the network and of the service.
func TestEmulator(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*emulatorSeeds) {
		for _, way := range []string{"single", "session", "parallel", "whole"} {
			synctest.Test(t, func(t *testing.T) {
				if err := emulated(t, seed, way); err != nil {
					t.Fatalf("seed %d, %s: %v", seed, way, err)
				}
			})
		}
	}
}

// rules draws what goes wrong.
func rules(rnd *rand.Rand, way string) []pcloudtest.Rule {
	methods := map[string][]string{
		"single":   {"uploadfile", "uploadfile", "listfolder", "checksumfile", ""},
		"session":  {"upload_create", "upload_write", "upload_write", "upload_info", "upload_save", "listfolder", ""},
		"parallel": {"upload_create", "upload_write", "upload_write", "upload_info", "upload_writefromupload", "upload_writefromupload", ""},
		"whole":    {"uploadfile", "renamefile", "renamefile", "listfolder", "stat", ""},
	}[way]
	var rs []pcloudtest.Rule
	for range rnd.IntN(5) {
		r := pcloudtest.Rule{Method: methods[rnd.IntN(len(methods))], Count: 1 + rnd.IntN(2), Skip: rnd.IntN(3)}
		switch rnd.IntN(8) {
		case 0:
			r.Do, r.Code = "api", []int{4010, 5000, 5001}[rnd.IntN(3)]
		case 1:
			r.Do, r.Code = "http", 502
		case 2:
			r.Do = "reset-before"
		case 3:
			r.Do, r.After = "reset-within", rnd.Int64N(3000)
		case 4:
			r.Do = "reset-after"
		case 5:
			r.Do = "truncate"
		case 6:
			r.Do, r.Delay = "delay-visibility", 150*time.Millisecond
		case 7:
			if way != "session" && way != "parallel" {
				continue
			}
			r.Do = []string{"lose-session", "wrong-digest"}[rnd.IntN(2)]
			r.Method = []string{"upload_info", "upload_write"}[rnd.IntN(2)]
		}
		rs = append(rs, r)
	}
	return rs
}

func emulated(t *testing.T, seed uint64, way string) error {
	rnd := rand.New(rand.NewPCG(seed, 7))
	s := newService(t, pcloudtest.Options{Seed: seed}, 1+rnd.IntN(3))
	ctx := t.Context()
	data := text(1 + rnd.IntN(5000))
	tg := remote.UploadTarget{Name: "a.txt", Modified: time.Now().Add(-time.Hour), If: remote.IfNew()}
	if rnd.IntN(2) == 0 {
		if err := s.WriteFile(appFolder+"a.txt", []byte("old"), time.Now()); err != nil {
			return err
		}
		f, err := s.c.List(ctx, remote.RootFolder)
		if err != nil {
			return err
		}
		tg.If = remote.IfHash(f.Contents[0].Hash)
	}
	rs := rules(rnd, way)
	if err := s.SetFaults(rs); err != nil {
		return err
	}
	r, err := persist(ctx, s, way, tg, data)
	if err != nil {
		return fmt.Errorf("%w; faults %+v", err, rs)
	}
	if got := s.having(data); !slices.Equal(got, []string{"a.txt"}) || len(s.Tree()) != 1 {
		return fmt.Errorf("bytes at %q of %d files; faults %+v", got, len(s.Tree()), rs)
	}
	if r.Conflicted || r.Entry.Name != "a.txt" || r.SHA1 != sha1.Sum(data) || r.Entry.Modified.Unix() != tg.Modified.Unix() {
		return fmt.Errorf("result %+v; faults %+v", r, rs)
	}
	return nil
}

// persist repeats an upload until it succeeds, as the caller of the package.
func persist(ctx context.Context, s service, way string, tg remote.UploadTarget, data []byte) (Result, error) {
	var kept State
	var err error
	for range 20 {
		var r Result
		o := Options{Remote: s.c, Chunk: 1000, Streams: 1}
		if way == "parallel" {
			o.Chunk, o.Streams = 200, 3
		}
		u := New(o)
		switch way {
		case "single":
			r, err = u.Single(ctx, tg, source(data))
		case "whole":
			r, err = u.Whole(ctx, tg, source(data))
		case "session", "parallel":
			kept, err = u.Transfer(ctx, source(data), kept, nil, nil)
			if err != nil {
				break
			}
			if r, err = u.Publish(ctx, tg, kept); errors.Is(err, remote.ErrNoUpload) {
				kept = State{}
			}
		}
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, remote.ErrTemporary) && !errors.Is(err, remote.ErrNoUpload) {
			return r, err
		}
		time.Sleep(10 * time.Second)
	}
	return Result{}, err
}

// TestEmulatorConflict: the server's own idea of a conflict is understood.
func TestEmulatorConflict(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"single", "session", "whole"} {
		for _, k := range []string{"", "reset-after"} {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, pcloudtest.Options{}, 1)
				require.NoError(t, s.WriteFile(appFolder+"a.txt", []byte("of somebody else"), time.Now()))
				if k != "" {
					require.NoError(t, s.SetFaults([]pcloudtest.Rule{
						{Method: "uploadfile", Do: k, Count: 1}, {Method: "upload_save", Do: k, Count: 1}, {Method: "renamefile", Do: k, Count: 1},
					}))
				}
				tg := remote.UploadTarget{Name: "a.txt", Modified: time.Now(), If: remote.IfNew()}
				r, err := persist(t.Context(), s, way, tg, text(3000))
				require.NoError(t, err, "%s %s", way, k)
				require.True(t, r.Conflicted, "%s %s", way, k)
				require.Equal(t, []string{r.Entry.Name}, s.having(text(3000)), "%s %s", way, k)
				require.Equal(t, []string{"a.txt"}, s.having([]byte("of somebody else")), "%s %s", way, k)
				require.Len(t, s.Tree(), 2, "%s %s", way, k)
			})
		}
	}
}

// TestEmulatorKilledTransfers counts by the server's own counters what breaks
// and restarts cost.
func TestEmulatorKilledTransfers(t *testing.T) {
	t.Parallel()
	for _, streams := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			const size, chunk = 4 << 20, 128 << 10
			s := newService(t, pcloudtest.Options{Shape: pcloudtest.Shape{RTT: 50 * time.Millisecond, Up: 1 << 20}}, 1)
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(i % 251)
			}
			var kept State
			save := func(st State) error { kept = st; return nil }
			o := Options{Remote: s.c, Chunk: chunk, Streams: streams}
			several := 0
			for _, part := range []int64{25, 50, 75} {
				ctx, kill := context.WithCancel(t.Context())
				_, err := New(o).Transfer(ctx, source(data), kept, save, func(n int64) {
					if n >= size*part/100+chunk/3 {
						kill()
					}
				})
				require.ErrorIs(t, err, context.Canceled)
				several = max(several, len(kept.Parts))
				kept = Recorded(kept.Journal())
			}
			st, err := New(o).Transfer(t.Context(), source(data), kept, save, nil)
			require.NoError(t, err)
			_, err = New(o).Publish(t.Context(), remote.UploadTarget{Name: "big", If: remote.IfNew()}, st)
			require.NoError(t, err)
			require.Equal(t, []string{"big"}, s.having(data))
			require.GreaterOrEqual(t, several, streams-1)
			require.LessOrEqual(t, s.Stats().BytesIn, int64(size*105/100+3*chunk*streams))
		})
	}
}

// TestEmulatorRefusesSessions: the answers that mean so lead to Whole.
func TestEmulatorRefusesSessions(t *testing.T) {
	t.Parallel()
	for _, code := range []int{2003, 1001, 1020} {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, pcloudtest.Options{}, 2)
			require.NoError(t, s.SetFaults([]pcloudtest.Rule{{Method: "upload_create", Do: "api", Code: code}}))
			u := New(Options{Remote: s.c})
			_, err := u.Transfer(t.Context(), source(text(9)), State{}, nil, nil)
			require.ErrorIs(t, err, ErrNoSessions)
			_, err = u.Whole(t.Context(), remote.UploadTarget{Name: "a", If: remote.IfNew()}, source(text(9)))
			require.NoError(t, err)
			require.Equal(t, []string{"a"}, s.having(text(9)))
		})
	}
}
