package remotetest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func treeChecks() []check {
	return []check{
		{"listfolder recursive", func(t *testing.T, s *Service) {
			want := map[remote.FolderID][]string{}
			a := s.mkdir(t, s.Folder, "a")
			for i := range 3 {
				dir := s.mkdir(t, a.FolderID, fmt.Sprint("dir", i))
				want[a.FolderID] = append(want[a.FolderID], dir.Name)
				for j := range i {
					f := s.putAt(t, remote.UploadTarget{Parent: dir.FolderID, Name: fmt.Sprint("file", j)}, content(1, i*10+j))
					want[dir.FolderID] = append(want[dir.FolderID], f.Name)
				}
			}
			got := map[remote.FolderID][]string{}
			seen := map[remote.FolderID]bool{a.FolderID: true}
			require.NoError(t, s.Client.ListTree(t.Context(), a.FolderID, func(e remote.Entry) error {
				if e.Folder && e.FolderID == a.FolderID {
					return nil
				}
				require.True(t, seen[e.ParentID], "folder %d before its contents", e.ParentID)
				if e.Folder {
					seen[e.FolderID] = true
				}
				got[e.ParentID] = append(got[e.ParentID], e.Name)
				return nil
			}))
			require.Len(t, got, len(want))
			for id, children := range want {
				require.ElementsMatch(t, children, got[id])
			}
		}},
		{"listfolder recursive of a missing folder is 2005", func(t *testing.T, s *Service) {
			err := s.Client.ListTree(t.Context(), missingFolder, func(remote.Entry) error { return nil })
			refused(t, err, 2005, fs.ErrNotExist)
		}},
		{"listfolder recursive ends with the callback's error", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			s.mkdir(t, a.FolderID, "b")
			enough := errors.New("enough")
			err := s.Client.ListTree(t.Context(), a.FolderID, func(remote.Entry) error { return enough })
			require.ErrorIs(t, err, enough)
		}},
		{"listfolder recursive of the root is 1101", func(t *testing.T, s *Service) {
			err := s.Client.ListTree(t.Context(), remote.RootFolder, func(remote.Entry) error { return nil })
			require.ErrorIs(s.Inferred(t, "7.3"), err, remote.ErrRecursionRefused)
			refused(t, err, 1101)
		}},
		{"listfolder of the root", func(t *testing.T, s *Service) {
			f, err := s.Client.List(t.Context(), remote.RootFolder)
			require.NoError(t, err)
			require.True(t, f.Folder)
			require.Equal(t, remote.RootFolder, f.FolderID)
		}},
		{"the root can neither be deleted nor renamed", func(t *testing.T, s *Service) {
			if s.live {
				t.Skip("too dangerous on a live account")
			}
			refused(t, s.Client.DeleteFolder(t.Context(), remote.RootFolder), 2007, remote.ErrBusy)
			_, _, err := s.Client.DeleteFolderTree(t.Context(), remote.RootFolder)
			refused(t, err, 2007, remote.ErrBusy)
			_, err = s.Client.RenameFolder(t.Context(), remote.RootFolder, s.Folder, "x")
			refused(t, err, 2042, remote.ErrBusy)
		}},
		{"paths resolve by exact names", func(t *testing.T, s *Service) {
			parts := s.path(t)
			deep := strings.Join(append(parts, "One", "two"), "/")
			_, err := s.Client.ResolveFolder(t.Context(), deep, false)
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.ErrorContains(t, err, "One")
			e, err := s.Client.ResolveFolder(t.Context(), deep, true)
			require.NoError(t, err)
			require.Equal(t, "two", e.Name)
			again, err := s.Client.ResolveFolder(t.Context(), deep, false)
			require.NoError(t, err)
			require.Equal(t, e.FolderID, again.FolderID)
			_, err = s.Client.ResolveFolder(t.Context(), strings.Join(append(parts, "one", "two"), "/"), false)
			require.ErrorIs(t, err, fs.ErrNotExist)
		}},
	}
}

// path returns the names from the root to the check's folder, found by going
// through the folders on the way down.
func (s *Service) path(t *testing.T) []string {
	t.Helper()
	var find func(id remote.FolderID, depth int) []string
	find = func(id remote.FolderID, depth int) []string {
		f, err := s.Client.ListFolders(t.Context(), id)
		require.NoError(t, err)
		for _, e := range f.Contents {
			if e.FolderID == s.Folder {
				return []string{e.Name}
			}
		}
		if depth == 0 {
			return nil
		}
		for _, e := range f.Contents {
			if p := find(e.FolderID, depth-1); p != nil {
				return append([]string{e.Name}, p...)
			}
		}
		return nil
	}
	p := find(remote.RootFolder, 2)
	require.NotNil(t, p, "the folder of the check is at most three levels deep")
	return p
}
