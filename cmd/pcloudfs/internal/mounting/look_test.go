package mounting

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLookAtWhatIsNoMount(t *testing.T) {
	t.Parallel()
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	p, err := Look(tmp + "/.")
	require.NoError(t, err)
	require.Equal(t, Point{Path: tmp, Owner: os.Getuid()}, p)
	_, err = Look(filepath.Join(tmp, "no", "where"))
	require.Error(t, err)
}

func TestLookAtAnotherFileSystem(t *testing.T) {
	t.Parallel()
	p, err := Look("/proc")
	require.NoError(t, err)
	if !p.Mounted {
		t.Skip("nothing is mounted on /proc")
	}
	require.False(t, p.Ours)
	require.False(t, p.Dead)
}

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	id, ok := ownerOf("rw,user_id=1000,group_id=100,default_permissions")
	require.True(t, ok)
	require.Equal(t, 1000, id)
	for _, options := range []string{"", "rw", "rw,user_id=", "rw,xuser_id=5"} {
		_, ok := ownerOf(options)
		require.False(t, ok, options)
	}
}
