package remotetest

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func copyChecks() []check {
	return []check{
		{"copyfile", func(t *testing.T, s *Service) {
			data := content(1, 5000)
			e := s.put(t, "file", data)
			dir := s.mkdir(t, s.Folder, "dir")
			c, err := s.Client.CopyFile(t.Context(), e.FileID,
				remote.CopyTarget{Parent: dir.FolderID, Name: "copy", Modified: tuesday, Created: monday})
			require.NoError(t, err)
			require.NotEqual(t, e.FileID, c.FileID)
			require.Equal(t, dir.FolderID, c.ParentID)
			require.Equal(t, "copy", c.Name)
			require.Equal(t, e.Hash, c.Hash, "equal contents have equal hashes")
			sameTime(t, tuesday, c.Modified)
			sameTime(t, monday, c.Created)
			s.holds(t, c, data)
			s.holds(t, e, data)
		}},
		{"copyfile over a file keeps that file's id", func(t *testing.T, s *Service) {
			a, b := s.put(t, "a", []byte("content of a")), s.put(t, "b", []byte("b"))
			c, err := s.Client.CopyFile(t.Context(), a.FileID, remote.CopyTarget{Parent: s.Folder, Name: "b", Modified: tuesday})
			require.NoError(t, err)
			require.Equal(t, b.FileID, c.FileID)
			sameTime(t, b.Created, c.Created)
			s.holds(t, c, []byte("content of a"))
			r, err := s.Client.Revisions(t.Context(), b.FileID)
			require.NoError(t, err)
			require.Len(t, r, 1)
			require.Equal(t, b.Hash, r[0].Hash)
		}},
		{"copyfile with noover is 2004 where a file is", func(t *testing.T, s *Service) {
			a, b := s.put(t, "a", []byte("a")), s.put(t, "b", []byte("b"))
			_, err := s.Client.CopyFile(t.Context(), a.FileID, remote.CopyTarget{Parent: s.Folder, Name: "b", NoOverwrite: true})
			refused(t, err, 2004, fs.ErrExist)
			s.holds(t, b, []byte("b"))
			_, err = s.Client.CopyFile(t.Context(), a.FileID, remote.CopyTarget{Parent: s.Folder, Name: "c", NoOverwrite: true})
			require.NoError(t, err)
		}},
		{"copyfile into a missing folder", func(t *testing.T, s *Service) {
			a := s.put(t, "a", []byte("a"))
			_, err := s.Client.CopyFile(t.Context(), a.FileID, remote.CopyTarget{Parent: missingFolder, Name: "a"})
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.Equal(s.Inferred(t, "12"), 2005, result(t, err))
		}},
		{"copyfile of an older version", func(t *testing.T, s *Service) {
			old := s.put(t, "file", []byte("older"))
			s.put(t, "file", []byte("current"))
			c, err := s.Client.CopyFile(t.Context(), old.FileID,
				remote.CopyTarget{Parent: s.Folder, Name: "copy", Modified: monday, Hash: old.Hash})
			require.NoError(s.Inferred(t, "7.14"), err)
			s.holds(t, c, []byte("older"))
			_, err = s.Client.CopyFile(t.Context(), old.FileID,
				remote.CopyTarget{Parent: s.Folder, Name: "none", Modified: monday, Hash: old.Hash + 1})
			require.Error(s.Inferred(t, "7.14"), err)
			require.ElementsMatch(t, []string{"file", "copy"}, names(s.list(t, s.Folder)))
		}},
		{"copyfile onto itself sets times and nothing else", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			got, err := s.Client.SetTimes(t.Context(), e, tuesday, monday)
			require.NoError(t, err)
			want := e
			want.Modified, want.Created = tuesday.Local(), monday.Local()
			require.Equal(t, want, got)
			require.Equal(t, want, s.list(t, s.Folder)["file"])
			r, err := s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Empty(t, r, "no new revision")
		}},
		{"copyfile onto itself with a time before 1970", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			got, err := s.Client.SetTimes(t.Context(), e, sixties, sixties)
			require.NoError(t, err)
			sameTime(t, sixties, got.Modified)
			got, err = s.Client.Stat(t.Context(), e.FileID)
			require.NoError(t, err)
			sameTime(t, sixties, got.Modified)
			sameTime(t, sixties, got.Created)
		}},
		{"copyfile onto itself without a creation time keeps it", func(t *testing.T, s *Service) {
			e := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: monday, Created: monday}, []byte("data"))
			got, err := s.Client.SetTimes(t.Context(), e, tuesday, time.Time{})
			require.NoError(t, err)
			sameTime(t, tuesday, got.Modified)
			require.Equal(s.Inferred(t, "7.14"), monday.Unix(), got.Created.Unix())
		}},
	}
}

func renameChecks() []check {
	return []check{
		{"renamefile keeps the file", func(t *testing.T, s *Service) {
			e := s.put(t, "a", []byte("data"))
			dir := s.mkdir(t, s.Folder, "dir")
			got, err := s.Client.RenameFile(t.Context(), e.FileID, dir.FolderID, "b")
			require.NoError(t, err)
			require.Equal(t, e.FileID, got.FileID)
			require.Equal(t, e.Hash, got.Hash)
			require.Equal(t, dir.FolderID, got.ParentID)
			require.Equal(t, "b", got.Name)
			require.Zero(t, got.Replaced)
			sameTime(t, e.Modified, got.Modified)
			require.Equal(t, []string{"dir"}, names(s.list(t, s.Folder)))
			require.Equal(t, []string{"b"}, names(s.list(t, dir.FolderID)))
		}},
		{"renamefile replaces a file and names it", func(t *testing.T, s *Service) {
			a, b := s.put(t, "a", []byte("content of a")), s.put(t, "b", []byte("b"))
			got, err := s.Client.RenameFile(t.Context(), a.FileID, s.Folder, "b")
			require.NoError(t, err)
			require.Equal(t, a.FileID, got.FileID)
			require.Equal(t, b.FileID, got.Replaced)
			require.Equal(t, []string{"b"}, names(s.list(t, s.Folder)))
			s.holds(t, got, []byte("content of a"))
			_, err = s.Client.Stat(t.Context(), b.FileID)
			require.ErrorIs(t, err, fs.ErrNotExist)
		}},
		{"renamefile to the name it has succeeds", func(t *testing.T, s *Service) {
			e := s.put(t, "a", []byte("data"))
			got, err := s.Client.RenameFile(t.Context(), e.FileID, s.Folder, "a")
			require.NoError(t, err)
			require.Equal(t, e.FileID, got.FileID)
			require.Zero(t, got.Replaced)
			s.holds(t, got, []byte("data"))
		}},
		{"renamefile leaves a folder of that name alone", func(t *testing.T, s *Service) {
			e := s.put(t, "a", []byte("data"))
			dir := s.mkdir(t, s.Folder, "both")
			got, err := s.Client.RenameFile(t.Context(), e.FileID, s.Folder, "both")
			require.NoError(s.Inferred(t, "6"), err)
			require.Equal(t, "both", got.Name)
			require.Empty(t, s.list(t, dir.FolderID))
		}},
		{"renamefile into a missing folder is 2005", func(t *testing.T, s *Service) {
			e := s.put(t, "a", []byte("data"))
			_, err := s.Client.RenameFile(t.Context(), e.FileID, missingFolder, "a")
			refused(t, err, 2005, fs.ErrNotExist)
			require.Equal(t, []string{"a"}, names(s.list(t, s.Folder)))
		}},
	}
}
