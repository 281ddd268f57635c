package control

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/pcloudfs/pcloudfs/cache"
)

const (
	eventEvery = time.Second

	maxRequest = 1 << 20          // bytes of a request
	maxSample  = 10 * time.Second // of measuring rates
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, State{Info: s.info, Draining: s.target.Draining(), Queue: s.target.Status()})
	})
	mux.HandleFunc("GET /v1/queue", s.queue)
	mux.HandleFunc("POST /v1/retry", s.retry)
	mux.HandleFunc("GET /v1/items/{id}/content", s.save)
	mux.HandleFunc("DELETE /v1/items/{id}", s.drop)
	mux.HandleFunc("POST /v1/flush", s.flush)
	mux.HandleFunc("POST /v1/unmount", s.unmount)
	return mux
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

func refuse(w http.ResponseWriter, err error) {
	f, status := newFailure(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f)
}

func badRequest(w http.ResponseWriter, err error) {
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(failure{Text: err.Error()})
}

// decode reads the body of a request.
func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(v)
	if err != nil {
		badRequest(w, err)
	}
	return err == nil
}

func (s *Server) queue(w http.ResponseWriter, r *http.Request) {
	items := s.target.Queue()
	sample, _ := time.ParseDuration(r.FormValue("sample"))
	rates := map[uint64]int64{}
	if sample > 0 && active(items) {
		before, start := items, time.Now()
		select {
		case <-time.After(min(sample, maxSample)):
		case <-r.Context().Done():
			return
		}
		items = s.target.Queue()
		rates = measure(before, items, time.Since(start))
	}
	list := make([]Item, len(items))
	for i, it := range items {
		list[i] = Item{it, rates[it.ID]}
	}
	reply(w, list)
}

func active(items []cache.QueueItem) bool {
	for _, it := range items {
		if it.State == cache.StateActive {
			return true
		}
	}
	return false
}

// measure returns the speed of each active item in bytes per second.
func measure(before, after []cache.QueueItem, d time.Duration) map[uint64]int64 {
	sent := map[uint64]int64{}
	for _, it := range before {
		sent[it.ID] = it.Sent
	}
	rates := map[uint64]int64{}
	for _, it := range after {
		if then, ok := sent[it.ID]; ok && it.State == cache.StateActive && it.Sent > then && d > 0 {
			rates[it.ID] = int64(float64(it.Sent-then) / d.Seconds())
		}
	}
	return rates
}

func (s *Server) retry(w http.ResponseWriter, r *http.Request) {
	var req struct {
		IDs []uint64 `json:"ids"`
	}
	if !decode(w, r, &req) {
		return
	}
	if err := s.target.Retry(req.IDs...); err != nil {
		refuse(w, err)
		return
	}
	reply(w, struct{}{})
}

func itemID(w http.ResponseWriter, r *http.Request) (uint64, bool) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		badRequest(w, err)
	}
	return id, err == nil
}

// begun notes whether anything was written: an error after that can only be
// told by breaking the connection.
type begun struct {
	http.ResponseWriter
	yes bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.ResponseWriter.Write(p)
}

func (s *Server) save(w http.ResponseWriter, r *http.Request) {
	id, ok := itemID(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	b := &begun{ResponseWriter: w}
	err := s.target.Save(id, b)
	switch {
	case err != nil && b.yes:
		s.log.Warn("saving an item of the queue", "id", id, "error", err)
		panic(http.ErrAbortHandler)
	case err != nil:
		refuse(w, err)
	}
}

func (s *Server) drop(w http.ResponseWriter, r *http.Request) {
	id, ok := itemID(w, r)
	if !ok {
		return
	}
	if err := s.target.Drop(id); err != nil {
		refuse(w, err)
		return
	}
	reply(w, struct{}{})
}

func (s *Server) flush(w http.ResponseWriter, r *http.Request) {
	done := make(chan struct{})
	var err error
	s.wg.Go(func() {
		defer close(done)
		err = s.target.Flush(s.ctx)
	})
	if !s.stream(w, r, done, nil) {
		return
	}
	end := endOf(err)
	st := s.target.Status()
	end.Left = Left{Pending: st.Pending + st.Active, Parked: st.Parked, Bytes: st.Bytes, Reason: st.LastError}
	reply(w, Event{End: end})
}

func (s *Server) unmount(w http.ResponseWriter, r *http.Request) {
	var req UnmountRequest
	if !decode(w, r, &req) {
		return
	}
	s.log.Info("asked to unmount", "lazy", req.Lazy, "now", req.Now)
	if err := s.target.Unmount(req.Lazy); err != nil {
		refuse(w, err)
		return
	}
	var timeout <-chan time.Time
	if req.Timeout > 0 {
		timer := time.NewTimer(time.Duration(req.Timeout * float64(time.Second)))
		defer timer.Stop()
		timeout = timer.C
	}
	if req.Now {
		s.target.Hurry()
	}
	if s.stream(w, r, s.target.Ended(), timeout) {
		reply(w, Event{End: endOf(s.target.Result())})
	}
}

// stream writes an event at once and each second, until done, which it reports,
// or until the client goes away. The timeout makes the target hurry.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, done <-chan struct{}, timeout <-chan time.Time) bool {
	w.Header().Set("Content-Type", "application/x-ndjson")
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	for {
		st := s.target.Status()
		reply(w, Event{Queue: &st})
		_ = http.NewResponseController(w).Flush()
		select {
		case <-done:
			return true
		case <-timeout:
			s.log.Warn("not waiting for uploads any longer")
			s.target.Hurry()
		case <-tick.C:
		case <-r.Context().Done():
			return false
		}
	}
}
