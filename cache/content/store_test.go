package content

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pcloudfs/pcloudfs/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type plain []byte

func (b plain) ReadAt(_ context.Context, _ remote.FileID, _ remote.Hash, _ int64, p []byte, off int64) (int, error) {
	return bytes.NewReader(b).ReadAt(p, off)
}

func TestReadWhole(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	s := New(Options{Fetch: plain(data)})
	defer s.Close()
	var ra Readahead
	defer ra.Stop()
	got := make([]byte, 0, len(data))
	for {
		p := make([]byte, 100_000)
		n, err := s.ReadAt(t.Context(), Key{1, 2}, int64(len(data)), p, int64(len(got)), &ra)
		require.NoError(t, err)
		if n == 0 {
			break
		}
		got = append(got, p[:n]...)
	}
	require.True(t, bytes.Equal(data, got))
	require.EqualValues(t, len(data), s.Stats().Fetched)
}
