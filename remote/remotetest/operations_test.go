package remotetest_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// scene is a server with a small tree, and two clients: one for the call that
// is tried and one to look at the result.
type scene struct {
	srv    *pcloudtest.Server
	client *remote.Client // tries
	look   *remote.Client
	folder remote.FolderID
}

func newScene(t *testing.T) *scene {
	t.Helper()
	srv, s := open(t, pcloudtest.Options{InProcess: true}, (*pcloudtest.Server).AppToken)
	return &scene{srv: srv, client: s.Client, look: s.Other, folder: s.Folder}
}

var (
	may  = time.Unix(1_714_521_600, 0)
	june = time.Unix(1_717_200_000, 0)
	big  = bytes.Repeat([]byte("0123456789abcdef"), 5000)
)

func (s *scene) put(t *testing.T, name string, data []byte) remote.Entry {
	t.Helper()
	e, _, err := s.look.UploadFile(t.Context(), remote.UploadTarget{Parent: s.folder, Name: name, Modified: may},
		bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	return e
}

func (s *scene) mkdir(t *testing.T, parent remote.FolderID, name string) remote.Entry {
	t.Helper()
	e, err := s.look.CreateFolder(t.Context(), parent, name)
	require.NoError(t, err)
	return e
}

// children returns the scene's folder by name; folders end with a slash.
func (s *scene) children(t *testing.T) map[string]remote.Entry {
	t.Helper()
	f, err := s.look.List(t.Context(), s.folder)
	require.NoError(t, err)
	m := make(map[string]remote.Entry)
	for _, e := range f.Contents {
		if e.Folder {
			e.Name += "/"
		}
		m[e.Name] = e
	}
	require.Len(t, m, len(f.Contents))
	return m
}

// named returns the child of that name without the mark of folders.
func (s *scene) named(t *testing.T, name string) remote.Entry {
	t.Helper()
	e := s.children(t)[name]
	if e.Folder {
		e.Name = e.Name[:len(e.Name)-1]
	}
	return e
}

func (s *scene) content(t *testing.T, name string) []byte {
	t.Helper()
	b, err := s.srv.ReadFile("/Applications/pcloudfs/check/" + name)
	require.NoError(t, err)
	return b
}

// tells returns done when the scene's folder has exactly the names after,
// none when it has the names before, and otherwise what it has.
func (s *scene) tells(t *testing.T, before, after []string) string {
	t.Helper()
	var names []string
	for name := range s.children(t) {
		names = append(names, name)
	}
	slices.Sort(names)
	switch {
	case slices.Equal(names, after):
		return done
	case slices.Equal(names, before):
		return none
	}
	return fmt.Sprint(names)
}

// errWrong is the worst: a result that is not right.
var errWrong = errors.New("wrong result")

// wrong is an errWrong unless ok.
func wrong(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%w: %s", errWrong, fmt.Sprintf(format, args...))
}

func operations() []operation {
	var all []operation
	for _, group := range [][]operation{
		readingOperations(), contentOperations(), feedOperations(), folderOperations(), fileOperations(),
		uploadOperations(), sessionOperations(), saveOperations(),
	} {
		all = append(all, group...)
	}
	return all
}

func readingOperations() []operation {
	return []operation{
		{name: "UserInfo", method: "userinfo", repeat: true, prepare: func(t *testing.T, s *scene) action {
			return action{run: func(ctx context.Context) error {
				u, err := s.client.UserInfo(ctx)
				return errors.Join(err, wrong(err != nil || u.Quota > 0, "%+v", u))
			}}
		}},
		{name: "APIServers", method: "getapiserver", repeat: true, prepare: func(t *testing.T, s *scene) action {
			return action{run: func(ctx context.Context) error {
				a, err := s.client.APIServers(ctx)
				return errors.Join(err, wrong(err != nil || len(a.API) > 0, "%+v", a))
			}}
		}},
		{name: "List", method: "listfolder", repeat: true, prepare: func(t *testing.T, s *scene) action {
			want := []remote.Entry{s.mkdir(t, s.folder, "dir"), s.put(t, "file", big)}
			return action{run: func(ctx context.Context) error {
				f, err := s.client.List(ctx, s.folder)
				return errors.Join(err, wrong(err != nil || sameEntries(f.Contents, want), "%+v", f))
			}}
		}},
		{name: "ListTree", method: "listfolder", repeat: true, passes: true, prepare: func(t *testing.T, s *scene) action {
			dir := s.mkdir(t, s.folder, "dir")
			want := []remote.Entry{dir, s.mkdir(t, dir.FolderID, "sub"), s.put(t, "file", big)}
			return action{run: func(ctx context.Context) error {
				var got []remote.Entry
				err := s.client.ListTree(ctx, s.folder, func(e remote.Entry) error {
					got = append(got, e)
					return nil
				})
				return errors.Join(err, wrong(err != nil || sameEntries(got, want), "%+v", got))
			}}
		}},
		{name: "Stat", method: "stat", repeat: true, prepare: func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{run: func(ctx context.Context) error {
				got, err := s.client.Stat(ctx, e.FileID)
				return errors.Join(err, wrong(err != nil || got == e, "%+v", got))
			}}
		}},
		{name: "Checksum", method: "checksumfile", repeat: true, prepare: func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{run: func(ctx context.Context) error {
				got, sums, err := s.client.Checksum(ctx, e.FileID)
				return errors.Join(err, wrong(err != nil || got == e && sums.SHA1 == sha1.Sum(big), "%+v", got))
			}}
		}},
		{name: "FilesByChecksum", method: "getfilesbychecksum", repeat: true, prepare: func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{run: func(ctx context.Context) error {
				got, err := s.client.FilesByChecksum(ctx, e.Size, sha1.Sum(big))
				return errors.Join(err, wrong(err != nil || sameEntries(got, []remote.Entry{e}), "%+v", got))
			}}
		}},
		{name: "Revisions", method: "listrevisions", repeat: true, prepare: func(t *testing.T, s *scene) action {
			old := s.put(t, "file", big)
			s.put(t, "file", []byte("new"))
			return action{run: func(ctx context.Context) error {
				got, err := s.client.Revisions(ctx, old.FileID)
				return errors.Join(err, wrong(err != nil || len(got) == 1 && got[0].Hash == old.Hash, "%+v", got))
			}}
		}},
	}
}

