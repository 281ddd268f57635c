package mounting

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote"
)

// explainRemote adds what to do to an error of a call to host. Errors about the
// token already say it.
func explainRemote(err error, host string) error {
	var api *remote.Error
	answered := !errors.As(err, &api) || api.Result != 0 || api.Status != 0
	switch {
	case errors.Is(err, remote.ErrToken):
		return err
	case answered:
		return fmt.Errorf("log in at %s: %w", host, err)
	case strings.Contains(err.Error(), "x509: "):
		// Package remote keeps the causes of broken connections to itself.
		return fmt.Errorf("the certificate of %s is not trusted; give its authority with -o ca=FILE: %w", host, err)
	}
	return fmt.Errorf("%s cannot be reached; check the network: %w", host, err)
}

// explainFolder adds what to do when the folder to mount is not found.
func explainFolder(err error, r Request, host string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %q does not exist in pCloud; add -o create to make it: %w", r.Source.Path, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%q is not a folder: %w", r.Source.Path, err)
	}
	return explainRemote(err, host)
}

// explainCache adds what to do when the cache directory cannot be used.
func explainCache(err error, dir, host string) error {
	var api *remote.Error
	switch {
	case errors.Is(err, journal.ErrLocked):
		return fmt.Errorf("the cache directory %s is in use by another mount; unmount that one or use -o cachedir=DIR", dir)
	case errors.Is(err, cache.ErrIdentity):
		return fmt.Errorf("%w; use another directory with -o cachedir=DIR (this is %s)", err, dir)
	case errors.As(err, &api):
		return explainRemote(err, host)
	}
	return fmt.Errorf("use the cache directory %s: %w", dir, err)
}

// explainMount adds what to do when the kernel refuses, and leaves out the path,
// which the caller's message has already.
func explainMount(err error, path string) error {
	text := strings.TrimPrefix(err.Error(), "mount "+path+": ")
	if errors.Is(err, syscall.EPERM) {
		text += "; a container needs --device /dev/fuse and --cap-add SYS_ADMIN"
	}
	return errors.New(text)
}
