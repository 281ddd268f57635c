package remotetest

import (
	"bytes"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// missingUpload is an id that no session has.
const missingUpload remote.UploadID = 1<<61 + 777

// contains requires that a session holds data.
func (s *Service) contains(t *testing.T, id remote.UploadID, data []byte) {
	t.Helper()
	st, err := s.Client.UploadInfo(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, len(data), st.Size)
	s.checkSums(t, data, st.Checksums)
}

func sessionChecks() []check {
	return []check{
		{"upload_write appends", func(t *testing.T, s *Service) {
			data := content(1, 1_000_000)
			id, err := s.Client.CreateUpload(t.Context(), 0)
			require.NoError(t, err)
			s.contains(t, id, nil)
			at := int64(0)
			for _, n := range []int64{1, 99_999, 400_000, 500_000} {
				require.NoError(t, s.Client.WriteUpload(t.Context(), id, at, bytes.NewReader(data), n))
				at += n
				s.contains(t, id, data[:at])
			}
		}},
		{"upload_write goes on from another client", func(t *testing.T, s *Service) {
			data := content(2, 1000)
			id := s.session(t, data[:600])
			require.NoError(t, s.Other.WriteUpload(t.Context(), id, 600, bytes.NewReader(data), 400))
			s.contains(t, id, data)
		}},
		{"upload_write beyond the end is 2068", func(t *testing.T, s *Service) {
			data := content(3, 1000)
			id := s.session(t, data[:600])
			err := s.Client.WriteUpload(t.Context(), id, 700, bytes.NewReader(data), 300)
			refused(t, err, 2068, remote.ErrUploadOffset)
			s.contains(t, id, data[:600])
		}},
		{"upload_write before the end is 2068", func(t *testing.T, s *Service) {
			data := content(4, 1000)
			id := s.session(t, data[:600])
			err := s.Client.WriteUpload(t.Context(), id, 500, bytes.NewReader(data), 500)
			require.ErrorIs(s.Inferred(t, "8.3"), err, remote.ErrUploadOffset)
			s.contains(t, id, data[:600])
		}},
		{"sessions are independent", func(t *testing.T, s *Service) {
			a, b := s.session(t, []byte("aaa")), s.session(t, []byte("bb"))
			require.NotEqual(t, a, b)
			require.NoError(t, s.Client.WriteUpload(t.Context(), a, 3, bytes.NewReader([]byte("...AAA")), 3))
			s.contains(t, a, []byte("aaaAAA"))
			s.contains(t, b, []byte("bb"))
			require.Empty(t, s.list(t, s.Folder), "a session is no file")
		}},
		{"a session that does not exist is 2067", func(t *testing.T, s *Service) {
			_, err := s.Client.UploadInfo(t.Context(), missingUpload)
			refused(t, err, 2067, remote.ErrNoUpload)
			err = s.Client.WriteUpload(t.Context(), missingUpload, 0, bytes.NewReader([]byte("x")), 1)
			refused(t, err, 2067, remote.ErrNoUpload)
			_, err = s.Client.SaveUpload(t.Context(), missingUpload, remote.UploadTarget{Parent: s.Folder, Name: "x"})
			refused(t, err, 2067, remote.ErrNoUpload)
		}},
		{"upload_delete", func(t *testing.T, s *Service) {
			id := s.session(t, []byte("x"))
			require.NoError(t, s.Client.DeleteUpload(t.Context(), id))
			_, err := s.Client.UploadInfo(t.Context(), id)
			refused(t, err, 2067, remote.ErrNoUpload)
			require.NoError(t, s.Client.DeleteUpload(t.Context(), id), "again does no harm")
			require.NoError(t, s.Client.DeleteUpload(t.Context(), missingUpload))
		}},
	}
}

func sessionSourceChecks() []check {
	return []check{
		{"upload_writefromfile", func(t *testing.T, s *Service) {
			data := content(5, 300_000)
			e := s.put(t, "source", data)
			id := s.session(t, []byte("head"))
			require.NoError(t, s.Client.WriteUploadFromFile(t.Context(), id, 4, e.FileID, e.Hash, 1000, 200_000))
			require.NoError(t, s.Client.WriteUpload(t.Context(), id, 200_004, bytes.NewReader(make([]byte, 200_008)), 4))
			want := append(append([]byte("head"), data[1000:201_000]...), 0, 0, 0, 0)
			s.contains(t, id, want)
			require.NoError(t, s.Client.WriteUploadFromFile(t.Context(), id, 200_008, e.FileID, e.Hash, 0, 300_000))
			s.contains(t, id, append(want, data...))
		}},
		{"upload_writefromfile of an older version", func(t *testing.T, s *Service) {
			old := s.put(t, "source", []byte("older"))
			s.put(t, "source", []byte("newer"))
			id := s.session(t, nil)
			err := s.Client.WriteUploadFromFile(t.Context(), id, 0, old.FileID, old.Hash, 0, 5)
			require.NoError(s.Inferred(t, "8.5"), err)
			s.contains(t, id, []byte("older"))
		}},
		{"upload_writefromfile refuses what is not there", func(t *testing.T, s *Service) {
			e := s.put(t, "source", []byte("data"))
			id := s.session(t, []byte("x"))
			c := s.Client
			require.Error(t, c.WriteUploadFromFile(t.Context(), id, 1, e.FileID, e.Hash+1, 0, 4), "version")
			require.Error(t, c.WriteUploadFromFile(t.Context(), id, 1, missingFile, e.Hash, 0, 4), "file")
			require.ErrorIs(t, c.WriteUploadFromFile(t.Context(), id, 2, e.FileID, e.Hash, 0, 4), remote.ErrUploadOffset)
			require.ErrorIs(t, c.WriteUploadFromFile(t.Context(), missingUpload, 0, e.FileID, e.Hash, 0, 4), remote.ErrNoUpload)
			s.contains(t, id, []byte("x"))
		}},
		{"upload_writefromupload", func(t *testing.T, s *Service) {
			data := content(6, 200_000)
			src, id := s.session(t, data), s.session(t, []byte("head"))
			require.NoError(t, s.Client.WriteUploadFromUpload(t.Context(), id, 4, src, 100, 150_000))
			s.contains(t, id, append([]byte("head"), data[100:150_100]...))
			s.contains(t, src, data)
			require.ErrorIs(t, s.Client.WriteUploadFromUpload(t.Context(), id, 4, src, 0, 10), remote.ErrUploadOffset)
			require.ErrorIs(t, s.Client.WriteUploadFromUpload(t.Context(), id, 150_004, missingUpload, 0, 10), remote.ErrNoUpload)
			s.contains(t, id, append([]byte("head"), data[100:150_100]...))
		}},
	}
}

func saveChecks() []check {
	return []check{
		{"upload_save", func(t *testing.T, s *Service) {
			data := content(7, 500_000)
			e := s.save(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: tuesday, Created: monday}, data)
			require.Equal(t, "file", e.Name)
			require.Equal(t, s.Folder, e.ParentID)
			require.EqualValues(t, len(data), e.Size)
			sameTime(t, tuesday, e.Modified)
			sameTime(t, monday, e.Created)
			require.Equal(t, e, s.list(t, s.Folder)["file"])
			s.holds(t, e, data)
		}},
		{"upload_save of an empty session", func(t *testing.T, s *Service) {
			e := s.save(t, remote.UploadTarget{Parent: s.Folder, Name: "empty", Modified: monday}, nil)
			require.Zero(s.Inferred(t, "8.6"), e.Size)
			s.holds(t, e, nil)
		}},
		{"upload_save over a file keeps its id", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("old"))
			got := s.save(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: tuesday}, []byte("brand new"))
			require.Equal(t, e.FileID, got.FileID)
			require.NotEqual(t, e.Hash, got.Hash)
			sameTime(t, e.Created, got.Created)
			s.holds(t, got, []byte("brand new"))
			r, err := s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Len(t, r, 1)
		}},
		{"upload_save makes the same hash as uploadfile", func(t *testing.T, s *Service) {
			data := content(8, 1000)
			a := s.put(t, "a", data)
			b := s.save(t, remote.UploadTarget{Parent: s.Folder, Name: "b"}, data)
			require.Equal(t, a.Hash, b.Hash)
		}},
		{"upload_save twice is 2067", func(t *testing.T, s *Service) {
			id := s.session(t, []byte("data"))
			target := remote.UploadTarget{Parent: s.Folder, Name: "file"}
			e, err := s.Client.SaveUpload(t.Context(), id, target)
			require.NoError(t, err)
			_, err = s.Client.SaveUpload(t.Context(), id, target)
			require.ErrorIs(s.Inferred(t, "13.4"), err, remote.ErrNoUpload)
			refused(t, err, 2067)
			s.holds(t, e, []byte("data"))
			require.NoError(t, s.Client.DeleteUpload(t.Context(), id), "deleting a saved session does no harm")
			s.holds(t, e, []byte("data"))
		}},
		{"upload_save into a missing folder is 2005 and keeps the session", func(t *testing.T, s *Service) {
			id := s.session(t, []byte("data"))
			_, err := s.Client.SaveUpload(t.Context(), id, remote.UploadTarget{Parent: missingFolder, Name: "file"})
			refused(t, err, 2005, fs.ErrNotExist)
			e, err := s.Client.SaveUpload(t.Context(), id, remote.UploadTarget{Parent: s.Folder, Name: "file"})
			require.NoError(s.Inferred(t, "8.6"), err)
			s.holds(t, e, []byte("data"))
		}},
	}
}
