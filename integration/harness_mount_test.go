//go:build linux

package integration

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHarness(t *testing.T) {
	t.Parallel()
	needMount(t)
	e := startEmulator(t)
	m := startMount(t, e, mountOptions{})
	require.NoError(t, os.WriteFile(m.path("file"), []byte("text"), 0o644))
	m.stop(t)
	require.Equal(t, int64(4), e.tree(t)["data/file"].Size)

	m = m.remountEmpty(t)
	b, err := os.ReadFile(m.path("file"))
	require.NoError(t, err)
	require.Equal(t, "text", string(b))
	m.kill(t)
	_, err = os.ReadDir(m.Dir)
	require.Error(t, err, "a dead mount")

	m = m.remount(t)
	require.FileExists(t, m.path("file"))
	require.Positive(t, e.stats(t).total())
	e.resetStats(t)
	e.shape(t, map[string]any{"rtt": "1ms"})
	e.faults(t, rule{"method": "uploadfile", "do": "reset-after", "count": 1})
	require.NoError(t, os.WriteFile(m.path("other"), []byte("more text"), 0o644))
	startEmulator(t).stop(t)
	eventually(t, 20*time.Second, "the file is uploaded", func() bool { return e.tree(t)["data/other"].Size == 9 })
}
