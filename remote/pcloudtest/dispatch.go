package pcloudtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/fault"
)

// access says who may call a method.
type access int

const (
	anyone   access = iota // no credentials needed, and none looked at
	users                  // every valid identity
	password               // password logins; OAuth tokens get 2003 (pCloud API 4.3)
)

// method is an API method.
type method struct {
	run    func(*call) error
	access access
	data   bool // the body may be file data
}

// methods returns the API: everything else does not exist.
func methods() map[string]method {
	m := make(map[string]method)
	for _, group := range []map[string]method{
		accountMethods(), folderMethods(), fileMethods(), uploadMethods(), linkMethods(), feedMethods(), trashMethods(),
	} {
		for name, v := range group {
			m[name] = v
		}
	}
	return m
}

// serveAPI is the handler of the API host. The HTTP method does not matter,
// and slashes may be repeated (pCloud API 2.1).
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	cn := connOf(r.Context())
	name := strings.TrimLeft(r.URL.Path, "/")
	if strings.HasPrefix(name, adminPrefix) && s.isAdmin(r) {
		s.serveAdmin(w, r, name)
		return
	}
	if name == authorizePath {
		s.stats.count(authorizePath)
		s.serveConsent(w, r)
		return
	}
	m, ok := s.methods[name]
	if !ok {
		s.unknownMethod(w, r, cn)
		return
	}
	s.stats.count(name)
	if chunked(r) && !s.o.Quirks.AcceptChunked {
		lengthRequired(w, r)
		return
	}
	e := &effects{rules: s.faults.Match(name)}
	c := &call{s: s, r: r, w: w, conn: cn, method: m, fault: e, body: &trackedBody{r: e.body(r, cn)}}
	c.serve()
}

// serve runs the call and answers it, unless a fault rule decides otherwise.
func (c *call) serve() {
	goOn, err := c.fault.before(c.s, c.ctx(), c.conn)
	if !goOn {
		panic(http.ErrAbortHandler)
	}
	if r := c.fault.has(fault.HTTP); r != nil {
		c.frontEndError(r.Code)
		return
	}
	if err == nil {
		err = c.run()
	}
	if err != nil && c.fault.has(fault.DelayVisibility) != nil {
		c.s.account.DelayVisibility(0, 0) // there was nothing to delay
	}
	if c.fault.has(fault.ResetAfter) != nil {
		c.conn.reset()
		panic(http.ErrAbortHandler)
	}
	if errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // the client has gone, or the server closes
	}
	c.logResult(err)
	c.send(err)
}

func (c *call) run() error {
	if err := c.readParams(); err != nil {
		return fail(2041, "Connection broken.")
	}
	c.readStyle()
	if c.method.access != anyone {
		if err := c.authenticate(); err != nil {
			return err
		}
		if c.method.access == password && c.who.oauth() {
			return fail(2003, "Access denied. You do not have permissions to preform this operation.")
		}
	}
	return c.hideOutside(c.method.run(c))
}

// readStyle reads the parameters that shape the reply (pCloud API 2.4).
func (c *call) readStyle() {
	c.style.timestamps = c.params["timeformat"] == "timestamp"
	c.style.iconID = c.params["iconformat"] == "id"
	keep := func(p string, sets ...*map[string]bool) {
		v, ok := c.params[p]
		if !ok {
			return
		}
		for _, s := range sets {
			*s = nil
			if v == "" || v == "0" {
				continue
			}
			*s = make(map[string]bool)
			for k := range strings.SplitSeq(v, ",") {
				(*s)[strings.TrimSpace(k)] = true
			}
		}
	}
	if c.s.o.Quirks.StickyConnection {
		c.conn.restoreFilters(&c.style)
	}
	keep("filtermeta", &c.style.keepFile, &c.style.keepFolder)
	keep("filterfilemeta", &c.style.keepFile)
	keep("filterfoldermeta", &c.style.keepFolder)
	if c.s.o.Quirks.StickyConnection {
		c.conn.keepFilters(c.style)
	}
}

// hideOutside applies the quirk that things outside of the token's folder do
// not seem to exist.
func (c *call) hideOutside(err error) error {
	if !c.s.o.Quirks.NotFoundOutside || err == nil || !c.who.oauth() {
		return err
	}
	if code, _, _ := refusal(err); code != 2003 {
		return err
	}
	if c.params.has("fileid") {
		return fail(2009, "File not found.")
	}
	return fail(2005, "Directory does not exist.")
}

func (c *call) logResult(err error) {
	log := c.s.o.Log.With(slog.String("path", c.r.URL.Path)) // not the query: it may hold credentials
	code := 0
	if err != nil {
		code, _, _ = refusal(err)
		if code == 5000 && c.fault.has(fault.API) == nil {
			log.Error("call failed", slog.Any("error", err))
			return
		}
	}
	log.Debug("call", slog.Int("result", code))
}

// unknownMethod closes the connection, as documented (pCloud API 2.2).
func (s *Server) unknownMethod(w http.ResponseWriter, r *http.Request, cn *conn) {
	s.stats.count("unknown")
	if s.o.Quirks.UnknownMethodError {
		c := &call{s: s, r: r, w: w, conn: cn, body: &trackedBody{r: r.Body}, fault: &effects{}}
		c.send(fail(1, "Unknown method."))
		return
	}
	cn.close()
	panic(http.ErrAbortHandler)
}

// lengthRequired refuses a body whose length was not announced and closes the
// connection. Some of the body is taken first, or the client might see a
// reset before it sees the answer.
func lengthRequired(w http.ResponseWriter, r *http.Request) {
	io.CopyN(io.Discard, r.Body, maxForm) // however it ends, the answer is the same
	h := w.Header()
	h.Set("Server", serverName)
	h.Set("Connection", "close")
	h.Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusLengthRequired)
	fmt.Fprint(w, errorPage(http.StatusLengthRequired))
}

// frontEndError is the answer of a proxy in front of the API.
func (c *call) frontEndError(status int) {
	c.write(status, "text/html", []byte(errorPage(status)))
}

func errorPage(status int) string {
	t := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return "<html>\n<head><title>" + t + "</title></head>\n<body>\n<center><h1>" + t + "</h1></center>\n</body>\n</html>\n"
}

// guard wraps a handler: requests are waited for by Close, and a panic is
// counted, logged and answered with 500.
func (s *Server) guard(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.begin() {
			panic(http.ErrAbortHandler)
		}
		defer s.requests.Done()
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v != http.ErrAbortHandler {
				s.stats.panics.Add(1)
				s.o.Log.Error("handler panicked", slog.String("path", r.URL.Path), slog.Any("panic", v),
					slog.String("stack", string(debug.Stack())))
				w.Header().Set("Connection", "close")
				http.Error(w, "internal error", http.StatusInternalServerError)
				return
			}
			panic(http.ErrAbortHandler)
		}()
		h(w, r)
	}
}
