package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// What a rule does to a request.
const (
	API             = "api"              // answers result Code (pCloud API 12) instead of having the effect
	HTTP            = "http"             // answers status Code with an HTML page instead of having the effect
	Stall           = "stall"            // holds the request for Delay, then goes on; Delay 0: until the client leaves
	ResetBefore     = "reset-before"     // resets the connection; no effect
	ResetWithin     = "reset-within"     // resets the connection after After bytes of the request body
	ResetAfter      = "reset-after"      // has the effect, then resets the connection: the reply is lost
	Truncate        = "truncate"         // has the effect; the reply's body ends early, after After bytes if given
	WrongDigest     = "wrong-digest"     // has the effect; the digests in the reply are wrong
	ExpiredLink     = "expired-link"     // treats the content link as expired (9.2)
	DelayVisibility = "delay-visibility" // has the effect; others see it after Delay only (2.3)
	LoseSession     = "lose-session"     // forgets the upload sessions first (2067)
	ResetDiff       = "reset-diff"       // the change feed says reset (11.2)
)

// Content is the Method of requests to content hosts (9.2).
const Content = "content"

// Rule is one kind of fault. In JSON the names are in lower case and Delay is
// a Go duration ("1.5s").
type Rule struct {
	Method string        // API method, Content, or "" for every request
	Do     string        // one of the constants above
	Code   int           // of API (required) and HTTP (502 if 0)
	Count  int           // fires at most this often; 0: no limit
	Skip   int           // lets this many matching requests pass first
	Prob   float64       // probability that a request after those is hit; 0: always
	After  int64         // bytes, of ResetWithin and Truncate
	Delay  time.Duration // of Stall and DelayVisibility
}

// final are the faults that decide the fate of a request: one is enough.
var final = map[string]bool{
	API: true, HTTP: true, ResetBefore: true, ResetWithin: true, ResetAfter: true, Truncate: true,
	Stall: false, WrongDigest: false, ExpiredLink: false, DelayVisibility: false, LoseSession: false, ResetDiff: false,
}

// ends reports whether no other fault can follow this one.
func (r Rule) ends() bool { return final[r.Do] || (r.Do == Stall && r.Delay == 0) }

// Validate reports why a rule makes no sense.
func (r Rule) Validate() error {
	if _, ok := final[r.Do]; !ok {
		return fmt.Errorf("do %q is not a known fault", r.Do)
	}
	for _, c := range r.Method {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return fmt.Errorf("method %q is not the name of a method", r.Method)
		}
	}
	if r.Count < 0 || r.Skip < 0 || r.After < 0 || r.Delay < 0 {
		return errors.New("a number is negative")
	}
	if math.IsNaN(r.Prob) || r.Prob < 0 || r.Prob > 1 {
		return fmt.Errorf("prob %v is not between 0 and 1", r.Prob)
	}
	return r.validateDo()
}

func (r Rule) validateDo() error {
	switch r.Do {
	case API:
		if r.Code <= 0 || r.Code > math.MaxUint16 {
			return fmt.Errorf("code %d is not a result code", r.Code)
		}
		if r.Method == Content {
			return errors.New("a content host has no result codes")
		}
	case HTTP:
		if r.Code != 0 && (r.Code < 400 || r.Code > 599) {
			return fmt.Errorf("code %d is not the status of an error", r.Code)
		}
	case DelayVisibility:
		if r.Delay == 0 {
			return errors.New("delay is missing")
		}
	case ResetDiff:
		if r.Method != "" && r.Method != "diff" {
			return fmt.Errorf("%s is a fault of diff, not of %s", r.Do, r.Method)
		}
	}
	return nil
}

type ruleJSON struct {
	Method string   `json:"method,omitempty"`
	Do     string   `json:"do"`
	Code   int      `json:"code,omitempty"`
	Count  int      `json:"count,omitempty"`
	Skip   int      `json:"skip,omitempty"`
	Prob   float64  `json:"prob,omitempty"`
	After  int64    `json:"after,omitempty"`
	Delay  duration `json:"delay,omitzero"`
}

// MarshalJSON leaves out what is zero.
func (r Rule) MarshalJSON() ([]byte, error) {
	return json.Marshal(ruleJSON{r.Method, r.Do, r.Code, r.Count, r.Skip, r.Prob, r.After, duration(r.Delay)})
}

// UnmarshalJSON refuses unknown names and rules that [Rule.Validate] refuses.
func (r *Rule) UnmarshalJSON(b []byte) error {
	var j ruleJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return fmt.Errorf("fault rule: %w", err)
	}
	n := Rule{j.Method, j.Do, j.Code, j.Count, j.Skip, j.Prob, j.After, time.Duration(j.Delay)}
	if err := n.Validate(); err != nil {
		return fmt.Errorf("fault rule: %w", err)
	}
	*r = n
	return nil
}

type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}
