package pcloudtest

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// digestLifetime is how long a digest of getdigest is good for (pCloud API
// 4.4).
const digestLifetime = 30 * time.Second

// identity is who makes a call.
type identity struct {
	token string // the token used, "" after an inline login
	kind  tokenKind
}

// oauth tells tokens of applications from password logins: the former are
// refused some methods (pCloud API 4.3).
func (i identity) oauth() bool { return i.kind == appToken || i.kind == accountToken }

// authenticate finds out who calls and fills in who and view. Credentials are
// looked for in the order of the table in pCloud API 2.4.
func (c *call) authenticate() error {
	sticky := c.s.o.Quirks.StickyConnection
	if sticky {
		if c.params.bool("logout") {
			c.conn.setIdentity(nil)
		}
		if who := c.conn.identity(); who != nil {
			c.become(*who)
			return nil
		}
	}
	who, err := c.identify()
	if err != nil {
		return err
	}
	if sticky {
		c.conn.setIdentity(&who)
	}
	c.become(who)
	return nil
}

// become sets the identity of the call and with it what the call can see.
func (c *call) become(who identity) {
	c.who = who
	root := uint64(0)
	if who.kind == appToken {
		root = c.s.appFolder
	}
	c.view = c.s.account.View(root)
}

func (c *call) identify() (identity, error) {
	if t, ok := bearer(c.r.Header.Get("Authorization")); ok {
		return c.byAccessToken(t)
	}
	if t := c.params["access_token"]; t != "" {
		return c.byAccessToken(t)
	}
	if t := c.params["auth"]; t != "" {
		return c.bySession(t)
	}
	if c.params["username"] != "" {
		return c.byPassword()
	}
	return identity{}, fail(1000, "Log in required.")
}

// bearer reads an Authorization header.
func bearer(h string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(h), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}

func (c *call) byAccessToken(t string) (identity, error) {
	rec, ok := c.s.tokens.find(t)
	switch {
	case !ok, rec.Kind == sessionToken, c.s.foreign(t):
		return identity{}, fail(2094, "Invalid 'access_token' provided.")
	case rec.Revoked:
		return identity{}, fail(2095, "The access token was revoked.")
	}
	return identity{token: t, kind: rec.Kind}, nil
}

func (c *call) bySession(t string) (identity, error) {
	if c.s.foreign(t) {
		return identity{}, c.s.otherRegion()
	}
	if !c.s.tokens.useSession(t, time.Now()) {
		return identity{}, fail(2000, "Log in failed.")
	}
	return identity{token: t, kind: sessionToken}, nil
}

// byPassword is the inline login that every method takes (pCloud API 4.4).
func (c *call) byPassword() (identity, error) {
	p := c.params
	user := strings.ToLower(p["username"])
	for _, f := range c.s.o.ForeignUsers {
		if strings.ToLower(f) == user {
			return identity{}, c.s.otherRegion()
		}
	}
	if user != strings.ToLower(c.s.o.Email) || !c.s.passwordMatches(user, p, time.Now()) {
		return identity{}, fail(2000, "Log in failed.")
	}
	who := identity{kind: sessionToken}
	if p.bool("getauth") {
		t, err := c.s.tokens.addSession(p["device"], c.lifetime("authexpire", 31536000, 63072000),
			c.lifetime("authinactiveexpire", 2678400, 5356800), time.Now())
		if err != nil {
			return identity{}, err
		}
		who.token = t
		c.add("auth", t)
	}
	return who, nil
}

// lifetime reads a limit in seconds that has a default and a maximum.
func (c *call) lifetime(name string, byDefault, most uint64) time.Duration {
	n, ok := c.params.number(name)
	if !ok || n == 0 {
		n = byDefault
	}
	return time.Duration(min(n, most)) * time.Second
}

// passwordMatches checks the password in the form that the client chose.
func (s *Server) passwordMatches(user string, p params, now time.Time) bool {
	switch {
	case p["password"] != "":
		return same(p["password"], s.password)
	case p["passwordmd5"] != "":
		sum := md5.Sum([]byte(s.password))
		return same(strings.ToLower(p["passwordmd5"]), hex.EncodeToString(sum[:]))
	case p["passworddigest"] != "":
		return s.digestValid(p["digest"], now) &&
			same(strings.ToLower(p["passworddigest"]), passwordDigest(user, s.password, p["digest"]))
	}
	return false
}

// passwordDigest is what a client computes to log in without showing the
// password: sha1(password + sha1(lowercase user) + digest), in hexadecimal.
func passwordDigest(user, password, digest string) string {
	inner := sha1.Sum([]byte(strings.ToLower(user)))
	outer := sha1.Sum([]byte(password + hex.EncodeToString(inner[:]) + digest))
	return hex.EncodeToString(outer[:])
}

// newDigest makes a digest that carries its own end and a proof of origin, so
// that the server need not remember it.
func (s *Server) newDigest(expires time.Time) string {
	var salt [8]byte
	rand.Read(salt[:]) // never fails
	body := strconv.FormatInt(expires.Unix(), 16) + hex.EncodeToString(salt[:])
	return body + s.digestProof(body)
}

func (s *Server) digestProof(body string) string {
	m := hmac.New(sha256.New, s.digestKey[:])
	m.Write([]byte(body))
	return hex.EncodeToString(m.Sum(nil)[:12])
}

func (s *Server) digestValid(d string, now time.Time) bool {
	const proof, salt = 24, 16 // characters
	if len(d) < proof+salt+1 {
		return false
	}
	body := d[:len(d)-proof]
	end, err := strconv.ParseInt(body[:len(body)-salt], 16, 64)
	return err == nil && now.Unix() <= end && same(d[len(d)-proof:], s.digestProof(body))
}

// foreign reports whether a token belongs to an account of the other region.
func (s *Server) foreign(token string) bool {
	for _, f := range s.o.ForeignTokens {
		if same(f, token) {
			return true
		}
	}
	return false
}

// otherRegion is the answer to a login that belongs to the other region.
func (s *Server) otherRegion() error {
	o := s.o.Region.other()
	return &apiError{code: 2321, message: "This user is on another location.", extra: object{
		{"location", object{{"id", o.locationID()}, {"label", o.String()}, {"api", o.apiHost()}, {"binapi", o.binHost()}}},
	}}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
