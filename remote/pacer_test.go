package remote

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// spend lets n requests through and says how long that took.
func spend(t *testing.T, p *pacer, n int) time.Duration {
	t.Helper()
	start := time.Now()
	for range n {
		require.NoError(t, p.wait(t.Context()))
	}
	return time.Since(start)
}

func TestPacerIsFreeUntilRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(slog.New(slog.DiscardHandler))
		require.Zero(t, spend(t, p, 10_000))
	})
}

func TestPacerHalvesAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(slog.New(slog.DiscardHandler))
		for range 40 { // 20 requests per second for two seconds
			spend(t, p, 1)
			time.Sleep(50 * time.Millisecond)
		}
		p.slow(0)
		first := spend(t, p, 20)
		require.InDelta(t, 1.7, first.Seconds(), 0.5, "half of 20 per second, and rising")

		for range 10 { // a burst of refusals counts once
			p.slow(0)
		}
		again := spend(t, p, 20)
		require.Greater(t, again, first)
		require.Less(t, again, 2*first)

		time.Sleep(2 * time.Minute)
		require.Zero(t, spend(t, p, 10_000), "full speed again")
	})
}

func TestPacerNeverStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(slog.New(slog.DiscardHandler))
		for range 100 {
			p.slow(0)
			time.Sleep(paceBurst)
		}
		require.LessOrEqual(t, spend(t, p, 1), 2*time.Second)
	})
}

func TestPacerHoldsEverythingForRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(slog.New(slog.DiscardHandler))
		p.slow(10 * time.Second)
		p.slow(5 * time.Second) // does not shorten it
		require.GreaterOrEqual(t, spend(t, p, 1), 10*time.Second)

		p.slow(24 * time.Hour)
		require.LessOrEqual(t, spend(t, p, 1), retryAfterMax+2*time.Second, "a server can not stop the client for a day")
	})
}

func TestCancelledWaitGivesItsTurnBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(slog.New(slog.DiscardHandler))
		spend(t, p, 4)
		p.slow(0) // 2 per second
		spend(t, p, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { _ = p.wait(ctx) })
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		require.LessOrEqual(t, spend(t, p, 1), 2*time.Second)
	})
}

// Refusals slow all requests down, to content hosts as well.
func TestRefusalsSlowTheClient(t *testing.T) {
	for name, fail := range map[string]step{"4000": reply(`{"result":4000}`), "4010": reply(`{"result":4010}`), "429": answer(429, "")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newFake(t, Options{Attempts: 1}, fail, reply(`{"result":0,"quota":1}`))
				_, err := c.UserInfo(t.Context())
				require.ErrorIs(t, err, ErrRateLimit)
				require.NotZero(t, spend(t, c.pace, 2))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := newFake(t, Options{Attempts: 1}, reply(linkReply("c1.test")), answer(http.StatusTooManyRequests, ""))
		_, err := c.ReadAt(t.Context(), 1, 7, 5, make([]byte, 5), 0)
		require.ErrorIs(t, err, ErrRateLimit)
		require.NotZero(t, spend(t, c.pace, 2))
	})
}
