package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/source"
)

// EnvToken is the environment variable that holds the access token.
const EnvToken = "PCLOUDFS_AUTHID"

// ErrNoToken says that no place gave a token.
var ErrNoToken = errors.New("no access token; set " + EnvToken + ", use -o authfile=FILE, or put authid into the URL")

// Token returns the token to use, by the precedence of the package comment.
// Errors never contain it. getenv is asked for EnvToken only.
func Token(src source.Source, m Mount, getenv func(string) string) (source.Token, error) {
	if !src.Token.Empty() {
		return src.Token, nil
	}
	if m.AuthFile != "" {
		t, err := readToken(m.AuthFile)
		if err != nil {
			return source.Token{}, fmt.Errorf("authfile: %w", err)
		}
		return t, nil
	}
	t, err := source.ParseToken(getenv(EnvToken))
	if err != nil {
		return source.Token{}, fmt.Errorf("%s: %w", EnvToken, err)
	}
	if t.Empty() {
		return source.Token{}, ErrNoToken
	}
	return t, nil
}

// maxAuthFile bounds what is read of an authfile; a token has about 60 bytes.
const maxAuthFile = 8 << 10

// readToken reads a file that holds a token and nothing else. The file must
// belong to the caller or to root and be closed to everybody else. The checks
// look at the open file, so that it cannot be exchanged after them.
func readToken(name string) (source.Token, error) {
	// Without O_NONBLOCK a FIFO that nobody writes to would block the open.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return source.Token{}, err
	}
	defer f.Close()
	if err := private(f, name); err != nil {
		return source.Token{}, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxAuthFile))
	if err != nil {
		return source.Token{}, err
	}
	t, err := source.ParseToken(string(b))
	if err != nil {
		return source.Token{}, fmt.Errorf("%s: %w", name, err)
	}
	if t.Empty() {
		return source.Token{}, fmt.Errorf("%s is empty", name)
	}
	return t, nil
}

func private(f *os.File, name string) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", name)
	}
	if p := fi.Mode().Perm(); p&0o077 != 0 {
		return fmt.Errorf("%s can be read or changed by others (mode %04o); run: chmod 600 %s", name, p, name)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (uid %d)", name, st.Uid)
	}
	return nil
}

// Authority reads m.CAFile: the certificates to trust in place of the system's,
// in PEM format, or nil if no file is named.
func Authority(m Mount) ([]byte, error) {
	if m.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(m.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s holds no certificate in PEM format", m.CAFile)
	}
	return pem, nil
}
