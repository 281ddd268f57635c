package remotetest_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func folderOperations() []operation {
	return []operation{
		{name: "CreateFolder", method: "createfolder", prepare: func(t *testing.T, s *scene) action {
			return action{
				run: func(ctx context.Context) error {
					e, err := s.client.CreateFolder(ctx, s.folder, "new")
					return errors.Join(err, wrong(err != nil || e == s.named(t, "new/"), "%+v", e))
				},
				effect: func() string { return s.tells(t, nil, []string{"new/"}) },
			}
		}},
		{name: "EnsureFolder", method: "createfolderifnotexists", repeat: true, prepare: func(t *testing.T, s *scene) action {
			return action{
				run: func(ctx context.Context) error {
					e, _, err := s.client.EnsureFolder(ctx, s.folder, "new")
					return errors.Join(err, wrong(err != nil || e == s.named(t, "new/"), "%+v", e))
				},
				effect: func() string { return s.tells(t, nil, []string{"new/"}) },
			}
		}},
		{name: "RenameFolder", method: "renamefolder", prepare: func(t *testing.T, s *scene) action {
			a := s.mkdir(t, s.folder, "a")
			return action{
				run: func(ctx context.Context) error {
					e, err := s.client.RenameFolder(ctx, a.FolderID, s.folder, "b")
					return errors.Join(err, wrong(err != nil || e == s.named(t, "b/"), "%+v", e))
				},
				effect: func() string { return s.tells(t, []string{"a/"}, []string{"b/"}) },
			}
		}},
		{name: "DeleteFolder", method: "deletefolder", repeat: true, prepare: func(t *testing.T, s *scene) action {
			a := s.mkdir(t, s.folder, "a")
			return action{
				run:    func(ctx context.Context) error { return s.client.DeleteFolder(ctx, a.FolderID) },
				effect: func() string { return s.tells(t, []string{"a/"}, nil) },
			}
		}},
		{name: "DeleteFolderTree", method: "deletefolderrecursive", repeat: true, prepare: func(t *testing.T, s *scene) action {
			a := s.mkdir(t, s.folder, "a")
			s.mkdir(t, a.FolderID, "b")
			return action{
				run: func(ctx context.Context) error {
					files, folders, err := s.client.DeleteFolderTree(ctx, a.FolderID)
					return errors.Join(err, wrong(err != nil || files == 0 && (folders == 2 || folders == 0), "%d, %d", files, folders))
				},
				effect: func() string { return s.tells(t, []string{"a/"}, nil) },
			}
		}},
	}
}

func fileOperations() []operation {
	times := func(call func(c *remote.Client, ctx context.Context, e remote.Entry) (remote.Entry, error)) func(*testing.T, *scene) action {
		return func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{
				run: func(ctx context.Context) error {
					got, err := call(s.client, ctx, e)
					return errors.Join(err, wrong(err != nil || got == s.named(t, "file"), "%+v", got))
				},
				effect: func() string {
					if got := s.named(t, "file").Modified; got.Equal(june) {
						return s.tells(t, nil, []string{"file"})
					} else if !got.Equal(may) {
						return got.String()
					}
					return none
				},
			}
		}
	}
	return []operation{
		{name: "CopyFile", method: "copyfile", prepare: func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{
				run: func(ctx context.Context) error {
					got, err := s.client.CopyFile(ctx, e.FileID, remote.CopyTarget{Parent: s.folder, Name: "copy", Modified: may, NoOverwrite: true})
					return errors.Join(err, wrong(err != nil || got == s.named(t, "copy"), "%+v", got))
				},
				effect: func() string { return s.tells(t, []string{"file"}, []string{"copy", "file"}) },
			}
		}},
		{name: "SetTimes", method: "copyfile", repeat: true, prepare: times(func(c *remote.Client, ctx context.Context, e remote.Entry) (remote.Entry, error) {
			return c.SetTimes(ctx, e, june, time.Time{})
		})},
		{name: "SetFileMtime", method: "setfilemtime", repeat: true, prepare: times(func(c *remote.Client, ctx context.Context, e remote.Entry) (remote.Entry, error) {
			return c.SetFileMtime(ctx, e.FileID, june)
		})},
		{name: "RenameFile", method: "renamefile", prepare: func(t *testing.T, s *scene) action {
			e, old := s.put(t, "a", big), s.put(t, "b", []byte("old"))
			return action{
				run: func(ctx context.Context) error {
					got, err := s.client.RenameFile(ctx, e.FileID, s.folder, "b")
					return errors.Join(err, wrong(err != nil || got.FileID == e.FileID && got.Replaced == old.FileID, "%+v", got))
				},
				effect: func() string { return s.tells(t, []string{"a", "b"}, []string{"b"}) },
			}
		}},
		{name: "DeleteFile", method: "deletefile", repeat: true, prepare: func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{
				run:    func(ctx context.Context) error { return s.client.DeleteFile(ctx, e.FileID) },
				effect: func() string { return s.tells(t, []string{"file"}, nil) },
			}
		}},
		{name: "RevertRevision", method: "revertrevision", prepare: func(t *testing.T, s *scene) action {
			old, now := s.put(t, "file", []byte("old")), s.put(t, "file", big)
			r, err := s.look.Revisions(t.Context(), old.FileID)
			require.NoError(t, err)
			return action{
				run: func(ctx context.Context) error {
					got, err := s.client.RevertRevision(ctx, old.FileID, r[0].ID)
					return errors.Join(err, wrong(err != nil || got.Hash == old.Hash, "%+v", got))
				},
				effect: func() string {
					switch s.named(t, "file").Hash {
					case old.Hash:
						return done
					case now.Hash:
						return none
					}
					return "another version"
				},
			}
		}},
	}
}

