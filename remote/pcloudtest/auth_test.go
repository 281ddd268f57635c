package pcloudtest_test

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

func hexSHA1(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestTokensAreTakenFromEveryPlace(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{})
	nobody := app.with("")
	nobody.fails(1000, "userinfo")
	app.ok("userinfo")
	nobody.ok("userinfo", "access_token", app.token)

	r := nobody.request("GET", nobody.url("userinfo"), nil)
	r.Header.Set("Authorization", "bearer  "+app.token)
	nobody.api(r).mustBeOK(t)

	r = nobody.request("GET", nobody.url("userinfo"), nil)
	r.Header.Set("Cookie", "access_token="+app.token)
	nobody.api(r).mustBeOK(t)

	body, kind := multipartBody(t, map[string]string{"access_token": app.token, "folderid": "0"}, "f", "data")
	r = nobody.request("POST", nobody.url("uploadfile"), body)
	r.Header.Set("Content-Type", kind)
	nobody.api(r).mustBeOK(t)
}

func TestBadTokensAreRefused(t *testing.T) {
	t.Parallel()
	foreign := "tokenOfTheOtherRegion"
	app, account := newServer(t, pcloudtest.Options{ForeignTokens: []string{foreign}, ForeignUsers: []string{"eve@example.eu"}})
	nobody := app.with("")
	nobody.with("nonsense").fails(2094, "userinfo")
	nobody.with(foreign).fails(2094, "userinfo")
	nobody.fails(2000, "userinfo", "auth", "nonsense")
	nobody.fails(2000, "userinfo", "auth", app.token)

	v := nobody.call("userinfo", "username", "Eve@example.eu", "password", "x")
	require.Equal(t, uint64(2321), v.num("result"))
	loc := reply(v["location"].(map[string]any))
	require.Equal(t, uint64(2), loc.num("id"))
	require.Equal(t, "bineapi.pcloud.com", loc["binapi"])

	require.NoError(t, app.srv.RevokeToken(account.token))
	account.fails(2095, "userinfo")
	require.Error(t, app.srv.RevokeToken(account.token))
	require.Equal(t, true, app.ok("logout")["auth_deleted"])
	app.fails(2095, "userinfo")
	require.Equal(t, false, nobody.ok("logout")["auth_deleted"])
}

func TestPasswordLogins(t *testing.T) {
	t.Parallel()
	app, _ := newServer(t, pcloudtest.Options{Email: "User@Example.com", Password: "s3cret"})
	c := app.with("")
	sum := md5.Sum([]byte("s3cret"))
	c.ok("userinfo", "username", "user@example.com", "password", "s3cret")
	c.ok("login", "username", "USER@example.com", "passwordmd5", hex.EncodeToString(sum[:]))
	c.fails(2000, "userinfo", "username", "user@example.com", "password", "wrong")
	c.fails(2000, "userinfo", "username", "other@example.com", "password", "s3cret")
	c.fails(2000, "userinfo", "username", "user@example.com")

	d := c.ok("getdigest").str("digest")
	proof := hexSHA1("s3cret" + hexSHA1("user@example.com") + d)
	v := c.ok("userinfo", "username", "User@Example.com", "digest", d, "passworddigest", proof, "getauth", 1, "logout", 1)
	c.ok("listfolder", "auth", v.str("auth"), "folderid", 0)
	c.fails(2000, "userinfo", "username", "user@example.com", "digest", "abc123", "passworddigest",
		hexSHA1("s3cret"+hexSHA1("user@example.com")+"abc123"))

	require.Equal(t, true, c.ok("logout", "auth", v.str("auth"))["auth_deleted"])
	c.fails(2000, "userinfo", "auth", v.str("auth"))
}

// The test vector of pCloud API 4.4.
func TestPasswordDigestOfTheDocumentation(t *testing.T) {
	t.Parallel()
	require.Equal(t, "16416c102243953a0e948d14da6e83d0d4a0ab29",
		hexSHA1("s3cret"+hexSHA1(strings.ToLower("User@Example.com"))+"abc123"))
}

func TestDigestsAndSessionsExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		app, _ := newServer(t, pcloudtest.Options{InProcess: true, Password: "pw"})
		c := app.with("")
		login := []any{"username", app.srv.Email()}
		digest := func() []any {
			d := c.ok("getdigest").str("digest")
			return append(login, "digest", d, "passworddigest", hexSHA1("pw"+hexSHA1(app.srv.Email())+d))
		}
		fresh := digest()
		time.Sleep(29 * time.Second)
		c.ok("userinfo", fresh...)
		time.Sleep(2 * time.Second)
		c.fails(2000, "userinfo", fresh...)

		auth := c.ok("userinfo", append(digest(), "getauth", 1, "authexpire", 7200, "authinactiveexpire", 3600)...).str("auth")
		time.Sleep(59 * time.Minute)
		c.ok("userinfo", "auth", auth)
		time.Sleep(59 * time.Minute)
		c.ok("userinfo", "auth", auth)
		time.Sleep(3 * time.Minute)
		c.fails(2000, "userinfo", "auth", auth)
	})
}

func TestMethodsThatRefuseOAuthTokens(t *testing.T) {
	t.Parallel()
	app, account := newServer(t, pcloudtest.Options{})
	for _, c := range []*client{app, account} {
		c.fails(2003, "trash_clear", "folderid", 0)
		c.fails(2003, "trash_list")
		c.fails(2003, "file_open", "path", "/f", "flags", 0x42)
	}
	login := []any{"username", app.srv.Email(), "password", app.srv.Password()}
	nobody := app.with("")
	nobody.ok("trash_clear", append(login, "folderid", 0)...)
	nobody.fails(2003, "file_open", append(login, "path", "/f", "flags", 0x42)...)
}

func TestApplicationTokenSeesItsFolderAsRoot(t *testing.T) {
	t.Parallel()
	app, account := newServer(t, pcloudtest.Options{App: "Backup"})
	inside := app.put(0, "inside.txt", "in").file()
	require.Zero(t, inside.num("parentfolderid"))
	outside := account.put(0, "outside.txt", "out").file()
	secret := account.ok("createfolder", "folderid", 0, "name", "secret").meta().num("folderid")

	root := app.ok("listfolder", "folderid", 0)
	require.Equal(t, []string{"inside.txt"}, root.names())
	require.Equal(t, "/", root.meta()["name"])
	require.Equal(t, "d0", root.meta()["id"])
	require.NotContains(t, root.meta(), "parentfolderid")
	require.Equal(t, "inside.txt", account.ok("stat", "path", "/Applications/Backup/inside.txt").meta()["name"])

	app.fails(2003, "stat", "fileid", outside.num("fileid"))
	app.fails(2003, "getfilelink", "fileid", outside.num("fileid"))
	app.fails(2003, "deletefile", "fileid", outside.num("fileid"))
	app.fails(2003, "listfolder", "folderid", secret)
	app.fails(2003, "copyfile", "fileid", inside.num("fileid"), "tofolderid", secret)
	app.fails(2003, "renamefile", "fileid", inside.num("fileid"), "tofolderid", secret)
	app.fails(2055, "stat", "path", "/secret")
	app.fails(2055, "stat", "path", "/outside.txt")
	for _, p := range []string{"/../outside.txt", "/../../outside.txt", "/Applications/../../outside.txt"} {
		require.NotEqual(t, uint64(0), app.call("stat", "path", p).num("result"), p)
	}
	require.Empty(t, app.ok("getfilesbychecksum", "size", 3, "sha1", hexSHA1("out"))["metadata"])
	v := app.api(app.request(http.MethodPut, app.url("uploadfile", "folderid", secret, "filename", "x"), strings.NewReader("x")))
	require.Equal(t, uint64(2003), v.num("result"))

	for _, e := range app.ok("diff", "diffid", 0).list("entries") {
		if m, ok := e["metadata"].(map[string]any); ok {
			require.NotContains(t, []any{"outside.txt", "secret", "Applications", "Backup"}, m["name"])
		}
	}
}
