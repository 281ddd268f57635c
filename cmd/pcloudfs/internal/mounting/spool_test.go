package mounting

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpoolPart(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, tt := range []struct{ free, want int64 }{
		{0, 0},
		{gib / 2, gib / 2}, // all there is
		{2 * gib, gib},
		{5 * gib, gib},
		{100 * gib, 20 * gib},
	} {
		require.Equal(t, tt.want, spoolPart(tt.free), "%d free", tt.free)
	}
}

func TestSpoolLimitCountsWhatWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "spool"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "spool", "a"), make([]byte, 1000), 0o600))
	require.Equal(t, int64(1000), bytesBelow(filepath.Join(dir, "spool")))
	require.Zero(t, bytesBelow(filepath.Join(dir, "none")))
	limit, err := spoolLimit(dir)
	require.NoError(t, err)
	require.Positive(t, limit)
	_, err = spoolLimit(filepath.Join(dir, "none"))
	require.ErrorContains(t, err, "free space")
}
