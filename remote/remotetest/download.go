package remotetest

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func downloadChecks() []check {
	return []check{
		{"getfilelink", func(t *testing.T, s *Service) {
			e := s.put(t, "a name with spaces & ümläuts.txt", []byte("data"))
			for _, h := range []remote.Hash{0, e.Hash} {
				l, err := s.Client.FileLink(t.Context(), e.FileID, h)
				require.NoError(t, err)
				require.Equal(t, e.Hash, l.Hash)
				require.Equal(t, e.Size, l.Size)
				require.Greater(t, time.Until(l.Expires), 30*time.Minute)
			}
			require.Equal(t, "data", string(s.read(t, e)))
		}},
		{"ranges", func(t *testing.T, s *Service) {
			const size = 300_000
			data := content(1, size)
			e := s.put(t, "file", data)
			for _, r := range []struct {
				off int64
				n   int
			}{{0, size}, {0, 1}, {size - 1, 1}, {1, size - 1}, {0, size - 1}, {123_456, 65_536}, {299_000, 1000}} {
				p := make([]byte, r.n)
				n, err := s.Client.ReadAt(t.Context(), e.FileID, e.Hash, e.Size, p, r.off)
				require.NoError(t, err)
				require.Equal(t, r.n, n)
				require.True(t, bytes.Equal(data[r.off:r.off+int64(n)], p), "%+v", r)
			}
			for _, off := range []int64{0, 299_990, size - 1, size, size + 1} {
				p := make([]byte, size+10)
				n, err := s.Client.ReadAt(t.Context(), e.FileID, e.Hash, e.Size, p, off)
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, int(max(0, size-off)), n)
				require.True(t, bytes.Equal(data[min(off, size):], p[:n]))
			}
		}},
		{"many ranges at once", func(t *testing.T, s *Service) {
			const parts, size = 16, 16 * 10_000
			data := content(2, size)
			e := s.put(t, "file", data)
			got := make([]byte, size)
			errs := make([]error, parts)
			var wg sync.WaitGroup
			for i := range parts {
				wg.Go(func() {
					off := i * size / parts
					_, errs[i] = s.Client.ReadAt(t.Context(), e.FileID, e.Hash, e.Size, got[off:off+size/parts], int64(off))
				})
			}
			wg.Wait()
			for _, err := range errs {
				require.NoError(t, err)
			}
			require.True(t, bytes.Equal(data, got))
		}},
		{"an older version is never the new one", func(t *testing.T, s *Service) {
			old := s.put(t, "file", []byte("older"))
			require.Equal(t, "older", string(s.read(t, old)))
			now := s.put(t, "file", []byte("newer"))
			require.Equal(t, "newer", string(s.read(t, now)))
			for _, c := range []*remote.Client{s.Client, s.Other} { // one with a link, one without
				p := make([]byte, 5)
				n, err := c.ReadAt(t.Context(), old.FileID, old.Hash, old.Size, p, 0)
				if err != nil {
					require.ErrorIs(t, err, remote.ErrVersionGone)
					continue
				}
				require.Equal(t, "older", string(p[:n]))
			}
		}},
		{"an older version can be read by its hash", func(t *testing.T, s *Service) {
			old := s.put(t, "file", []byte("older"))
			s.put(t, "file", []byte("newer"))
			l, err := s.Client.FileLink(t.Context(), old.FileID, old.Hash)
			require.NoError(s.Inferred(t, "9.1"), err)
			require.Equal(t, old.Hash, l.Hash)
			require.Equal(t, "older", string(s.read(t, old)))
		}},
		{"a version that never was is gone", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			_, err := s.Client.ReadAt(t.Context(), e.FileID, e.Hash+1, e.Size, make([]byte, 4), 0)
			require.ErrorIs(s.Inferred(t, "9.1"), err, remote.ErrVersionGone)
		}},
		{"a deleted file is gone", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			require.NoError(t, s.Client.DeleteFile(t.Context(), e.FileID))
			_, err := s.Client.ReadAt(t.Context(), e.FileID, e.Hash, e.Size, make([]byte, 4), 0)
			require.ErrorIs(t, err, remote.ErrVersionGone)
			_, err = s.Client.FileLink(t.Context(), missingFile, 0)
			require.ErrorIs(t, err, remote.ErrVersionGone)
		}},
		{"a renamed file can be read through the link it had", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			require.Equal(t, "data", string(s.read(t, e)))
			_, err := s.Client.RenameFile(t.Context(), e.FileID, s.Folder, "renamed")
			require.NoError(t, err)
			require.Equal(t, "data", string(s.read(t, e)))
		}},
	}
}
