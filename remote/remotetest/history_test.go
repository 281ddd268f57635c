package remotetest_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// state is what a folder holds: digests by name.
type state map[string]string

// history drives one client through random calls while requests fail at
// random, and compares what each call says with what happened.
type history struct {
	*scene
	t   *testing.T
	r   *rand.Rand
	now state
}

// TestHistories: a call that succeeds has done exactly what was asked, one
// that fails with certainty has done nothing, and an uncertain one either.
func TestHistories(t *testing.T) {
	t.Parallel()
	const seeds, calls = 24, 80
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &history{scene: newScene(t), t: t, r: rand.New(rand.NewPCG(seed, 1)), now: state{}}
				faults := trouble(h.r)
				for range calls {
					files := h.children(t)
					require.NoError(t, h.srv.SetFaults(faults))
					what, after, err := h.step(t.Context(), files)
					require.NoError(t, h.srv.SetFaults(nil))
					synctest.Wait()
					h.compare(what, after, err)
				}
			})
		})
	}
}

// trouble makes rules that hit about every third request.
func trouble(r *rand.Rand) []pcloudtest.Rule {
	rules := []pcloudtest.Rule{
		{Do: pcloudtest.FaultResetBefore},
		{Do: pcloudtest.FaultResetAfter},
		{Do: pcloudtest.FaultTruncate},
		{Do: pcloudtest.FaultAPI, Code: 5000},
		{Do: pcloudtest.FaultAPI, Code: 4010},
		{Do: pcloudtest.FaultHTTP, Code: 502},
		{Do: pcloudtest.FaultHTTP, Code: 404, Method: pcloudtest.ContentMethod},
		{Do: pcloudtest.FaultExpiredLink, Method: pcloudtest.ContentMethod},
		{Do: pcloudtest.FaultStall},
		{Do: pcloudtest.FaultWrongDigest, Method: "uploadfile"},
		{Do: pcloudtest.FaultResetWithin, After: 5000, Method: "uploadfile"},
		{Do: pcloudtest.FaultResetWithin, After: 5000, Method: "upload_write"},
	}
	for i := range rules {
		rules[i].Prob = 0.08 * r.Float64()
	}
	return rules
}

// actual is the state as the server has it.
func (h *history) actual() state {
	got := state{}
	for _, e := range h.srv.Tree() {
		dir, name := path.Split(e.Path)
		require.Equal(h.t, "/Applications/pcloudfs/check/", dir)
		got[name] = fmt.Sprint(e.SHA1)
	}
	return got
}

func (h *history) compare(what string, after state, err error) {
	h.t.Helper()
	got := h.actual()
	var e *remote.Error
	uncertain := errors.As(err, &e) && e.Uncertain()
	require.NotErrorIs(h.t, err, errWrong, what)
	switch {
	case err == nil, uncertain && maps.Equal(got, after):
		require.Empty(h.t, cmp.Diff(after, got), "%s: %v", what, err)
	default:
		require.Empty(h.t, cmp.Diff(h.now, got), "%s: %v", what, err)
	}
	h.now = got
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha1.Sum(data)) }

func (h *history) name() string { return string(rune('a' + h.r.IntN(5))) }

func (h *history) data() []byte {
	b := make([]byte, h.r.IntN(20_000))
	for i := range b {
		b[i] = byte(h.r.Uint32())
	}
	return b
}

// step makes a call about one of the files and returns what the folder holds if
// it has its effect.
func (h *history) step(ctx context.Context, files map[string]remote.Entry) (what string, after state, err error) {
	name, to := h.name(), h.name()
	after = maps.Clone(h.now)
	e, exists := files[name]
	if !exists || h.r.IntN(3) == 0 {
		data := h.data()
		after[name] = digest(data)
		return "upload " + name, after, h.upload(ctx, e, exists, name, data)
	}
	switch h.r.IntN(5) {
	case 0:
		delete(after, name)
		return "delete " + name, after, h.client.DeleteFile(ctx, e.FileID)
	case 1:
		delete(after, name)
		after[to] = h.now[name]
		_, err = h.client.RenameFile(ctx, e.FileID, h.folder, to)
		return "rename " + name + " to " + to, after, err
	case 2:
		after[to] = h.now[name]
		_, err = h.client.CopyFile(ctx, e.FileID, remote.CopyTarget{Parent: h.folder, Name: to, Modified: may})
		return "copy " + name + " to " + to, after, err
	case 3:
		got, err := h.client.SetTimes(ctx, e, june, may)
		return "set times of " + name, after, errors.Join(err, wrong(err != nil || got.Modified.Equal(june), "%v", got.Modified))
	default:
		return "read " + name, after, h.read(ctx, e)
	}
}

