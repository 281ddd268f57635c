package fault

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// Engine decides which rules fire. Its methods may be called concurrently.
type Engine struct {
	mu    sync.Mutex // guards the rest; a leaf
	rand  *rand.Rand
	rules []active
}

// active is a rule with what became of it.
type active struct {
	Rule
	skipped, fired int
}

// NewEngine returns an engine without rules whose chances follow from seed.
func NewEngine(seed uint64) *Engine {
	return &Engine{rand: rand.New(rand.NewPCG(seed, 0x6661756c74))}
}

// Set replaces the rules. If one of them is not valid nothing changes.
func (e *Engine) Set(rules []Rule) error {
	next := make([]active, len(rules))
	for i, r := range rules {
		if err := r.Validate(); err != nil {
			return fmt.Errorf("fault rule %d: %w", i+1, err)
		}
		if r.Do == HTTP && r.Code == 0 {
			r.Code = 502
		}
		next[i].Rule = r
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules = next
	return nil
}

// Match returns the rules that fire on a request of method, in the order of
// the list, and counts them. A rule that decides the fate of the request (all
// but delays and changes of the reply) is the last: the rules after it are as
// if the request had not come.
func (e *Engine) Match(method string) []Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	var fire []Rule
	for i := range e.rules {
		r := &e.rules[i]
		if !e.fires(r, method) {
			continue
		}
		fire = append(fire, r.Rule)
		if r.ends() {
			break
		}
	}
	return fire
}

func (e *Engine) fires(r *active, method string) bool {
	if r.Method != "" && r.Method != method {
		return false
	}
	if method == Content && r.Do == API || method != "diff" && r.Do == ResetDiff {
		return false
	}
	if r.Count > 0 && r.fired >= r.Count {
		return false
	}
	if r.skipped < r.Skip {
		r.skipped++
		return false
	}
	if r.Prob > 0 && e.rand.Float64() >= r.Prob {
		return false
	}
	r.fired++
	return true
}

// Fired returns how often each rule of the list has fired since it was set.
func (e *Engine) Fired() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := make([]int, len(e.rules))
	for i, r := range e.rules {
		n[i] = r.fired
	}
	return n
}
