package mounting

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	pfs "github.com/pcloudfs/pcloudfs/fs"
)

// Point is a mount point as the mount table has it.
type Point struct {
	Path    string // absolute, without symbolic links
	Mounted bool   // something is mounted there
	Ours    bool   // and it is a mount of pcloudfs
	Dead    bool   // whose process is gone
	Owner   int    // user who mounted; the caller if that is not known
}

// Look finds out what is at a directory.
func Look(dir string) (Point, error) {
	path, err := realPath(dir)
	if err != nil {
		return Point{}, err
	}
	p := Point{Path: path, Owner: os.Getuid()}
	m, err := mountAt(path)
	if err != nil || m == nil {
		return p, err
	}
	p.Mounted, p.Ours = true, ours(m.FSType)
	p.Dead = p.Ours && pfs.IsStale(path)
	if id, ok := ownerOf(m.VFSOptions); ok && p.Ours {
		p.Owner = id
	}
	return p, nil
}

// ownerOf finds the user in the options that the kernel shows for a FUSE mount.
func ownerOf(options string) (int, bool) {
	for _, o := range strings.Split(options, ",") {
		if v, ok := strings.CutPrefix(o, "user_id="); ok {
			id, err := strconv.Atoi(v)
			return id, err == nil
		}
	}
	return 0, false
}

// Detach takes the mount out of the tree, whether or not files are open.
func (p Point) Detach() error { return pfs.Detach(p.Path) }

// Unmount unmounts without the help of the process that serves the mount. The
// error is syscall.EBUSY if files are open.
func (p Point) Unmount() error {
	err := unix.Unmount(p.Path, 0)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	bin, ferr := exec.LookPath("fusermount3") // it may, with the set-user-ID bit
	if ferr != nil {
		bin = "/bin/fusermount3" // umount(8) leaves us no PATH
	}
	cmd := exec.Command(bin, "-u", "--", p.Path)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, ferr := cmd.CombinedOutput()
	switch {
	case ferr == nil:
		return nil
	case strings.Contains(string(out), "busy"):
		return syscall.EBUSY
	case len(out) > 0:
		return errors.New(strings.TrimSpace(string(out)))
	}
	return fmt.Errorf("%w (%w)", err, ferr)
}
