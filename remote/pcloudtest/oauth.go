package pcloudtest

import (
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// authorizePath is the consent page. The real one is on my.pcloud.com; this
// server has it on the API host.
const authorizePath = "oauth2/authorize"

// How long the steps of an authorisation may take.
const (
	consentLifetime = 15 * time.Minute
	codeLifetime    = 10 * time.Minute
)

// grant is an authorisation on its way: first the page that is shown, then
// the code that was given out.
type grant struct {
	clientID, redirect, responseType, state string
	kind                                    tokenKind // of the token, once the user has agreed
	expires                                 time.Time
}

// grants are the authorisations under way. Each can be used once.
type grants struct {
	mu    sync.Mutex // guards the rest; a leaf
	pages map[string]grant
	codes map[string]grant
}

func (g *grants) put(m *map[string]grant, v grant, now time.Time) (id string) {
	id = randomToken(40)
	g.mu.Lock()
	defer g.mu.Unlock()
	if *m == nil {
		*m = make(map[string]grant)
	}
	for k, old := range *m {
		if now.After(old.expires) {
			delete(*m, k)
		}
	}
	(*m)[id] = v
	return id
}

// take removes and returns a grant that ok agrees to.
func (g *grants) take(m *map[string]grant, id string, now time.Time, ok func(grant) bool) (grant, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, there := (*m)[id]
	if !there || now.After(v.expires) || !ok(v) {
		return grant{}, false
	}
	delete(*m, id)
	return v, true
}

// serveConsent is the page on which a person lets an application in (pCloud
// API 4.1). Its form comes back to the same address with the page's own
// secret, which no other site knows.
func (s *Server) serveConsent(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Server", serverName)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	setKeepAlive(w, r)
	p := parseParams(r)
	if r.Method == http.MethodPost {
		q, err := readForm(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		p.add(q)
	}
	if p.has("request") {
		s.decide(w, r, p)
		return
	}
	g := grant{clientID: p["client_id"], redirect: p["redirect_uri"], responseType: p["response_type"],
		state: p["state"], expires: time.Now().Add(consentLifetime)}
	if why := g.refused(); why != "" {
		consentError(w, why)
		return
	}
	id := s.oauth.put(&s.oauth.pages, g, time.Now())
	err := consentPage.Execute(w, map[string]string{
		"App": s.o.App, "Email": s.o.Email, "Client": g.clientID, "Redirect": g.redirect, "Request": id,
	})
	if err != nil {
		s.o.Log.Debug("consent page", slog.Any("error", err))
	}
}

// refused says what is wrong with the request for an authorisation.
func (g grant) refused() string {
	switch {
	case g.clientID == "":
		return "The parameter client_id is missing."
	case g.responseType != "code" && g.responseType != "token":
		return "The parameter response_type must be code or token."
	case g.redirect == "" && g.responseType == "token":
		return "The parameter redirect_uri is missing."
	case g.redirect == "":
		return ""
	}
	u, err := url.Parse(g.redirect)
	if err != nil || u.Scheme == "" || u.Fragment != "" {
		return "The parameter redirect_uri is not a full address."
	}
	switch strings.ToLower(u.Scheme) {
	case "javascript", "data", "vbscript", "file", "blob", "about":
		return "The parameter redirect_uri cannot be used."
	}
	return ""
}

func consentError(w http.ResponseWriter, why string) {
	w.WriteHeader(http.StatusBadRequest)
	template.Must(template.New("").Parse(`<!DOCTYPE html><title>Invalid request</title><p>{{.}}</p>`)).Execute(w, why)
}

// decide carries out what the person chose on the page.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, p params) {
	now := time.Now()
	g, ok := s.oauth.take(&s.oauth.pages, p["request"], now, func(grant) bool { return r.Method == http.MethodPost })
	if !ok {
		consentError(w, "This page has expired. Start again from the application.")
		return
	}
	g.kind = appToken
	if p["access"] == "account" {
		g.kind = accountToken
	}
	answer := url.Values{}
	switch {
	case p["decision"] != "allow":
		answer.Set("error", "access_denied")
	case g.responseType == "token":
		t, err := s.tokens.add(tokenRecord{Kind: g.kind, Device: g.clientID, Created: now.Unix()})
		if err != nil {
			s.o.Log.Error("issue token", slog.Any("error", err))
			consentError(w, "Internal error.")
			return
		}
		answer.Set("access_token", t)
		answer.Set("token_type", "bearer")
		answer.Set("userid", strconv.Itoa(accountID))
		s.whereabouts(answer, r)
	default:
		g.expires = now.Add(codeLifetime)
		answer.Set("code", s.oauth.put(&s.oauth.codes, g, now))
		s.whereabouts(answer, r)
	}
	if g.state != "" && s.o.Quirks.KeepOAuthState {
		answer.Set("state", g.state)
	}
	s.answerConsent(w, r, g, answer)
}

// whereabouts tells the application which region to talk to.
func (s *Server) whereabouts(answer url.Values, r *http.Request) {
	answer.Set("locationid", strconv.Itoa(s.o.Region.locationID()))
	answer.Set("hostname", s.apiName(r))
}

// answerConsent sends the browser back to the application: the code flow with
// a query, the token flow with a fragment. Without an address the code is
// shown.
func (s *Server) answerConsent(w http.ResponseWriter, r *http.Request, g grant, answer url.Values) {
	if g.redirect == "" {
		codePage.Execute(w, map[string]string{"Code": answer.Get("code")}) // an error means that the client has gone
		return
	}
	u, err := url.Parse(g.redirect)
	if err != nil {
		consentError(w, "The parameter redirect_uri cannot be used.")
		return
	}
	to := g.redirect
	switch {
	case g.responseType == "token":
		to += "#" + answer.Encode()
	case u.RawQuery != "":
		to += "&" + answer.Encode()
	default:
		to += "?" + answer.Encode()
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// oauthToken exchanges a code for a token (pCloud API 4.2). A request that is
// refused for its client credentials leaves the code unused, as Go's oauth2
// package tries a second time with credentials in the form.
func (c *call) oauthToken() error {
	id, secret := c.params["client_id"], c.params["client_secret"]
	if u, p, ok := c.r.BasicAuth(); ok && id == "" && !c.s.o.Quirks.RefuseBasicAuth {
		id, secret = unescape(u), unescape(p)
	}
	code := c.params["code"]
	switch {
	case code == "":
		return fail(1022, "Please provide 'code'.")
	case id == "" || secret == "":
		return fail(1000, "Please provide 'client_id' and 'client_secret'.")
	}
	now := time.Now()
	g, ok := c.s.oauth.take(&c.s.oauth.codes, code, now, func(g grant) bool { return g.clientID == id })
	if !ok {
		return fail(2012, "Invalid 'code' provided.")
	}
	t, err := c.s.tokens.add(tokenRecord{Kind: g.kind, Device: g.clientID, Created: now.Unix()})
	if err != nil {
		return err
	}
	c.add("userid", uint64(accountID))
	c.add("uid", uint64(accountID))
	c.add("locationid", c.s.o.Region.locationID())
	c.add("token_type", "bearer")
	c.add("access_token", t)
	return nil
}
