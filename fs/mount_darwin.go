package fs

import (
	"fmt"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// setMountMethod has no choice: macFUSE's own program mounts.
func setMountMethod(*fuse.MountOptions, bool) {}

// checkFUSE leaves it to go-fuse to find macFUSE and to say so if it is missing.
func checkFUSE(Options) error { return nil }

// explainMount has nothing to add: macFUSE's program says what is wrong.
func explainMount(err error) error { return err }

func unmount(dir string, lazy bool) error {
	flags := 0
	if lazy {
		flags = unix.MNT_FORCE
	}
	if err := unix.Unmount(dir, flags); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// closeDeviceOnExec has nothing to do: go-fuse does it here.
func closeDeviceOnExec() {}
