package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// tail renders the events of a view after a cursor.
func tail(t *testing.T, v *View, since uint64) (out []string) {
	t.Helper()
	events, _, err := v.Diff(since, 0)
	require.NoError(t, err)
	for _, e := range events {
		out = append(out, strings.TrimSpace(e.Type+" "+e.Node.Name))
	}
	return out
}

func cursor(t *testing.T, v *View) uint64 {
	t.Helper()
	_, c, err := v.LastEvents(0)
	require.NoError(t, err)
	return c
}

func TestFullState(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	require.Equal(t, uint64(firstDiff), cursor(t, v), "never 0, or rclone asks without a pause")
	require.Equal(t, []string{"modifyuserinfo"}, tail(t, v, 0))
	d := mkdir(t, v, 0, "d")
	e := mkdir(t, v, 0, "e")
	put(t, v, d.ID, "f", "1")
	trashed(t, v, "gone")
	_, err := v.RenameFolder(d.ID, e.ID, "")
	require.NoError(t, err)
	require.Equal(t, []string{"modifyuserinfo", "createfolder e", "createfolder d", "createfile f"}, tail(t, v, 0),
		"parents first, also when they are the younger ones")
}

func TestEventsOfMutations(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	d := mkdir(t, v, 0, "d")
	f := put(t, v, 0, "f", "1")
	var g Node
	for _, step := range []struct {
		do   func() error
		want []string
	}{
		{func() error { g = put(t, v, d.ID, "g", "1"); return nil }, []string{"createfile g"}},
		{func() error { put(t, v, d.ID, "g", "2"); return nil }, []string{"modifyfile g"}},
		{func() error { return second(v.SetMtime(g.ID, time0, false, nil)) }, []string{"modifyfile g"}},
		{func() error { return second(v.RenameFile(g.ID, 0, "f")) }, []string{"modifyfile f"}},
		{func() error { return second(v.CopyFile(g.ID, d.ID, "c", CopyOptions{})) }, []string{"createfile c"}},
		{func() error { return second(v.RenameFolder(d.ID, 0, "e")) }, []string{"modifyfolder e"}},
		{func() error { return second(v.RenameFolder(d.ID, 0, "e")) }, nil},
		{func() error { mkdir(t, v, d.ID, "s"); return nil }, []string{"createfolder s"}},
		{func() error { _, _, err := v.CreateFolder(d.ID, "s", true); return err }, nil},
		{func() error { _, _, err := v.DeleteTree(d.ID); return err }, []string{"deletefile c", "deletefolder s", "deletefolder e"}},
		{func() error { return second(v.TrashRestore(d.ID, true, nil)) }, []string{"createfolder e", "createfolder s", "createfile c"}},
		{func() error { return second(v.DeleteFile(g.ID)) }, []string{"deletefile f"}},
		{func() error { return v.a.SetQuota(1) }, []string{"modifyuserinfo"}},
		{v.a.InjectReset, []string{"reset", "modifyuserinfo", "createfolder e", "createfolder s", "createfile c"}},
	} {
		since := cursor(t, v)
		require.NoError(t, step.do())
		require.Equal(t, step.want, tail(t, v, since))
	}
	events, _, err := v.Diff(0, 0)
	require.NoError(t, err)
	for _, e := range events {
		require.False(t, !e.Node.Folder && e.Node.ID == f.ID, "a replaced file is not part of the state")
	}
}

func TestReplacedFileIsNamedInTheEvent(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	f, g := put(t, v, 0, "f", "1"), put(t, v, 0, "g", "2")
	since := cursor(t, v)
	_, err := v.RenameFile(g.ID, 0, "f")
	require.NoError(t, err)
	events, next, err := v.Diff(since, 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, f.ID, events[0].Node.Replaced)
	events, again, err := v.Diff(next, 0)
	require.NoError(t, err)
	require.Empty(t, events)
	require.Equal(t, next, again)
}