// holding tells whether the scene's folder has one file "file" with data, or
// still with before (nil: no file at all).
func (s *scene) holding(t *testing.T, before, data []byte) string {
	t.Helper()
	if got := s.tells(t, nil, []string{"file"}); got != done {
		if before != nil {
			return "a lost file: " + got
		}
		return got
	}
	switch got := s.content(t, "file"); {
	case bytes.Equal(got, data):
		return done
	case before != nil && bytes.Equal(got, before):
		return none
	default:
		return fmt.Sprintf("%d wrong bytes", len(got))
	}
}

func uploadOperations() []operation {
	upload := func(before, data []byte, conditional bool) func(*testing.T, *scene) action {
		return func(t *testing.T, s *scene) action {
			target := remote.UploadTarget{Parent: s.folder, Name: "file", Modified: june}
			if conditional {
				target.If = remote.IfNew()
			}
			if before != nil {
				e := s.put(t, "file", before)
				if conditional {
					target.If = remote.IfHash(e.Hash)
				}
			}
			return action{
				run: func(ctx context.Context) error {
					e, sums, err := s.client.UploadFile(ctx, target, bytes.NewReader(data), int64(len(data)))
					ok := err != nil || sums.SHA1 == sha1.Sum(data) && e == s.named(t, "file")
					return errors.Join(err, wrong(ok, "%+v", e))
				},
				effect: func() string { return s.holding(t, before, data) },
			}
		}
	}
	return []operation{
		{name: "UploadFile", method: "uploadfile", body: true, prepare: upload(nil, big, false)},
		{name: "UploadFile, empty", method: "uploadfile", prepare: upload(nil, nil, false)},
		{name: "UploadFile, overwriting", method: "uploadfile", body: true, prepare: upload([]byte("old"), big, false)},
		{name: "UploadFile, if new", method: "uploadfile", body: true, conditional: true, prepare: upload(nil, big, true)},
		{name: "UploadFile, if hash", method: "uploadfile", body: true, conditional: true, prepare: upload([]byte("old"), big, true)},
	}
}

// session opens an upload session that holds data.
func (s *scene) session(t *testing.T, data []byte) remote.UploadID {
	t.Helper()
	id, err := s.look.CreateUpload(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, s.look.WriteUpload(t.Context(), id, 0, bytes.NewReader(data), int64(len(data))))
	return id
}

// reached tells how much of data a session holds beyond its first bytes.
func (s *scene) reached(t *testing.T, id remote.UploadID, first int, data []byte) string {
	t.Helper()
	st, err := s.look.UploadInfo(t.Context(), id)
	switch {
	case errors.Is(err, remote.ErrNoUpload):
		return none // lost
	case err != nil:
		return err.Error()
	case st.Size > int64(len(data)) || st.SHA1 != sha1.Sum(data[:st.Size]):
		return fmt.Sprintf("%d wrong bytes", st.Size)
	case st.Size == int64(len(data)):
		return done
	case st.Size == int64(first):
		return none
	}
	return part
}

