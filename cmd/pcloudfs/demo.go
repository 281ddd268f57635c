package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/config"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/mounting"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/source"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

const demoHelp = `Runs a pCloud server of its own, mounts its folder at MOUNTPOINT (default:
./pcloud-demo; made if it is missing) and says what to try. Needs no account and
no network. What you copy there is kept for the next time.
`

// demoPoint is the mount point if none is given.
const demoPoint = "pcloud-demo"

func newDemo(env environment) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:  "demo [MOUNTPOINT] [--data DIR]",
		Long: demoHelp,
		Args: arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			mountpoint := demoPoint
			if len(args) == 1 {
				mountpoint = args[0]
			}
			if strings.Contains(mountpoint, "://") {
				return usagef("demo: MOUNTPOINT is a directory (see: pcloudfs demo --help)")
			}
			if data == "" {
				data = filepath.Join(env.dataHome, "pcloudfs", "demo")
			}
			if err := demo(env, mountpoint, data); err != nil {
				return fmt.Errorf("demo %s: %w", mountpoint, err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "`DIR` that keeps everything (default: below $XDG_DATA_HOME)")
	return cmd
}

// demo serves until the folder is unmounted.
func demo(env environment, mountpoint, data string) (err error) {
	data, err = filepath.Abs(data)
	if err != nil {
		return err
	}
	// A dead mount there exists too, and is dealt with later.
	if err := os.Mkdir(mountpoint, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if point, err := filepath.Abs(mountpoint); err == nil && config.Within(point, data) {
		return usagef("the directory with the data lies below the mount point")
	}
	log := env.logger(false)
	server := filepath.Join(data, "server")
	srv, err := pcloudtest.Start(pcloudtest.Options{Dir: server, Log: log})
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	defer func() {
		if cerr := srv.Close(); err == nil {
			err = cerr
		}
	}()
	token, err := source.ParseToken(srv.AppToken())
	if err != nil {
		return err
	}
	m, err := startMount(env, mounting.Request{
		Source:     source.Source{Host: source.HostUS},
		Mountpoint: mountpoint,
		Options: config.Mount{
			UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Umask: defaultUmask,
			Endpoint: srv.APIAddr(), FsName: "pcloud-demo",
			CacheDir: filepath.Join(data, "cache"),
		},
		Token: token, Authority: srv.CAPEM(),
		RuntimeDir: control.Dir(env.getenv, os.Getuid()),
		UserAgent:  "pcloudfs/" + version(), Log: log,
	})
	if err != nil {
		return err
	}
	printDemo(env.stdout, m.Path(), data)
	return m.Run(env.signals)
}

// printDemo says what to try.
func printDemo(w io.Writer, path, data string) {
	path = shellQuote(path)
	fmt.Fprintf(w, `
A pCloud folder is mounted at %[1]s
Its pCloud is a server in this process, with its data in %[2]s

Try in another terminal:
  cd %[1]s
  cp -r /bin/ls .     copy something into the cloud
  ls -l               look at it
  sync .              wait until pCloud has everything
  df -h .             the space of the account

To stop, press Ctrl-C here, or run: kill -INT %[3]d
The files will be there again when you run the demo the next time.
`, path, shellQuote(data), os.Getpid())
}

// shellQuote makes s one word for a shell.
func shellQuote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
