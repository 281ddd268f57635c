package pcloudtest_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// consent opens the consent page and answers it; the result is where the
// browser is sent.
func (c *client) consent(params url.Values, decision, access string) *url.URL {
	c.Helper()
	resp, page := c.do(c.with("").request("GET", c.url("oauth2/authorize")+"?"+params.Encode(), nil))
	require.Equal(c, http.StatusOK, resp.StatusCode, "%s", page)
	m := regexp.MustCompile(`name="request" value="(\w+)"`).FindSubmatch(page)
	require.NotNil(c, m, "%s", page)
	resp, page = c.postForm("oauth2/authorize", url.Values{"request": {string(m[1])}, "decision": {decision}, "access": {access}})
	if params.Get("redirect_uri") == "" {
		code := regexp.MustCompile(`id="code">(\w+)<`).FindSubmatch(page)
		require.NotNil(c, code, "%s", page)
		return &url.URL{RawQuery: "code=" + string(code[1])}
	}
	require.Equal(c, http.StatusFound, resp.StatusCode, "%s", page)
	u, err := resp.Location()
	require.NoError(c, err)
	return u
}

func (c *client) postForm(method string, form url.Values) (*http.Response, []byte) {
	c.Helper()
	r := c.with("").request("POST", c.url(method), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(r)
}

func codeFlow() url.Values {
	return url.Values{"client_id": {"app1"}, "response_type": {"code"}, "redirect_uri": {"http://localhost:53682/"}, "state": {"xyz"}}
}

func TestOAuthCodeFlow(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{Region: pcloudtest.EU})
	u := c.consent(codeFlow(), "allow", "app")
	require.Equal(t, "localhost:53682", u.Host)
	require.Equal(t, "2", u.Query().Get("locationid"))
	require.Equal(t, c.srv.APIAddr(), u.Query().Get("hostname"))
	require.NotContains(t, u.Query(), "state")
	code := u.Query().Get("code")

	nobody := c.with("")
	nobody.fails(1022, "oauth2_token", "client_id", "app1", "client_secret", "s")
	nobody.fails(2012, "oauth2_token", "client_id", "app1", "client_secret", "s", "code", "wrong")
	nobody.fails(2012, "oauth2_token", "client_id", "app2", "client_secret", "s", "code", code)
	nobody.fails(1000, "oauth2_token", "code", code)
	v := nobody.ok("oauth2_token", "client_id", "app1", "client_secret", "s", "code", code)
	require.Equal(t, "bearer", v["token_type"])
	require.Equal(t, v["uid"], v["userid"])
	require.Equal(t, uint64(2), v.num("locationid"))
	nobody.fails(2012, "oauth2_token", "client_id", "app1", "client_secret", "s", "code", code)

	c.put(0, "mine", "x")
	require.Equal(t, []string{"mine"}, c.with(v.str("access_token")).ok("listfolder", "folderid", 0).names())
	require.Equal(t, true, c.with(v.str("access_token")).ok("logout")["auth_deleted"])
	c.with(v.str("access_token")).fails(2095, "userinfo")
}

func TestOAuthBasicCredentials(t *testing.T) {
	t.Parallel()
	for refuse, works := range map[bool]bool{false: true, true: false} {
		c, _ := newServer(t, pcloudtest.Options{Quirks: pcloudtest.Quirks{RefuseBasicAuth: refuse}})
		code := c.consent(codeFlow(), "allow", "account").Query().Get("code")
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost:53682/"}}
		r := c.with("").request("POST", c.url("/oauth2_token"), strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("app1", "s%2Fx")
		v := c.api(r)
		require.Equal(t, works, v.num("result") == 0)
		if !works {
			// The second try of Go's oauth2 package: the code is still good.
			form.Set("client_id", "app1")
			form.Set("client_secret", "s/x")
			_, b := c.postForm("oauth2_token", form)
			v = decode(t, b)
		}
		v.mustBeOK(t)
		require.Equal(t, []string{"Applications"}, c.with(v.str("access_token")).ok("listfolder", "folderid", 0).names())
	}
}

func TestOAuthTokenFlow(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	p := codeFlow()
	p.Set("response_type", "token")
	u := c.consent(p, "allow", "app")
	require.Empty(t, u.RawQuery)
	q, err := url.ParseQuery(u.Fragment)
	require.NoError(t, err)
	require.Equal(t, "bearer", q.Get("token_type"))
	require.Equal(t, "1", q.Get("locationid"))
	c.with(q.Get("access_token")).ok("userinfo")
}

func TestOAuthRefusals(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	u := c.consent(codeFlow(), "deny", "app")
	require.Equal(t, "access_denied", u.Query().Get("error"))
	require.NotContains(t, u.Query(), "code")

	for _, change := range []func(url.Values){
		func(p url.Values) { p.Del("client_id") },
		func(p url.Values) { p.Set("response_type", "poll") },
		func(p url.Values) { p.Set("redirect_uri", "javascript:alert(1)") },
		func(p url.Values) { p.Set("redirect_uri", "/relative") },
		func(p url.Values) { p.Set("response_type", "token"); p.Del("redirect_uri") },
	} {
		p := codeFlow()
		change(p)
		resp, _ := c.do(c.request("GET", c.url("oauth2/authorize")+"?"+p.Encode(), nil))
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, "%v", p)
	}
	resp, _ := c.postForm("oauth2/authorize", url.Values{"request": {"made-up"}, "decision": {"allow"}})
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "only the page itself can agree")
}

func TestOAuthPageEscapesItsParameters(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	p := codeFlow()
	p.Set("client_id", "<script>alert(1)</script>")
	_, page := c.do(c.request("GET", c.url("oauth2/authorize")+"?"+p.Encode(), nil))
	require.NotContains(t, string(page), "<script>")
}

func TestOAuthCodeIsShownWithoutRedirect(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	p := codeFlow()
	p.Del("redirect_uri")
	code := c.consent(p, "allow", "app").Query().Get("code")
	c.with("").ok("oauth2_token", "client_id", "app1", "client_secret", "s", "code", code)
}

func TestOAuthStateIsDropped(t *testing.T) {
	t.Parallel()
	for keep, want := range map[bool]string{false: "", true: "xyz"} {
		c, _ := newServer(t, pcloudtest.Options{Quirks: pcloudtest.Quirks{KeepOAuthState: keep}})
		require.Equal(t, want, c.consent(codeFlow(), "allow", "app").Query().Get("state"))
	}
}
