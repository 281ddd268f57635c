package remotetest_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// What a call has done.
const (
	none = "nothing"
	part = "a part" // of an upload session
	done = "all"
)

// operation is a call of the client that faults are thrown at.
type operation struct {
	name   string
	method string // that the faults hit
	repeat bool   // the client repeats it whatever the failure
	body   bool   // it sends file data

	// conditional means that a second attempt after a first one that had its
	// effect would have another effect.
	conditional bool

	// passes tells that something may be given to the caller before the reply
	// is complete, so that a broken one is not repeated.
	passes bool

	// looks tells that the client finds out by itself whether it got through,
	// so that no reply is needed.
	looks bool

	// prepare makes what the call needs.
	prepare func(t *testing.T, s *scene) action
}

// action is a prepared operation.
type action struct {
	run    func(ctx context.Context) error // makes the call and judges its result
	effect func() string                   // looks at what it has done; nil for calls that change nothing
}

// fault is what happens to requests.
type fault struct {
	name     string
	rule     pcloudtest.Rule
	harmless bool // the client knows that there was no effect
	mild     bool // it is no failure
	final    bool // trying again later does not help
	applies  func(operation) bool
}

func anyCall(o operation) bool     { return o.method != pcloudtest.ContentMethod }
func contentCall(o operation) bool { return o.method == pcloudtest.ContentMethod }
func withBody(o operation) bool    { return o.body }
func every(operation) bool         { return true }

func faults() []fault {
	rule := func(do string) pcloudtest.Rule { return pcloudtest.Rule{Do: do} }
	return []fault{
		{name: "5000", rule: pcloudtest.Rule{Do: pcloudtest.FaultAPI, Code: 5000}, applies: anyCall},
		{name: "4000", rule: pcloudtest.Rule{Do: pcloudtest.FaultAPI, Code: 4000}, applies: anyCall, harmless: true},
		{name: "502", rule: pcloudtest.Rule{Do: pcloudtest.FaultHTTP, Code: 502}, applies: every},
		{name: "429", rule: pcloudtest.Rule{Do: pcloudtest.FaultHTTP, Code: 429}, applies: every, harmless: true},
		{name: "reset before", rule: rule(pcloudtest.FaultResetBefore), applies: every},
		{name: "reset within", rule: pcloudtest.Rule{Do: pcloudtest.FaultResetWithin, After: 1000}, applies: withBody},
		{name: "reset after", rule: rule(pcloudtest.FaultResetAfter), applies: every},
		{name: "truncated", rule: rule(pcloudtest.FaultTruncate), applies: every},
		{name: "truncated late", rule: pcloudtest.Rule{Do: pcloudtest.FaultTruncate, After: 1 << 30}, applies: every},
		{name: "stalled", rule: rule(pcloudtest.FaultStall), applies: every},
		{name: "slow", rule: pcloudtest.Rule{Do: pcloudtest.FaultStall, Delay: 20 * time.Second}, applies: every, mild: true},
		{name: "expired link", rule: rule(pcloudtest.FaultExpiredLink), applies: contentCall},
		{name: "wrong digest", rule: rule(pcloudtest.FaultWrongDigest), applies: func(o operation) bool { return o.method == "uploadfile" }},
		{name: "lost session", rule: rule(pcloudtest.FaultLoseSession), final: true, applies: func(o operation) bool {
			return strings.HasPrefix(o.method, "upload_") && o.method != "upload_create" && o.method != "upload_delete"
		}},
	}
}

// TestFaults runs every operation into every fault, once and for good. The
// call must give the right result, or an error that says truly whether it may
// have had an effect and whether time alone may help.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, o := range operations() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range faults() {
				if !f.applies(o) {
					continue
				}
				t.Run(f.name+", once", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { runOnce(t, o, f) })
				})
				t.Run(f.name+", always", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { runAlways(t, o, f) })
				})
			}
		})
	}
}

