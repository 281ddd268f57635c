package mounting

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// spoolShare is the part of the free space that changes may take.
	spoolShare = 5

	// spoolLeast is what they may take if there is that much at all.
	spoolLeast = 1 << 30
)

// spoolLimit chooses how many bytes may wait in the cache directory. What waits
// there already counts as free space, so that a restart does not shrink the
// limit.
func spoolLimit(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	return spoolPart(int64(st.Bavail)*int64(st.Bsize) + bytesBelow(filepath.Join(dir, "spool"))), nil
}

func spoolPart(free int64) int64 { return max(free/spoolShare, min(free, spoolLeast)) }

// bytesBelow is how much the files in a directory take; those that vanish or
// cannot be read count nothing.
func bytesBelow(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if fi, err := d.Info(); err == nil {
			sum += fi.Size()
		}
		return nil
	})
	return sum
}
