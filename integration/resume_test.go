//go:build linux

package integration

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestResume kills a mount at a quarter, the half and three quarters of the
// upload of a large file. Nothing but the request that was interrupted may be
// sent again. The long form has 1 GiB.
func TestResume(t *testing.T) {
	t.Parallel()
	needMount(t)
	size, rate := int64(64<<20), "16M"
	if *long {
		size, rate = 1<<30, "100M"
	}
	const chunk = 8 << 20 // of an upload session
	e := startEmulator(t, "--rtt", "5ms", "--up", rate)
	m := startMount(t, e, mountOptions{})
	sum := writeRandom(t, m.path("large"), size)
	for percent := int64(25); percent < 100; percent += 25 {
		eventually(t, 2*time.Minute, fmt.Sprint(percent, " % are sent"), func() bool {
			return e.stats(t).BytesIn >= size*percent/100
		})
		m.kill(t)
		require.Empty(t, e.tree(t), "half a file")
		m = m.remount(t)
		require.FileExists(t, m.path("large"))
	}
	m.stop(t)
	got := e.tree(t)["data/large"]
	require.Equal(t, sum, got.SHA1)
	s := e.stats(t)
	most := size*105/100 + 3*chunk
	t.Logf("%d bytes arrived for %d (%.3f), at most %d are good; requests %v", s.BytesIn, size, float64(s.BytesIn)/float64(size), most, s.Requests)
	require.LessOrEqual(t, s.BytesIn, most)
	require.Zero(t, s.UploadSessions, "sessions are left")
}

// writeRandom writes a file of bytes that nothing makes smaller and returns
// their SHA-1.
func writeRandom(t *testing.T, name string, size int64) string {
	t.Helper()
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	sum := sha1.New()
	random := rand.NewChaCha8([32]byte{byte(size)})
	_, err = io.CopyN(io.MultiWriter(f, sum), random, size)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return hex.EncodeToString(sum.Sum(nil))
}
