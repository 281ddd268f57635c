package mounting

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	pfs "github.com/pcloudfs/pcloudfs/fs"
)

// fsType is the type under which our mounts appear in the mount table, without
// the prefix "fuse.".
const fsType = "pcloudfs"

// checkPoint looks whether something can be mounted at dir and returns the
// absolute path without symbolic links. What a dead mount of ours left there is
// taken away first.
func checkPoint(dir string, log *slog.Logger) (string, error) {
	path, err := realPath(dir)
	if err != nil {
		return "", err
	}
	m, err := mountAt(path)
	if err != nil {
		return "", err
	}
	if pfs.IsStale(path) {
		if m == nil || !ours(m.FSType) {
			return "", fmt.Errorf("a dead mount of another program is in the way; run: %s", unmountCommand(path))
		}
		log.Warn("removing what a dead mount left", slog.String("mountpoint", path))
		if err := pfs.Detach(path); err != nil {
			return "", fmt.Errorf("a dead mount is in the way and cannot be removed (%w); run: %s", err, unmountCommand(path))
		}
		return checkPoint(dir, log)
	}
	if m != nil && ours(m.FSType) {
		return "", fmt.Errorf("%s is mounted here already", m.Source)
	}
	return path, checkDirectory(path, dir)
}

// checkDirectory reports why path, called name by the user, is no place to mount.
func checkDirectory(path, name string) error {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the mount point does not exist; run: mkdir -p %s", name)
	case err != nil:
		return fmt.Errorf("look at the mount point: %w", err)
	case !fi.IsDir():
		return errors.New("the mount point is not a directory")
	}
	if err := unix.Access(path, unix.W_OK); err != nil && os.Geteuid() != 0 {
		return errors.New("the mount point must be a directory that you may write to")
	}
	return nil
}

// realPath resolves dir without touching a mount at its very end, which may be
// dead.
func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the mount point does not exist; run: mkdir -p %s", dir)
	}
	if err != nil {
		return "", fmt.Errorf("look at the mount point: %w", err)
	}
	return filepath.Join(parent, filepath.Base(abs)), nil
}

// mountAt returns what is mounted at path, the uppermost if there is more than
// one, or nil.
func mountAt(path string) (*mountinfo.Info, error) {
	found, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return m.Mountpoint != path, false })
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[len(found)-1], nil
}

// ours reports whether a file system type is that of our mounts: "fuse.pcloudfs"
// on Linux, the bare name where the system does not tell the kinds apart.
func ours(t string) bool { return strings.TrimPrefix(t, "fuse.") == fsType }

// unmountCommand is what a user types to take a dead mount away.
func unmountCommand(path string) string {
	if runtime.GOOS == "darwin" {
		return "diskutil unmount force " + path
	}
	return "fusermount3 -u -z " + path
}
