package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Token is a pCloud access token. Every way of printing it gives a placeholder;
// only Reveal gives the secret. The zero Token is empty.
type Token struct {
	// secret is a pointer because fmt prints the fields of unexported struct
	// members without asking their methods: an address shows nothing.
	secret *string
}

// maxToken bounds what is taken for a token. Real ones have about 60 characters.
const maxToken = 4096

const hidden = "[hidden]"

// ParseToken checks that s, without surrounding white space, can be sent as a
// bearer token: visible ASCII. An empty s gives the empty Token. The error does
// not quote s.
func ParseToken(s string) (Token, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Token{}, nil
	}
	if len(s) > maxToken {
		return Token{}, fmt.Errorf("the access token is longer than %d bytes", maxToken)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return Token{}, errors.New("the access token contains white space or characters that no token has")
		}
	}
	return Token{secret: &s}, nil
}

// Reveal returns the secret, for the Authorization header and nothing else.
func (t Token) Reveal() string {
	if t.secret == nil {
		return ""
	}
	return *t.secret
}

// Empty reports whether there is no token.
func (t Token) Empty() bool { return t.secret == nil }

// Equal reports whether both tokens hold the same secret.
func (t Token) Equal(u Token) bool { return t.Reveal() == u.Reveal() }

// String returns a placeholder, or "" for the empty token.
func (t Token) String() string {
	if t.Empty() {
		return ""
	}
	return hidden
}

// GoString returns the placeholder for %#v.
func (t Token) GoString() string { return fmt.Sprintf("source.Token(%q)", t.String()) }

// LogValue returns the placeholder for log/slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns the placeholder for encoders of text.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON returns the placeholder as a JSON string.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
