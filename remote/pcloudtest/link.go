package pcloudtest

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/fault"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

func linkMethods() map[string]method {
	return map[string]method{
		"getfilelink":      {run: (*call).getFileLink, access: users},
		"getvideolink":     {run: (*call).getVideoLink, access: users},
		"getaudiolink":     {run: (*call).getAudioLink, access: users},
		"getfilepublink":   {run: (*call).getFilePubLink, access: users},
		"getfolderpublink": {run: (*call).getFolderPubLink, access: users},
	}
}

// linkToken is the length of a link's secret (pCloud API 9.1).
const linkToken = 68

// link lets whoever knows it read one version of a file.
type link struct {
	view        *store.View
	fileID      uint64
	hash        uint64
	revision    uint64 // asked for by id; 0 is none
	older       bool   // the version was not the current one
	name        string
	contentType string
	tag         string // dwltag
	ip          string // of the client that asked for it
	expires     time.Time
}

// links are the content links that are valid or have ended lately.
type links struct {
	mu    sync.Mutex // guards the rest; a leaf
	all   map[string]link
	sweep time.Time // when ended links are next looked for
}

// linkMemory is how long an ended link is known as such.
const linkMemory = time.Hour

func (l *links) add(k link, now time.Time) (token string) {
	token = randomToken(linkToken)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[string]link)
	}
	if now.After(l.sweep) {
		for t, old := range l.all {
			if now.After(old.expires.Add(linkMemory)) {
				delete(l.all, t)
			}
		}
		l.sweep = now.Add(linkMemory)
	}
	l.all[token] = k
	return token
}

func (l *links) find(token string) (link, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.all[token]
	return k, ok
}

// linkedFile finds the file and version that a link is asked for.
func (c *call) linkedFile() (*link, int64, error) {
	n, byPath, err := c.file()
	if err != nil {
		return nil, 0, err
	}
	rev, err := c.revision()
	if err != nil {
		return nil, 0, err
	}
	var hash *uint64
	if h, ok := c.params.number("hash"); ok {
		hash = &h
	}
	content, n, err := c.view.OpenContent(n.ID, hash, rev)
	if err != nil {
		if byPath {
			err = c.missing(err)
		}
		return nil, 0, err
	}
	defer content.Close()
	return &link{view: c.view, fileID: n.ID, hash: content.Hash(), revision: rev, older: content.Hash() != n.Hash, name: n.Name,
		contentType: typeOf(n.Name).contentType}, content.Size(), nil
}

// getFileLink makes a link to a file's content (pCloud API 9.1).
func (c *call) getFileLink() error { return c.makeLink(0) }

func (c *call) getVideoLink() error { return c.makeLink(2) }

func (c *call) getAudioLink() error { return c.makeLink(3) }

// makeLink makes a link to a file of a category; 0 is any.
func (c *call) makeLink(category int) error {
	if err := c.checkOrigin(); err != nil {
		return err
	}
	k, size, err := c.linkedFile()
	if err != nil {
		return err
	}
	if category != 0 && typeOf(k.name).category != category {
		return fail(2044, "The file is not of the type asked for.")
	}
	if err := c.linkType(k); err != nil {
		return err
	}
	now := time.Now()
	k.tag = randomToken(18)
	k.ip = clientIP(c.r)
	k.expires = now.Add(c.s.o.Quirks.LinkExpiry).Truncate(time.Second)
	said := k.expires
	if c.fault.has(fault.ExpiredLink) != nil {
		// The client is told the usual time: it cannot see what is wrong.
		k.expires = now.Add(-time.Second)
	}
	path := "/" + c.s.links.add(*k, now)
	if !c.params.bool("skipfilename") {
		path += "/" + url.PathEscape(k.name)
	}
	c.add("dwltag", k.tag)
	c.add("hash", k.hash)
	c.add("size", size)
	c.add("expires", said)
	c.add("path", path)
	c.add("hosts", c.s.contentHosts(c.r))
	return nil
}

// linkType applies the parameters about the type of the content.
func (c *call) linkType(k *link) error {
	if t := c.params["contenttype"]; t != "" {
		if strings.ContainsAny(t, "\r\n\x00") || strings.Count(t, "/") != 1 {
			return fail(1005, "Unknown content-type requested.")
		}
		k.contentType = t
	}
	if c.params.bool("forcedownload") {
		k.contentType = "application/octet-stream"
	}
	if n, ok := c.params.number("maxspeed"); ok && n > 0 && n < minLinkSpeed {
		return &apiError{code: 2011, message: "Requested speed limit too low, see minspeed for minimum.",
			extra: object{{"minspeed", minLinkSpeed}}}
	}
	return nil
}

// minLinkSpeed is the lowest maxspeed that is taken; the limit itself is not
// kept.
const minLinkSpeed = 1 << 10

// checkOrigin refuses browsers that come from other people's pages (pCloud API
// 4.3).
func (c *call) checkOrigin() error {
	for _, h := range []string{"Referer", "Origin"} {
		v := c.r.Header.Get(h)
		if v == "" {
			continue
		}
		u, err := url.Parse(v)
		if err != nil || !c.ownSite(u.Hostname()) {
			return fail(7010, "Invalid referer.")
		}
	}
	return nil
}

func (c *call) ownSite(host string) bool {
	host = strings.ToLower(host)
	return host == "pcloud.com" || strings.HasSuffix(host, ".pcloud.com") || host == strings.ToLower(hostOf(c.s.apiName(c.r)))
}

// contentHosts are the hosts that serve links: those of the options, or the
// content host under the address by which the client reached the API if its
// own is not one to connect to.
func (s *Server) contentHosts(r *http.Request) []string {
	if len(s.o.ContentHosts) > 0 {
		return s.o.ContentHosts
	}
	host, port, err := net.SplitHostPort(s.content.addr)
	if err != nil {
		return []string{s.content.addr}
	}
	if s.o.InProcess {
		return []string{host}
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = hostOf(s.apiName(r))
	}
	return []string{net.JoinHostPort(host, port)}
}

func (c *call) getFilePubLink() error {
	if err := c.checkOrigin(); err != nil {
		return err
	}
	n, _, err := c.file()
	if err != nil {
		return err
	}
	return c.publicLink(n)
}

func (c *call) getFolderPubLink() error {
	if err := c.checkOrigin(); err != nil {
		return err
	}
	n, _, err := c.folder()
	if err != nil {
		return err
	}
	if n.Root {
		return fail(2015, "Can not share root folder.")
	}
	return c.publicLink(n)
}

// publicLink answers with the address of a public page for a file or folder,
// the same each time. Nothing is served there.
func (c *call) publicLink(n store.Node) error {
	if _, err := c.params.date("expire"); err != nil {
		return err
	}
	id := n.ID << 1
	if n.Folder {
		id |= 1
	}
	code := "XZ" + etag([]byte(fmt.Sprint(id)))[:26]
	c.add("linkid", id)
	c.add("code", code)
	c.add("link", "https://u.pcloud.link/publink/show?code="+code)
	if c.params.bool("shortlink") {
		c.add("shortcode", code[:8])
		c.add("shortlink", "https://pc.cd/"+code[:8])
	}
	return nil
}
