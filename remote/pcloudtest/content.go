package pcloudtest

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/fault"
)

// serveContent is the handler of the content host: plain HTTP on links
// (pCloud API 9.2). Credentials that come along are ignored.
func (s *Server) serveContent(w http.ResponseWriter, r *http.Request) {
	s.stats.count(ContentMethod)
	cn := connOf(r.Context())
	e := &effects{rules: s.faults.Match(ContentMethod)}
	if goOn, _ := e.before(s, r.Context(), cn); !goOn {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("Server", "CloudHTTPd-Data v1.1")
	setKeepAlive(w, r)
	if f := e.has(fault.HTTP); f != nil {
		sendPage(w, f.Code, errorPage(f.Code))
		return
	}
	if e.has(fault.ResetAfter) != nil {
		cn.reset() // there is no effect to be had
		panic(http.ErrAbortHandler)
	}
	s.serveLink(w, r, cn, e)
}

func (s *Server) serveLink(w http.ResponseWriter, r *http.Request, cn *conn, e *effects) {
	token, _, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	k, ok := s.links.find(token)
	switch {
	case len(token) != linkToken:
		sendPage(w, http.StatusNotFound, errorPage(http.StatusNotFound))
		return
	case !ok, time.Now().After(k.expires), e.has(fault.ExpiredLink) != nil, !s.clientMay(k, r):
		sendPage(w, http.StatusGone, invalidLinkPage)
		return
	}
	hash := k.hash
	content, node, err := k.view.OpenContent(k.fileID, &hash, k.revision)
	if err != nil {
		sendPage(w, http.StatusNotFound, errorPage(http.StatusNotFound))
		return
	}
	defer content.Close()
	if s.o.Quirks.LinksFollowOverwrite && !k.older && node.Hash != k.hash {
		sendPage(w, http.StatusNotFound, errorPage(http.StatusNotFound))
		return
	}
	w.Header().Set("Content-Type", k.contentType)
	w.Header().Set("Accept-Ranges", "bytes")
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range") // several ranges at once: the whole
	}
	out := &cutWriter{ResponseWriter: w, conn: cn, effects: e}
	http.ServeContent(out, r, "", time.Time{}, io.NewSectionReader(content, 0, content.Size()))
}

// clientMay checks the address that the link was made for, or the cookie that
// stands for it.
func (s *Server) clientMay(k link, r *http.Request) bool {
	if s.o.Quirks.AnyClientIP || k.ip == clientIP(r) {
		return true
	}
	c, err := r.Cookie("dwltag")
	return err == nil && same(c.Value, k.tag)
}

const invalidLinkPage = `<!DOCTYPE html>
<html>
<head><title>Invalid link</title></head>
<body>
<h1>Invalid link</h1>
<p>This link was generated for another IP address or has expired.</p>
</body>
</html>
`

func sendPage(w http.ResponseWriter, status int, page string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, page) // an error means that the client has gone
}

// cutWriter ends the body of a reply early if a fault rule says so.
type cutWriter struct {
	http.ResponseWriter
	conn    *conn
	effects *effects
	left    int64
	cutting bool
}

func (w *cutWriter) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	n, err := parseNumber(w.Header().Get("Content-Length"))
	if err != nil {
		return
	}
	if at, ok := w.effects.cut(int(n)); ok {
		w.cutting, w.left = true, int64(at)
	}
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if !w.cutting || int64(len(p)) <= w.left {
		n, err := w.ResponseWriter.Write(p)
		w.left -= int64(n)
		return n, err
	}
	w.ResponseWriter.Write(p[:w.left]) // the connection is broken anyway
	flush(w.ResponseWriter)
	w.conn.close()
	panic(http.ErrAbortHandler)
}
