package metadata

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

func TestPutAndLookup(t *testing.T) {
	c := New(Options{})
	tok := c.Begin(1)
	require.True(t, c.Put(tok, remote.Folder{Contents: []remote.Entry{{Name: "a", FileID: 1}, {Name: "a", Folder: true, FolderID: 2}}}))
	e, found, known := c.Lookup(1, "a")
	require.True(t, found && known && e.Folder)
	e, found, known = c.LookupFile(1, "a")
	require.True(t, found && known && !e.Folder)
}
