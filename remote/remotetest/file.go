package remotetest

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func fileChecks() []check {
	return []check{
		{"stat", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			got, err := s.Client.Stat(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Equal(t, e, got)
			require.Equal(t, "file", got.Name)
			require.Equal(t, s.Folder, got.ParentID)
			sameTime(t, monday, got.Modified)
		}},
		{"a missing fileid is 2009", func(t *testing.T, s *Service) {
			ctx, c := t.Context(), s.Client
			for name, call := range map[string]func() error{
				"stat":          func() error { _, err := c.Stat(ctx, missingFile); return err },
				"checksumfile":  func() error { _, _, err := c.Checksum(ctx, missingFile); return err },
				"deletefile":    func() error { return c.DeleteFile(ctx, missingFile) },
				"renamefile":    func() error { _, err := c.RenameFile(ctx, missingFile, s.Folder, "x"); return err },
				"listrevisions": func() error { _, err := c.Revisions(ctx, missingFile); return err },
				"getfilelink":   func() error { _, err := c.FileLink(ctx, missingFile, 0); return err },
				"copyfile": func() error {
					_, err := c.CopyFile(ctx, missingFile, remote.CopyTarget{Parent: s.Folder, Name: "x"})
					return err
				},
			} {
				err := call()
				require.ErrorIs(t, err, fs.ErrNotExist, name)
				require.Equal(s.Inferred(t, "15"), 2009, result(t, err), name)
			}
			_, err := c.SetFileMtime(ctx, missingFile, monday)
			require.ErrorIs(s.Inferred(t, "7.15"), err, fs.ErrNotExist)
		}},
		{"checksumfile gives the digests of the region", func(t *testing.T, s *Service) {
			for name, data := range map[string][]byte{"empty": nil, "one": {1}, "large": content(1, 300_000)} {
				e := s.put(t, name, data)
				got, sums, err := s.Client.Checksum(t.Context(), e.FileID)
				require.NoError(t, err)
				require.Equal(t, e, got)
				s.checkSums(t, data, sums)
			}
		}},
		{"getfilesbychecksum", func(t *testing.T, s *Service) {
			data := content(7, 10_000)
			e := s.put(t, "file", data)
			sub := s.mkdir(t, s.Folder, "sub")
			second := s.putAt(t, remote.UploadTarget{Parent: sub.FolderID, Name: "again", Modified: monday}, data)
			s.put(t, "other", content(8, 10_000))
			_, sums, err := s.Client.Checksum(t.Context(), e.FileID)
			require.NoError(t, err)
			found, err := s.Client.FilesByChecksum(t.Context(), 10_000, sums.SHA1)
			require.NoError(s.Inferred(t, "7.13"), err)
			require.ElementsMatch(t, []remote.Entry{e, second}, found)
			found, err = s.Client.FilesByChecksum(t.Context(), 10_000, remote.SHA1{1, 2, 3})
			require.NoError(t, err)
			require.Empty(t, found)
		}},
		{"deletefile", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			require.NoError(t, s.Client.DeleteFile(t.Context(), e.FileID))
			require.Empty(t, s.list(t, s.Folder))
			_, err := s.Client.Stat(t.Context(), e.FileID)
			refused(t, err, 2009, fs.ErrNotExist)
			refused(t, s.Client.DeleteFile(t.Context(), e.FileID), 2009, fs.ErrNotExist)
			again := s.put(t, "file", []byte("new"))
			s.holds(t, again, []byte("new"))
		}},
		{"setfilemtime", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			for _, when := range []time.Time{tuesday, sixties} {
				got, err := s.Client.SetFileMtime(t.Context(), e.FileID, when)
				require.NoError(s.Inferred(t, "7.15"), err)
				sameTime(t, when, got.Modified)
				sameTime(t, e.Created, got.Created)
				require.Equal(t, e.Hash, got.Hash)
			}
		}},
		{"changes set the time of the folder", func(t *testing.T, s *Service) {
			dir := s.mkdir(t, s.Folder, "dir")
			e := s.putAt(t, remote.UploadTarget{Parent: dir.FolderID, Name: "file", Modified: monday}, []byte("x"))
			require.NoError(t, s.Client.DeleteFile(t.Context(), e.FileID))
			got := s.list(t, s.Folder)["dir"]
			require.False(t, got.Modified.Before(dir.Modified))
			sameTime(t, dir.Created, got.Created)
		}},
	}
}

func revisionChecks() []check {
	return []check{
		{"listrevisions", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("one"))
			r, err := s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Empty(t, r, "what is current is no revision")
			s.put(t, "file", []byte("second"))
			s.put(t, "file", []byte("third one"))
			r, err = s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Len(t, r, 2)
			bySize := map[int64]remote.Revision{r[0].Size: r[0], r[1].Size: r[1]}
			require.Equal(t, e.Hash, bySize[3].Hash)
			s.checkSums(t, []byte("one"), bySize[3].Checksums)
			s.checkSums(t, []byte("second"), bySize[6].Checksums)
		}},
		{"empty versions are no revisions", func(t *testing.T, s *Service) {
			e := s.put(t, "file", nil)
			s.put(t, "file", []byte("data"))
			r, err := s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Empty(t, r)
		}},
		{"revertrevision", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("old"))
			now := s.put(t, "file", []byte("newer"))
			r, err := s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Len(t, r, 1)
			got, err := s.Client.RevertRevision(t.Context(), e.FileID, r[0].ID)
			require.NoError(t, err)
			require.Equal(t, e.FileID, got.FileID)
			require.Equal(t, e.Hash, got.Hash)
			s.holds(t, got, []byte("old"))
			r, err = s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			hashes := make(map[remote.Hash]bool)
			for _, rev := range r {
				hashes[rev.Hash] = true
			}
			require.True(t, hashes[now.Hash], "what was current became a revision")
		}},
		{"revertrevision to one that is unknown is 2029", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			_, err := s.Client.RevertRevision(t.Context(), e.FileID, 1<<60)
			refused(t, err, 2029, fs.ErrNotExist)
			s.holds(t, e, []byte("data"))
		}},
	}
}
