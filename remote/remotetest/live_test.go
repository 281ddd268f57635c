package remotetest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/remotetest"
)

// TestLive runs the suite on the real service, in a folder of its own that is
// deleted afterwards. Files that it deletes stay in the account's trash.
func TestLive(t *testing.T) {
	host, token := os.Getenv("PCLOUDFS_TEST_HOST"), os.Getenv("PCLOUDFS_TEST_TOKEN")
	if host == "" || token == "" {
		t.Skip("PCLOUDFS_TEST_HOST (api.pcloud.com or eapi.pcloud.com) and PCLOUDFS_TEST_TOKEN are not set")
	}
	c := newClient(t, host, token, nil)
	home, err := c.CreateFolder(t.Context(), remote.RootFolder, fmt.Sprintf("pcloudfs-conformance-%d", time.Now().UnixNano()))
	require.NoError(t, err)
	defer func() {
		_, _, err := c.DeleteFolderTree(t.Context(), home.FolderID)
		require.NoError(t, err, "folder %q is left in the account", home.Name)
	}()
	checks := 0
	remotetest.Run(t, remotetest.Env{Live: true, Open: func(t *testing.T) *remotetest.Service {
		checks++
		e, err := c.CreateFolder(t.Context(), home.FolderID, fmt.Sprint("check", checks))
		require.NoError(t, err)
		return &remotetest.Service{
			Client: c,
			Other:  newClient(t, host, token, nil),
			Folder: e.FolderID,
			Anyone: func(token string) *remote.Client { return newClient(t, host, token, nil) },
			EU:     strings.HasPrefix(host, "eapi"),
		}
	}})
}
