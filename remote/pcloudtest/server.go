package pcloudtest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/fault"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/shape"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// closeGrace is how long Close lets requests run on.
const closeGrace = 5 * time.Second

// Addresses of a server without sockets. The names are pCloud's own, so that
// clients which trust only those can be tried.
const (
	inProcessContent = "content.pcloud.com:443"
	httpsPort        = "443"
)

// Server is a running pCloud service. Its methods may be called concurrently.
type Server struct {
	o         Options
	account   *store.Account
	appFolder uint64 // what application tokens see as their root
	password  string
	tokens    *tokenStore
	methods   map[string]method
	digestKey [32]byte

	faults   *fault.Engine
	shaper   *shape.Shaper
	stats    counters
	links    links
	sessions renamedSessions
	oauth    grants

	ca           *authority    // nil in process
	network      shape.Network // in process
	api, content endpoint

	ctx  context.Context // ends with Close; requests descend from it
	stop context.CancelFunc
	wg   sync.WaitGroup // serving goroutines

	mu       sync.Mutex // guards closing, and requests against its first Wait
	closing  bool
	requests sync.WaitGroup
	once     sync.Once
	closeErr error
}

// endpoint is one of the two hosts.
type endpoint struct {
	addr string // host:port
	http *http.Server
}

// Start starts a server. Close must be called.
func Start(o Options) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("pcloudtest: %w", err)
	}
	s := &Server{o: o.withDefaults(), methods: methods(), faults: fault.NewEngine(o.Seed)}
	rand.Read(s.digestKey[:]) // never fails
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.start(); err != nil {
		s.Close()
		return nil, fmt.Errorf("pcloudtest: %w", err)
	}
	return s, nil
}

func (s *Server) start() (err error) {
	if s.shaper, err = shape.New(s.o.Shape); err != nil {
		return err
	}
	if s.o.Dir != "" {
		if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
			return err
		}
	}
	if err := s.openAccount(); err != nil {
		return err
	}
	apiListener, contentListener, err := s.listen()
	if err != nil {
		return err
	}
	conf, err := s.tlsConfig()
	if err != nil {
		return errors.Join(err, apiListener.Close(), contentListener.Close())
	}
	s.serve(&s.api, &listener{s.shaper.Listen(apiListener), conf}, s.serveAPI)
	s.serve(&s.content, &listener{s.shaper.Listen(contentListener), conf}, s.serveContent)
	return nil
}

// listen opens both hosts and sets their addresses.
func (s *Server) listen() (api, content net.Listener, err error) {
	s.api.addr, s.content.addr = net.JoinHostPort(s.o.Region.apiHost(), httpsPort), inProcessContent
	open := s.network.Listen
	if !s.o.InProcess {
		s.api.addr, s.content.addr = s.o.Listen, s.o.ContentListen
		open = func(addr string) (net.Listener, error) {
			return new(net.ListenConfig).Listen(s.ctx, "tcp", addr)
		}
	}
	if api, err = open(s.api.addr); err != nil {
		return nil, nil, err
	}
	if content, err = open(s.content.addr); err != nil {
		return nil, nil, errors.Join(err, api.Close())
	}
	s.api.addr, s.content.addr = api.Addr().String(), content.Addr().String()
	return api, content, nil
}

// tlsConfig makes the certificates; nil in process.
func (s *Server) tlsConfig() (*tls.Config, error) {
	if s.o.InProcess {
		return nil, nil
	}
	now := time.Now()
	var err error
	if s.ca, err = openAuthority(s.o.Dir, now); err != nil {
		return nil, err
	}
	var hosts []string
	for _, a := range append([]string{s.o.Listen, s.o.ContentListen, s.api.addr, s.content.addr}, s.o.ContentHosts...) {
		hosts = append(hosts, hostOf(a))
	}
	cert, err := s.ca.leaf(now, hosts)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// hostOf returns the host of an address that may have a port.
func hostOf(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}

func (s *Server) serve(e *endpoint, l net.Listener, h http.HandlerFunc) {
	e.http = &http.Server{
		Handler:     s.guard(h),
		ConnContext: withConn,
		BaseContext: func(net.Listener) context.Context { return s.ctx },
		ErrorLog:    slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	s.wg.Go(func() { e.http.Serve(l) }) // returns when the listener is closed
}

// begin notes that a request runs; false when the server is closing.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.requests.Add(1)
	return true
}

// Close stops the server: blocked and stalled requests end at once, others
// may finish for some seconds. It may be called more than once.
func (s *Server) Close() error {
	s.once.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Server) close() error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.stop()
	done := make(chan struct{})
	s.wg.Go(func() { s.requests.Wait(); close(done) })
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		s.o.Log.Warn("requests are cut off")
	}
	for _, e := range []*endpoint{&s.api, &s.content} {
		if e.http != nil {
			e.http.Close() // what it says of connections is of no use
		}
	}
	if s.shaper != nil {
		s.shaper.Close()
	}
	s.wg.Wait()
	if s.account == nil {
		return nil
	}
	if err := s.account.Close(); err != nil {
		return fmt.Errorf("pcloudtest: close account: %w", err)
	}
	return nil
}

// APIAddr returns the API host as host:port.
func (s *Server) APIAddr() string { return s.api.addr }

// ContentAddr returns the content host as host:port.
func (s *Server) ContentAddr() string { return s.content.addr }

// CertPool returns a pool with the server's certificate authority; nil in
// process, where there is no TLS.
func (s *Server) CertPool() *x509.CertPool {
	if s.ca == nil {
		return nil
	}
	return s.ca.pool()
}

// CAPEM returns the certificate of the authority; nil in process.
func (s *Server) CAPEM() []byte {
	if s.ca == nil {
		return nil
	}
	return s.ca.pem
}

// WriteCA writes the certificate of the authority to a file.
func (s *Server) WriteCA(file string) error {
	if s.ca == nil {
		return errors.New("pcloudtest: no certificate authority in process")
	}
	if err := renameio.WriteFile(file, s.ca.pem, 0o644); err != nil {
		return fmt.Errorf("pcloudtest: write CA certificate: %w", err)
	}
	return nil
}

// AppToken returns the OAuth token that sees /Applications/<App> as its root.
// Like AccountToken it stays the same as long as Dir is kept.
func (s *Server) AppToken() string { return s.tokens.primary(appToken) }

// AccountToken returns the OAuth token that sees the whole account.
func (s *Server) AccountToken() string { return s.tokens.primary(accountToken) }

// RevokeToken ends a token: calls with it are refused from then on.
func (s *Server) RevokeToken(token string) error {
	ok, err := s.tokens.revoke(token)
	if err == nil && !ok {
		err = errNoToken
	}
	if err != nil {
		return fmt.Errorf("pcloudtest: revoke: %w", err)
	}
	return nil
}

// Email and Password are the credentials of password logins.
func (s *Server) Email() string    { return s.o.Email }
func (s *Server) Password() string { return s.password }

// SetShape changes the network, for open connections too.
func (s *Server) SetShape(c Shape) error {
	if err := s.shaper.SetConditions(c); err != nil {
		return fmt.Errorf("pcloudtest: %w", err)
	}
	return nil
}
