package journal

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bootID changes with every start of the system.
func bootID() (string, error) {
	p, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(p)), err
}

// reflink lets dst share the blocks of src (btrfs, XFS, bcachefs).
func reflink(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}

// syncData makes the bytes of a file and its length durable.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// startWriting asks the kernel to begin writing a file to the disk, so that
// several files are written at the same time before the first is waited for.
func startWriting(f *os.File) {
	_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
