package pcloudtest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// tokenKind says what a token may do.
type tokenKind string

const (
	appToken     tokenKind = "app"     // OAuth, sees /Applications/<App> as its root
	accountToken tokenKind = "account" // OAuth, sees the whole account
	sessionToken tokenKind = "session" // password login, sees the whole account
)

// Names under which credentials are kept in the account's settings.
const (
	settingTokens   = "tokens"
	settingPassword = "password"
)

// tokenRecord is what is known of a token. Times are unix seconds.
type tokenRecord struct {
	Kind     tokenKind `json:"kind"`
	Primary  bool      `json:"primary,omitempty"` // the one that AppToken or AccountToken returns
	Revoked  bool      `json:"revoked,omitempty"`
	Device   string    `json:"device,omitempty"`
	Created  int64     `json:"created"`
	Expires  int64     `json:"expires,omitempty"` // sessions only, as are the next two
	Inactive int64     `json:"inactive,omitempty"`
	Used     int64     `json:"used,omitempty"` // in memory only fresh to the last save
}

// tokenStore holds the tokens of the account and keeps them in its settings.
type tokenStore struct {
	saving sync.Mutex // one save at a time, the last one newest; taken before mu
	save   func(string) error

	mu  sync.Mutex // guards all; not held while saving
	all map[string]*tokenRecord
}

// openTokens reads the tokens saved earlier and makes the two that every
// account has.
func openTokens(saved string, save func(string) error, now time.Time) (*tokenStore, error) {
	t := &tokenStore{save: save, all: make(map[string]*tokenRecord)}
	if saved != "" {
		if err := json.Unmarshal([]byte(saved), &t.all); err != nil {
			return nil, fmt.Errorf("read tokens: %w", err)
		}
	}
	for _, k := range []tokenKind{appToken, accountToken} {
		if t.primary(k) == "" {
			if _, err := t.add(tokenRecord{Kind: k, Primary: true, Created: now.Unix()}); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// primary returns the token of a kind that the server announces, or "".
func (t *tokenStore) primary(k tokenKind) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, rec := range t.all {
		if rec.Kind == k && rec.Primary {
			return token
		}
	}
	return ""
}

// add makes a token.
func (t *tokenStore) add(rec tokenRecord) (string, error) {
	token := randomToken(60)
	t.mu.Lock()
	t.all[token] = &rec
	t.mu.Unlock()
	return token, t.persist()
}

// persist writes the tokens as they are now.
func (t *tokenStore) persist() error {
	t.saving.Lock()
	defer t.saving.Unlock()
	t.mu.Lock()
	b, err := json.Marshal(t.all)
	t.mu.Unlock()
	if err == nil {
		err = t.save(string(b))
	}
	if err != nil {
		return fmt.Errorf("save tokens: %w", err)
	}
	return nil
}

// find returns what is known of a token.
func (t *tokenStore) find(token string) (tokenRecord, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rec, ok := t.all[token]
	if !ok {
		return tokenRecord{}, false
	}
	return *rec, true
}

// addSession makes a token for a password login.
func (t *tokenStore) addSession(device string, life, idle time.Duration, now time.Time) (string, error) {
	return t.add(tokenRecord{Kind: sessionToken, Device: device, Created: now.Unix(), Used: now.Unix(),
		Expires: now.Add(life).Unix(), Inactive: int64(idle / time.Second)})
}

// useSession reports whether a session is alive, and prolongs it.
func (t *tokenStore) useSession(token string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	rec, ok := t.all[token]
	u := now.Unix()
	if !ok || rec.Kind != sessionToken || rec.Revoked || u > rec.Expires || u > rec.Used+rec.Inactive {
		return false
	}
	rec.Used = u
	return true
}

// revoke ends a token; false when there is no such token alive.
func (t *tokenStore) revoke(token string) (bool, error) {
	t.mu.Lock()
	rec, ok := t.all[token]
	ok = ok && !rec.Revoked
	if ok {
		rec.Revoked = true
	}
	t.mu.Unlock()
	if !ok {
		return false, nil
	}
	return true, t.persist()
}

// randomToken returns n random characters of the base-62 alphabet.
func randomToken(n int) string {
	b := make([]byte, n+8)
	rand.Read(b) // never fails
	return base62(b, n)
}

// errNoToken is returned by RevokeToken.
var errNoToken = errors.New("no such token")
