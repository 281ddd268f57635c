package remote

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// API hosts of the two regions (pCloud API 1).
const (
	HostUS = "api.pcloud.com"
	HostEU = "eapi.pcloud.com"
)

// Options configure a Client. The zero value of every field but Host has a
// useful meaning.
type Options struct {
	// Host is HostUS, HostEU, or HOST or HOST:PORT of another server that
	// speaks the same API. It is always spoken to over TLS.
	Host string

	// TokenSource gives the access token of each request; nil allows only
	// calls that need none. pCloud's tokens do not expire (pCloud API 4.2), so
	// oauth2.StaticTokenSource is all it takes; Token must not block.
	TokenSource oauth2.TokenSource

	// RootCAs replaces the system's certificate authorities. Ignored when
	// Transport is set.
	RootCAs *x509.CertPool

	// Transport carries all requests, to the API and to content hosts, in
	// place of the client's own transports. Close leaves it alone. A
	// transport that keeps connections must speak HTTP/1.1.
	Transport http.RoundTripper

	// UserAgent is sent with every request; default "pcloudfs".
	UserAgent string

	// MaxConns is the number of requests to the API in flight at a time, not
	// counting one waiting diff; default 8. Uploads use at most three quarters
	// of them, so that metadata never queues behind data.
	MaxConns int

	// MaxContentConns is the number of requests to content hosts in flight at
	// a time, over all hosts; default 8.
	MaxContentConns int

	// Log receives one debug line per attempt and warnings when the server
	// slows the client down; nil discards.
	Log *slog.Logger

	// Attempts is how often a call is tried in all; default 8.
	Attempts int

	// BackoffMin and BackoffMax bound the pause between attempts, which
	// doubles from one to the other; defaults 250 ms and 30 s.
	BackoffMin, BackoffMax time.Duration

	// CallTimeout is how long an attempt may wait for the beginning of a
	// reply; default 60 s. Calls that make the server work (recursive
	// listings, saving, copying, deleting trees) get three times as much.
	CallTimeout time.Duration

	// DiffTimeout takes the place of CallTimeout for WaitDiff; default 90 s,
	// the server answers after about 60 (pCloud API 11.1).
	DiffTimeout time.Duration

	// StallRate (bytes per second, default 1024) and StallTime (default 30 s)
	// are the floor under transfers: an attempt that moves less than
	// StallRate × StallTime bytes in StallTime is abandoned. Time spent in the
	// caller's reader or callback does not count.
	StallRate int64
	StallTime time.Duration

	// MaxListing is the number of entries accepted in one listing; default
	// 2 million, more than pCloud itself manages (pCloud API 6).
	MaxListing int

	// Seed makes the jitter of pauses repeatable; 0 means random.
	Seed uint64
}

func (o Options) withDefaults() Options {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	dur := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.MaxConns, 8)
	def(&o.MaxContentConns, 8)
	def(&o.Attempts, 8)
	def(&o.MaxListing, 2<<20)
	dur(&o.BackoffMin, 250*time.Millisecond)
	dur(&o.BackoffMax, 30*time.Second)
	dur(&o.CallTimeout, time.Minute)
	dur(&o.DiffTimeout, 90*time.Second)
	dur(&o.StallTime, 30*time.Second)
	if o.StallRate == 0 {
		o.StallRate = 1 << 10
	}
	if o.UserAgent == "" {
		o.UserAgent = "pcloudfs"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate says what is wrong with the options, if anything.
func (o Options) Validate() error {
	if err := checkHost(o.Host); err != nil {
		return err
	}
	for _, v := range []struct {
		name string
		n    int64
	}{
		{"MaxConns", int64(o.MaxConns)},
		{"MaxContentConns", int64(o.MaxContentConns)},
		{"Attempts", int64(o.Attempts)},
		{"BackoffMin", int64(o.BackoffMin)},
		{"BackoffMax", int64(o.BackoffMax)},
		{"CallTimeout", int64(o.CallTimeout)},
		{"DiffTimeout", int64(o.DiffTimeout)},
		{"StallRate", o.StallRate},
		{"StallTime", int64(o.StallTime)},
		{"MaxListing", int64(o.MaxListing)},
	} {
		if v.n < 0 {
			return fmt.Errorf("option %s is negative", v.name)
		}
	}
	return nil
}

// checkHost accepts HOST and HOST:PORT and nothing that would change the
// meaning of a URL it is put into.
func checkHost(host string) error {
	if host == "" {
		return errors.New("no API host given")
	}
	u, err := url.Parse("https://" + host + "/")
	if err != nil || u.Host != host || u.User != nil || u.Path != "/" || u.RawQuery != "" ||
		u.Hostname() == "" || strings.HasSuffix(host, ":") || strings.ContainsAny(host, " \\%") {
		return fmt.Errorf("%q is not a host name with an optional port", host)
	}
	return nil
}

// isPCloud reports whether host (with or without a port) belongs to pCloud.
func isPCloud(host string) bool {
	u, err := url.Parse("https://" + host + "/")
	if err != nil {
		return false
	}
	h := strings.ToLower(u.Hostname())
	return h == "pcloud.com" || strings.HasSuffix(h, ".pcloud.com")
}
