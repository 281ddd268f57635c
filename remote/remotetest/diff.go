package remotetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// follow returns the events after since, up to and including the first that
// is wanted.
func (s *Service) follow(t *testing.T, since remote.DiffID, wanted func(remote.Change) bool) []remote.Change {
	t.Helper()
	var seen []remote.Change
	for range 20 { // a live service may need some seconds
		ch, err := s.Client.WaitDiff(t.Context(), since, 0)
		require.NoError(t, err)
		require.GreaterOrEqual(t, ch.DiffID, since)
		for _, e := range ch.Entries {
			require.Greater(t, e.DiffID, since, "ids grow")
			since = e.DiffID
			seen = append(seen, e)
			if wanted(e) {
				return seen
			}
		}
		since = ch.DiffID
	}
	require.Fail(t, "the event does not come", "%+v", seen)
	return nil
}

// step makes a change and returns the event of that name that it caused.
func (s *Service) step(t *testing.T, event string, id any, change func()) remote.Change {
	t.Helper()
	since, err := s.Client.LastDiff(t.Context())
	require.NoError(t, err)
	change()
	seen := s.follow(t, since, func(c remote.Change) bool {
		return c.Event == event && (id == nil || id == c.Entry.FileID || id == c.Entry.FolderID)
	})
	return seen[len(seen)-1]
}

func diffChecks() []check {
	return []check{
		{"diff?last=0 is a position from the start", func(t *testing.T, s *Service) {
			last, err := s.Client.LastDiff(t.Context())
			require.NoError(t, err)
			require.Positive(t, last, "never 0")
			ch, err := s.Client.Diff(t.Context(), last, 0)
			require.NoError(t, err)
			require.GreaterOrEqual(t, ch.DiffID, last)
			if !s.live {
				require.Empty(t, ch.Entries)
				require.Equal(t, last, ch.DiffID)
			}
		}},
		{"diff from 0 is the whole state", func(t *testing.T, s *Service) {
			dir := s.mkdir(t, s.Folder, "dir")
			file := s.putAt(t, remote.UploadTarget{Parent: dir.FolderID, Name: "file"}, []byte("x"))
			gone := s.put(t, "gone", []byte("y"))
			require.NoError(t, s.Client.DeleteFile(t.Context(), gone.FileID))
			known := map[remote.FolderID]bool{remote.RootFolder: true}
			files := make(map[remote.FileID]remote.Entry)
			users, since := 0, remote.DiffID(0)
			for {
				ch, err := s.Client.Diff(t.Context(), since, 0)
				require.NoError(t, err)
				if len(ch.Entries) == 0 {
					break
				}
				since = ch.DiffID
				for _, e := range ch.Entries {
					switch e.Event {
					case remote.EventCreateFolder:
						require.True(t, known[e.Entry.ParentID], "parents come before children")
						known[e.Entry.FolderID] = true
					case remote.EventCreateFile:
						require.True(t, known[e.Entry.ParentID], "parents come before children")
						files[e.Entry.FileID] = e.Entry
					case remote.EventUserInfo:
						users++
					}
				}
			}
			require.True(t, known[dir.FolderID])
			require.Equal(t, file, files[file.FileID])
			require.NotContains(t, files, gone.FileID)
			require.Equal(t, 1, users)
		}},
		{"diff in small portions loses nothing", func(t *testing.T, s *Service) {
			since, err := s.Client.LastDiff(t.Context())
			require.NoError(t, err)
			want := make(map[remote.FolderID]bool)
			for i := range 7 {
				want[s.mkdir(t, s.Folder, string(rune('a'+i))).FolderID] = true
			}
			for range 50 {
				ch, err := s.Client.Diff(t.Context(), since, 2)
				require.NoError(t, err)
				require.LessOrEqual(t, len(ch.Entries), 2)
				for _, e := range ch.Entries {
					delete(want, e.Entry.FolderID)
				}
				since = ch.DiffID
			}
			require.Empty(t, want)
		}},
		{"diff with block wakes up", func(t *testing.T, s *Service) {
			since, err := s.Client.LastDiff(t.Context())
			require.NoError(t, err)
			woken := make(chan remote.Changes, 1)
			failed := make(chan error, 1)
			go func() {
				ch, err := s.Client.WaitDiff(t.Context(), since, 0)
				failed <- err
				woken <- ch
			}()
			s.settle()
			start := time.Now()
			e, err := s.Other.CreateFolder(t.Context(), s.Folder, "dir")
			require.NoError(t, err)
			require.NoError(t, <-failed)
			require.Less(t, time.Since(start), 30*time.Second)
			ch := <-woken
			if s.live {
				return // what woke it may have been someone else's change
			}
			require.NotEmpty(t, ch.Entries)
			require.Equal(t, e.FolderID, ch.Entries[0].Entry.FolderID)
		}},
		{"diff with block ends empty after a time", func(t *testing.T, s *Service) {
			if s.live {
				t.Skip("others may be changing the account")
			}
			since, err := s.Client.LastDiff(t.Context())
			require.NoError(t, err)
			ch, err := s.Client.WaitDiff(t.Context(), since, 0)
			require.NoError(t, err)
			require.Empty(t, ch.Entries)
			require.Equal(t, since, ch.DiffID)
		}},
	}
}

