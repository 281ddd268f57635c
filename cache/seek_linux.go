package cache

import (
	"os"

	"golang.org/x/sys/unix"
)

const seekHoleWhence = unix.SEEK_HOLE

// seekHole asks the spool's file system. A descriptor's position is of no
// other use here, since all reads and writes carry their offset.
func seekHole(f *os.File, off int64, whence int) (int64, error) {
	return unix.Seek(int(f.Fd()), off, whence)
}
