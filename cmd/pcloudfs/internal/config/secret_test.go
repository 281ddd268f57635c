package config

import (
	encpem "encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/source"
)

func env(token string) func(string) string {
	return func(key string) string {
		if key == EnvToken {
			return token
		}
		return "asked for " + key
	}
}

func authFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	require.NoError(t, os.Chmod(name, mode))
	return name
}

func TestTokenPrecedence(t *testing.T) {
	t.Parallel()
	file := Mount{AuthFile: authFile(t, "fromfile\n", 0o400)}
	inURL, err := source.Parse("pcloud://api.pcloud.com?authid=fromurl")
	require.NoError(t, err)
	tests := []struct {
		name string
		src  source.Source
		m    Mount
		env  string
		want string
	}{
		{"URL before all", inURL, file, "fromenv", "fromurl"},
		{"file before environment", source.Source{}, file, "fromenv", "fromfile"},
		{"environment", source.Source{}, Mount{}, " fromenv ", "fromenv"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Token(tt.src, tt.m, env(tt.env))
			require.NoError(t, err)
			require.Equal(t, tt.want, got.Reveal())
		})
	}
}

func TestTokenRefuses(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	tests := []struct {
		name, file, env, want string
	}{
		{"nothing", "", "", "no access token"},
		{"bad environment", "", "SECRET SECRET", "PCLOUDFS_AUTHID: the access token contains"},
		{"missing file", "/nonexistent/token", "SECRET", "authfile: open /nonexistent/token"},
		{"empty file", authFile(t, " \n", 0o600), "SECRET", "is empty"},
		{"two words", authFile(t, "SECRET SECRET\n", 0o600), "", "white space"},
		{"endless file", authFile(t, strings.Repeat("SECRET", 10000), 0o600), "", "longer than"},
		{"readable by the group", authFile(t, "SECRET", 0o640), "", "chmod 600"},
		{"readable by others", authFile(t, "SECRET", 0o604), "", "mode 0604"},
		{"writable by others", authFile(t, "SECRET", 0o602), "", "chmod 600"},
		{"directory", t.TempDir(), "", "not a regular file"},
		{"FIFO", fifo, "", "not a regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Token(source.Source{}, Mount{AuthFile: tt.file}, env(tt.env))
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "SECRET")
		})
	}
}

func TestTokenRefusesForeignAuthFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	name := authFile(t, "SECRET", 0o600)
	require.NoError(t, os.Chown(name, 12345, -1))
	_, err := Token(source.Source{}, Mount{AuthFile: name}, env(""))
	require.ErrorContains(t, err, "belongs to another user (uid 12345)")
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	pem, err := Authority(Mount{})
	require.NoError(t, err)
	require.Nil(t, pem, "nil means the certificates of the system")
	_, err = Authority(Mount{CAFile: "/nonexistent/ca"})
	require.ErrorContains(t, err, "/nonexistent/ca")
	_, err = Authority(Mount{CAFile: authFile(t, "no certificate", 0o644)})
	require.ErrorContains(t, err, "no certificate in PEM format")

	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	cert := string(encpem.EncodeToMemory(&encpem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	pem, err = Authority(Mount{CAFile: authFile(t, cert, 0o644)})
	require.NoError(t, err)
	require.Equal(t, cert, string(pem))
}