// TestEventsAcrossTheBorder moves things into and out of a view.
func TestEventsAcrossTheBorder(t *testing.T) {
	t.Parallel()
	a := open(t, Options{})
	all := a.View(0)
	app := mkdir(t, all, 0, "app")
	v := a.View(app.ID)
	d := mkdir(t, all, 0, "d")
	f := put(t, all, d.ID, "f", "1")
	for _, step := range []struct {
		what      string
		do        func() error
		app, full []string
	}{
		{"folder in", func() error { return second(all.RenameFolder(d.ID, app.ID, "")) },
			[]string{"createfolder d", "createfile f"}, []string{"modifyfolder d"}},
		{"within", func() error { return second(all.RenameFile(f.ID, app.ID, "")) },
			[]string{"modifyfile f"}, []string{"modifyfile f"}},
		{"back", func() error { return second(all.RenameFile(f.ID, d.ID, "")) },
			[]string{"modifyfile f"}, []string{"modifyfile f"}},
		{"folder out", func() error { return second(all.RenameFolder(d.ID, 0, "")) },
			[]string{"deletefile f", "deletefolder d"}, []string{"modifyfolder d"}},
		{"outside", func() error { return second(all.RenameFile(f.ID, d.ID, "h")) },
			nil, []string{"modifyfile h"}},
		{"file in", func() error { return second(all.RenameFile(f.ID, app.ID, "")) },
			[]string{"createfile h"}, []string{"modifyfile h"}},
		{"the folder itself", func() error { return second(all.RenameFolder(app.ID, d.ID, "x")) },
			nil, []string{"modifyfolder x"}},
		{"inside, elsewhere", func() error { return second(v.RenameFile(f.ID, 0, "i")) },
			[]string{"modifyfile i"}, []string{"modifyfile i"}},
	} {
		one, two := cursor(t, v), cursor(t, all)
		require.NoError(t, step.do())
		require.Equal(t, step.app, tail(t, v, one), step.what)
		require.Equal(t, step.full, tail(t, all, two), step.what)
	}
	events, _, err := v.LastEvents(1)
	require.NoError(t, err)
	require.Zero(t, events[0].Node.Parent, "its folder is folder 0 in events, too")
}

func TestStateInPages(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	for i := range 10 {
		put(t, v, 0, fmt.Sprint(i), "x")
	}
	r := &replica{v: v, nodes: map[key]Node{}}
	events, next, err := v.Diff(0, 4)
	require.NoError(t, err)
	require.Len(t, events, 4)
	for _, e := range events {
		r.apply(t, e)
	}
	r.cursor = next
	// What happens between the pages comes after them.
	n, err := v.FileByPath("/3")
	require.NoError(t, err)
	_, err = v.DeleteFile(n.ID)
	require.NoError(t, err)
	put(t, v, 0, "new", "x")
	r.catchUp(t, 4)
	r.check(t)

	// A server that forgot about the pages makes the client start over.
	_, next, err = v.Diff(0, 4)
	require.NoError(t, err)
	v.a.feed.blocks = nil
	events, _, err = v.Diff(next, 0)
	require.NoError(t, err)
	require.Equal(t, EventReset, events[0].Type)
}

func TestOldCursorStartsOver(t *testing.T) {
	t.Parallel()
	a := open(t, Options{MaxEvents: 8})
	all := a.View(0)
	app := mkdir(t, all, 0, "app")
	v := a.View(app.ID)
	put(t, v, 0, "mine", "x")
	old, mine := cursor(t, all), cursor(t, v)
	for i := range 20 {
		put(t, all, 0, "f", fmt.Sprint(i))
	}
	require.Equal(t, "reset", tail(t, all, old)[0])
	require.Empty(t, tail(t, v, mine), "none of its events were lost")
	require.LessOrEqual(t, len(a.log), 8)
}

