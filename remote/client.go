package remote

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
)

// Client calls one pCloud API host with one access token. It is safe for
// concurrent use.
type Client struct {
	o      Options // with defaults
	host   string
	tokens oauth2.TokenSource
	log    *slog.Logger

	api, content http.RoundTripper
	own          []*http.Transport // those of them that Close has to close

	calls     gate // requests to the API, except a waiting diff
	uploads   gate // those of them with a body; taken before calls
	transfers gate // requests to content hosts

	pace   *pacer
	jitter *jitter
	links  *linkCache
}

// New checks the options and makes a client. It does not touch the network.
func New(o Options) (*Client, error) {
	o.Host = strings.ToLower(o.Host)
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("pcloud client: %w", err)
	}
	o = o.withDefaults()
	c := &Client{
		o:         o,
		host:      o.Host,
		tokens:    o.TokenSource,
		log:       o.Log,
		api:       o.Transport,
		content:   o.Transport,
		calls:     newGate(o.MaxConns),
		uploads:   newGate(max(1, o.MaxConns-max(1, o.MaxConns/4))),
		transfers: newGate(o.MaxContentConns),
		pace:      newPacer(o.Log),
		jitter:    newJitter(o.Seed),
		links:     newLinkCache(),
	}
	if o.Transport == nil {
		// One more for the waiting diff, and one that is about to be closed.
		api := newTransport(o.RootCAs, o.MaxConns+2)
		content := newTransport(o.RootCAs, o.MaxContentConns)
		// Links are checked by length; a compressed body would have another.
		content.DisableCompression = true
		c.api, c.content, c.own = api, content, []*http.Transport{api, content}
	}
	return c, nil
}

// Host returns the API host, in lower case.
func (c *Client) Host() string { return c.host }

// Close closes the idle connections of the client's own transports. Calls in
// flight have to be ended by their contexts first; no call may follow.
func (c *Client) Close() {
	for _, t := range c.own {
		t.CloseIdleConnections()
	}
}
