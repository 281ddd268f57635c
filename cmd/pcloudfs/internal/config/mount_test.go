package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
)

func TestParseMount(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs("here")
	require.NoError(t, err)
	def := Mount{UID: 1000, GID: 100, Umask: 0o022}
	with := func(f func(*Mount)) Mount { m := def; f(&m); return m }
	tests := []struct {
		name   string
		values []string
		want   Mount
	}{
		{"nothing", nil, def},
		{"empty", []string{"", ",,"}, def},
		{"flags", []string{"ro,allow_other,debug,create"}, with(func(m *Mount) {
			m.ReadOnly, m.AllowOther, m.Debug, m.Create = true, true, true, true
		})},
		{"several -o", []string{"ro", "debug"}, with(func(m *Mount) { m.ReadOnly, m.Debug = true, true })},
		{"the last one counts", []string{"ro,uid=1", "rw,uid=2"}, with(func(m *Mount) { m.UID = 2 })},
		{"numbers", []string{"uid=0,gid=4294967294,umask=0077"}, with(func(m *Mount) {
			m.UID, m.GID, m.Umask = 0, 4294967294, 0o077
		})},
		{"names", []string{"cachedir=/var/x,authfile=a,fsname=my cloud,ca=b"}, with(func(m *Mount) {
			m.CacheDir, m.AuthFile, m.FsName, m.CAFile = "/var/x", "a", "my cloud", "b"
		})},
		{"cachedir becomes absolute", []string{"cachedir=here"}, with(func(m *Mount) { m.CacheDir = here })},
		{"value with an equals sign", []string{"fsname=a=b"}, with(func(m *Mount) { m.FsName = "a=b" })},
		{"escaped comma and backslash", []string{`fsname=a\,b\\c,ro`}, with(func(m *Mount) {
			m.FsName, m.ReadOnly = `a,b\c`, true
		})},
		{"durability", []string{"close=sync,fsync=local,mkdir=journal,fsync-timeout=90s"}, with(func(m *Mount) {
			m.Close, m.Fsync, m.MkdirJournal, m.FsyncTimeout = cache.OnDisk, cache.OnDisk, true, 90*time.Second
		})},
		{"defaults by name", []string{"close=remote,mkdir=journal", "close=journal,fsync=remote,mkdir=confirm"}, with(func(m *Mount) {
			m.Close, m.Fsync = cache.InJournal, cache.InCloud
		})},
		{"limits", []string{"uploads=12,spool=10G"}, with(func(m *Mount) { m.Uploads, m.Spool = 12, 10<<30 })},
		{"endpoint", []string{"endpoint=localhost:8443"}, with(func(m *Mount) { m.Endpoint = "localhost:8443" })},
		{"endpoint in IPv6", []string{"endpoint=[::1]:8443"}, with(func(m *Mount) { m.Endpoint = "[::1]:8443" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseMount(def, tt.values...)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(tt.want, got))
		})
	}
}

func TestParseMountRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ value, want string }{
		{"nonsense", `unknown option "nonsense"; known are ro, rw,`},
		{"cache_dir=/x", "did you mean cachedir?"},
		{"cachdir=/x", "did you mean cachedir?"},
		{"alow-other", "did you mean allow_other?"},
		{"RO", "did you mean ro?"},
		{"user=1", `unknown option "user"`},
		{"authid=SECRET", "authfile=FILE"},
		{"SECRET" + strings.Repeat("x", 40), "unknown option (not repeated"},
		{"ro=1", "ro takes no value"},
		{"ro=", "ro takes no value"},
		{"uid", "uid=N"},
		{"cachedir=", "cachedir=DIR"},
		{"uid=-1", "not a numeric"},
		{"uid=root", "not a numeric"},
		{"gid=4294967295", "not a numeric"},
		{"umask=888", "octal"},
		{"umask=1000", "octal"},
		{"fsname=a\nb", "control character"},
		{"close=disk", `option close: "disk" is not one of journal, sync, remote`},
		{"close=SECRET" + strings.Repeat("x", 40), "not one of"},
		{"fsync=never", "not one of remote, local"},
		{"fsync", "fsync=remote|local"},
		{"mkdir=", "mkdir=confirm|journal"},
		{"uploads=0", "from 1 to 64"},
		{"uploads=many", "from 1 to 64"},
		{"spool=1M", "at least 16 MiB"},
		{"spool=lots", "is not a size"},
		{"fsync-timeout=5", "not a duration like"},
		{"fsync-timeout=-5m", "more than 0"},
		{"fsync_timeout=5m", "did you mean fsync-timeout?"},
		{"endpoint=localhost", "HOST:PORT"},
		{"endpoint=:443", "HOST:PORT"},
		{"endpoint=https://localhost:443", "HOST:PORT"},
		{"endpoint=user@localhost:443", "HOST:PORT"},
		{"endpoint=localhost:http", "port number"},
		{"endpoint=localhost:0", "port number"},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			t.Parallel()
			_, err := ParseMount(Mount{}, "debug,"+tt.value)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "SECRET")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestOptionHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	help := OptionHelp()
	for _, o := range options() {
		require.Regexp(t, `(?m)^  (.*, )?`+o.name+`[=, ]`, help)
	}
	for line := range strings.Lines(help) {
		require.LessOrEqual(t, len(line), 80)
	}
}

// FuzzParseMount looks for options that panic and for words that change when
// they are escaped and split again.
func FuzzParseMount(f *testing.F) {
	f.Add(`ro,uid=1,fsname=a\,b`)
	f.Add(`\`)
	f.Add(`endpoint=[::1]:1,umask=07,,cachedir=..`)
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = ParseMount(Mount{}, s)
		if s == "" {
			return
		}
		escaped := strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(s)
		if got := split("a," + escaped + ",b"); len(got) != 3 || got[1] != s {
			t.Fatalf("split(%q) = %q", escaped, got)
		}
	})
}

func TestSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want Size
	}{
		{"0", 0}, {"500", 500}, {"1K", 1 << 10}, {"10G", 10 << 30}, {"10g", 10 << 30}, {"1.5M", 3 << 19},
		{"2T", 2 << 40}, {"10GiB", 10 << 30}, {"10GB", 10e9}, {"12 MB", 12e6}, {" 7 ", 7},
	}
	for _, tt := range tests {
		var z Size
		require.NoError(t, z.Set(tt.in), tt.in)
		require.Equal(t, tt.want, z, tt.in)
	}
	for _, bad := range []string{"", "G", "-1", "ten", "1X", "9000000T", "0x10", "1e400"} {
		var z Size
		require.ErrorContains(t, z.Set(bad), "is not a size", bad)
	}
}
