package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Sentinels for errors.Is, besides those of io/fs (ErrNotExist, ErrExist,
// ErrPermission, ErrInvalid). codes.go says which result matches which.
var (
	ErrToken            = errors.New("access token not accepted")
	ErrWrongRegion      = errors.New("account lives in another region")
	ErrNotEmpty         = errors.New("folder not empty")
	ErrBusy             = errors.New("folder can not be removed or moved")
	ErrQuota            = errors.New("storage quota exceeded")
	ErrInvalidName      = errors.New("name not possible in pCloud")
	ErrRecursionRefused = errors.New("recursive listing refused")
	ErrNoUpload         = errors.New("upload session does not exist")
	ErrUploadOffset     = errors.New("upload session does not end at this offset")
	ErrRateLimit        = errors.New("too many requests")

	// ErrVersionGone: that version of the file's content can not be read any
	// more, because the file was overwritten or deleted.
	ErrVersionGone = errors.New("version of the file is gone")

	// ErrMoved: the file was renamed or deleted by someone else meanwhile.
	ErrMoved = errors.New("file is not where it was")

	// ErrMismatch: the server's checksum is not that of the bytes sent.
	ErrMismatch = errors.New("checksum of the server differs from what was sent")

	// ErrProtocol: the reply is not one that an honest server gives.
	ErrProtocol = errors.New("invalid reply")

	// ErrTimeout: no answer in time, or a transfer below the floor rate. It
	// is never the end of the caller's context.
	ErrTimeout = errors.New("no answer in time")

	// ErrTemporary matches every error whose Temporary method returns true.
	ErrTemporary = errors.New("temporary failure")
)

// Error is an answer of the pCloud API with a non-zero result, or the failure
// to get a valid answer. All methods of Client that reach the network return
// it; it never contains the access token.
type Error struct {
	Method  string // API method, "content" for a content host
	Result  int    // pCloud result code (pCloud API 12); 0 if none was received
	Status  int    // HTTP status; 0 if no reply was received
	Message string // the server's own words, shortened
	Err     error  // cause, if any

	host       string        // for the hint which region to try
	unknown    bool          // this attempt may have taken effect
	uncertain  bool          // this or an earlier attempt may have
	final      bool          // do not try again within the call
	repeatable bool          // may be repeated although unknown
	local      bool          // the caller's own reader or callback failed
	garbled    bool          // the reply was no JSON: not from the API at all
	retryAfter time.Duration // what the server asked for
}

// Error says what was called, what went wrong, and where known what to do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("pcloud ")
	b.WriteString(e.Method)
	if hint := e.hint(); hint != "" {
		b.WriteString(": " + hint)
	} else if e.Result != 0 {
		fmt.Fprintf(&b, ": result %d", e.Result)
		if e.Message != "" {
			fmt.Fprintf(&b, " %q", e.Message)
		}
	} else if e.Status != 0 && (e.Err == nil || e.Status/100 != 2) {
		fmt.Fprintf(&b, ": HTTP status %d", e.Status)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.uncertain {
		b.WriteString(" (the call may have taken effect)")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether the result or status means target.
func (e *Error) Is(target error) bool {
	if target == ErrTemporary {
		return e.Temporary()
	}
	if target == ErrRateLimit && e.Status == http.StatusTooManyRequests {
		return true
	}
	if target == ErrToken && e.unauthorised() {
		return true
	}
	for _, s := range sentinels(e.Result) {
		if s == target {
			return true
		}
	}
	return false
}

// Temporary reports whether the same call may succeed later, with nothing
// changed but time: the network, the server or its load were the reason. The
// end of the caller's own context is not temporary.
func (e *Error) Temporary() bool {
	switch {
	case e.local, errors.Is(e.Err, context.Canceled), errors.Is(e.Err, context.DeadlineExceeded):
		return false
	case e.Result != 0:
		return temporary(e.Result)
	case e.garbled && e.Method == contentMethod:
		return true // another link, another host
	case e.Status != 0 && e.Status/100 != 2:
		return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500
	case e.garbled, errors.Is(e.Err, io.ErrUnexpectedEOF), errors.Is(e.Err, ErrTimeout), errors.Is(e.Err, errTransport),
		errors.Is(e.Err, ErrMismatch):
		return true
	}
	return false
}

// Uncertain reports whether the call may have taken effect although it failed.
// Look at the remote state before repeating it (pCloud API 7.21). Always false
// for calls that change nothing.
func (e *Error) Uncertain() bool { return e.uncertain }

// endedBy adds the end of the caller's context, which came while the call
// waited for its next attempt.
func (e *Error) endedBy(err error) *Error {
	if e.Err != nil {
		err = fmt.Errorf("%w after: %w", err, e.Err)
	}
	e.Err = err
	return e
}

// unauthorised reports a refusal by the front end of the API.
func (e *Error) unauthorised() bool {
	return e.Result == 0 && e.Status == http.StatusUnauthorized && e.Method != contentMethod
}

// hint says what to do about a token that is not accepted.
func (e *Error) hint() string {
	host := e.host
	if host == "" {
		host = "this server"
	}
	switch e.Result {
	case 1000:
		return "no access token was given; authorise pcloudfs and give it the token (result 1000)"
	case 2000, 2205, 2229:
		return fmt.Sprintf("the access token is wrong or has expired at %s; authorise pcloudfs again to get a new one (result %d)", host, e.Result)
	case 2095:
		return "the access token was revoked; authorise pcloudfs again to get a new one (result 2095)"
	case 2094:
		return fmt.Sprintf("the access token is not valid at %s (result 2094); it may belong to an account of the other region: %s, or authorise pcloudfs again to get a new one", host, otherRegion(host))
	case 2321:
		return fmt.Sprintf("the account does not live at %s but in another region: %s (result 2321)", host, otherRegion(host))
	}
	if e.unauthorised() {
		return fmt.Sprintf("the access token is not accepted at %s; authorise pcloudfs again to get a new one (HTTP status 401)", host)
	}
	return ""
}

func otherRegion(host string) string {
	switch host {
	case HostUS:
		return "use " + HostEU + " instead"
	case HostEU:
		return "use " + HostUS + " instead"
	}
	return "use the host that came with the token (" + HostUS + " or " + HostEU + ")"
}

// errTransport marks failures below HTTP: dialling, TLS, broken connections.
var errTransport = errors.New("connection failed")

// transportError is a failure of the connection. It has the text of the cause
// but does not unwrap to it: a connect that a firewall refuses would match
// fs.ErrPermission, and a dialer's own time limit context.DeadlineExceeded, and
// both mean something else here.
type transportError struct{ err error }

func (t transportError) Error() string { return t.err.Error() }

func (t transportError) Is(target error) bool {
	var timeout interface{ Timeout() bool }
	return target == errTransport ||
		target == ErrTimeout && errors.As(t.err, &timeout) && timeout.Timeout()
}

// protocolErrorf is an ErrProtocol that says what is wrong with the reply.
func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// scrub makes sure that a secret that someone echoed does not get into an
// error text.
func scrub(err error, secret string) error {
	if err == nil || len(secret) < 4 || !strings.Contains(err.Error(), secret) {
		return err
	}
	clean := errors.New(strings.ReplaceAll(err.Error(), secret, "[token]"))
	if errors.Is(err, ErrProtocol) {
		return fmt.Errorf("%w: %w", ErrProtocol, clean)
	}
	return transportError{clean}
}

// shorten keeps a message of the server small and free of the secret.
func shorten(s, secret string) string {
	if len(secret) >= 4 {
		s = strings.ReplaceAll(s, secret, "[token]")
	}
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