func runOnce(t *testing.T, o operation, f fault) {
	s := newScene(t)
	a := o.prepare(t, s)
	f.rule.Method, f.rule.Count = o.method, 1
	err := s.attempt(t, a, f.rule)
	judge(t, a, err)
	switch {
	case f.final:
		require.Error(t, err)
	case o.passes && strings.HasPrefix(f.name, "truncated"), o.conditional && f.name == "wrong digest":
	case o.repeat, f.harmless, f.mild:
		require.NoError(t, err)
	}
}

func runAlways(t *testing.T, o operation, f fault) {
	s := newScene(t)
	a := o.prepare(t, s)
	f.rule.Method = o.method
	err := s.attempt(t, a, f.rule)
	judge(t, a, err)
	if f.mild {
		require.NoError(t, err)
	}
	if f.mild || o.looks && err == nil {
		return
	}
	var e *remote.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, !f.final, e.Temporary(), "%v", err)
	require.Equal(t, !f.final, errors.Is(err, remote.ErrTemporary))
	if f.harmless {
		require.False(t, e.Uncertain(), "%v", err)
	}
	if f.name == "lost session" {
		require.ErrorIs(t, err, remote.ErrNoUpload)
	}
}

// judge compares what a call said with what it did.
func judge(t *testing.T, a action, err error) {
	t.Helper()
	require.NotErrorIs(t, err, errWrong)
	var e *remote.Error
	if err != nil {
		require.ErrorAs(t, err, &e)
	}
	if a.effect == nil {
		require.False(t, err != nil && e.Uncertain(), "a call without effect is never uncertain: %v", err)
		return
	}
	switch got := a.effect(); {
	case err == nil:
		require.Equal(t, done, got)
	case got == none:
	default:
		require.Contains(t, []string{part, done}, got)
		require.True(t, e.Uncertain(), "did %s and said it did nothing: %v", got, err)
	}
}

// attempt runs an action under a rule, which must have been of importance.
func (s *scene) attempt(t *testing.T, a action, rule pcloudtest.Rule) error {
	t.Helper()
	require.NoError(t, s.srv.SetFaults([]pcloudtest.Rule{rule}))
	s.srv.ResetStats()
	err := a.run(t.Context())
	require.Positive(t, s.srv.Stats().Requests[rule.Method], "no request met the fault")
	require.NoError(t, s.srv.SetFaults(nil))
	if err != nil {
		require.NotContains(t, err.Error(), s.srv.AppToken())
	}
	synctest.Wait() // requests that the client has left come to their end
	return err
}

// TestContextEndsEveryCall has a server that does not answer and a caller who
// does not want to wait.
func TestContextEndsEveryCall(t *testing.T) {
	t.Parallel()
	for _, o := range operations() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				a := o.prepare(t, s)
				require.NoError(t, s.srv.SetFaults([]pcloudtest.Rule{{Method: o.method, Do: pcloudtest.FaultStall}}))
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				err := a.run(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 3*time.Second, time.Since(start))
				require.False(t, errors.Is(err, remote.ErrTemporary))
				require.NoError(t, s.srv.SetFaults(nil))
			})
		})
	}
}

// TestUploadIsSentAgainAfterAWrongDigest is about the version that has the
// name in the end.
func TestUploadIsSentAgainAfterAWrongDigest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		require.NoError(t, s.srv.SetFaults([]pcloudtest.Rule{{Method: "uploadfile", Do: pcloudtest.FaultWrongDigest, Count: 2}}))
		data := bytes.Repeat([]byte("data"), 1000)
		e, _, err := s.client.UploadFile(t.Context(), remote.UploadTarget{Parent: s.folder, Name: "f"}, bytes.NewReader(data), 4000)
		require.NoError(t, err)
		require.EqualValues(t, 3, s.srv.Stats().Requests["uploadfile"])
		require.Equal(t, data, s.content(t, e.Name))
	})
}
