package remote

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func TestOAuthEndpoints(t *testing.T) {
	require.Equal(t, oauth2.Endpoint{AuthURL: "https://my.pcloud.com/oauth2/authorize", TokenURL: "https://eapi.pcloud.com/oauth2_token",
		AuthStyle: oauth2.AuthStyleInParams}, OAuthEndpoint(HostEU))
	require.Equal(t, oauth2.Endpoint{AuthURL: "https://localhost:8443/oauth2/authorize", TokenURL: "https://localhost:8443/oauth2_token",
		AuthStyle: oauth2.AuthStyleInParams}, OAuthEndpoint("localhost:8443"))
}

func TestOAuthHost(t *testing.T) {
	for query, want := range map[string]string{
		"code=x&locationid=1":                          HostUS,
		"code=x&locationid=2":                          HostEU,
		"code=x&locationid=2&hostname=eapi.pcloud.com": HostEU,
		"code=x&hostname=api.pcloud.com":               HostUS,
		"code=x&locationid=1&hostname=evil.com":        "",
		"code=x&hostname=api.pcloud.com.evil.com":      "",
		"code=x&hostname=api.pcloud.com%40evil.com":    "",
		"code=x":              "",
		"code=x&locationid=7": "",
		"code=x&locationid=7&hostname=%00&hostname=api": "",
	} {
		q, err := url.ParseQuery(query)
		require.NoError(t, err)
		host, err := OAuthHost(q)
		require.Equal(t, want, host, query)
		require.Equal(t, want == "", err != nil)
	}
}

func TestExchange(t *testing.T) {
	conf := oauth2.Config{ClientID: "app", ClientSecret: "s3cret-of-the-app", RedirectURL: "http://localhost:53682/"}
	c, s := newFake(t, Options{}, reply(`{"result":0,"userid":4711,"locationid":2,"token_type":"bearer","access_token":"new-token"}`))
	tok, err := c.Exchange(t.Context(), conf, "the-code")
	require.NoError(t, err)
	require.Equal(t, "new-token", tok.AccessToken)
	require.True(t, tok.Valid(), "it does not expire")
	require.EqualValues(t, 2, tok.Extra("locationid"))
	require.Len(t, s.seen, 1)
	r := s.seen[0]
	require.Equal(t, []string{"POST", "server.test", "/oauth2_token", ""}, []string{r.Verb, r.Host, r.Path, r.Query.Encode()})
	form, err := url.ParseQuery(r.Body)
	require.NoError(t, err)
	require.Equal(t, url.Values{"client_id": {"app"}, "client_secret": {"s3cret-of-the-app"}, "code": {"the-code"},
		"grant_type": {"authorization_code"}, "redirect_uri": {"http://localhost:53682/"}}, form)
	require.Equal(t, int64(len(r.Body)), r.Length)
	require.Empty(t, r.Header.Get("Authorization"))
	require.Empty(t, r.Header.Get("Referer"))
	require.Equal(t, "keep-alive", r.Header.Get("Connection"))
}

func TestExchangeFailures(t *testing.T) {
	conf := oauth2.Config{ClientID: "app", ClientSecret: "s3cret-of-the-app"}
	for name, tc := range map[string]struct {
		do     step
		result int
	}{
		"wrong code":  {reply(`{"result":2012,"error":"Invalid 'code' provided for s3cret-of-the-app."}`), 2012},
		"as status":   {answer(400, `{"result":1022,"error":"no code"}`), 1022},
		"html":        {html, 0},
		"no token":    {reply(`{"result":0}`), 0},
		"redirected":  {answer(302, "", "Location", "https://evil.com/"), 0},
		"lost":        {lost, 0},
		"bad gateway": {answer(502, "<html>s3cret-of-the-app"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newFake(t, Options{}, tc.do)
			_, err := c.Exchange(t.Context(), conf, "the-code")
			e := failure(t, err)
			require.Equal(t, "oauth2_token", e.Method)
			require.Equal(t, tc.result, e.Result)
			require.Equal(t, tc.result == 0, e.Uncertain())
			require.NotContains(t, err.Error(), "s3cret")
			require.NotContains(t, err.Error(), "the-code")
			require.Equal(t, 1, s.count())
			require.Equal(t, "server.test", s.seen[0].Host)
		})
	}
}
