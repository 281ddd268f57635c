package pcloudtest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func TestDirectEdits(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	s, top := c.srv, "/Applications/pcloudfs"
	cursor := c.ok("diff", "last", 0).num("diffid")
	modified := time.Unix(1600000000, 0)
	require.NoError(t, s.MkdirAll(top+"/a/b"))
	require.NoError(t, s.MkdirAll(top+"/a/b"), "again")
	require.NoError(t, s.WriteFile(top+"/a/b/f", []byte("hello"), modified))
	require.NoError(t, s.WriteFile(top+"/empty", nil, time.Time{}))
	require.Equal(t, "Sun, 13 Sep 2020 12:26:40 +0000", c.ok("stat", "path", "/a/b/f").meta()["modified"])

	b, err := s.ReadFile(top + "/a/b/f")
	require.NoError(t, err)
	require.Equal(t, "hello", string(b))
	b, err = s.ReadFile(top + "/empty")
	require.NoError(t, err)
	require.Empty(t, b)
	_, err = s.ReadFile(top + "/none")
	require.ErrorContains(t, err, "/none")

	require.NoError(t, s.Rename(top+"/a/b/f", top+"/g"))
	require.NoError(t, s.Rename(top+"/a", top+"/z"))
	require.NoError(t, s.Remove(top+"/empty"))
	require.NoError(t, s.Remove(top+"/z"))
	require.Error(t, s.Remove(top+"/z"))
	require.Error(t, s.WriteFile(top+"/none/f", nil, modified))
	require.Error(t, s.Rename(top+"/none", top+"/x"))

	tree := s.Tree()
	require.Len(t, tree, 1)
	require.Equal(t, top+"/g", tree[0].Path)
	require.Equal(t, hexSHA1("hello"), tree[0].SHA1)

	var kinds []string
	last := cursor
	for _, e := range s.Events(cursor) {
		require.Greater(t, e.DiffID, last)
		last = e.DiffID
		if e.Name == "f" || e.Name == "g" {
			kinds = append(kinds, e.Event)
		}
	}
	require.Equal(t, []string{"createfile", "modifyfile"}, kinds)
	require.Contains(t, c.ok("diff", "diffid", cursor).events(), "modifyfile g")
}
