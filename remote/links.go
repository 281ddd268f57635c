package remote

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Link is a short-lived address of one version of a file's content (pCloud API
// 9). It works only from the network address that asked for it.
type Link struct {
	Hash    Hash
	Size    int64
	Expires time.Time
	urls    []string // one per host, the best first
	first   *atomic.Int32
}

const (
	maxLinks     = 4096
	maxLinkHosts = 16

	// Links live for hours but files move between hosts, so they are renewed
	// after linkAge at the latest, and linkSpare before they expire. A link
	// that seems to expire at once, which a wrong local clock can make of any,
	// is still used for linkLeast; the content host knows best.
	linkAge   = time.Hour
	linkSpare = 5 * time.Minute
	linkLeast = 30 * time.Second
)

// FileLink asks for a link to a version of a file (pCloud API 9.1); hash 0
// means the current one. ErrVersionGone if that version does not exist any
// more.
func (c *Client) FileLink(ctx context.Context, id FileID, h Hash) (Link, error) {
	var reply struct {
		Hash    *uint64  `json:"hash"`
		Size    *int64   `json:"size"`
		Path    string   `json:"path"`
		Hosts   []string `json:"hosts"`
		Expires wireTime `json:"expires"`
	}
	k := fileCall("getfilelink", id, reader)
	if h != 0 {
		k.params.num("hash", uint64(h))
	}
	k.out = &reply
	var l Link
	k.after = func() *Error {
		if reply.Hash == nil || reply.Size == nil || *reply.Size < 0 {
			return &Error{Err: protocolErrorf("hash or size of the link missing or out of range")}
		}
		if h != 0 && Hash(*reply.Hash) != h {
			return &Error{Err: ErrVersionGone}
		}
		urls, err := c.contentURLs(reply.Hosts, reply.Path)
		if err != nil {
			return &Error{Err: err}
		}
		l = Link{Hash(*reply.Hash), *reply.Size, reply.Expires.t, urls, new(atomic.Int32)}
		return nil
	}
	err := c.do(ctx, k)
	if errors.Is(err, fs.ErrNotExist) {
		e := asError(err)
		e.Err = ErrVersionGone
	}
	if err != nil {
		return Link{}, err
	}
	return l, nil
}

// contentURLs joins hosts and path. When the API host is pCloud's, so must be
// the content hosts: a reply can not send the client elsewhere.
func (c *Client) contentURLs(hosts []string, path string) ([]string, error) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, " #\\") {
		return nil, protocolErrorf("path of the link")
	}
	var urls []string
	for _, host := range hosts[:min(len(hosts), maxLinkHosts)] {
		if checkHost(host) != nil {
			return nil, protocolErrorf("content host %.100q", host)
		}
		if isPCloud(c.host) && (!isPCloud(host) || strings.Contains(host, ":")) {
			return nil, protocolErrorf("content host %.100q is not one of pCloud's", host)
		}
		u, err := url.Parse("https://" + host + path)
		if err != nil || u.Host != host {
			return nil, protocolErrorf("path of the link")
		}
		urls = append(urls, u.String())
	}
	if len(urls) == 0 {
		return nil, protocolErrorf("no content hosts")
	}
	return urls, nil
}

// linkKey is a version of a file.
type linkKey struct {
	id   FileID
	hash Hash
}

// linkCache keeps links until they are too old or turn out not to work.
type linkCache struct {
	mu    sync.Mutex // guards all; not held over requests
	links *simplelru.LRU[linkKey, cachedLink]
	asked map[linkKey]*linkRequest
}

type cachedLink struct {
	Link
	until time.Time
}

// linkRequest is a request for a link that is under way.
type linkRequest struct {
	done chan struct{} // closed when the rest is set
	link Link
	err  error
}

func newLinkCache() *linkCache {
	// The only error is a size that is not positive.
	lru, _ := simplelru.NewLRU[linkKey, cachedLink](maxLinks, nil)
	return &linkCache{links: lru, asked: make(map[linkKey]*linkRequest)}
}

// link returns a link to a version, from the cache if there is one. Callers
// that want the same one at the same time share a request.
func (c *Client) link(ctx context.Context, key linkKey) (Link, error) {
	lc := c.links
	for {
		lc.mu.Lock()
		if l, ok := lc.links.Get(key); ok && time.Now().Before(l.until) {
			lc.mu.Unlock()
			return l.Link, nil
		}
		r, waiting := lc.asked[key]
		if !waiting {
			r = &linkRequest{done: make(chan struct{})}
			lc.asked[key] = r
			lc.mu.Unlock()
			return c.askLink(ctx, key, r)
		}
		lc.mu.Unlock()
		select {
		case <-r.done:
		case <-ctx.Done():
			return Link{}, &Error{Method: "getfilelink", Err: ctx.Err()}
		}
		// The end of the asker's context says nothing about this caller.
		if r.err == nil || !(errors.Is(r.err, context.Canceled) || errors.Is(r.err, context.DeadlineExceeded)) {
			return r.link, r.err
		}
	}
}

// askLink makes the request r and publishes its result.
func (c *Client) askLink(ctx context.Context, key linkKey, r *linkRequest) (Link, error) {
	lc := c.links
	defer close(r.done)
	r.err = context.Canceled // if FileLink does not return
	r.link, r.err = c.FileLink(ctx, key.id, key.hash)
	lc.mu.Lock()
	defer lc.mu.Unlock()
	delete(lc.asked, key)
	if r.err == nil {
		now := time.Now()
		until := now.Add(min(max(r.link.Expires.Sub(now)-linkSpare, linkLeast), linkAge))
		lc.links.Add(key, cachedLink{r.link, until})
	}
	return r.link, r.err
}

// drop forgets a link that does not work, unless it was renewed already.
func (lc *linkCache) drop(key linkKey, l Link) {
	lc.mu.Lock()
	defer lc.mu.Unlock()
	if now, ok := lc.links.Peek(key); ok && now.first == l.first {
		lc.links.Remove(key)
	}
}
