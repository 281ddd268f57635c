package remotetest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// goodNames are kept as they are, byte by byte (pCloud API 6).
var goodNames = []string{
	"plain", "with space", " leading", "trailing ", ".hidden", "trailing.", "...", "a+b", "a&b=c", "100%", "%2F", "#hash", "q?x",
	"semi;colon", "quo\"te", "apo'strophe", "<tag>", "pipe|", "star*", "co:lon", "~", "tilde~", "ümläut", "日本語", "🙂", "-dash",
	"a,b", "{CONFLICTED}", "name (1).txt", "nul", "CON",
}

// badNames are refused (pCloud API 6).
var badNames = []string{"", ".", "..", "a/b", "/", "back\\slash", "nul\x00byte"}

func nameChecks() []check {
	return []check{
		{"names are kept as they are", func(t *testing.T, s *Service) {
			sub := s.mkdir(t, s.Folder, "folders")
			for i, name := range goodNames {
				e := s.put(t, name, content(uint64(i), i))
				require.Equal(s.Inferred(t, "6"), name, e.Name)
				e = s.mkdir(t, sub.FolderID, name)
				require.Equal(s.Inferred(t, "6"), name, e.Name)
			}
			require.Subset(t, names(s.list(t, s.Folder)), goodNames)
			require.ElementsMatch(t, goodNames, names(s.list(t, sub.FolderID)))
		}},
		{"names survive a rename and a copy", func(t *testing.T, s *Service) {
			e := s.put(t, "start", []byte("data"))
			for _, name := range goodNames {
				r, err := s.Client.RenameFile(t.Context(), e.FileID, s.Folder, name)
				require.NoError(t, err, name)
				require.Equal(s.Inferred(t, "6"), name, r.Name)
			}
			c, err := s.Client.CopyFile(t.Context(), e.FileID, remote.CopyTarget{Parent: s.Folder, Name: "a+b & c", Modified: monday})
			require.NoError(t, err)
			require.Equal(t, "a+b & c", c.Name)
		}},
		{"upper and lower case are two names", func(t *testing.T, s *Service) {
			a, b := s.put(t, "Name", []byte("1")), s.put(t, "name", []byte("2"))
			require.NotEqual(t, a.FileID, b.FileID)
			c, d := s.mkdir(t, s.Folder, "Folder"), s.mkdir(t, s.Folder, "folder")
			require.NotEqual(t, c.FolderID, d.FolderID)
			require.Len(t, s.list(t, s.Folder), 4)
		}},
		{"composed and decomposed letters are two names", func(t *testing.T, s *Service) {
			a, b := s.put(t, nfc, []byte("1")), s.put(t, nfd, []byte("2"))
			require.NotEqual(s.Inferred(t, "6"), a.FileID, b.FileID)
			require.ElementsMatch(t, []string{nfc, nfd}, names(s.list(t, s.Folder)))
		}},
		{"names of 255 bytes", func(t *testing.T, s *Service) {
			for _, name := range []string{longName(255), strings.Repeat("語", 85)} {
				require.Equal(t, name, s.put(t, name, []byte("x")).Name)
				require.Equal(t, name, s.mkdir(t, s.Folder, name).Name)
			}
		}},
		{"names of 1023 bytes, and of 1024 no more", func(t *testing.T, s *Service) {
			e, err := s.Client.CreateFolder(t.Context(), s.Folder, longName(1023))
			require.NoError(s.Inferred(t, "6"), err)
			require.Equal(t, longName(1023), e.Name)
			_, err = s.Client.CreateFolder(t.Context(), s.Folder, longName(1024))
			require.ErrorIs(s.Inferred(t, "6"), err, remote.ErrInvalidName)
		}},
		{"impossible names are refused for folders", func(t *testing.T, s *Service) {
			dir := s.mkdir(t, s.Folder, "dir")
			for _, name := range badNames {
				_, err := s.Client.CreateFolder(t.Context(), s.Folder, name)
				require.ErrorIs(s.Inferred(t, "6"), err, remote.ErrInvalidName, "%q", name)
				_, _, err = s.Client.EnsureFolder(t.Context(), s.Folder, name)
				require.ErrorIs(t, err, remote.ErrInvalidName, "%q", name)
				_, err = s.Client.RenameFolder(t.Context(), dir.FolderID, s.Folder, name)
				require.ErrorIs(t, err, remote.ErrInvalidName, "%q", name)
			}
			require.Equal(t, []string{"dir"}, names(s.list(t, s.Folder)))
		}},
		{"impossible names are refused for files", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("data"))
			for _, name := range badNames {
				target := remote.UploadTarget{Parent: s.Folder, Name: name}
				_, _, err := s.Client.UploadFile(t.Context(), target, strings.NewReader("x"), 1)
				require.ErrorIs(s.Inferred(t, "6"), err, remote.ErrInvalidName, "%q", name)
				_, err = s.Client.RenameFile(t.Context(), e.FileID, s.Folder, name)
				require.ErrorIs(t, err, remote.ErrInvalidName, "%q", name)
				_, err = s.Client.CopyFile(t.Context(), e.FileID, remote.CopyTarget{Parent: s.Folder, Name: name})
				require.ErrorIs(t, err, remote.ErrInvalidName, "%q", name)
				id := s.session(t, []byte("x"))
				_, err = s.Client.SaveUpload(t.Context(), id, target)
				require.ErrorIs(t, err, remote.ErrInvalidName, "%q", name)
			}
			require.Equal(t, []string{"file"}, names(s.list(t, s.Folder)))
		}},
	}
}