// upload replaces a file in one of the ways there are.
func (h *history) upload(ctx context.Context, e remote.Entry, exists bool, name string, data []byte) error {
	target := remote.UploadTarget{Parent: h.folder, Name: name, Modified: may}
	if h.r.IntN(2) == 0 {
		target.If = remote.IfNew()
		if exists {
			target.If = remote.IfHash(e.Hash)
		}
	}
	var got remote.Entry
	var err error
	if h.r.IntN(2) == 0 {
		got, _, err = h.client.UploadFile(ctx, target, bytes.NewReader(data), int64(len(data)))
	} else {
		got, err = h.save(ctx, target, data)
	}
	return errors.Join(err, wrong(err != nil || !got.Conflicted && got.Name == name && got.Size == int64(len(data)), "%+v", got))
}

// save uploads in a session; only the last call has an effect on the folder.
func (h *history) save(ctx context.Context, target remote.UploadTarget, data []byte) (remote.Entry, error) {
	certain := func(err error) error { return fmt.Errorf("before saving: %s", err) } // without Uncertain
	id, err := h.client.CreateUpload(ctx, int64(len(data)))
	if err != nil {
		return remote.Entry{}, certain(err)
	}
	for at := int64(0); at < int64(len(data)); {
		n := min(int64(len(data))-at, 1+h.r.Int64N(12_000))
		if err := h.client.WriteUpload(ctx, id, at, bytes.NewReader(data), n); err != nil {
			return remote.Entry{}, certain(err)
		}
		at += n
	}
	st, err := h.client.UploadInfo(ctx, id)
	if err != nil {
		return remote.Entry{}, certain(err)
	}
	if err := wrong(st.Size == int64(len(data)) && st.SHA1 == sha1.Sum(data), "session of %d bytes", st.Size); err != nil {
		return remote.Entry{}, err
	}
	return h.client.SaveUpload(ctx, id, target)
}

// read reads a range; its digest is only known for the whole.
func (h *history) read(ctx context.Context, e remote.Entry) error {
	p := make([]byte, e.Size)
	for at := int64(0); at < e.Size; {
		n := min(e.Size-at, 1+h.r.Int64N(12_000))
		if _, err := h.client.ReadAt(ctx, e.FileID, e.Hash, e.Size, p[at:at+n], at); err != nil {
			return err
		}
		at += n
	}
	return wrong(digest(p) == h.now[e.Name], "%s", e.Name)
}

// TestManyAtOnce has several users of one client under the same trouble. Each
// repeats what failed, as the caller of an upload without a condition may.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users, files = 8, 6
		s := newScene(t)
		r := rand.New(rand.NewPCG(99, 1))
		require.NoError(t, s.srv.SetFaults(trouble(r)))
		var wg sync.WaitGroup
		errs := make([]error, users)
		for u := range users {
			wg.Go(func() {
				for f := range files {
					name, data := fmt.Sprint("file ", u, " ", f), bytes.Repeat([]byte{byte(u), byte(f)}, 5000*(f+1))
					errs[u] = errors.Join(errs[u], s.roundTrip(t.Context(), name, data))
				}
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		require.NoError(t, s.srv.SetFaults(nil))
		require.Len(t, s.children(t), users*files)
	})
}

// roundTrip uploads data and reads it back.
func (s *scene) roundTrip(ctx context.Context, name string, data []byte) error {
	insist := func(call func() error) error {
		var err error
		for range 20 {
			if err = call(); err == nil || !errors.Is(err, remote.ErrTemporary) {
				return err
			}
		}
		return err
	}
	var e remote.Entry
	err := insist(func() (err error) {
		e, _, err = s.client.UploadFile(ctx, remote.UploadTarget{Parent: s.folder, Name: name}, bytes.NewReader(data), int64(len(data)))
		return err
	})
	if err != nil {
		return err
	}
	got := make([]byte, len(data))
	err = insist(func() error {
		_, err := s.client.ReadAt(ctx, e.FileID, e.Hash, e.Size, got, 0)
		return err
	})
	return errors.Join(err, wrong(err != nil || bytes.Equal(got, data), "%s", name))
}
