package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
)

// OAuthEndpoint is where an application asks for permission and exchanges the
// code (pCloud API 4.1, 4.2). host is the API host, which for pCloud is known
// only after the person has approved: see OAuthHost.
func OAuthEndpoint(host string) oauth2.Endpoint {
	authorise := "https://my.pcloud.com/oauth2/authorize"
	if !isPCloud(host) {
		authorise = "https://" + host + "/oauth2/authorize"
	}
	return oauth2.Endpoint{
		AuthURL:  authorise,
		TokenURL: "https://" + host + "/oauth2_token",
		// The server reads parameters; what it makes of HTTP Basic is unknown.
		AuthStyle: oauth2.AuthStyleInParams,
	}
}

// OAuthHost returns the API host of the person's region from the query of the
// redirect after approval: hostname, or locationid (pCloud API 4.1). Only the
// hosts of the two regions are accepted, for the token will go there.
func OAuthHost(redirect url.Values) (string, error) {
	host := redirect.Get("hostname")
	switch redirect.Get("locationid") {
	case "1":
		if host == "" {
			host = HostUS
		}
	case "2":
		if host == "" {
			host = HostEU
		}
	}
	if host != HostUS && host != HostEU {
		return "", fmt.Errorf("the approval does not name a region of pCloud but host %.100q", host)
	}
	return host, nil
}

// Exchange turns the code of an approval into a token, at the client's host.
// conf.Endpoint is replaced. The token does not expire and has no refresh
// token; Extra("locationid") and Extra("userid") tell more. A code works once:
// the call is not repeated.
func (c *Client) Exchange(ctx context.Context, conf oauth2.Config, code string) (*oauth2.Token, error) {
	const method = "oauth2_token"
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.CallTimeout, ErrTimeout)
	defer cancel()
	if err := c.calls.enter(ctx); err != nil {
		return nil, &Error{Method: method, Err: err}
	}
	defer c.calls.leave()
	if err := c.pace.wait(ctx); err != nil {
		return nil, &Error{Method: method, Err: err}
	}
	conf.Endpoint = OAuthEndpoint(c.host)
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport:     oauthTransport{c},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	t, err := conf.Exchange(ctx, code)
	if err == nil {
		return t, nil
	}
	e := &Error{Method: method, host: c.host, uncertain: true}
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		e.Status = refused.Response.StatusCode
		var s status
		if json.Unmarshal(refused.Body, &s) == nil && s.Result != nil && *s.Result != 0 {
			msg, _ := s.Error.(string)
			e.Result, e.Message = *s.Result, shorten(msg, conf.ClientSecret)
			e.uncertain = effectUnknown(e.Result)
			return nil, e
		}
		e.Err = protocolErrorf("neither a token nor an error of the API")
		return nil, e
	}
	e.Err = scrub(err, conf.ClientSecret)
	if cause := context.Cause(ctx); cause != nil {
		e.Err = cause
	}
	return nil, e
}

// oauthTransport gives the requests of package oauth2 the headers that all
// others have.
type oauthTransport struct{ c *Client }

func (t oauthTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Connection", "keep-alive")
	req.Header.Set("User-Agent", t.c.o.UserAgent)
	return t.c.api.RoundTrip(req)
}