func diffEventChecks() []check {
	return []check{
		{"events of folders", func(t *testing.T, s *Service) {
			var dir remote.Entry
			e := s.step(t, remote.EventCreateFolder, nil, func() { dir = s.mkdir(t, s.Folder, "dir") })
			require.Equal(t, dir, e.Entry)
			to := s.mkdir(t, s.Folder, "to")
			e = s.step(t, remote.EventModifyFolder, dir.FolderID, func() {
				_, err := s.Client.RenameFolder(t.Context(), dir.FolderID, to.FolderID, "moved")
				require.NoError(t, err)
			})
			require.Equal(t, to.FolderID, e.Entry.ParentID)
			require.Equal(t, "moved", e.Entry.Name)
			e = s.step(t, remote.EventDeleteFolder, dir.FolderID, func() {
				require.NoError(t, s.Client.DeleteFolder(t.Context(), dir.FolderID))
			})
			require.True(t, e.Entry.Deleted)
			require.Equal(t, to.FolderID, e.Entry.ParentID)
		}},
		{"events of files", func(t *testing.T, s *Service) {
			var file remote.Entry
			e := s.step(t, remote.EventCreateFile, nil, func() { file = s.put(t, "file", []byte("one")) })
			require.Equal(t, file, e.Entry)
			var now remote.Entry
			e = s.step(t, remote.EventModifyFile, file.FileID, func() { now = s.put(t, "file", []byte("second")) })
			require.Equal(t, now, e.Entry)
			e = s.step(t, remote.EventModifyFile, file.FileID, func() {
				_, err := s.Client.RenameFile(t.Context(), file.FileID, s.Folder, "renamed")
				require.NoError(t, err)
			})
			require.Equal(t, "renamed", e.Entry.Name)
			require.Equal(t, now.Hash, e.Entry.Hash)
			e = s.step(t, remote.EventModifyFile, file.FileID, func() {
				_, err := s.Client.SetTimes(t.Context(), e.Entry, tuesday, tuesday)
				require.NoError(t, err)
			})
			sameTime(t, tuesday, e.Entry.Modified)
			e = s.step(t, remote.EventDeleteFile, file.FileID, func() {
				require.NoError(t, s.Client.DeleteFile(t.Context(), file.FileID))
			})
			require.True(t, e.Entry.Deleted)
		}},
		{"events of copies, sessions and reverts", func(t *testing.T, s *Service) {
			file := s.put(t, "file", []byte("one"))
			var made remote.Entry
			e := s.step(t, remote.EventCreateFile, nil, func() {
				var err error
				made, err = s.Client.CopyFile(t.Context(), file.FileID, remote.CopyTarget{Parent: s.Folder, Name: "copy", Modified: monday})
				require.NoError(t, err)
			})
			require.Equal(t, made, e.Entry)
			e = s.step(t, remote.EventCreateFile, nil, func() {
				made = s.save(t, remote.UploadTarget{Parent: s.Folder, Name: "saved"}, []byte("session"))
			})
			require.Equal(t, made, e.Entry)
			s.put(t, "file", []byte("second"))
			r, err := s.Client.Revisions(t.Context(), file.FileID)
			require.NoError(t, err)
			e = s.step(t, remote.EventModifyFile, file.FileID, func() {
				_, err := s.Client.RevertRevision(t.Context(), file.FileID, r[0].ID)
				require.NoError(t, err)
			})
			require.Equal(t, file.Hash, e.Entry.Hash)
		}},
		{"events of setfilemtime", func(t *testing.T, s *Service) {
			file := s.put(t, "file", []byte("one"))
			e := s.step(t, remote.EventModifyFile, file.FileID, func() {
				_, err := s.Client.SetFileMtime(t.Context(), file.FileID, tuesday)
				require.NoError(s.Inferred(t, "7.15"), err)
			})
			sameTime(t, tuesday, e.Entry.Modified)
		}},
		{"events of a rename over a file", func(t *testing.T, s *Service) {
			a, b := s.put(t, "a", []byte("1")), s.put(t, "b", []byte("22"))
			e := s.step(t, remote.EventModifyFile, a.FileID, func() {
				_, err := s.Client.RenameFile(t.Context(), a.FileID, s.Folder, "b")
				require.NoError(t, err)
			})
			require.Equal(t, "b", e.Entry.Name)
			require.Equal(t, b.FileID, e.Entry.Replaced, "no deletefile has to follow")
		}},
		{"events of deletefolderrecursive", func(t *testing.T, s *Service) {
			a := s.mkdir(t, s.Folder, "a")
			b := s.mkdir(t, a.FolderID, "b")
			s.putAt(t, remote.UploadTarget{Parent: b.FolderID, Name: "file"}, []byte("x"))
			e := s.step(t, remote.EventDeleteFolder, a.FolderID, func() {
				_, _, err := s.Client.DeleteFolderTree(t.Context(), a.FolderID)
				require.NoError(t, err)
			})
			require.True(t, e.Entry.Deleted)
			require.Equal(t, s.Folder, e.Entry.ParentID)
		}},
	}
}
