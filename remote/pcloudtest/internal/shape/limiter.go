package shape

import (
	"sync"
	"time"
)

// catchUp is how much time lost to late timers a limiter makes good.
const catchUp = 20 * time.Millisecond

// limiter hands out the bytes of one rate in the order in which they are asked
// for. Whoever asks for a quantum at a time therefore gets an equal part.
type limiter struct {
	mu   sync.Mutex // guards the rest; a leaf
	rate int64      // bytes per second; 0 is unlimited
	next time.Time  // when all that was handed out has passed
}

func (l *limiter) setRate(r int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate, l.next = r, time.Time{}
}

// reserve hands out n bytes and returns when the last of them has passed.
func (l *limiter) reserve(n int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.rate <= 0 {
		return now
	}
	if earliest := now.Add(-catchUp); l.next.Before(earliest) {
		if l.next.IsZero() || now.Sub(l.next) > time.Second {
			earliest = now // idle, not late
		}
		l.next = earliest
	}
	l.next = l.next.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	return l.next
}

// quantum is the number of bytes to ask for at a time: what passes in about
// 2 ms, so that waiting costs little and sharing stays fair.
func quantum(rates ...int64) int {
	const smallest, largest = 512, 64 << 10
	q := int64(largest)
	for _, r := range rates {
		if r > 0 {
			q = min(q, r/500)
		}
	}
	return int(max(q, smallest))
}
