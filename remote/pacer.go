package remote

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
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
	log   *slog.Logger
	meter *rate.Limiter

	mu     sync.Mutex // guards the rest; not held while waiting
	limit  float64    // requests per second; 0 means free
	raised time.Time  // when limit last grew
	cut    time.Time  // when limit was last halved
	hold   time.Time  // nothing starts before

	// Requests since window, and the rate in the one before.
	window time.Time
	count  int
	before float64
}

func newPacer(log *slog.Logger) *pacer {
	return &pacer{log: log, meter: rate.NewLimiter(rate.Inf, 1)}
}

// wait returns when the next request may start.
func (p *pacer) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d := p.next(time.Now()); d > 0 {
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
	r := p.meter.Reserve()
	if d := r.Delay(); d > 0 {
		if err := sleep(ctx, d); err != nil {
			r.Cancel()
			return err
		}
	}
	return nil
}

// next counts a request, lets the rate grow by the time that has passed, and
// returns how long everything is held up.
func (p *pacer) next(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := now.Sub(p.window); d >= time.Second {
		p.before = float64(p.count) / d.Seconds()
		p.window, p.count = now, 0
	}
	p.count++
	if p.limit > 0 {
		p.limit += paceGain * now.Sub(p.raised).Seconds()
		p.raised = now
		if p.limit > paceFree {
			p.limit = 0
			p.meter.SetLimitAt(now, rate.Inf)
			p.log.Info("pcloud accepts requests at full speed again")
		} else {
			p.meter.SetLimitAt(now, rate.Limit(p.limit))
		}
	}
	return p.hold.Sub(now)
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
	p.meter.SetLimitAt(now, rate.Limit(p.limit))
	p.log.Warn("pcloud refuses requests at this rate; slowing down", slog.Float64("per_second", p.limit))
}
