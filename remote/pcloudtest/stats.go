package pcloudtest

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Stats are what the server counted since it was started or since
// [Server.ResetStats]. Connections and UploadSessions are states, not counts.
type Stats struct {
	// Requests by API method. Requests to the content host are under
	// [ContentMethod], those without a method under "unknown"; the admin API
	// is not counted.
	Requests map[string]int64 `json:"requests"`
	// BytesIn and BytesOut are what connections carried, TLS and the admin API
	// included; In is from clients.
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	// Connections are open now, Accepted were accepted.
	Connections    int64 `json:"connections"`
	Accepted       int64 `json:"connections_accepted"`
	UploadSessions int64 `json:"upload_sessions"`
}

// counters count requests.
type counters struct {
	panics atomic.Int64

	mu       sync.Mutex // guards requests; a leaf
	requests map[string]int64
}

func (c *counters) count(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == nil {
		c.requests = make(map[string]int64)
	}
	c.requests[method]++
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	n := s.shaper.Stats()
	st := Stats{
		BytesIn: n.BytesIn, BytesOut: n.BytesOut,
		Connections: int64(n.Open), Accepted: n.Connections,
		UploadSessions: int64(s.account.Sessions()),
	}
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	st.Requests = make(map[string]int64, len(s.stats.requests))
	maps.Copy(st.Requests, s.stats.requests)
	return st
}

// ResetStats sets the counters to zero.
func (s *Server) ResetStats() {
	s.shaper.ResetStats()
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	s.stats.requests = nil
}

// Panics returns how many requests made their handler panic: a bug of this
// package. [New] fails its test for it.
func (s *Server) Panics() int64 { return s.stats.panics.Load() }
