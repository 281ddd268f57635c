package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/mounting"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/progress"
)

const umountHelp = `Unmounts a folder and waits until everything written to it is in pCloud. First
the folder is taken away, so that nothing new can be written; then the rest is
sent. What is left in the end is sent by the next mount.

Ctrl-C stops waiting, and the mount's process goes on sending; a second one
within two seconds leaves the rest for the next mount, like --now. A mount whose
process is dead is cleaned up.

Exit status: 0 unmounted and everything is in pCloud, 1 otherwise.
`

// umountOptions say how to unmount.
type umountOptions struct {
	timeout time.Duration // of waiting for uploads; 0: none
	now     bool          // do not wait at all, leave the rest for the next mount
	lazy    bool          // although files are open
	quit    bool          // do not wait: the mount's process goes on by itself
}

func newUmount(env environment) *cobra.Command {
	var o umountOptions
	cmd := &cobra.Command{
		Use:  "umount MOUNTPOINT [--timeout DUR] [--now] [--lazy]",
		Long: umountHelp,
		Args: arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if o.timeout < 0 {
				return usagef("umount: --timeout must not be negative")
			}
			return umount(env, args[0], o)
		},
	}
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "wait for `DUR` at most, like 90s")
	cmd.Flags().BoolVar(&o.now, "now", false, "do not wait: leave the rest for the next mount")
	cmd.Flags().BoolVarP(&o.lazy, "lazy", "l", false, "also with files open, which stay usable until closed")
	return cmd
}

// umount unmounts a folder, whatever state it is in.
func umount(env environment, mountpoint string, o umountOptions) error {
	err := tryUmount(env, mountpoint, o)
	if err != nil && !errors.As(err, new(usageError)) {
		return fmt.Errorf("umount %s: %w", mountpoint, err)
	}
	return err
}

func tryUmount(env environment, mountpoint string, o umountOptions) error {
	point, err := mounting.Look(mountpoint)
	if err != nil {
		return err
	}
	if point.Mounted && !point.Ours {
		return errors.New("what is mounted here is not pcloudfs; nothing was done")
	}
	search := control.NewSearch(env.getenv, os.Getuid(), point.Owner)
	client, err := control.Connect(context.Background(), point.Path, search)
	switch {
	case errors.Is(err, control.ErrNone):
		return umountAlone(env, point, search, o)
	case err != nil:
		return err
	}
	defer client.Close()
	err = umountRunning(env, client, o)
	// The connection to the kernel can break while the process goes on.
	if point.Dead {
		err = errors.Join(err, point.Detach())
	}
	return err
}

// umountRunning asks the process of a mount to unmount, and waits.
func umountRunning(env environment, client *control.Client, o umountOptions) error {
	state := client.State()
	w := newWaiting(env, client)
	defer w.stop()
	end, err := w.unmount(control.UnmountRequest{Lazy: o.lazy, Now: o.now, Timeout: o.timeout.Seconds()}, o.quit)
	switch {
	case errors.Is(err, control.ErrBusy):
		return fmt.Errorf("%w: close them (this shows which: fuser -vm %s), or add --lazy", control.ErrBusy, shellQuote(state.Mountpoint))
	case errors.Is(err, errDetached):
		return nil
	case errors.Is(err, errInterrupted):
		return fmt.Errorf("%w; process %d goes on sending %s", err, state.PID, w.last())
	case err != nil:
		return err
	case end.Left.Count() > 0:
		return leftError(end, state.Info)
	case end.Error != "":
		return errors.New(end.Error)
	}
	return nil
}

// leftError says what is not in pCloud.
func leftError(end control.End, info control.Info) error {
	text := fmt.Sprintf("%s (%s) not in pCloud; they stay in %s and are sent at the next mount",
		progress.Changes(end.Left.Count()), progress.Bytes(end.Left.Bytes), info.CacheDir)
	if end.Left.Parked > 0 {
		text += fmt.Sprintf("; %d refused: %s", end.Left.Parked, end.Left.Reason)
	}
	if end.Error != "" {
		text += "; " + end.Error
	}
	return errors.New(text)
}

// umountAlone deals with a mount point that no process answers for.
func umountAlone(env environment, point mounting.Point, search control.Search, o umountOptions) error {
	info, known := search.Remembered(point.Path)
	switch {
	case point.Dead:
		if err := point.Detach(); err != nil {
			return fmt.Errorf("its process is dead: %w", err)
		}
		fmt.Fprintf(env.stderr, "pcloudfs: the process of %s is dead; its mount was removed\n", point.Path)
		if !known {
			return errors.New("what it had not sent is in its cache directory and is sent by the next mount (see: pcloudfs queue --cachedir DIR)")
		}
	case point.Mounted && o.lazy:
		if err := point.Detach(); err != nil {
			return err
		}
		return errUnasked
	case point.Mounted:
		if err := point.Unmount(); err != nil {
			return err
		}
		return errUnasked
	case !known:
		return errors.New("not mounted")
	}
	err := leftBehind(info)
	if err == nil {
		search.Forget(info)
		if !point.Dead {
			return errors.New("not mounted")
		}
	}
	return err
}

var errUnasked = errors.New("unmounted, but its process cannot be asked whether everything is in pCloud; it goes on sending until it is")

// leftBehind says what the process of a mount that is gone had not sent.
func leftBehind(info control.Info) error {
	q, err := openCacheDir(info.CacheDir)
	if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("another process uses its cache directory %s", info.CacheDir)
	}
	if err != nil {
		return err
	}
	defer q.Close()
	items, err := q.Items()
	if err != nil || len(items) == 0 {
		return err
	}
	var end control.End
	for _, it := range items {
		end.Left.Bytes += it.Bytes
		end.Left.Pending++
	}
	return leftError(end, info)
}
