package remotetest_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// TestApplicationFolderIsAllThereIs uses ids from outside of the folder that
// an application token sees (pCloud API 4.3).
func TestApplicationFolderIsAllThereIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		owner := s.another(t, s.srv.AccountToken())
		dir, err := owner.CreateFolder(t.Context(), remote.RootFolder, "private")
		require.NoError(t, err)
		secret, _, err := owner.UploadFile(t.Context(), remote.UploadTarget{Parent: dir.FolderID, Name: "secret"}, bytes.NewReader(big), int64(len(big)))
		require.NoError(t, err)
		mine := s.put(t, "mine", []byte("mine"))
		id := s.session(t, nil)
		since, err := s.client.LastDiff(t.Context())
		require.NoError(t, err)

		ctx, c := t.Context(), s.client
		refused := map[string]error{}
		_, refused["list"] = c.List(ctx, dir.FolderID)
		_, refused["stat"] = c.Stat(ctx, secret.FileID)
		_, _, refused["checksum"] = c.Checksum(ctx, secret.FileID)
		_, refused["link"] = c.FileLink(ctx, secret.FileID, 0)
		refused["delete"] = c.DeleteFile(ctx, secret.FileID)
		refused["delete folder"] = c.DeleteFolder(ctx, dir.FolderID)
		_, _, refused["delete tree"] = c.DeleteFolderTree(ctx, dir.FolderID)
		_, refused["create"] = c.CreateFolder(ctx, dir.FolderID, "x")
		_, refused["move out"] = c.RenameFile(ctx, mine.FileID, dir.FolderID, "x")
		_, refused["move in"] = c.RenameFile(ctx, secret.FileID, s.folder, "x")
		_, refused["move folder in"] = c.RenameFolder(ctx, dir.FolderID, s.folder, "x")
		_, refused["copy out"] = c.CopyFile(ctx, mine.FileID, remote.CopyTarget{Parent: dir.FolderID, Name: "x"})
		_, refused["copy in"] = c.CopyFile(ctx, secret.FileID, remote.CopyTarget{Parent: s.folder, Name: "x"})
		_, _, refused["upload"] = c.UploadFile(ctx, remote.UploadTarget{Parent: dir.FolderID, Name: "x"}, bytes.NewReader(big), 9)
		_, refused["save"] = c.SaveUpload(ctx, id, remote.UploadTarget{Parent: dir.FolderID, Name: "x"})
		refused["write from file"] = c.WriteUploadFromFile(ctx, id, 0, secret.FileID, secret.Hash, 0, secret.Size)
		for what, err := range refused {
			require.ErrorIs(t, err, fs.ErrPermission, what)
		}
		found, err := c.FilesByChecksum(ctx, secret.Size, sha1.Sum(big))
		require.NoError(t, err)
		require.Empty(t, found)

		require.NoError(t, owner.DeleteFile(t.Context(), secret.FileID))
		ch, err := c.Diff(ctx, since, 0)
		require.NoError(t, err)
		for _, e := range ch.Entries {
			require.NotEqual(t, secret.FileID, e.Entry.FileID, "its changes are not seen")
		}
		require.Equal(t, []string{"mine"}, keys(s.children(t)))
	})
}

// another returns a client with connections of its own.
func (s *scene) another(t *testing.T, token string) *remote.Client {
	t.Helper()
	tr := s.srv.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	return newClient(t, s.srv.APIAddr(), token, tr)
}

func keys(m map[string]remote.Entry) []string {
	var k []string
	for name := range m {
		k = append(k, name)
	}
	return k
}

func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const foreign = "aTokenOfAnAccountInTheOtherRegion"
		srv, s := open(t, pcloudtest.Options{InProcess: true, ForeignTokens: []string{foreign}}, (*pcloudtest.Server).AppToken)
		_, err := s.Anyone(foreign).UserInfo(t.Context())
		var e *remote.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, 2094, e.Result)
		require.ErrorIs(t, err, remote.ErrToken)
		require.ErrorContains(t, err, "other region")
		require.NotContains(t, err.Error(), foreign)

		require.NoError(t, srv.RevokeToken(srv.AppToken()))
		_, err = s.Client.List(t.Context(), s.Folder)
		require.ErrorIs(t, err, remote.ErrToken)
		require.ErrorIs(t, s.Client.DeleteFile(t.Context(), missing), remote.ErrToken)
		require.False(t, errors.Is(err, remote.ErrTemporary), "no use in trying again")
	})
}

const missing remote.FileID = 1 << 60

func TestLinksAreReusedUntilTheyGetOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		e := s.put(t, "file", big)
		read := func() {
			t.Helper()
			p := make([]byte, 1000)
			_, err := s.client.ReadAt(t.Context(), e.FileID, e.Hash, e.Size, p, 5000)
			require.NoError(t, err)
			require.Equal(t, big[5000:6000], p)
		}
		s.srv.ResetStats()
		for range 20 {
			read()
		}
		require.EqualValues(t, 1, s.srv.Stats().Requests["getfilelink"])
		require.EqualValues(t, 20, s.srv.Stats().Requests[pcloudtest.ContentMethod])
		require.LessOrEqual(t, s.srv.Stats().Accepted, int64(2), "connections are reused")

		<-time.After(7 * time.Hour) // links live for six
		read()
		require.EqualValues(t, 2, s.srv.Stats().Requests["getfilelink"])
		require.EqualValues(t, 21, s.srv.Stats().Requests[pcloudtest.ContentMethod], "the old one was not even tried")
	})
}

func TestInterruptedWriteGoesOnWhereTheSessionEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		id := s.session(t, nil)
		require.NoError(t, s.srv.SetFaults([]pcloudtest.Rule{
			{Method: "upload_write", Do: pcloudtest.FaultResetWithin, After: int64(len(big)) / 2, Count: 1},
		}))
		s.srv.ResetStats()
		require.NoError(t, s.client.WriteUpload(t.Context(), id, 0, bytes.NewReader(big), int64(len(big))))
		require.Equal(t, done, s.reached(t, id, 0, big))
		sent := s.srv.Stats().BytesIn
		require.Less(t, sent, int64(len(big))*7/4, "what had arrived is not sent again")
	})
}

func TestResetOfTheFeedIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		since, err := s.client.LastDiff(t.Context())
		require.NoError(t, err)
		e := s.put(t, "file", big)
		require.NoError(t, s.srv.SetFaults([]pcloudtest.Rule{{Do: pcloudtest.FaultResetDiff, Count: 1}}))
		reset, state := false, make(map[remote.FileID]remote.Entry)
		for {
			ch, err := s.client.Diff(t.Context(), since, 2)
			require.NoError(t, err)
			if len(ch.Entries) == 0 {
				break
			}
			for _, c := range ch.Entries {
				switch c.Event {
				case remote.EventReset:
					reset = true
					clear(state)
				case remote.EventCreateFile, remote.EventModifyFile:
					state[c.Entry.FileID] = c.Entry
				}
			}
			since = ch.DiffID
		}
		require.True(t, reset)
		require.Equal(t, map[remote.FileID]remote.Entry{e.FileID: e}, state)
	})
}

// TestSlowIsNotStalled has links just above and just below the floor under
// which the client gives a transfer up.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rate int64
		want time.Duration // of 80,000 bytes; 0: not at all
	}{"slow": {1500, 54 * time.Second}, "stalled": {300, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				e := s.put(t, "file", big)
				require.NoError(t, s.srv.SetShape(pcloudtest.Shape{RTT: 100 * time.Millisecond, ConnUp: test.rate, ConnDown: test.rate}))
				start := time.Now()
				p := make([]byte, len(big))
				_, err := s.client.ReadAt(t.Context(), e.FileID, e.Hash, e.Size, p, 0)
				if test.want == 0 {
					// Every attempt moves a little, and reading goes on where it was.
					require.NoError(t, err)
				} else {
					require.NoError(t, err)
					require.InDelta(t, test.want.Seconds(), time.Since(start).Seconds(), 5)
				}
				require.Equal(t, big, p)

				start = time.Now()
				_, _, err = s.client.UploadFile(t.Context(), remote.UploadTarget{Parent: s.folder, Name: "up"}, bytes.NewReader(big), e.Size)
				if test.want == 0 {
					require.ErrorIs(t, err, remote.ErrTimeout)
					require.ErrorIs(t, err, remote.ErrTemporary)
					return
				}
				require.NoError(t, err)
				require.InDelta(t, test.want.Seconds(), time.Since(start).Seconds(), 5)
			})
		})
	}
}

// TestRoundTrips counts what a new connection and a kept one cost.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rtt = 200 * time.Millisecond
		s := newScene(t)
		require.NoError(t, s.srv.SetShape(pcloudtest.Shape{RTT: rtt}))
		c := s.another(t, s.srv.AppToken())
		for i, want := range []time.Duration{2 * rtt, rtt, rtt} { // no TLS in process
			start := time.Now()
			_, err := c.UserInfo(t.Context())
			require.NoError(t, err)
			require.InDelta(t, want.Seconds(), time.Since(start).Seconds(), 0.02, "call %d", i)
		}
	})
}
