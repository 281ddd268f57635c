package fs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	fuseDevice = "/dev/fuse"
	fuseConf   = "/etc/fuse.conf"
)

// setMountMethod chooses how the kernel is told: root calls mount(2), others need
// the set-user-ID program fusermount3.
func setMountMethod(o *fuse.MountOptions, readOnly bool) {
	if os.Geteuid() != 0 {
		return
	}
	o.DirectMountStrict = true
	o.DirectMountFlags = unix.MS_NOSUID | unix.MS_NODEV
	if readOnly {
		o.DirectMountFlags |= unix.MS_RDONLY
	}
}

// explainMount says what to do about an error of mounting.
func explainMount(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w; mounting needs the capability SYS_ADMIN (containers: --cap-add SYS_ADMIN)", err)
	case os.Geteuid() != 0 && strings.Contains(err.Error(), "fusermount exited"):
		return errors.New("fusermount3 refused; it says why on standard error")
	}
	return err
}

// checkFUSE finds out beforehand why a mount would fail, to say it clearly: the
// errors of the kernel and of fusermount3 do not.
func checkFUSE(o Options) error {
	f, err := os.OpenFile(fuseDevice, os.O_RDWR, 0)
	if err == nil {
		err = f.Close()
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: no %s; load the module (modprobe fuse), or start the container with --device %s --cap-add SYS_ADMIN", ErrNoFUSE, fuseDevice, fuseDevice)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: no permission to open %s (usual mode: 0666)", ErrNoFUSE, fuseDevice)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNoFUSE, err)
	}
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := fusermount(); err != nil {
		return fmt.Errorf("%w: users other than root need it to mount (Debian package fuse3)", ErrNoFusermount)
	}
	if o.AllowOther && !userAllowOther(fuseConf) {
		return fmt.Errorf("%w: add a line user_allow_other to %s", ErrAllowOther, fuseConf)
	}
	return nil
}

// userAllowOther tells whether the configuration of fusermount3 lets users mount
// with allow_other.
func userAllowOther(conf string) bool {
	f, err := os.Open(conf)
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.TrimSpace(s.Text()) == "user_allow_other" {
			return true
		}
	}
	return false
}

// fusermount finds the set-user-ID program that mounts for users.
func fusermount() (string, error) {
	for _, name := range []string{"fusermount3", "/bin/fusermount3", "fusermount", "/bin/fusermount"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoFusermount
}

// unmount unmounts dir, a clean absolute path.
func unmount(dir string, lazy bool) error {
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	err := unix.Unmount(dir, flags)
	if err == nil {
		return nil
	}
	if err == unix.EPERM {
		err = fusermountUnmount(dir, lazy)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

func fusermountUnmount(dir string, lazy bool) error {
	bin, err := fusermount()
	if err != nil {
		return err
	}
	args := []string{"-u", "--", dir}
	if lazy {
		args = []string{"-u", "-z", "--", dir}
	}
	var stderr bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if err := cmd.Run(); err != nil {
		msg := strings.TrimSpace(stderr.String())
		if strings.Contains(msg, "busy") {
			return syscall.EBUSY
		}
		return fmt.Errorf("%s: %w: %s", filepath.Base(bin), err, msg)
	}
	return nil
}

// closeDeviceOnExec keeps programs that this process starts from inheriting the
// FUSE device, which go-fuse opens for them too when it mounts by itself. They
// would keep a mount whose server has died alive, and everybody who uses it
// hanging.
func closeDeviceOnExec() {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range fds {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && target == fuseDevice {
			unix.CloseOnExec(fd)
		}
	}
}
