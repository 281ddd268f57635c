package remotetest_test

import (
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

// open starts a server and returns it as a service that sees its account
// through one of its tokens.
func open(t *testing.T, o pcloudtest.Options, token func(*pcloudtest.Server) string) (*pcloudtest.Server, *remotetest.Service) {
	t.Helper()
	srv := pcloudtest.New(t, o)
	tr := srv.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	s := &remotetest.Service{
		Client: newClient(t, srv.APIAddr(), token(srv), tr),
		Other:  newClient(t, srv.APIAddr(), token(srv), tr),
		Anyone: func(token string) *remote.Client { return newClient(t, srv.APIAddr(), token, tr) },
		EU:     o.Region == pcloudtest.EU,
	}
	s.Small = func(t *testing.T, quota int64) *remotetest.Service {
		o := o
		o.Quota, o.Dir = quota, ""
		_, s := open(t, o, token)
		return s
	}
	e, err := s.Client.CreateFolder(t.Context(), remote.RootFolder, "check")
	require.NoError(t, err)
	s.Folder = e.FolderID
	return srv, s
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

// TestConformanceOverTLS has sockets and certificates, and the account in a
// directory.
func TestConformanceOverTLS(t *testing.T) {
	t.Parallel()
	remotetest.Run(t, remotetest.Env{Open: func(t *testing.T) *remotetest.Service {
		quirks := pcloudtest.Quirks{BlockTimeout: 300 * time.Millisecond}
		_, s := open(t, pcloudtest.Options{Dir: t.TempDir(), Quirks: quirks}, (*pcloudtest.Server).AppToken)
		return s
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