func TestDiffAfter(t *testing.T) {
	t.Parallel()
	c := newClock()
	v := open(t, Options{Now: c.now}).View(0)
	put(t, v, 0, "old", "x")
	c.advance(time.Minute)
	put(t, v, 0, "new", "x")
	events, _, err := v.DiffAfter(c.t.Add(-time.Second), 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "new", events[0].Node.Name)
	require.Equal(t, c.t, events[0].Time)
	events, _, err = v.DiffAfter(c.t.Add(-time.Hour), 0)
	require.NoError(t, err)
	require.Len(t, events, 2)
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, err := Open(Options{})
		require.NoError(t, err)
		all := a.View(0)
		app := mkdir(t, all, 0, "app")
		v := a.View(app.ID)
		require.NoError(t, v.Wait(t.Context(), 0), "there is always a full state")

		since := cursor(t, v)
		done := make(chan error)
		go func() { done <- v.Wait(t.Context(), since) }()
		synctest.Wait()
		put(t, all, 0, "outside", "x")
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("woken by an event that it does not see")
		default:
		}
		put(t, v, 0, "inside", "x")
		require.NoError(t, <-done)
		require.NoError(t, v.Wait(t.Context(), since))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, v.Wait(ctx, cursor(t, v)), context.DeadlineExceeded)

		since = cursor(t, v)
		go func() { done <- v.Wait(t.Context(), since) }()
		synctest.Wait()
		require.NoError(t, a.InjectReset())
		require.NoError(t, <-done)
		since = cursor(t, v)
		go func() { done <- v.Wait(t.Context(), since) }()
		synctest.Wait()
		require.NoError(t, a.Close())
		require.ErrorIs(t, <-done, ErrClosed)
		_, err = v.FileByID(1)
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestDelayedVisibility(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := open(t, Options{})
		v := a.View(0)
		d := mkdir(t, v, 0, "d")
		f := put(t, v, 0, "f", "old")
		former := paths2(t, v)
		since := cursor(t, v)

		a.DelayVisibility(3, time.Minute)
		_, err := v.DeleteFile(99)
		require.Equal(t, CodeNoFile, Code(err), "a refusal is not a mutation")
		now := put(t, v, 0, "f", "new")
		g := put(t, v, d.ID, "g", "1")
		_, err = v.RenameFile(f.ID, d.ID, "h")
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		last := put(t, v, 0, "z", "1") // waits for those before it

		require.Equal(t, former, paths2(t, v))
		n, err := v.FileByID(f.ID)
		require.NoError(t, err)
		require.Equal(t, f, n)
		n, err = v.FileByPath("/f")
		require.NoError(t, err)
		require.Equal(t, f, n)
		_, err = v.FileByPath("/d/h")
		require.Equal(t, CodeNoFile, Code(err))
		_, err = v.FileByID(g.ID)
		require.Equal(t, CodeNoFile, Code(err))
		s, _, err := v.Checksums(f.ID, 0)
		require.NoError(t, err)
		require.Equal(t, sumsOf("old"), s)
		require.Empty(t, tail(t, v, since))
		behind := cursor(t, v)
		require.Equal(t, "new", text(t, v, f.ID), "contents are not delayed")

		fresh := v.Fresh()
		n, err = fresh.FileByPath("/d/h")
		require.NoError(t, err)
		require.Equal(t, now.Hash, n.Hash)
		require.Len(t, tail(t, fresh, since), 4)
		require.NotEqual(t, former, paths2(t, fresh))

		begin := time.Now()
		require.NoError(t, v.Wait(t.Context(), since))
		require.Equal(t, 30*time.Second, time.Since(begin))
		require.Equal(t, []string{"modifyfile f", "createfile g", "modifyfile h", "createfile z"}, tail(t, v, since))
		require.Len(t, tail(t, v, behind), 4, "a cursor taken meanwhile loses nothing")
		require.Equal(t, paths2(t, fresh), paths2(t, v))
		n, err = v.FileByID(last.ID)
		require.NoError(t, err)
		require.Equal(t, last, n)
		after := put(t, v, 0, "y", "1")
		_, err = v.FileByID(after.ID)
		require.NoError(t, err, "the fourth mutation is not delayed")
		require.Empty(t, a.lag.former)
	})
}

// paths2 lists paths with hashes, from what the listing itself says.
func paths2(t *testing.T, v *View) map[string]uint64 {
	t.Helper()
	out := map[string]uint64{}
	require.NoError(t, v.List(0, ListOptions{Recursive: true}, func(n Node, depth int) error {
		out[fmt.Sprint(depth, n.Parent, n.Name)] = n.Hash
		return nil
	}))
	return out
}
