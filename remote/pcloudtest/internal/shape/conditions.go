package shape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Conditions describe a network. The zero value is a perfect one: no delay
// and no limits. Up is the direction from the client to the server.
//
// In JSON the names are rtt, up, down, conn_up and conn_down; rtt is a Go
// duration ("50ms"), a rate is a number of bytes per second or a string as
// [ParseRate] takes it. Decoding leaves absent fields as they are.
type Conditions struct {
	RTT time.Duration // round-trip time

	Up, Down         int64 // bytes per second of all connections together; 0 is unlimited
	ConnUp, ConnDown int64 // bytes per second of each connection; 0 is unlimited
}

// maxRTT keeps a mistyped round-trip time from blocking a server for ever.
const maxRTT = 10 * time.Minute

// Validate reports the first value that makes no sense.
func (c Conditions) Validate() error {
	if c.RTT < 0 || c.RTT > maxRTT {
		return fmt.Errorf("round-trip time %v is not between 0 and %v", c.RTT, maxRTT)
	}
	if c.Up < 0 || c.Down < 0 || c.ConnUp < 0 || c.ConnDown < 0 {
		return errors.New("a rate is negative")
	}
	return nil
}

// perfect reports whether there is nothing to imitate.
func (c Conditions) perfect() bool { return c == Conditions{} }

type conditionsJSON struct {
	RTT      *duration `json:"rtt,omitempty"`
	Up       *rate     `json:"up,omitempty"`
	Down     *rate     `json:"down,omitempty"`
	ConnUp   *rate     `json:"conn_up,omitempty"`
	ConnDown *rate     `json:"conn_down,omitempty"`
}

// MarshalJSON writes the round-trip time as a string and rates as numbers.
func (c Conditions) MarshalJSON() ([]byte, error) {
	return json.Marshal(conditionsJSON{
		RTT: (*duration)(&c.RTT),
		Up:  (*rate)(&c.Up), Down: (*rate)(&c.Down),
		ConnUp: (*rate)(&c.ConnUp), ConnDown: (*rate)(&c.ConnDown),
	})
}

// UnmarshalJSON refuses unknown names and values that [Conditions.Validate]
// refuses; c is unchanged then.
func (c *Conditions) UnmarshalJSON(b []byte) error {
	n := *c
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&conditionsJSON{
		RTT: (*duration)(&n.RTT),
		Up:  (*rate)(&n.Up), Down: (*rate)(&n.Down),
		ConnUp: (*rate)(&n.ConnUp), ConnDown: (*rate)(&n.ConnDown),
	})
	if err != nil {
		return fmt.Errorf("network conditions: %w", err)
	}
	if err := n.Validate(); err != nil {
		return fmt.Errorf("network conditions: %w", err)
	}
	*c = n
	return nil
}

type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}

type rate int64

func (r *rate) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	v, err := ParseRate(s)
	*r = rate(v)
	return err
}

// rateUnits are in bytes per second, longest suffix of a kind first.
var rateUnits = []struct {
	suffix string
	factor float64
}{
	{"kbit", 1e3 / 8}, {"mbit", 1e6 / 8}, {"gbit", 1e9 / 8}, {"bit", 1.0 / 8},
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30},
	{"ki", 1 << 10}, {"mi", 1 << 20}, {"gi", 1 << 30},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1},
}

// ParseRate reads a rate in bytes per second: a number with an optional unit,
// where k, M and G are powers of 1000 (kB likewise), Ki, Mi and Gi powers of
// 1024, and kbit, Mbit and Gbit are bits. A trailing "/s" and the case of the
// letters do not matter. "0", "" and "unlimited" give 0: no limit.
func ParseRate(s string) (int64, error) {
	t := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), "/s")
	if t == "" || t == "unlimited" {
		return 0, nil
	}
	factor := 1.0
	for _, u := range rateUnits {
		if n, ok := strings.CutSuffix(t, u.suffix); ok {
			t, factor = strings.TrimSpace(n), u.factor
			break
		}
	}
	v, err := strconv.ParseFloat(t, 64)
	if err != nil || math.IsNaN(v) || v < 0 || v*factor >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a rate like 500000, 12.5M or 100mbit", s)
	}
	if v *= factor; v > 0 && v < 1 {
		return 1, nil // not 0, which would lift the limit
	}
	return int64(v), nil
}
