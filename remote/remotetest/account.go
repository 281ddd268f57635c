package remotetest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func accountChecks() []check {
	return []check{
		{"userinfo", func(t *testing.T, s *Service) {
			u, err := s.Client.UserInfo(t.Context())
			require.NoError(t, err)
			require.NotZero(t, u.UserID)
			require.NotEmpty(t, u.Email)
			require.Positive(t, u.Quota)
			require.GreaterOrEqual(t, u.Used, int64(0))
		}},
		{"userinfo counts what is used", func(t *testing.T, s *Service) {
			before, err := s.Client.UserInfo(t.Context())
			require.NoError(t, err)
			s.put(t, "file", content(1, 12345))
			after, err := s.Client.UserInfo(t.Context())
			require.NoError(t, err)
			require.EqualValues(s.Inferred(t, "15"), 12345, after.Used-before.Used)
			require.Equal(t, before.Quota, after.Quota)
		}},
		{"getapiserver needs no token", func(t *testing.T, s *Service) {
			a, err := s.Anyone("").APIServers(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, a.API)
		}},
		{"no token is 1000", func(t *testing.T, s *Service) {
			_, err := s.Anyone("").UserInfo(t.Context())
			refused(t, err, 1000, remote.ErrToken)
		}},
		{"a token that is none is 2094", func(t *testing.T, s *Service) {
			const token = "nobodyHasThisTokenBecauseItIsMuchTooLongAndMadeUpForThisTest00"
			c := s.Anyone(token)
			_, err := c.UserInfo(t.Context())
			refused(t, err, 2094, remote.ErrToken)
			require.NotContains(t, err.Error(), token)
			_, err = c.List(t.Context(), remote.RootFolder)
			refused(t, err, 2094, remote.ErrToken)
			_, _, err = c.UploadFile(t.Context(), remote.UploadTarget{Parent: s.Folder, Name: "x"}, bytes.NewReader([]byte("x")), 1)
			require.ErrorIs(t, err, remote.ErrToken)
			require.Empty(t, s.list(t, s.Folder))
		}},
		{"two clients see the same", func(t *testing.T, s *Service) {
			e := s.put(t, "file", []byte("one"))
			f, err := s.Other.List(t.Context(), s.Folder)
			require.NoError(t, err)
			require.Equal(t, []remote.Entry{e}, f.Contents)
			require.NoError(t, s.Other.DeleteFile(t.Context(), e.FileID))
			require.Empty(t, s.list(t, s.Folder))
		}},
		{"the quota holds for uploads, copies and sessions (2008)", quotaHolds},
	}
}

func quotaHolds(t *testing.T, s *Service) {
	if s.Small == nil {
		t.Skip("needs an account that can be filled")
	}
	s = s.Small(t, 100_000)
	e := s.put(t, "most", content(1, 60_000))
	upload := func(n int) error {
		target := remote.UploadTarget{Parent: s.Folder, Name: "more"}
		_, _, err := s.Client.UploadFile(t.Context(), target, bytes.NewReader(content(2, n)), int64(n))
		return err
	}
	refused(t, upload(50_000), 2008, remote.ErrQuota)
	_, err := s.Client.CopyFile(t.Context(), e.FileID, remote.CopyTarget{Parent: s.Folder, Name: "copy", Modified: monday})
	refused(t, err, 2008, remote.ErrQuota)
	id, err := s.Client.CreateUpload(t.Context(), 0)
	require.NoError(t, err)
	err = s.Client.WriteUpload(t.Context(), id, 0, bytes.NewReader(content(3, 50_000)), 50_000)
	if err == nil {
		_, err = s.Client.SaveUpload(t.Context(), id, remote.UploadTarget{Parent: s.Folder, Name: "more"})
	}
	refused(t, err, 2008, remote.ErrQuota)
	require.Equal(t, []string{"most"}, names(s.list(t, s.Folder)))
	require.NoError(t, upload(40_000), "to the last byte")
	u, err := s.Client.UserInfo(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 100_000, u.Used)
}
