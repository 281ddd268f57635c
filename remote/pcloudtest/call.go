package pcloudtest

import (
	"context"
	"net/http"
	"strings"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// call is one API request while it is served.
type call struct {
	s      *Server
	r      *http.Request
	w      http.ResponseWriter
	conn   *conn
	method method
	params params
	body   *trackedBody // what follows the header; reading it obeys the fault rules
	form   *formBody    // the multipart body of a request that has one

	who  identity
	view *store.View // what the identity sees

	style style
	reply object // members after result
	fault *effects
}

// ctx ends when the client has gone or the server closes.
func (c *call) ctx() context.Context { return c.r.Context() }

// add appends a member to the reply.
func (c *call) add(key string, value any) { c.reply = append(c.reply, member{key, value}) }

// keepAlive reports whether the client asked for the connection to stay: the
// service keeps it then and only then (pCloud API 2.2).
func keepAlive(r *http.Request) bool {
	for _, v := range r.Header.Values("Connection") {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), "keep-alive") {
				return true
			}
		}
	}
	return false
}

// setKeepAlive announces in the reply what happens to the connection.
func setKeepAlive(w http.ResponseWriter, r *http.Request) {
	if keepAlive(r) {
		w.Header().Set("Connection", "keep-alive")
		w.Header().Set("Keep-Alive", "timeout=1800")
		return
	}
	w.Header().Set("Connection", "close")
}