func sessionOperations() []operation {
	return []operation{
		{name: "CreateUpload", method: "upload_create", repeat: true, prepare: func(t *testing.T, s *scene) action {
			return action{run: func(ctx context.Context) error {
				id, err := s.client.CreateUpload(ctx, 100)
				var e *remote.Error
				if errors.As(err, &e) {
					return err
				}
				return wrong(s.reached(t, id, 0, []byte("x")) == none, "session %d", id)
			}, effect: func() string {
				if s.srv.Stats().UploadSessions > 0 {
					return done
				}
				return none
			}}
		}},
		{name: "WriteUpload", looks: true, method: "upload_write", repeat: true, body: true, prepare: func(t *testing.T, s *scene) action {
			id := s.session(t, big[:1000])
			return action{
				run: func(ctx context.Context) error {
					return s.client.WriteUpload(ctx, id, 1000, bytes.NewReader(big), int64(len(big)-1000))
				},
				effect: func() string { return s.reached(t, id, 1000, big) },
			}
		}},
		{name: "UploadInfo", method: "upload_info", repeat: true, prepare: func(t *testing.T, s *scene) action {
			id := s.session(t, big)
			return action{run: func(ctx context.Context) error {
				st, err := s.client.UploadInfo(ctx, id)
				return errors.Join(err, wrong(err != nil || st.Size == int64(len(big)) && st.SHA1 == sha1.Sum(big), "%+v", st))
			}}
		}},
		{name: "WriteUploadFromFile", looks: true, method: "upload_writefromfile", repeat: true, prepare: func(t *testing.T, s *scene) action {
			e := s.put(t, "source", big)
			id := s.session(t, big[:1000])
			return action{
				run: func(ctx context.Context) error {
					return s.client.WriteUploadFromFile(ctx, id, 1000, e.FileID, e.Hash, 1000, e.Size-1000)
				},
				effect: func() string { return s.reached(t, id, 1000, big) },
			}
		}},
		{name: "WriteUploadFromUpload", looks: true, method: "upload_writefromupload", repeat: true, prepare: func(t *testing.T, s *scene) action {
			src, id := s.session(t, big), s.session(t, big[:1000])
			return action{
				run: func(ctx context.Context) error {
					return s.client.WriteUploadFromUpload(ctx, id, 1000, src, 1000, int64(len(big)-1000))
				},
				effect: func() string { return s.reached(t, id, 1000, big) },
			}
		}},
		{name: "DeleteUpload", method: "upload_delete", repeat: true, prepare: func(t *testing.T, s *scene) action {
			id := s.session(t, big)
			return action{
				run: func(ctx context.Context) error { return s.client.DeleteUpload(ctx, id) },
				effect: func() string {
					if _, err := s.look.UploadInfo(t.Context(), id); errors.Is(err, remote.ErrNoUpload) {
						return done
					}
					return none
				},
			}
		}},
	}
}

func saveOperations() []operation {
	save := func(before []byte, cond func(remote.Entry) remote.Condition) func(*testing.T, *scene) action {
		return func(t *testing.T, s *scene) action {
			var e remote.Entry
			if before != nil {
				e = s.put(t, "file", before)
			}
			id := s.session(t, big)
			return action{
				run: func(ctx context.Context) error {
					got, err := s.client.SaveUpload(ctx, id, remote.UploadTarget{Parent: s.folder, Name: "file", Modified: june, If: cond(e)})
					return errors.Join(err, wrong(err != nil || got == s.named(t, "file"), "%+v", got))
				},
				effect: func() string { return s.holding(t, before, big) },
			}
		}
	}
	return []operation{
		{name: "SaveUpload", method: "upload_save",
			prepare: save(nil, func(remote.Entry) remote.Condition { return remote.Condition{} })},
		{name: "SaveUpload, if new", method: "upload_save", conditional: true,
			prepare: save(nil, func(remote.Entry) remote.Condition { return remote.IfNew() })},
		{name: "SaveUpload, if hash", method: "upload_save", conditional: true,
			prepare: save([]byte("old"), func(e remote.Entry) remote.Condition { return remote.IfHash(e.Hash) })},
	}
}
