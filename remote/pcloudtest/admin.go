package pcloudtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// The admin API is on the API host. Without its header, or with a wrong one,
// its addresses are as unknown as any other.
const (
	adminPrefix = "_admin/"
	adminHeader = "X-Emulator-Admin"
)

// isAdmin tells whether a request shows the account token in the header of
// the admin API.
func (s *Server) isAdmin(r *http.Request) bool {
	v := r.Header.Get(adminHeader)
	return v != "" && same(v, s.AccountToken())
}

// serveAdmin is the admin API.
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request, name string) {
	setKeepAlive(w, r)
	type action struct {
		method string
		run    func(body []byte) (any, error)
	}
	done := struct{}{}
	a, ok := map[string]action{
		"stats":       {http.MethodGet, func([]byte) (any, error) { return s.Stats(), nil }},
		"stats/reset": {http.MethodPost, func([]byte) (any, error) { s.ResetStats(); return done, nil }},
		"faults":      {http.MethodPost, func(b []byte) (any, error) { return done, s.adminFaults(b) }},
		"shape":       {http.MethodPost, s.adminShape},
		"tree":        {http.MethodGet, func([]byte) (any, error) { return s.tree() }},
	}[strings.TrimPrefix(name, adminPrefix)]
	switch {
	case !ok:
		adminReply(w, http.StatusNotFound, adminError{"no such call"})
		return
	case r.Method != a.method:
		w.Header().Set("Allow", a.method)
		adminReply(w, http.StatusMethodNotAllowed, adminError{"use " + a.method})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		adminReply(w, http.StatusBadRequest, adminError{err.Error()})
		return
	}
	v, err := a.run(body)
	if err != nil {
		adminReply(w, http.StatusBadRequest, adminError{err.Error()})
		return
	}
	adminReply(w, http.StatusOK, v)
}

type adminError struct {
	Error string `json:"error"`
}

func adminReply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client has gone
}

func (s *Server) adminFaults(body []byte) error {
	var rules []Rule
	if err := json.Unmarshal(body, &rules); err != nil {
		return err
	}
	return s.SetFaults(rules)
}

// adminShape changes the conditions that the body names and answers with all
// of them.
func (s *Server) adminShape(body []byte) (any, error) {
	c := s.shaper.Conditions()
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, err
	}
	return c, s.SetShape(c)
}
