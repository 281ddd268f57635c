package fs

import "github.com/hanwen/go-fuse/v2/fuse"

const (
	// blockSize is the unit of statfs, and the size shown of folders. df and the
	// tools behind it expect the common value.
	blockSize = 4096

	// nameMax is the longest name, in bytes.
	nameMax = 255

	// freeFiles is the number of files that can still be made. pCloud has no such
	// limit, and tools that look at it must see plenty.
	freeFiles = 1 << 32
)

// statfs tells the account's space. It never waits: desktops ask all the time.
func (m *mountState) statfs(out *fuse.StatfsOut) {
	s := m.vol.Statfs()
	out.Bsize = blockSize
	out.Frsize = blockSize
	out.Blocks = blocks(s.Total)
	out.Bfree = blocks(s.Free)
	out.Bavail = blocks(s.Avail)
	out.Files = s.Files + freeFiles
	out.Ffree = freeFiles
	out.NameLen = nameMax
}

// blocks converts bytes, which may be negative on an account over its quota.
func blocks(n int64) uint64 {
	return uint64(max(n, 0)) / blockSize
}
