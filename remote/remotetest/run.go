package remotetest

import (
	"testing"
	"testing/synctest"

	"github.com/pcloudfs/pcloudfs/remote"
)

// Env is a service to be checked.
type Env struct {
	// Open is called for each check and ends what it starts with t.Cleanup.
	Open func(t *testing.T) *Service

	// Bubble runs each check in a testing/synctest bubble of its own. Open is
	// called within.
	Bubble bool

	// Shared tells that all checks use one account, so that only one can run
	// at a time.
	Shared bool

	// Live is set for a service that is not ours: answers that were only
	// inferred may differ, and others may be changing the account. It is shared.
	Live bool
}

// Service is what a check works with.
type Service struct {
	Client *remote.Client
	Folder remote.FolderID // empty, and the check's own

	// Other is a second client of the same account and token.
	Other *remote.Client

	// Anyone returns a client that uses another token, "" for none.
	Anyone func(token string) *remote.Client

	// EU is set when the account lives in the European region.
	EU bool

	// Small returns another service whose account has a quota of that many
	// bytes, all free. Nil where that can not be had.
	Small func(t *testing.T, quota int64) *Service

	live, bubble bool
}

// settle lets everything that can go on do so, as far as that can be known.
func (s *Service) settle() {
	if s.bubble {
		synctest.Wait()
	}
}

// check is one statement about the service.
type check struct {
	name string // what is checked
	run  func(t *testing.T, s *Service)
}

func checks() []check {
	var all []check
	for _, group := range [][]check{
		accountChecks(), folderChecks(), treeChecks(), nameChecks(), fileChecks(), copyChecks(), renameChecks(),
		revisionChecks(), uploadChecks(), conditionChecks(), sessionChecks(), sessionSourceChecks(), saveChecks(),
		downloadChecks(), diffChecks(), diffEventChecks(),
	} {
		all = append(all, group...)
	}
	return all
}

// Run checks a service, one subtest for each statement.
func Run(t *testing.T, env Env) {
	for _, c := range checks() {
		body := func(t *testing.T) {
			s := env.Open(t)
			s.live, s.bubble = env.Live, env.Bubble
			c.run(t, s)
		}
		t.Run(c.name, func(t *testing.T) {
			if !env.Shared && !env.Live {
				t.Parallel()
			}
			if env.Bubble {
				synctest.Test(t, body)
				return
			}
			body(t)
		})
	}
}

// testingT is require.TestingT.
type testingT interface {
	Errorf(format string, args ...any)
	FailNow()
}

// Inferred is for requirements that the reference only infers, with the
// section that does. On our own server they have to hold; of a live service
// the difference is reported and the rest of the check skipped.
func (s *Service) Inferred(t *testing.T, section string) testingT {
	if !s.live {
		return t
	}
	return difference{t, section}
}

type difference struct {
	t       *testing.T
	section string
}

func (d difference) Errorf(format string, args ...any) {
	d.t.Helper()
	d.t.Logf("DIFFERENCE from pCloud API %s (inferred): "+format, append([]any{d.section}, args...)...)
}

func (d difference) FailNow() {
	d.t.Helper()
	d.t.Skip("the service differs from what was inferred, see above")
}
