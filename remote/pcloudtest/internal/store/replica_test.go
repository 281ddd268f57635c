package store

import (
	"cmp"
	"slices"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// replica is what a client knows that follows the change feed by the rules of
// pCloud API 11.1.
type replica struct {
	v      *View
	cursor uint64
	nodes  map[key]Node
}

// follow starts with the full state.
func follow(tb rapid.TB, v *View, limit int) *replica {
	r := &replica{v: v, nodes: map[key]Node{}}
	r.catchUp(tb, limit)
	return r
}

// followFrom starts with a listing made after the cursor was taken, as pCloud
// API 11.4 advises.
func followFrom(tb rapid.TB, v *View) *replica {
	tb.Helper()
	_, cursor, err := v.LastEvents(0)
	require.NoError(tb, err)
	r := &replica{v: v, cursor: cursor, nodes: map[key]Node{}}
	require.NoError(tb, v.List(0, ListOptions{Recursive: true}, func(n Node, depth int) error {
		if depth > 0 {
			r.nodes[key{n.Folder, n.ID}] = n
		}
		return nil
	}))
	return r
}

// catchUp reads until there is nothing new.
func (r *replica) catchUp(tb rapid.TB, limit int) {
	tb.Helper()
	for {
		events, next, err := r.v.Diff(r.cursor, limit)
		require.NoError(tb, err)
		if len(events) == 0 {
			require.Equal(tb, r.cursor, next)
			return
		}
		if limit > 0 {
			require.LessOrEqual(tb, len(events), limit)
		}
		last := uint64(0)
		for _, e := range events {
			require.Greater(tb, e.ID, last)
			require.LessOrEqual(tb, e.ID, next)
			if r.cursor != 0 {
				require.Greater(tb, e.ID, r.cursor)
			}
			last = e.ID
			r.apply(tb, e)
		}
		r.cursor = next
	}
}

func (r *replica) apply(tb rapid.TB, e Event) {
	n := e.Node
	k := key{n.Folder, n.ID}
	old, known := r.nodes[k]
	switch e.Type {
	case EventReset:
		clear(r.nodes)
	case EventModifyUserInfo:
	case EventCreateFile, EventModifyFile, EventCreateFolder, EventModifyFolder:
		require.False(tb, n.Root)
		require.False(tb, n.Deleted)
		if n.Parent != 0 {
			require.Contains(tb, r.nodes, key{true, n.Parent}, "%s %q comes before its parent", e.Type, n.Name)
		}
		replaced, there := r.nodes[key{false, n.Replaced}]
		if there && n.Replaced != 0 {
			delete(r.nodes, key{false, n.Replaced})
			r.touch(replaced.Parent, e)
		}
		n.Replaced = 0
		r.nodes[k] = n
		if !known || old.Parent != n.Parent {
			r.touch(n.Parent, e)
			if known {
				r.touch(old.Parent, e)
			}
		}
	case EventDeleteFile, EventDeleteFolder:
		require.True(tb, n.Deleted)
		require.True(tb, known, "%s of unknown %q", e.Type, n.Name)
		for _, c := range r.nodes {
			require.False(tb, n.Folder && c.Parent == n.ID, "%q goes before %q in it", n.Name, c.Name)
		}
		delete(r.nodes, k)
		r.touch(old.Parent, e)
	default:
		tb.Fatalf("unknown event %q", e.Type)
	}
}

// touch is the parent rule of pCloud API 5.5.
func (r *replica) touch(folder uint64, e Event) {
	if n, ok := r.nodes[key{true, folder}]; ok {
		n.Modified = e.Time
		r.nodes[key{true, folder}] = n
	}
}

// check compares the replica with a listing.
func (r *replica) check(tb rapid.TB) {
	tb.Helper()
	var want, got []Node
	require.NoError(tb, r.v.List(0, ListOptions{Recursive: true}, func(n Node, depth int) error {
		if depth > 0 {
			want = append(want, n)
		}
		return nil
	}))
	for _, n := range r.nodes {
		got = append(got, n)
	}
	for _, ns := range [][]Node{want, got} {
		slices.SortFunc(ns, func(a, b Node) int {
			if a.Folder != b.Folder {
				return map[bool]int{true: -1, false: 1}[a.Folder]
			}
			return cmp.Compare(a.ID, b.ID)
		})
	}
	if d := gocmp.Diff(want, got); d != "" {
		tb.Fatalf("replica differs from the account (-account +replica):\n%s", d)
	}
}
