package remotetest_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
	"github.com/pcloudfs/pcloudfs/remote/remotetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client that is closed with the test.
func newClient(t *testing.T, host, token string, tr http.RoundTripper) *remote.Client {
	t.Helper()
	o := remote.Options{Host: host, Transport: tr, Seed: 1}
	if token != "" {
		o.TokenSource = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	}
	c, err := remote.New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// service returns a server as a service that sees its account through a token,
// with a new folder for the check.
func service(t *testing.T, srv *pcloudtest.Server, o pcloudtest.Options, token, folder string) *remotetest.Service {
	t.Helper()
	tr := srv.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	s := &remotetest.Service{
		Client: newClient(t, srv.APIAddr(), token, tr),
		Other:  newClient(t, srv.APIAddr(), token, tr),
		Anyone: func(token string) *remote.Client { return newClient(t, srv.APIAddr(), token, tr) },
		EU:     o.Region == pcloudtest.EU,
	}
	s.Small = func(t *testing.T, quota int64) *remotetest.Service {
		o := o
		o.Quota, o.Dir = quota, ""
		small := pcloudtest.New(t, o)
		return service(t, small, o, small.AppToken(), folder)
	}
	e, err := s.Client.CreateFolder(t.Context(), remote.RootFolder, folder)
	require.NoError(t, err)
	s.Folder = e.FolderID
	return s
}

// open starts a server for one check.
func open(t *testing.T, o pcloudtest.Options, token func(*pcloudtest.Server) string) (*pcloudtest.Server, *remotetest.Service) {
	t.Helper()
	srv := pcloudtest.New(t, o)
	return srv, service(t, srv, o, token(srv), "check")
}

var tokens = map[string]func(*pcloudtest.Server) string{
	"app folder":    (*pcloudtest.Server).AppToken,
	"whole account": (*pcloudtest.Server).AccountToken,
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, region := range []pcloudtest.Region{pcloudtest.US, pcloudtest.EU} {
		for view, token := range tokens {
			t.Run(region.String()+" "+view, func(t *testing.T) {
				t.Parallel()
				remotetest.Run(t, remotetest.Env{Bubble: true, Open: func(t *testing.T) *remotetest.Service {
					_, s := open(t, pcloudtest.Options{Region: region, InProcess: true}, token)
					return s
				}})
			})
		}
	}
}

// TestConformanceOverTLS has sockets and certificates, and all checks in one
// account that is kept in a directory.
func TestConformanceOverTLS(t *testing.T) {
	t.Parallel()
	o := pcloudtest.Options{Dir: t.TempDir(), Quirks: pcloudtest.Quirks{BlockTimeout: 300 * time.Millisecond}}
	srv := pcloudtest.New(t, o)
	checks := 0
	remotetest.Run(t, remotetest.Env{Shared: true, Open: func(t *testing.T) *remotetest.Service {
		checks++
		return service(t, srv, o, srv.AppToken(), fmt.Sprint("check", checks))
	}})
}

// TestConformanceOfQuirks takes the other answer to every open question that
// does not contradict what the suite says about the likely one.
func TestConformanceOfQuirks(t *testing.T) {
	t.Parallel()
	remotetest.Run(t, remotetest.Env{Bubble: true, Open: func(t *testing.T) *remotetest.Service {
		_, s := open(t, pcloudtest.Options{InProcess: true, Quirks: pcloudtest.Quirks{
			RenameToSelf2049: true, ReviveDeleted: true, MissingPath2055: true, LinksFollowOverwrite: true,
			NotFoundOutside: true, ConflictSpace: true, UnknownMethodError: true, RenameIfExistsFrom2: true,
		}}, (*pcloudtest.Server).AppToken)
		return s
	}})
}
