package remote

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Additive increase, multiplicative decrease: pCloud publishes no quota
// (pCloud API 2.6), so the client runs free until it is told to slow down,
// halves the rate it had, and creeps up again.
const (
	paceGain  = 2.0         // requests per second gained each second
	paceMin   = 0.5         // slowest, requests per second
	paceFree  = 200.0       // above this the pacer lets everything through
	paceBurst = time.Second // refusals this close together count as one
)

// pacer spaces the requests of a client, to the API and to content hosts.
type pacer struct {
	log *slog.Logger

	// turn is held by the one request that waits for its time while the
	// client is slowed down; the others queue for it in order. So one that
	// gives up takes no time away from those behind it.
	turn gate

	mu     sync.Mutex // guards the rest; not held while waiting
	limit  float64    // requests per second; 0 means free
	last   time.Time  // when a request last started
	raised time.Time  // when limit last grew
	cut    time.Time  // when limit was last halved
	hold   time.Time  // nothing starts before

	// Requests since window, and the rate in the one before.
	window time.Time
	count  int
	before float64
}

func newPacer(log *slog.Logger) *pacer {
	return &pacer{log: log, turn: newGate(1)}
}

// wait returns when the next request may start.
func (p *pacer) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.free() {
		return nil
	}
	if err := p.turn.enter(ctx); err != nil {
		return err
	}
	defer p.turn.leave()
	for {
		d := p.start(time.Now())
		if d <= 0 {
			return nil
		}
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
}

// free starts a request if there is nothing to wait for.
func (p *pacer) free() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.limit > 0 || p.hold.After(now) {
		return false
	}
	p.started(now)
	return true
}

// start starts a request, or says how long it has to wait. The limit has
// grown by the time that has passed.
func (p *pacer) start(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.hold
	if p.limit > 0 {
		p.limit += paceGain * now.Sub(p.raised).Seconds()
		p.raised = now
		if p.limit > paceFree {
			p.limit = 0
			p.log.Info("pcloud accepts requests at full speed again")
		} else if at := p.last.Add(time.Duration(float64(time.Second) / p.limit)); at.After(due) {
			due = at
		}
	}
	if due.After(now) {
		return due.Sub(now)
	}
	p.started(now)
	return 0
}

// started counts a request. Callers hold mu.
func (p *pacer) started(now time.Time) {
	if d := now.Sub(p.window); d >= time.Second {
		p.before = float64(p.count) / d.Seconds()
		p.window, p.count = now, 0
	}
	p.count++
	p.last = now
}

// slow is called when the server refused a request as one too many, with the
// time after which it wants to be asked again, if it said.
func (p *pacer) slow(after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if hold := now.Add(min(after, retryAfterMax)); hold.After(p.hold) {
		p.hold = hold
	}
	if !p.cut.IsZero() && now.Sub(p.cut) < paceBurst {
		return
	}
	from := p.limit
	if from == 0 {
		from = min(max(p.before, float64(p.count)), paceFree)
	}
	p.limit = max(from/2, paceMin)
	p.cut, p.raised = now, now
	p.log.Warn("pcloud refuses requests at this rate; slowing down", slog.Float64("per_second", p.limit))
}
