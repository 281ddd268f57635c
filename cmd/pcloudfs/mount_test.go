package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/config"
	"github.com/pcloudfs/pcloudfs/fs/fstest"
)

func TestSignalEndsAMountThatStillConnects(t *testing.T) {
	t.Parallel()
	fstest.SkipUnlessFUSE(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	defer l.Close()

	env, stdout, stderr := testEnvironment(t)
	env.getenv = func(string) string { return "SECRET" }
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	env.signals = signals
	dir := t.TempDir()
	status := run([]string{"mount", "pcloud://api.pcloud.com/x", dir, "-o", "endpoint=" + l.Addr().String()}, env)
	require.Equal(t, exitFailure, status)
	require.Equal(t, "pcloudfs: mount "+dir+": interrupted (terminated)\n", stderr.String())
	require.Empty(t, stdout.String())
}

func TestMountRequestTakesTheTokenAway(t *testing.T) {
	t.Parallel()
	env, _, _ := testEnvironment(t)
	var unset []string
	env.getenv = func(string) string { return "SECRET" }
	env.unsetenv = func(key string) error { unset = append(unset, key); return nil }
	r, err := mountRequest(env, "pcloud://api.pcloud.com/x?authid=FROMURL", "mnt", []string{"uid=7"})
	require.NoError(t, err)
	require.Equal(t, []string{config.EnvToken}, unset, "programs started from here need not see it")
	require.Equal(t, "FROMURL", r.Token.Reveal())
	require.True(t, r.Source.Token.Empty(), "only the request holds it")
	require.Equal(t, uint32(7), r.Options.UID)
	require.Equal(t, uint32(os.Getgid()), r.Options.GID)
	require.True(t, strings.HasPrefix(r.UserAgent, "pcloudfs/"))
}

func TestEmulateFlags(t *testing.T) {
	t.Parallel()
	var f emulateFlags
	flags := pflag.NewFlagSet("emulate", pflag.ContinueOnError)
	f.register(flags)
	require.NoError(t, flags.Parse(strings.Fields(
		"--listen [::1]:8443 --data "+filepath.Join("a", "b")+" --region EU --app x --quota 10G --rtt 50ms"+
			" --up 100mbit --down 12.5M --conn-up 1k --conn-down 1Ki --tree files=1")))
	o, err := f.options()
	require.NoError(t, err)
	require.Equal(t, "[::1]:8443", o.Listen)
	require.Equal(t, "[::1]:0", o.ContentListen, "the same host, a free port")
	require.Equal(t, filepath.Join("a", "b"), o.Dir)
	require.Equal(t, "EU x files=1", o.Region.String()+" "+o.App+" "+o.Tree)
	require.Equal(t, int64(10<<30), o.Quota)
	require.Equal(t, "50ms", o.Shape.RTT.String())
	require.Equal(t, []int64{12_500_000, 12_500_000, 1000, 1024},
		[]int64{o.Shape.Up, o.Shape.Down, o.Shape.ConnUp, o.Shape.ConnDown})
}
