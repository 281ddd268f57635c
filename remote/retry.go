package remote

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// repeat says what may be done after a failure whose effect is unknown.
type repeat int

const (
	once   repeat = iota // nothing; the caller has to look
	again                // the same call, blindly
	reader               // the same call, and it has no effect in any case
)

// retryAfterMax bounds what a server can make all requests wait.
const retryAfterMax = time.Minute

// loginPause is the least pause after result 4000, which blocks an address
// for minutes and longer for everyone who insists (pCloud API 2.6).
const loginPause = 2 * time.Second

// retry runs attempt until it succeeds, fails for good, fails with an unknown
// effect that may not be repeated, or the attempts are used up.
//
// done are results that mean success if an earlier attempt may have taken
// effect, such as "file not found" for a deletion.
func (c *Client) retry(ctx context.Context, how repeat, done []int, attempt func(n int) *Error) error {
	uncertain := false
	for n := 1; ; n++ {
		err := attempt(n)
		if err == nil {
			return nil
		}
		if uncertain {
			for _, code := range done {
				if err.Result == code {
					return nil
				}
			}
		}
		uncertain = uncertain || err.unknown && how != reader
		err.uncertain = uncertain
		if ctx.Err() != nil || err.final || !err.Temporary() || n >= c.o.Attempts ||
			err.unknown && how == once && !err.repeatable {
			return err
		}
		if werr := c.pause(ctx, n, err); werr != nil {
			return err.endedBy(werr)
		}
	}
}

// pause waits before the attempt after the n-th one, which failed with err.
func (c *Client) pause(ctx context.Context, n int, err *Error) error {
	d := backoff(n, c.o.BackoffMin, c.o.BackoffMax)
	if err.Result == 4000 {
		d = max(d, min(loginPause<<min(n-1, 10), c.o.BackoffMax))
	}
	d = max(c.jitter.of(d), min(err.retryAfter, retryAfterMax))
	return sleep(ctx, d)
}

// backoff is the pause after the n-th attempt (from 1) before jitter.
func backoff(n int, low, high time.Duration) time.Duration {
	d := low
	for ; n > 1 && d < high; n-- {
		d *= 2
	}
	return min(d, high)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter shortens pauses by up to a half, so that clients that failed together
// do not come back together.
type jitter struct {
	mu  sync.Mutex // guards rnd
	rnd *rand.Rand
}

func newJitter(seed uint64) *jitter {
	if seed == 0 {
		seed = rand.Uint64()
	}
	return &jitter{rnd: rand.New(rand.NewPCG(seed, 0))}
}

func (j *jitter) of(d time.Duration) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return d - time.Duration(j.rnd.Float64()*float64(d)/2)
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}
