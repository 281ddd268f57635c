package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// bin lists the trash: name, place in the trash and original folder.
func bin(t *testing.T, v *View, id uint64) (out [][3]any) {
	t.Helper()
	require.NoError(t, v.TrashList(id, ListOptions{Recursive: true}, func(n Node, depth int) error {
		if depth > 0 {
			require.True(t, n.Deleted)
			out = append(out, [3]any{n.Name, n.Parent, n.OrigParent})
		}
		return nil
	}))
	return out
}

func TestTrash(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		d := mkdir(t, v, 0, "d")
		f := put(t, v, d.ID, "f", "1")
		put(t, v, d.ID, "g", "2")
		_, err := v.DeleteFile(f.ID)
		require.NoError(t, err)
		require.Equal(t, [][3]any{{"f", uint64(0), d.ID}}, bin(t, v, 0))
		_, _, err = v.DeleteTree(d.ID)
		require.NoError(t, err)
		want := [][3]any{{"f", uint64(0), d.ID}, {"d", uint64(0), uint64(0)}, {"g", d.ID, d.ID}}
		require.ElementsMatch(t, want, bin(t, v, 0))
		require.Equal(t, want[2:], bin(t, v, d.ID))

		// The file's folder is gone: it goes to the root.
		_, dest, err := v.TrashRestorePath(f.ID, false)
		require.NoError(t, err)
		require.True(t, dest.Root)
		restored, err := v.TrashRestore(d.ID, true, nil)
		require.NoError(t, err)
		require.Len(t, restored, 1)
		require.Equal(t, map[string]string{"/d/": "", "/d/g": "2"}, paths(t, v))
		_, dest, err = v.TrashRestorePath(f.ID, false)
		require.NoError(t, err)
		require.Equal(t, d.ID, dest.ID)

		put(t, v, d.ID, "f", "new")
		restored, err = v.TrashRestore(0, true, nil)
		require.NoError(t, err)
		require.Equal(t, "f (1)", restored[0].Name, "the name is taken")
		require.Equal(t, f.ID, restored[0].ID)
		require.Equal(t, "1", text(t, v, f.ID))

		_, err = v.DeleteFile(f.ID)
		require.NoError(t, err)
		require.NoError(t, v.TrashClear(f.ID, false))
		require.Empty(t, bin(t, v, 0))
		for code, err := range map[int]error{
			CodeNoFile:   v.TrashClear(f.ID, false),
			CodeNoFolder: v.TrashClear(d.ID, true),
		} {
			require.Equal(t, code, Code(err))
		}
		require.NoError(t, v.TrashClear(0, true), "nothing to do")
	})
}

func TestTrashOfAView(t *testing.T) {
	t.Parallel()
	a := open(t, Options{})
	all := a.View(0)
	app := mkdir(t, all, 0, "app")
	v := a.View(app.ID)
	outside := trashed(t, all, "outside")
	inside := trashed(t, v, "inside")
	require.Equal(t, [][3]any{{"inside", uint64(0), uint64(0)}}, bin(t, v, 0))
	require.Len(t, bin(t, all, 0), 2)
	require.Equal(t, CodeNoFile, Code(v.TrashClear(outside.ID, false)))
	require.NoError(t, v.TrashClear(0, true))
	require.Equal(t, [][3]any{{"outside", uint64(0), uint64(0)}}, bin(t, all, 0))
	_, err := v.TrashRestore(inside.ID, false, nil)
	require.Equal(t, CodeNoFile, Code(err))
}

func TestRecreatingADeletedFile(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	old := trashed(t, v, "f")
	require.NotEqual(t, old.ID, put(t, v, 0, "f", "new").ID)

	v = open(t, Options{Quirks: Quirks{ReviveDeleted: true}}).View(0)
	old = trashed(t, v, "f")
	n := put(t, v, 0, "f", "new")
	require.Equal(t, []any{old.ID, old.Created}, []any{n.ID, n.Created})
	revs, _, err := v.Revisions(n.ID)
	require.NoError(t, err)
	require.Len(t, revs, 1)
	require.Equal(t, old.Hash, revs[0].Hash)
	require.Empty(t, bin(t, v, 0))
}
