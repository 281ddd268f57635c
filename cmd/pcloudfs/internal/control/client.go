package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Client speaks to the process of a mount.
type Client struct {
	http  *http.Client
	state State // when it was connected
}

// Errors of Connect.
var (
	ErrNone   = errors.New("no process serves this mount point")
	ErrDenied = errors.New("the mount belongs to another user")
)

// connectTimeout is how long the process has to answer at first.
const connectTimeout = 10 * time.Second

// Connect finds the process that serves a mount point, given as an absolute path
// without symbolic links. The error is ErrNone if there is none (any more) and
// ErrDenied if it is another user's.
func Connect(ctx context.Context, mountpoint string, s Search) (*Client, error) {
	failed := ErrNone
	for _, dir := range s.Dirs {
		err := s.trusts(dir)
		if err == nil {
			var c *Client
			if c, err = connect(ctx, filepath.Join(dir, baseName(mountpoint)+socketSuffix), s); err == nil {
				return c, nil
			}
		}
		switch {
		case errors.Is(err, fs.ErrPermission):
			failed = ErrDenied
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !gone(err) && failed == ErrNone:
			failed = fmt.Errorf("ask the process of the mount: %w", err)
		}
	}
	return nil, failed
}

func connect(ctx context.Context, socket string, s Search) (*Client, error) {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, socket, s) }}
	c := &Client{http: &http.Client{Transport: tr}}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := c.call(ctx, http.MethodGet, "/v1/status", nil, &c.state); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// dial connects to a socket if a trusted user serves it.
func dial(ctx context.Context, socket string, s Search) (net.Conn, error) {
	short, dir, err := openDir(filepath.Dir(socket))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(short, filepath.Base(socket)))
	if err != nil {
		return nil, err
	}
	uid, err := peerUID(conn.(*net.UnixConn))
	if err == nil && !slices.Contains(s.UIDs, uid) {
		err = fmt.Errorf("%w: user %d", ErrDenied, uid)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// gone says that there is no socket, or nobody behind it.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTSOCK)
}

// Close ends the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// State is what the mount said of itself when it was connected.
func (c *Client) State() State { return c.state }

// Status asks for the present state.
func (c *Client) Status(ctx context.Context) (st State, err error) {
	return st, c.call(ctx, http.MethodGet, "/v1/status", nil, &st)
}

// Queue returns what is not in pCloud. If something is being sent, sample is
// spent on measuring how fast.
func (c *Client) Queue(ctx context.Context, sample time.Duration) (items []Item, err error) {
	return items, c.call(ctx, http.MethodGet, "/v1/queue?sample="+url.QueryEscape(sample.String()), nil, &items)
}

// Retry makes parked items pending again, all of them when no id is given.
func (c *Client) Retry(ctx context.Context, ids ...uint64) error {
	return c.call(ctx, http.MethodPost, "/v1/retry", map[string][]uint64{"ids": ids}, nil)
}

// Save writes the bytes of a put to w.
func (c *Client) Save(ctx context.Context, id uint64, w io.Writer) error {
	body, err := c.send(ctx, http.MethodGet, itemPath(id)+"/content", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("save the bytes: %w", err)
	}
	return nil
}

// Drop gives up a change.
func (c *Client) Drop(ctx context.Context, id uint64) error {
	return c.call(ctx, http.MethodDelete, itemPath(id), nil, nil)
}

// Flush waits until everything that was issued so far is in pCloud. show gets
// the progress about once a second.
func (c *Client) Flush(ctx context.Context, show func(Event)) (End, error) {
	return c.stream(ctx, "/v1/flush", struct{}{}, show)
}

// Unmount unmounts and waits for uploads as the request says. show gets the
// progress about once a second. The error is ErrBusy if it was not unmounted
// because it is in use. When ctx ends, the mount's process goes on by itself.
func (c *Client) Unmount(ctx context.Context, req UnmountRequest, show func(Event)) (End, error) {
	return c.stream(ctx, "/v1/unmount", req, show)
}

func itemPath(id uint64) string { return "/v1/items/" + strconv.FormatUint(id, 10) }

// stream reads events up to the last.
func (c *Client) stream(ctx context.Context, path string, req any, show func(Event)) (End, error) {
	body, err := c.send(ctx, http.MethodPost, path, req)
	if err != nil {
		return End{}, err
	}
	defer body.Close()
	for d := json.NewDecoder(body); ; {
		var e Event
		if err := d.Decode(&e); err != nil {
			if ctx.Err() != nil {
				return End{}, ctx.Err()
			}
			return End{}, fmt.Errorf("the process of the mount ended without an answer: %w", err)
		}
		if e.End != nil {
			return *e.End, nil
		}
		show(e)
	}
}

// call sends a request and reads the reply into result, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, req, result any) error {
	body, err := c.send(ctx, method, path, req)
	if err != nil {
		return err
	}
	defer body.Close()
	if result == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(result); err != nil {
		return fmt.Errorf("reply of the mount's process: %w", err)
	}
	return nil
}

// send sends a request and returns the body of a successful reply, which the
// caller closes.
func (c *Client) send(ctx context.Context, method, path string, req any) (io.ReadCloser, error) {
	var text []byte
	if req != nil {
		var err error
		if text, err = json.Marshal(req); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://mount"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text shows an address that does not exist
			err = u.Err
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxRequest)).Decode(&f); err != nil {
		return nil, fmt.Errorf("the mount's process answered %s", resp.Status)
	}
	return nil, &serverError{f.Text, failures()[f.Code]}
}
