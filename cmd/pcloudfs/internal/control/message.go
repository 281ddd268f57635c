package control

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/pcloudfs/pcloudfs/cache"
)

// State is what a mount says of itself.
type State struct {
	Info
	Draining bool         `json:"draining"` // unmounted, or about to be; sends what is left
	Queue    cache.Status `json:"queue"`
}

// Item is an item of the queue with its speed.
type Item struct {
	cache.QueueItem
	Rate int64 `json:"rate,omitempty"` // bytes per second, if it was measured
}

// Event is one line of a stream.
type Event struct {
	Queue *cache.Status `json:"queue,omitempty"`
	End   *End          `json:"end,omitempty"` // of the last line
}

// End is what came of it.
type End struct {
	Error string `json:"error,omitempty"` // other than that something is left
	Left  Left   `json:"left"`
}

// Left is what is not in pCloud and stays in the cache directory.
type Left struct {
	Pending int    `json:"pending"`
	Parked  int    `json:"parked"` // refused by pCloud
	Bytes   int64  `json:"bytes"`  // of both
	Reason  string `json:"reason,omitempty"`
}

// Count is the number of changes.
func (l Left) Count() int { return l.Pending + l.Parked }

// UnmountRequest says how to unmount.
type UnmountRequest struct {
	Lazy bool `json:"lazy,omitempty"` // although files are open
	Now  bool `json:"now,omitempty"`  // without waiting for uploads

	// Timeout is how many seconds uploads are waited for; 0: as long as it takes.
	Timeout float64 `json:"timeout,omitempty"`
}

// ErrBusy says that programs use the mount, so that it was not unmounted.
var ErrBusy = errors.New("files are open, or a program runs in it")

// failure is the body of an error reply.
type failure struct {
	Text string `json:"error"`
	Code string `json:"code,omitempty"`
}

// failures are the errors that keep their identity on the way to the client.
func failures() map[string]error {
	return map[string]error{"busy": ErrBusy, "no_item": cache.ErrNoItem, "active": cache.ErrActive}
}

func newFailure(err error) (failure, int) {
	if errors.Is(err, syscall.EBUSY) {
		err = fmt.Errorf("%w (%w)", ErrBusy, err)
	}
	f, status := failure{Text: err.Error()}, http.StatusInternalServerError
	for code, known := range failures() {
		if errors.Is(err, known) {
			f.Code, status = code, http.StatusConflict
		}
	}
	return f, status
}

// serverError is an error that the server told.
type serverError struct {
	text  string
	known error // what it is, or nil
}

func (e *serverError) Error() string { return e.text }
func (e *serverError) Unwrap() error { return e.known }

// endOf describes how a volume ended.
func endOf(err error) *End {
	e := &End{}
	if err == nil {
		return e
	}
	var left *cache.LeftError
	if errors.As(err, &left) {
		e.Left = Left{Pending: left.Pending, Parked: left.Parked, Bytes: left.Bytes, Reason: left.Reason}
	}
	if left == nil || err.Error() != left.Error() {
		e.Error = err.Error()
	}
	return e
}
