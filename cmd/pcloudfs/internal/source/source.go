package source

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The API hosts of pCloud's two regions (pCloud API 1).
const (
	HostUS = "api.pcloud.com"
	HostEU = "eapi.pcloud.com"
)

const scheme = "pcloud://"

// maxSource bounds the length of a SOURCE, and with it the work of resolving it.
const maxSource = 16 << 10

// Source says what to mount.
type Source struct {
	Host  string // HostUS or HostEU
	Path  string // folder below the application folder, components separated by "/"; "" is the application folder
	Token Token  // access token from the URL, may be empty

	// Ignored is set when the query held something besides authid.
	Ignored bool
}

// Parse reads a SOURCE argument by the rules of the package comment.
func Parse(s string) (Source, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxSource {
		return Source{}, fmt.Errorf("SOURCE is longer than %d bytes", maxSource)
	}
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return Source{}, errors.New("SOURCE must begin with pcloud://, for instance pcloud://" + HostUS + "/Backup")
	}
	rest := s[len(scheme):]
	if strings.Contains(rest, "#") {
		return Source{}, errors.New("SOURCE contains '#'; in a folder name write %23")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path := rest, ""
	if i := strings.IndexAny(rest, `/\`); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host, err := parseHost(authority)
	if err != nil {
		return Source{}, err
	}
	src := Source{Host: host}
	if src.Path, err = parsePath(path); err != nil {
		return Source{}, err
	}
	if src.Token, src.Ignored, err = parseQuery(query); err != nil {
		return Source{}, err
	}
	return src, nil
}

// String returns the URL in its normal form and without the token, fit for
// logs, error messages and the file system's name in /proc/mounts.
func (s Source) String() string {
	if s.Path == "" {
		return scheme + s.Host
	}
	parts := strings.Split(s.Path, "/")
	for i, p := range parts {
		parts[i] = escape(p)
	}
	return scheme + s.Host + "/" + strings.Join(parts, "/")
}

// Region names the region of the host for people.
func (s Source) Region() string {
	if s.Host == HostEU {
		return "Europe"
	}
	return "United States"
}

// OtherHost returns the API host of the other region.
func (s Source) OtherHost() string {
	if s.Host == HostEU {
		return HostUS
	}
	return HostEU
}

func parseHost(authority string) (string, error) {
	if strings.Contains(authority, "@") {
		return "", errors.New("SOURCE must not hold a user name or a password; pCloud is used with an access token")
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if hasPort && port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", errors.New("the port in SOURCE is not a number from 1 to 65535; leave it out, it is not used")
		}
	}
	switch host = strings.ToLower(host); host {
	case HostUS, HostEU:
		return host, nil
	case "":
		return "", fmt.Errorf("SOURCE names no host; use pcloud://%s/… (United States) or pcloud://%s/… (Europe)", HostUS, HostEU)
	}
	return "", fmt.Errorf("the host in SOURCE must be %s (United States) or %s (Europe); "+
		"another server is named with -o endpoint=HOST:PORT", HostUS, HostEU)
}

// parsePath decodes and normalises the path of the URL.
func parsePath(raw string) (string, error) {
	p := unescape(raw)
	if !utf8.ValidString(p) {
		return "", errors.New("the folder in SOURCE is not valid UTF-8")
	}
	p = normalise(p)
	if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("the folder in SOURCE contains a control character")
	}
	return p, nil
}

// normalise resolves separators, dot segments and surrounding white space.
// Trimming can bring up a new dot segment (" ../a") and resolving new white
// space ("a/../ b"), hence the loop; every turn makes the path shorter.
func normalise(p string) string {
	p = strings.ReplaceAll(p, `\`, "/")
	for {
		q := resolve(strings.TrimFunc(p, func(r rune) bool { return r == '/' || unicode.IsSpace(r) }))
		if q == p {
			return p
		}
		p = q
	}
}

// resolve removes empty components and dot segments without going above the top.
func resolve(p string) string {
	var out []string
	for part := range strings.SplitSeq(p, "/") {
		switch part {
		case "", ".":
		case "..":
			out = out[:max(len(out)-1, 0)]
		default:
			out = append(out, part)
		}
	}
	return strings.Join(out, "/")
}

// parseQuery returns the token and whether there was anything besides.
func parseQuery(query string) (t Token, ignored bool, err error) {
	seen := false
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(unescape(key), "authid") {
			ignored = ignored || pair != ""
			continue
		}
		if seen {
			return Token{}, false, errors.New("SOURCE gives authid more than once")
		}
		seen = true
		if t, err = ParseToken(unescape(value)); err != nil {
			return Token{}, false, fmt.Errorf("authid in SOURCE: %w", err)
		}
	}
	return t, ignored, nil
}

// unescape decodes %XX and leaves alone what is no escape, unlike
// url.PathUnescape, which refuses the whole string.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// escape is the opposite of unescape for one component. Commas and quotes go
// too, so that the result can stand in a list of mount options.
func escape(s string) string {
	return strings.NewReplacer(",", "%2C", "'", "%27", "+", "%2B").Replace(url.PathEscape(s))
}

// Redact hides the query of every pcloud:// URL in s and what follows any other
// "authid=", for messages that may quote what the user typed.
func Redact(s string) string {
	s = urlQuery.ReplaceAllString(s, "${1}"+hidden)
	return authID.ReplaceAllString(s, "${1}"+hidden)
}

var (
	urlQuery = regexp.MustCompile(`(?i)(pcloud://[^?\s]*\?)[^\s"']+`)
	authID   = regexp.MustCompile(`(?i)(authid=)[^&\s"']+`)
)
