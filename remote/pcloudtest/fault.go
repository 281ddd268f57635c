package pcloudtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/fault"
)

// Rule makes requests of a kind go wrong: see [Server.SetFaults].
type Rule = fault.Rule

// What a [Rule] does to a request.
const (
	FaultAPI             = fault.API             // answers result Code instead of having the effect
	FaultHTTP            = fault.HTTP            // answers HTTP status Code with an HTML page, without effect
	FaultStall           = fault.Stall           // holds the request for Delay; 0: until the client leaves
	FaultResetBefore     = fault.ResetBefore     // resets the connection, without effect
	FaultResetWithin     = fault.ResetWithin     // resets the connection after After bytes of the request's body
	FaultResetAfter      = fault.ResetAfter      // has the effect, then resets the connection: the reply is lost
	FaultTruncate        = fault.Truncate        // has the effect; the body of the reply ends early
	FaultWrongDigest     = fault.WrongDigest     // has the effect; the digests in the reply are wrong
	FaultExpiredLink     = fault.ExpiredLink     // the content link counts as expired
	FaultDelayVisibility = fault.DelayVisibility // has the effect, which is seen after Delay only
	FaultLoseSession     = fault.LoseSession     // forgets all upload sessions first
	FaultResetDiff       = fault.ResetDiff       // the change feed says reset
)

// ContentMethod is the name of requests to the content host in rules and
// statistics.
const ContentMethod = fault.Content

// SetFaults replaces the fault rules.
func (s *Server) SetFaults(rules []Rule) error {
	if err := s.faults.Set(rules); err != nil {
		return fmt.Errorf("pcloudtest: %w", err)
	}
	return nil
}

// effects are the faults that fire on one request.
type effects struct {
	rules []Rule
}

// has returns the rule of a kind that fires, or nil.
func (e *effects) has(do string) *Rule {
	for i := range e.rules {
		if e.rules[i].Do == do {
			return &e.rules[i]
		}
	}
	return nil
}

// before carries out what happens ahead of the call. It returns false when
// the request ends there; err is the refusal to answer, if any.
func (e *effects) before(s *Server, ctx context.Context, cn *conn) (bool, error) {
	if r := e.has(fault.Stall); r != nil && !stall(ctx, r.Delay) {
		cn.reset()
		return false, nil
	}
	if e.has(fault.ResetBefore) != nil {
		cn.reset()
		return false, nil
	}
	if e.has(fault.LoseSession) != nil {
		s.account.DropSessions()
	}
	if r := e.has(fault.DelayVisibility); r != nil {
		s.account.DelayVisibility(1, r.Delay)
	}
	if e.has(fault.ResetDiff) != nil {
		if err := s.account.InjectReset(); err != nil {
			return true, err
		}
	}
	if r := e.has(fault.API); r != nil {
		return true, fail(r.Code, "Injected fault.")
	}
	return true, nil
}

// stall waits for d, or for ever if it is 0. It returns false when the client
// has left.
func stall(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		<-ctx.Done()
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// body is the request's body, which a rule may break.
func (e *effects) body(r *http.Request, cn *conn) io.Reader {
	if f := e.has(fault.ResetWithin); f != nil {
		return &breakingReader{r: r.Body, left: f.After, conn: cn}
	}
	return r.Body
}

// cut tells where the body of a reply ends early, if it does.
func (e *effects) cut(size int) (int, bool) {
	r := e.has(fault.Truncate)
	if r == nil || size == 0 {
		return 0, false
	}
	if r.After == 0 {
		return size / 2, true
	}
	return int(min(r.After, int64(size)-1)), true
}

// breakingReader resets the connection after some bytes.
type breakingReader struct {
	r    io.Reader
	left int64
	conn *conn
}

func (b *breakingReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.conn.reset()
		return 0, errUnplugged
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF {
		// The body is shorter than the rule expects: it breaks at its end.
		b.conn.reset()
		err = errUnplugged
	}
	return n, err
}
