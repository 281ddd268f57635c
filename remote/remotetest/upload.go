package remotetest

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func uploadChecks() []check {
	return []check{
		{"uploadfile", func(t *testing.T, s *Service) {
			for name, n := range map[string]int{"one": 1, "small": 1000, "large": 2_000_003} {
				data := content(1, n)
				e := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: name, Modified: tuesday, Created: monday}, data)
				require.Equal(t, name, e.Name)
				require.Equal(t, s.Folder, e.ParentID)
				require.NotZero(t, e.FileID)
				sameTime(t, tuesday, e.Modified)
				sameTime(t, monday, e.Created)
				require.Equal(t, e, s.list(t, s.Folder)[name])
				s.holds(t, e, data)
			}
		}},
		{"uploadfile of an empty file", func(t *testing.T, s *Service) {
			for _, name := range []string{"empty", "with space & \"quotes\"", nfc} {
				e := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: name, Modified: monday}, nil)
				require.Equal(t, name, e.Name)
				require.Zero(t, e.Size)
				sameTime(t, monday, e.Modified)
				s.holds(t, e, nil)
			}
		}},
		{"uploadfile without times takes the present", func(t *testing.T, s *Service) {
			now := time.Now()
			e := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "file"}, []byte("x"))
			require.WithinDuration(t, now, e.Modified, 10*time.Minute)
			require.WithinDuration(t, now, e.Created, 10*time.Minute)
		}},
		{"uploadfile with a time before 1970", func(t *testing.T, s *Service) {
			e := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: sixties}, []byte("x"))
			sameTime(t, sixties, e.Modified)
		}},
		{"uploadfile over a file keeps its id and its creation time", func(t *testing.T, s *Service) {
			e := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: monday, Created: monday}, []byte("one"))
			got := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: tuesday}, []byte("second"))
			require.Equal(t, e.FileID, got.FileID)
			require.NotEqual(t, e.Hash, got.Hash)
			sameTime(t, e.Created, got.Created)
			sameTime(t, tuesday, got.Modified)
			s.holds(t, got, []byte("second"))
			require.Len(t, s.list(t, s.Folder), 1)
			got = s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: tuesday}, nil)
			require.Equal(t, e.FileID, got.FileID, "also by an empty file")
		}},
		{"uploadfile of what is there changes only the time", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("same"))
			got := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "file", Modified: tuesday}, []byte("same"))
			require.Equal(t, e.FileID, got.FileID)
			require.Equal(t, e.Hash, got.Hash)
			sameTime(t, tuesday, got.Modified)
			r, err := s.Client.Revisions(t.Context(), e.FileID)
			require.NoError(t, err)
			require.Empty(t, r)
		}},
		{"uploadfile into a missing folder is 2005", func(t *testing.T, s *Service) {
			for _, data := range []string{"", "data"} {
				target := remote.UploadTarget{Parent: missingFolder, Name: "x"}
				_, _, err := s.Client.UploadFile(t.Context(), target, strings.NewReader(data), int64(len(data)))
				refused(t, err, 2005, fs.ErrNotExist)
			}
		}},
		{"hashes use all 64 bits and tell contents apart", func(t *testing.T, s *Service) {
			seen := make(map[remote.Hash]bool)
			var all remote.Hash
			for i := range 12 {
				e := s.put(t, "file"+string(rune('a'+i)), content(uint64(i), 100))
				require.False(t, seen[e.Hash])
				seen[e.Hash] = true
				all |= e.Hash
			}
			require.Greater(t, uint64(all), uint64(1)<<62)
		}},
	}
}

func conditionChecks() []check {
	return []check{
		{"ifhash=new where nothing is", func(t *testing.T, s *Service) {
			e := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "a.txt", If: remote.IfNew()}, []byte("x"))
			require.False(t, e.Conflicted)
			require.Equal(t, "a.txt", e.Name)
			e = s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "empty.txt", If: remote.IfNew()}, nil)
			require.False(t, e.Conflicted)
		}},
		{"ifhash=new where a file is keeps both", func(t *testing.T, s *Service) {
			e := s.put(t, "a.txt", []byte("first"))
			s.conflicts(t, e, remote.IfNew(), func(target remote.UploadTarget, data []byte) remote.Entry {
				return s.putAt(t, target, data)
			})
		}},
		{"ifhash of the current version overwrites", func(t *testing.T, s *Service) {
			e := s.put(t, "a.txt", []byte("first"))
			got := s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: "a.txt", If: remote.IfHash(e.Hash)}, []byte("second"))
			require.False(t, got.Conflicted)
			require.Equal(t, e.FileID, got.FileID)
			s.holds(t, got, []byte("second"))
		}},
		{"ifhash of another version keeps both", func(t *testing.T, s *Service) {
			old := s.put(t, "a.txt", []byte("zeroth"))
			e := s.put(t, "a.txt", []byte("first"))
			s.conflicts(t, e, remote.IfHash(old.Hash), func(target remote.UploadTarget, data []byte) remote.Entry {
				return s.putAt(t, target, data)
			})
		}},
		{"upload_save with ifhash", func(t *testing.T, s *Service) {
			target := remote.UploadTarget{Parent: s.Folder, Name: "a.txt", Modified: monday, If: remote.IfNew()}
			e := s.save(t, target, []byte("one"))
			require.False(t, e.Conflicted)
			target.If = remote.IfHash(e.Hash)
			got := s.save(t, target, []byte("first"))
			require.False(t, got.Conflicted)
			require.Equal(t, e.FileID, got.FileID)
			for _, c := range []remote.Condition{target.If, remote.IfNew()} {
				s.conflicts(t, got, c, func(target remote.UploadTarget, data []byte) remote.Entry { return s.save(t, target, data) })
			}
		}},
	}
}

// conflicts requires that two uploads under a condition that does not hold
// leave e, which holds "first", alone and store the data beside it.
func (s *Service) conflicts(t *testing.T, e remote.Entry, c remote.Condition, up func(remote.UploadTarget, []byte) remote.Entry) {
	t.Helper()
	target := remote.UploadTarget{Parent: s.Folder, Name: e.Name, Modified: tuesday, If: c}
	one, two := up(target, []byte("diverted")), up(target, []byte("diverted too"))
	s.holds(t, e, []byte("first"))
	s.holds(t, one, []byte("diverted"))
	s.holds(t, two, []byte("diverted too"))
	for _, d := range []remote.Entry{one, two} {
		require.True(t, d.Conflicted)
		require.NotEqual(t, e.FileID, d.FileID)
		require.Equal(t, d.FileID, s.list(t, s.Folder)[d.Name].FileID)
		require.Contains(s.Inferred(t, "8.6"), d.Name, "{CONFLICTED}")
		require.True(s.Inferred(t, "8.6"), strings.HasPrefix(d.Name, "a") && strings.HasSuffix(d.Name, ".txt"), d.Name)
	}
	require.NotEqual(t, one.Name, two.Name)
}

// save uploads data in a session.
func (s *Service) save(t *testing.T, target remote.UploadTarget, data []byte) remote.Entry {
	t.Helper()
	e, err := s.Client.SaveUpload(t.Context(), s.session(t, data), target)
	require.NoError(t, err)
	return e
}

// session opens an upload session that holds data.
func (s *Service) session(t *testing.T, data []byte) remote.UploadID {
	t.Helper()
	id, err := s.Client.CreateUpload(t.Context(), int64(len(data)))
	require.NoError(t, err)
	require.NotZero(t, id)
	require.NoError(t, s.Client.WriteUpload(t.Context(), id, 0, bytes.NewReader(data), int64(len(data))))
	return id
}
