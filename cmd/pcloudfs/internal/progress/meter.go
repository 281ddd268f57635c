package progress

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/pcloudfs/pcloudfs/cache"
)

// window is how far back the speed is measured.
const window = 15 * time.Second

// Meter derives speed and remaining time from the state of a queue at different
// times. The zero value is ready.
type Meter struct {
	samples []sample // oldest first; the last is the present state
	status  cache.Status
}

type sample struct {
	at   time.Time
	sent int64 // since the volume was opened
}

// Add takes the state of the queue at a time, which must not go back.
func (m *Meter) Add(at time.Time, s cache.Status) {
	m.status = s
	m.samples = append(m.samples, sample{at, s.Done + s.Sent})
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) >= window {
		m.samples = m.samples[1:]
	}
}

// Rate is in bytes per second; 0 if nothing moves.
func (m *Meter) Rate() int64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	d := last.at.Sub(first.at)
	if d <= 0 || last.sent <= first.sent { // a broken upload may begin anew
		return 0
	}
	return int64(float64(last.sent-first.sent) / d.Seconds())
}

// Changes is how many changes are still to be sent.
func (m *Meter) Changes() int { return m.status.Pending + m.status.Active }

// Left is how many bytes of them.
func (m *Meter) Left() int64 { return m.status.Bytes - m.status.Sent }

// ETA is how long it takes at the present speed, if that is known.
func (m *Meter) ETA() (time.Duration, bool) {
	rate := m.Rate()
	if rate == 0 || m.Left() <= 0 {
		return 0, false
	}
	d := time.Duration(float64(m.Left()) / float64(rate) * float64(time.Second))
	return max(d.Round(time.Second), time.Second), true
}

// String says it in words: "3 changes, 12 MiB left, 1.2 MiB/s, 10s to go".
func (m *Meter) String() string {
	var b strings.Builder
	b.WriteString(Changes(m.Changes()))
	if m.Left() > 0 {
		fmt.Fprintf(&b, ", %s left", Bytes(m.Left()))
	}
	if rate := m.Rate(); rate > 0 {
		fmt.Fprintf(&b, ", %s/s", Bytes(rate))
	}
	if d, ok := m.ETA(); ok {
		fmt.Fprintf(&b, ", %v to go", d)
	}
	if m.status.Active == 0 && m.status.LastError != "" {
		fmt.Fprintf(&b, " (%s)", m.status.LastError)
	}
	return b.String()
}

// Changes spells a number of changes.
func Changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

// Bytes spells a number of bytes, in powers of 1024.
func Bytes(n int64) string { return humanize.IBytes(uint64(max(0, n))) }