// sameEntries compares without regard to order.
func sameEntries(a, b []remote.Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for _, e := range a {
		if !slices.Contains(b, e) {
			return false
		}
	}
	return true
}

func contentOperations() []operation {
	read := func(method string) func(t *testing.T, s *scene) action {
		return func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{run: func(ctx context.Context) error {
				p := make([]byte, 50_000)
				n, err := s.client.ReadAt(ctx, e.FileID, e.Hash, e.Size, p, 1234)
				// What is returned is right, even with an error.
				return errors.Join(err, wrong(bytes.Equal(p[:n], big[1234:1234+n]) && (err != nil || n == len(p)), "%d bytes", n))
			}}
		}
	}
	return []operation{
		{name: "FileLink", method: "getfilelink", repeat: true, prepare: func(t *testing.T, s *scene) action {
			e := s.put(t, "file", big)
			return action{run: func(ctx context.Context) error {
				l, err := s.client.FileLink(ctx, e.FileID, e.Hash)
				return errors.Join(err, wrong(err != nil || l.Hash == e.Hash && l.Size == e.Size, "%+v", l))
			}}
		}},
		{name: "ReadAt, link", method: "getfilelink", repeat: true, prepare: read("getfilelink")},
		{name: "ReadAt, content", method: pcloudtest.ContentMethod, repeat: true, prepare: read(pcloudtest.ContentMethod)},
	}
}

func feedOperations() []operation {
	feed := func(call func(c *remote.Client, ctx context.Context, since remote.DiffID) (remote.Changes, error)) func(*testing.T, *scene) action {
		return func(t *testing.T, s *scene) action {
			since, err := s.look.LastDiff(t.Context())
			require.NoError(t, err)
			e := s.put(t, "file", big)
			return action{run: func(ctx context.Context) error {
				ch, err := call(s.client, ctx, since)
				ok := err != nil || len(ch.Entries) == 1 && ch.Entries[0].Entry == e && ch.DiffID == ch.Entries[0].DiffID
				return errors.Join(err, wrong(ok, "%+v", ch))
			}}
		}
	}
	return []operation{
		{name: "Diff", method: "diff", repeat: true, prepare: feed(func(c *remote.Client, ctx context.Context, since remote.DiffID) (remote.Changes, error) {
			return c.Diff(ctx, since, 0)
		})},
		{name: "WaitDiff", method: "diff", repeat: true, prepare: feed(func(c *remote.Client, ctx context.Context, since remote.DiffID) (remote.Changes, error) {
			return c.WaitDiff(ctx, since, 0)
		})},
		{name: "LastDiff", method: "diff", repeat: true, prepare: func(t *testing.T, s *scene) action {
			want, err := s.look.LastDiff(t.Context())
			require.NoError(t, err)
			return action{run: func(ctx context.Context) error {
				got, err := s.client.LastDiff(ctx)
				return errors.Join(err, wrong(err != nil || got == want, "%d", got))
			}}
		}},
	}
}
