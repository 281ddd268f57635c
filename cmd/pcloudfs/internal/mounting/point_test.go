package mounting

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckPointResolvesThePath(t *testing.T) {
	t.Parallel()
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	dir := filepath.Join(tmp, "dir")
	require.NoError(t, os.Mkdir(dir, 0o755))
	link := filepath.Join(tmp, "link")
	require.NoError(t, os.Symlink(dir, link))
	for _, name := range []string{dir, dir + "/", link, filepath.Join(link, ".")} {
		got, err := checkPoint(name, slog.New(slog.DiscardHandler))
		require.NoError(t, err, name)
		require.Equal(t, dir, got, name)
	}
}

func TestCheckPointRefuses(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	file := filepath.Join(tmp, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	closed := filepath.Join(tmp, "closed")
	require.NoError(t, os.Mkdir(closed, 0o555))
	tests := []struct {
		name, dir, want string
		asUser          bool
	}{
		{"missing", filepath.Join(tmp, "no"), "mkdir -p", false},
		{"missing parent", filepath.Join(tmp, "no", "where"), "mkdir -p", false},
		{"below a file", filepath.Join(file, "x"), "look at the mount point", false},
		{"file", file, "is not a directory", false},
		{"not writable", closed, "that you may write to", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.asUser && os.Geteuid() == 0 {
				t.Skip("root may write everywhere")
			}
			_, err := checkPoint(tt.dir, slog.New(slog.DiscardHandler))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestOursKnowsTheTypeOfOurMounts(t *testing.T) {
	t.Parallel()
	require.True(t, ours("fuse.pcloudfs"))
	require.True(t, ours("pcloudfs"))
	require.False(t, ours("fuse.sshfs"))
	require.False(t, ours("fuse"))
}
