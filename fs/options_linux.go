package fs

import "github.com/hanwen/go-fuse/v2/fuse"

// capabilities are asked for beyond what go-fuse asks for by itself; the kernel
// grants those that it has.
const capabilities = fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_ATOMIC_O_TRUNC |
	fuse.CAP_READDIRPLUS_AUTO | fuse.CAP_DIRECT_IO_ALLOW_MMAP
