package journal

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bootID changes with every start of the system.
func bootID() (string, error) {
	t, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%06d", t.Sec, t.Usec), nil
}

// reflink is left to copying: clonefile(2) wants to make the file itself.
func reflink(_, _ *os.File) error { return errors.ErrUnsupported }

// syncData makes the bytes of a file and its length durable; Sync is
// F_FULLFSYNC here.
func syncData(f *os.File) error { return f.Sync() }

func startWriting(*os.File) {}
