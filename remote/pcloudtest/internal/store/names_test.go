package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what, name string
		code       int
	}{
		{"plain", "a", 0},
		{"inner and outer spaces", " a b ", 0},
		{"leading and trailing dots", "..a..", 0},
		{"three dots", "...", 0},
		{"control characters", "a\n\x01", 0},
		{"not ASCII", "größe-✓", 0},
		{"longest", strings.Repeat("ä", 511) + "x", 0},
		{"1024 bytes", strings.Repeat("x", 1024), CodeInvalidName},
		{"empty", "", CodeInvalidName},
		{"dot", ".", CodeInvalidName},
		{"dot dot", "..", CodeInvalidName},
		{"slash", "a/b", CodeInvalidName},
		{"backslash", `a\b`, CodeInvalidName},
		{"NUL", "a\x00", CodeInvalidName},
		{"invalid UTF-8", "a\xff", CodeInvalidName},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			v := open(t, Options{}).View(0)
			_, _, err := v.CreateFolder(0, tc.name, false)
			require.Equal(t, tc.code, Code(err))
			n, err := v.Put(0, tc.name, blobOf(t, v.a, nil), PutOptions{})
			require.Equal(t, tc.code, Code(err))
			require.Equal(t, tc.code, Code(v.CheckPut(0, tc.name, -1)))
			if tc.code == 0 {
				require.Equal(t, tc.name, n.Name)
				found, err := v.FileByPath("/" + tc.name)
				require.NoError(t, err)
				require.Equal(t, n, found)
				return
			}
			// Renaming refuses the same names, except that "" keeps the name.
			f := put(t, v, 0, "file", "x")
			d := mkdir(t, v, 0, "folder")
			if tc.name != "" {
				_, err = v.RenameFile(f.ID, 0, tc.name)
				require.Equal(t, tc.code, Code(err))
				_, err = v.RenameFolder(d.ID, 0, tc.name)
				require.Equal(t, tc.code, Code(err))
				_, err = v.CopyFile(f.ID, 0, tc.name, CopyOptions{})
				require.Equal(t, tc.code, Code(err))
			}
		})
	}
}

func TestNamesDifferByCaseAndKind(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	lower, upper := put(t, v, 0, "a", "1"), put(t, v, 0, "A", "2")
	folder := mkdir(t, v, 0, "a")
	require.NotEqual(t, lower.ID, upper.ID)
	n, err := v.Resolve("/a")
	require.NoError(t, err)
	require.Equal(t, lower, n, "a file comes before a folder of its name")
	n, err = v.FolderByPath("/a")
	require.NoError(t, err)
	require.Equal(t, folder.ID, n.ID)
	_, _, err = v.CreateFolder(0, "a", false)
	require.Equal(t, CodeExists, Code(err))
}

func TestDecorated(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 508)
	for _, tc := range []struct{ name, want string }{
		{"a.txt", "a!.txt"},
		{"a", "a!"},
		{".bashrc", ".bashrc!"},
		{"a.tar.gz", "a.tar!.gz"},
		{long + ".txt", long + "!.txt"},
		{long + "xxx.txt", long + "xx!.txt"},
		{strings.Repeat("ä", 509) + "x.txt", strings.Repeat("ä", 509) + "!.txt"},
		{"a." + strings.Repeat("x", 1021), "a." + strings.Repeat("x", 1020) + "!"},
	} {
		got := decorated(tc.name, "!")
		require.Equal(t, tc.want, got)
		require.NoError(t, checkName(got))
	}
}
