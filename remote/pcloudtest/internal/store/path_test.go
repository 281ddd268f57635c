package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNotFoundCodes is the table at the end of pCloud API 12.
func TestNotFoundCodes(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	d := mkdir(t, v, 0, "d")
	put(t, v, d.ID, "f", "1")
	node := func(find func(string) (Node, error)) func(string) error {
		return func(path string) error { _, err := find(path); return err }
	}
	split := func(find func(string) (Node, string, error)) func(string) error {
		return func(path string) error { _, _, err := find(path); return err }
	}
	for _, tc := range []struct {
		what                           string
		find                           func(string) error
		missing, noParent, bad, noFind int
	}{
		{"stat", node(v.Resolve), CodeNotFound, CodeParentMissing, CodeInvalidPath, 0},
		{"file", node(v.FileByPath), CodeNoFile, CodeParentMissing, CodeInvalidPath, CodeNoFile},
		{"folder", node(v.FolderByPath), CodeNoFolder, CodeNoFolder, CodeNoFolder, 0},
		{"parent", split(v.ParentByPath), 0, CodeParentMissing, CodeInvalidPath, 0},
		{"target", split(v.TargetByPath), 0, CodeParentMissing, CodeInvalidPath, 0},
	} {
		require.Equal(t, tc.missing, Code(tc.find("/d/x")), tc.what)
		require.Equal(t, tc.noParent, Code(tc.find("/x/y")), tc.what)
		require.Equal(t, tc.noParent, Code(tc.find("/d/f/y")), tc.what)
		require.Equal(t, tc.bad, Code(tc.find("d/x")), tc.what)
		require.Equal(t, tc.bad, Code(tc.find("")), tc.what)
		require.Equal(t, tc.noFind, Code(tc.find("/d")), tc.what)
	}
	_, err := v.FileByID(99)
	require.Equal(t, CodeNoFile, Code(err))
	_, err = v.FolderByID(99)
	require.Equal(t, CodeNoFolder, Code(err))
}

func TestPaths(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	d := mkdir(t, v, 0, "d")
	f := put(t, v, d.ID, "f", "1")

	root, err := v.Resolve("/")
	require.NoError(t, err)
	require.True(t, root.Root && root.Folder && root.ID == 0 && root.Name == "/")
	for path, want := range map[string]Node{"/d/f": f, "//d//f": f} {
		n, err := v.FileByPath(path)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	for _, path := range []string{"/d", "/d/"} {
		n, err := v.FolderByPath(path)
		require.NoError(t, err)
		require.Equal(t, d.ID, n.ID)
	}
	parent, name, err := v.TargetByPath("/d/new")
	require.NoError(t, err)
	require.Equal(t, []any{d.ID, "new"}, []any{parent.ID, name})
	parent, name, err = v.TargetByPath("/d/")
	require.NoError(t, err)
	require.Equal(t, []any{d.ID, ""}, []any{parent.ID, name})
	_, _, err = v.TargetByPath("/x/")
	require.Equal(t, CodeNoFolder, Code(err))
	_, _, err = v.TargetByPath("/x/y/")
	require.Equal(t, CodeParentMissing, Code(err))

	p, err := v.Path(f)
	require.NoError(t, err)
	require.Equal(t, "/d/f", p)
	p, err = v.a.View(d.ID).Path(Node{ID: f.ID, Name: "f"})
	require.NoError(t, err)
	require.Equal(t, "/f", p)
	p, err = v.Path(root)
	require.NoError(t, err)
	require.Equal(t, "/", p)
}

// TestViewIsConfined checks that an application's token sees its folder as
// folder 0 and reaches nothing else (pCloud API 4.3).
func TestViewIsConfined(t *testing.T) {
	t.Parallel()
	a := open(t, Options{})
	all := a.View(0)
	out, app := mkdir(t, all, 0, "out"), mkdir(t, all, 0, "app")
	secret := put(t, all, out.ID, "secret", "1")
	mine := put(t, all, app.ID, "mine", "2")
	v := a.View(app.ID)

	n, err := v.FileByID(mine.ID)
	require.NoError(t, err)
	require.Zero(t, n.Parent)
	root, err := v.FolderByID(0)
	require.NoError(t, err)
	require.True(t, root.Root && root.ID == 0)
	require.Equal(t, map[string]string{"/mine": "2"}, paths(t, v))

	b := func() *Blob { return blobOf(t, a, []byte("x")) }
	for what, err := range map[string]error{
		"stat":            second(v.FileByID(secret.ID)),
		"list":            v.List(out.ID, ListOptions{}, nil),
		"put":             second(v.Put(out.ID, "x", b(), PutOptions{})),
		"check":           v.CheckPut(out.ID, "x", 1),
		"copy from":       second(v.CopyFile(secret.ID, 0, "x", CopyOptions{})),
		"copy to":         second(v.CopyFile(mine.ID, out.ID, "x", CopyOptions{})),
		"rename from":     second(v.RenameFile(secret.ID, 0, "x")),
		"rename to":       second(v.RenameFile(mine.ID, out.ID, "x")),
		"delete":          second(v.DeleteFile(secret.ID)),
		"times":           second(v.SetMtime(secret.ID, time0, false, nil)),
		"move folder":     second(v.RenameFolder(out.ID, 0, "x")),
		"delete folder":   second(v.DeleteFolder(out.ID)),
		"copy folder":     second(v.CopyFolder(out.ID, 0, CopyFolderOptions{})),
		"revert":          second(v.Revert(secret.ID, 1)),
		"folder by id":    second(v.FolderByID(out.ID)),
		"generate":        v.Generate(out.ID, "files=1"),
		"restore outside": second(v.TrashRestore(trashed(t, v, "t").ID, false, &out.ID)),
	} {
		require.Equal(t, CodeAccessDenied, Code(err), what)
	}
	_, _, err = v.CreateFolder(out.ID, "x", true)
	require.Equal(t, CodeAccessDenied, Code(err))
	_, _, err = v.DeleteTree(out.ID)
	require.Equal(t, CodeAccessDenied, Code(err))
	_, _, err = v.Checksums(secret.ID, 0)
	require.Equal(t, CodeAccessDenied, Code(err))
	_, _, err = v.Revisions(secret.ID)
	require.Equal(t, CodeAccessDenied, Code(err))
	_, _, err = v.OpenContent(secret.ID, nil, 0)
	require.Equal(t, CodeAccessDenied, Code(err))
	s, _, err := all.Checksums(secret.ID, 0)
	require.NoError(t, err)
	found, err := v.ByChecksum(1, s.SHA1)
	require.NoError(t, err)
	require.Empty(t, found)
	_, err = v.Resolve("/out/secret")
	require.Equal(t, CodeParentMissing, Code(err))

	_, _, err = all.DeleteTree(app.ID)
	require.NoError(t, err)
	require.Equal(t, CodeNoFolder, Code(v.List(0, ListOptions{}, nil)), "its folder is gone")
}

func second[T any](_ T, err error) error { return err }

// trashed makes a file and deletes it.
func trashed(t *testing.T, v *View, name string) Node {
	t.Helper()
	n := put(t, v, 0, name, name)
	_, err := v.DeleteFile(n.ID)
	require.NoError(t, err)
	return n
}
