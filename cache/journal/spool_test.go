package journal

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSpoolFiles(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{})
	name, f, err := j.NewSpool()
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("bytes"), 3)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	f, err = j.OpenSpool(name)
	require.NoError(t, err)
	p, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "\x00\x00\x00bytes", string(p))
	_, err = f.WriteAt([]byte("B"), 3)
	require.NoError(t, err, "open for writing too")
	require.NoError(t, f.Close())
	require.NoError(t, j.RemoveSpool(name))
	require.NoError(t, j.RemoveSpool(name))
	_, err = j.OpenSpool(name)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSpoolNamesLeadNowhereElse(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{})
	for _, name := range []string{"", ".", "..", "../journal.db", "/etc/passwd", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0", "0123456789abcde/"} {
		_, err := j.OpenSpool(name)
		require.ErrorIs(t, err, os.ErrInvalid, name)
		_, _, err = j.CloneSpool(name)
		require.ErrorIs(t, err, os.ErrInvalid, name)
		require.ErrorIs(t, j.RemoveSpool(name), os.ErrInvalid, name)
		_, err = j.SetAside(name, "x")
		require.ErrorIs(t, err, os.ErrInvalid, name)
	}
}

func TestClonesAreEqualAndApart(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), mb/16)
	for _, tt := range []struct {
		name  string
		size  int64
		parts []int64 // where data is written
	}{
		{"empty", 0, nil},
		{"only a hole", 64 * mb, nil},
		{"plain", mb, []int64{0}},
		{"hole in front", 9 * mb, []int64{8 * mb}},
		{"hole at the end", 64 * mb, []int64{0}},
		{"holes between", 64 * mb, []int64{0, 7 * mb, 63 * mb}},
		{"odd end", 9*mb + 13, []int64{0, 8*mb + 13}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := open(t, t.TempDir(), Options{})
			name, f, err := j.NewSpool()
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, f.Truncate(tt.size))
			for _, off := range tt.parts {
				_, err := f.WriteAt(data, off)
				require.NoError(t, err)
			}
			cloned, g, err := j.CloneSpool(name)
			require.NoError(t, err)
			defer g.Close()
			want, err := os.ReadFile(j.dirs.spool(name))
			require.NoError(t, err)
			got, err := io.ReadAll(g)
			require.NoError(t, err, "it is at its beginning")
			require.True(t, bytes.Equal(want, got))

			require.LessOrEqual(t, used(t, g), int64(len(tt.parts))*(mb+1<<17), "holes stay holes")
			_, err = g.WriteAt([]byte("changed"), 0)
			require.NoError(t, err)
			again, err := os.ReadFile(j.dirs.spool(name))
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, again), "the original")
			require.NotEqual(t, name, cloned)
		})
	}
}

// used returns the bytes that a file takes on the disk.
func used(t *testing.T, f *os.File) int64 {
	t.Helper()
	require.NoError(t, f.Sync())
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(int(f.Fd()), &st))
	return st.Blocks * 512
}

func TestCloneOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), Options{})
	_, _, err := j.CloneSpool("0123456789abcdef")
	require.ErrorIs(t, err, os.ErrNotExist)
	files, err := os.ReadDir(j.dirs.spoolDir())
	require.NoError(t, err)
	require.Empty(t, files)
}
