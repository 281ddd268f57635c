package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/config"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/mounting"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/source"
)

const mountHelp = `Mounts SOURCE, pcloud://<host>/<folder>[?authid=TOKEN], until it is interrupted.
<host> is api.pcloud.com (United States) or eapi.pcloud.com (Europe). The token
is better given by the environment variable PCLOUDFS_AUTHID or by -o authfile.

`

// defaultUmask leaves files readable to everybody, as most systems do.
const defaultUmask = 0o022

func newMount(env environment) *cobra.Command {
	var options []string
	cmd := &cobra.Command{
		Use:  "mount SOURCE MOUNTPOINT [-o OPTION,...]",
		Long: mountHelp + config.OptionHelp(),
		Args: arguments(2, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := mountRequest(env, args[0], args[1], options)
			if err != nil {
				return err
			}
			if err := mount(env, r); err != nil {
				return fmt.Errorf("mount %s: %w", r.Mountpoint, err)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&options, "option", "o", nil, "`OPTION` list, separated by commas")
	cmd.Flags().Lookup("option").Hidden = true // the first line has it
	return cmd
}

// mountRequest turns the command line into what to mount. Mistakes in it are
// usage errors; a missing or unreadable file is not.
func mountRequest(env environment, src, mountpoint string, options []string) (r mounting.Request, err error) {
	if strings.Contains(mountpoint, "://") {
		return r, usagef("mount: SOURCE comes first, then MOUNTPOINT (see: pcloudfs mount --help)")
	}
	r.Mountpoint = mountpoint
	if r.Source, err = source.Parse(src); err != nil {
		return r, usagef("mount: %w", err)
	}
	def := config.Mount{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Umask: defaultUmask}
	if r.Options, err = config.ParseMount(def, options...); err != nil {
		return r, usagef("mount: %w", err)
	}
	r.Log = env.logger(r.Options.Debug)
	if r.Authority, err = config.Authority(r.Options); err != nil {
		return r, fmt.Errorf("mount %s: %w", mountpoint, err)
	}
	if r.Token, err = config.Token(r.Source, r.Options, env.getenv); err != nil {
		return r, fmt.Errorf("mount %s: %w", mountpoint, err)
	}
	// Programs started from here need not see it.
	if err := env.unsetenv(config.EnvToken); err != nil {
		return r, fmt.Errorf("mount %s: %w", mountpoint, err)
	}
	if !r.Source.Token.Empty() {
		r.Log.Warn("the access token in SOURCE can be seen in the list of processes; use " + config.EnvToken + " or -o authfile=FILE")
		r.Source.Token = source.Token{}
	}
	if r.Source.Ignored {
		r.Log.Warn("options of Duplicati in SOURCE mean nothing here and are ignored")
	}
	r.CacheHome = env.cacheHome
	r.RuntimeDir = control.Dir(env.getenv, os.Getuid())
	r.UserAgent = "pcloudfs/" + version()
	return r, nil
}

// mount mounts and serves until the folder is unmounted and all is uploaded.
func mount(env environment, r mounting.Request) error {
	m, err := startMount(env, r)
	if err != nil {
		return err
	}
	return m.Run(env.signals)
}

// startMount mounts. A signal meanwhile ends the attempt.
func startMount(env environment, r mounting.Request) (*mounting.Mount, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	started := make(chan struct{})
	watcher := make(chan struct{})
	go func() {
		defer close(watcher)
		select {
		case sig := <-env.signals:
			cancel(fmt.Errorf("interrupted (%s)", sig))
		case <-started:
		}
	}()
	m, err := mounting.Start(ctx, r)
	close(started)
	<-watcher
	if cause := context.Cause(ctx); cause != nil {
		if err == nil {
			// The signal came too late to stop it.
			return nil, stopMount(m, r.Log, cause)
		}
		return nil, cause
	}
	return m, err
}

// stopMount ends a mount that nobody wants any more.
func stopMount(m *mounting.Mount, log *slog.Logger, cause error) error {
	now := make(chan os.Signal, 1)
	now <- os.Interrupt
	if err := m.Run(now); err != nil {
		log.Warn("unmount", slog.Any("error", err))
	}
	return cause
}
