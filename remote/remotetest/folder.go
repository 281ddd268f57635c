package remotetest

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func folderChecks() []check {
	return []check{
		{"createfolder", func(t *testing.T, s *Service) {
			e := s.mkdir(t, s.Folder, "new")
			require.True(t, e.Folder)
			require.Equal(t, "new", e.Name)
			require.Equal(t, s.Folder, e.ParentID)
			require.NotZero(t, e.FolderID)
			require.NotEqual(t, s.Folder, e.FolderID)
			require.Equal(t, e, s.list(t, s.Folder)["new"], "the listing says the same as the reply")
			require.Empty(t, s.list(t, e.FolderID))
		}},
		{"createfolder where one exists is 2004", func(t *testing.T, s *Service) {
			e := s.mkdir(t, s.Folder, "dir")
			_, err := s.Client.CreateFolder(t.Context(), s.Folder, "dir")
			refused(t, err, 2004, fs.ErrExist)
			require.Equal(t, e.FolderID, s.list(t, s.Folder)["dir"].FolderID)
		}},
		{"createfolder in a folder that is missing", func(t *testing.T, s *Service) {
			_, err := s.Client.CreateFolder(t.Context(), missingFolder, "dir")
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.Equal(s.Inferred(t, "12"), 2002, result(t, err))
		}},
		{"createfolderifnotexists", func(t *testing.T, s *Service) {
			e, created, err := s.Client.EnsureFolder(t.Context(), s.Folder, "dir")
			require.NoError(t, err)
			require.True(t, created)
			again, created, err := s.Client.EnsureFolder(t.Context(), s.Folder, "dir")
			require.NoError(t, err)
			require.False(t, created)
			require.Equal(t, e.FolderID, again.FolderID)
			_, _, err = s.Client.EnsureFolder(t.Context(), missingFolder, "dir")
			require.ErrorIs(t, err, fs.ErrNotExist)
		}},
		{"a file and a folder may share a name", func(t *testing.T, s *Service) {
			s.mkdir(t, s.Folder, "both")
			s.put(t, "both", []byte("file"))
			f, err := s.Client.List(t.Context(), s.Folder)
			require.NoError(t, err)
			require.Len(t, f.Contents, 2)
		}},
		{"listfolder", func(t *testing.T, s *Service) {
			dir := s.mkdir(t, s.Folder, "dir")
			file := s.put(t, "file", []byte("data"))
			f, err := s.Client.List(t.Context(), s.Folder)
			require.NoError(t, err)
			require.Equal(t, s.Folder, f.FolderID)
			require.True(t, f.Folder)
			require.ElementsMatch(t, []remote.Entry{dir, file}, f.Contents)

			f, err = s.Client.ListFolders(t.Context(), s.Folder)
			require.NoError(t, err)
			require.Equal(t, []remote.Entry{dir}, f.Contents)
		}},
		{"listfolder of what is no folder is 2005", func(t *testing.T, s *Service) {
			_, err := s.Client.List(t.Context(), missingFolder)
			refused(t, err, 2005, fs.ErrNotExist)
			dir := s.mkdir(t, s.Folder, "dir")
			require.NoError(t, s.Client.DeleteFolder(t.Context(), dir.FolderID))
			_, err = s.Client.List(t.Context(), dir.FolderID)
			refused(t, err, 2005, fs.ErrNotExist)
		}},
		{"renamefolder keeps the id and takes the contents along", func(t *testing.T, s *Service) {
			a, b := s.mkdir(t, s.Folder, "a"), s.mkdir(t, s.Folder, "b")
			file := s.putAt(t, remote.UploadTarget{Parent: a.FolderID, Name: "file"}, []byte("x"))
			moved, err := s.Client.RenameFolder(t.Context(), a.FolderID, b.FolderID, "c")
			require.NoError(t, err)
			require.Equal(t, a.FolderID, moved.FolderID)
			require.Equal(t, b.FolderID, moved.ParentID)
			require.Equal(t, "c", moved.Name)
			require.Equal(t, []string{"b"}, names(s.list(t, s.Folder)))
			require.Equal(t, []string{"c"}, names(s.list(t, b.FolderID)))
			require.Equal(t, file.FileID, s.list(t, a.FolderID)["file"].FileID)
		}},
		{"renamefolder never replaces a folder", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			s.mkdir(t, s.Folder, "b")
			_, err := s.Client.RenameFolder(t.Context(), a.FolderID, s.Folder, "b")
			refused(t, err, 2004, fs.ErrExist)
			require.Equal(t, []string{"a", "b"}, names(s.list(t, s.Folder)))
		}},
		{"renamefolder to the place it has succeeds", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			e, err := s.Client.RenameFolder(t.Context(), a.FolderID, s.Folder, "a")
			require.NoError(s.Inferred(t, "7.4"), err)
			require.Equal(t, a.FolderID, e.FolderID)
		}},
		{"renamefolder into a descendant is 2043", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			b := s.mkdir(t, a.FolderID, "b")
			for _, to := range []remote.FolderID{a.FolderID, b.FolderID} {
				_, err := s.Client.RenameFolder(t.Context(), a.FolderID, to, "x")
				refused(t, err, 2043, fs.ErrInvalid)
			}
			require.Equal(t, []string{"b"}, names(s.list(t, a.FolderID)))
		}},
		{"renamefolder of or to a missing folder is 2005", func(t *testing.T, s *Service) {
			_, err := s.Client.RenameFolder(t.Context(), missingFolder, s.Folder, "x")
			refused(t, err, 2005, fs.ErrNotExist)
			a := s.mkdir(t, s.Folder, "a")
			_, err = s.Client.RenameFolder(t.Context(), a.FolderID, missingFolder, "x")
			refused(t, err, 2005, fs.ErrNotExist)
		}},
		{"deletefolder", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			require.NoError(t, s.Client.DeleteFolder(t.Context(), a.FolderID))
			require.Empty(t, s.list(t, s.Folder))
			refused(t, s.Client.DeleteFolder(t.Context(), a.FolderID), 2005, fs.ErrNotExist)
			again := s.mkdir(t, s.Folder, "a")
			require.NotEqual(t, a.FolderID, again.FolderID, "a folder made anew has a new id")
		}},
		{"deletefolder of one that is not empty is 2006", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			file := s.putAt(t, remote.UploadTarget{Parent: a.FolderID, Name: "file"}, []byte("x"))
			refused(t, s.Client.DeleteFolder(t.Context(), a.FolderID), 2006, remote.ErrNotEmpty)
			require.NoError(t, s.Client.DeleteFile(t.Context(), file.FileID))
			require.NoError(s.Inferred(t, "7.5"), s.Client.DeleteFolder(t.Context(), a.FolderID), "deleted files do not count")
		}},
		{"deletefolderrecursive counts what it deletes", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			b := s.mkdir(t, a.FolderID, "b")
			s.mkdir(t, b.FolderID, "c")
			file := s.putAt(t, remote.UploadTarget{Parent: b.FolderID, Name: "file"}, []byte("x"))
			s.putAt(t, remote.UploadTarget{Parent: a.FolderID, Name: "empty"}, nil)
			files, folders, err := s.Client.DeleteFolderTree(t.Context(), a.FolderID)
			require.NoError(t, err)
			require.EqualValues(t, 2, files)
			require.EqualValues(t, 3, folders, "the folder itself counts")
			require.Empty(t, s.list(t, s.Folder))
			_, err = s.Client.Stat(t.Context(), file.FileID)
			require.ErrorIs(t, err, fs.ErrNotExist)
			_, _, err = s.Client.DeleteFolderTree(t.Context(), a.FolderID)
			refused(t, err, 2005, fs.ErrNotExist)
		}},
	}
}
