//go:build linux

package integration

import (
	"bytes"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOthersWaitingPublishesNothingHalf has a file that is being written while
// somebody else waits for other files: nobody may see the half.
func TestOthersWaitingPublishesNothingHalf(t *testing.T) {
	t.Parallel()
	needMount(t)
	for name, wait := range map[string]func(t *testing.T, m *mount){
		"fsync of the folder": func(t *testing.T, m *mount) { syncPath(t, m.Dir) },
		"fsync of another file": func(t *testing.T, m *mount) {
			require.NoError(t, os.WriteFile(m.path("other"), []byte("other"), 0o644))
			syncPath(t, m.path("other"))
		},
	} {
		for how, half := range map[string]func(t *testing.T, f *os.File){
			"open": func(*testing.T, *os.File) {},
			"closed by a child": func(t *testing.T, f *os.File) { // as a shell does at the end of a ( )
				fd, err := syscall.Dup(int(f.Fd()))
				require.NoError(t, err)
				require.NoError(t, syscall.Close(fd))
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				e := startEmulator(t)
				m := startMount(t, e, mountOptions{})
				f, err := os.Create(m.path("file"))
				require.NoError(t, err)
				defer f.Close()
				_, err = f.Write(bytes.Repeat([]byte("half "), 100))
				require.NoError(t, err)
				half(t, f)
				wait(t, m)
				require.NotContains(t, e.tree(t), "data/file", "half a file")
				_, err = f.Write([]byte("and the rest"))
				require.NoError(t, err)
				require.NoError(t, f.Close())
				syncPath(t, m.path("file"))
				require.EqualValues(t, 512, e.tree(t)["data/file"].Size)
			})
		}
	}
}

// syncPath fsyncs a file or folder.
func syncPath(t *testing.T, p string) {
	t.Helper()
	f, err := os.Open(p)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Sync())
}
