package pcloudtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Transport returns a transport to this server, HTTP/1.1 only. It trusts the
// server's certificate authority, and leads pCloud's own names to it:
// api.pcloud.com and eapi.pcloud.com to the API host, every other name below
// pcloud.com and the Options.ContentHosts to the content host. In process
// nothing else can be reached. The caller closes its idle connections.
func (s *Server) Transport() *http.Transport {
	t := &http.Transport{
		DialContext:     s.dial,
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
		IdleConnTimeout: 90 * time.Second,
	}
	if s.o.InProcess {
		t.DialTLSContext = s.dial
		return t
	}
	t.TLSClientConfig = &tls.Config{RootCAs: s.CertPool(), MinVersion: tls.VersionTLS12}
	return t
}

func (s *Server) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to, ok := s.route(addr)
	if !s.o.InProcess {
		if !ok {
			to = addr
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s is not an address of this server", addr)}
	}
	return s.network.DialContext(ctx, network, to)
}

// route finds which of the server's hosts an address means.
func (s *Server) route(addr string) (string, bool) {
	host := strings.ToLower(hostOf(addr))
	switch {
	case addr == s.api.addr, host == US.apiHost(), host == EU.apiHost():
		return s.api.addr, true
	case addr == s.content.addr, strings.HasSuffix(host, ".pcloud.com"):
		return s.content.addr, true
	}
	for _, h := range s.o.ContentHosts {
		if addr == h || host == h {
			return s.content.addr, true
		}
	}
	return "", false
}
