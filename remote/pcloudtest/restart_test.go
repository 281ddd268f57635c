package pcloudtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func TestRestartFindsTheSameAccount(t *testing.T) {
	t.Parallel()
	o := pcloudtest.Options{Dir: filepath.Join(t.TempDir(), "new"), App: "Backup"}
	c, account := newServer(t, o)
	c.put(0, "f", "data")
	up := c.ok("upload_create").num("uploadid")
	c.write(up, 0, "begun").mustBeOK(t)
	nobody := c.with("")
	auth := nobody.ok("userinfo", "username", c.srv.Email(), "password", c.srv.Password(), "getauth", 1).str("auth")
	issued := c.consent(codeFlow(), "allow", "app").Query().Get("code")
	issued = nobody.ok("oauth2_token", "client_id", "app1", "client_secret", "s", "code", issued).str("access_token")
	revoked := c.consent(codeFlow(), "allow", "app").Query().Get("code")
	revoked = nobody.ok("oauth2_token", "client_id", "app1", "client_secret", "s", "code", revoked).str("access_token")
	require.NoError(t, c.srv.RevokeToken(revoked))
	ca, tree, cursor := c.srv.CAPEM(), c.srv.Tree(), c.ok("diff", "last", 0)["diffid"]
	require.NoError(t, c.srv.Close())
	require.NoError(t, c.srv.Close(), "closing twice is allowed")

	again, accountAgain := newServer(t, o)
	require.Equal(t, c.token, again.token)
	require.Equal(t, account.token, accountAgain.token)
	require.Equal(t, c.srv.Password(), again.srv.Password())
	require.Equal(t, ca, again.srv.CAPEM())
	require.Equal(t, tree, again.srv.Tree())
	require.Equal(t, cursor, again.ok("diff", "last", 0)["diffid"])
	again.ok("userinfo", "auth", auth)
	again.with("").ok("userinfo", "auth", auth)
	again.with(issued).ok("stat", "path", "/f")
	again.with(revoked).fails(2095, "stat", "path", "/f")
	require.Equal(t, uint64(5), again.ok("upload_info", "uploadid", up).num("size"))

	info, err := os.Stat(filepath.Join(o.Dir, "ca.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, again.srv.WriteCA(file))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, ca, b)
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	broken := t.TempDir()
	for _, f := range []string{"ca.key", "ca.pem"} {
		require.NoError(t, os.WriteFile(filepath.Join(broken, f), []byte("not PEM"), 0o600))
	}
	running, _ := newServer(t, pcloudtest.Options{})
	for name, o := range map[string]pcloudtest.Options{
		"region":  {Region: 7},
		"app":     {App: "../other"},
		"quota":   {Quota: -1},
		"shape":   {Shape: pcloudtest.Shape{Up: -1}},
		"quirk":   {Quirks: pcloudtest.Quirks{LinkExpiry: -1}},
		"tree":    {Tree: "no such thing"},
		"address": {Listen: running.srv.APIAddr()},
		"content": {ContentListen: running.srv.APIAddr()},
		"ca":      {Dir: broken},
		"dir":     {Dir: "/dev/null/x"},
	} {
		_, err := pcloudtest.Start(o)
		require.Error(t, err, name)
	}
}

func TestGeneratedTreeIsServed(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{Tree: "files=50,folders=5,avg=1k,seed=7"})
	tree := c.srv.Tree()
	require.Len(t, tree, 50)
	for _, e := range tree[:5] {
		_, body := c.get(c.with(c.srv.AccountToken()).link(e.FileID))
		require.Equal(t, e.SHA1, hexSHA1(body))
		require.Len(t, body, int(e.Size))
	}
}
