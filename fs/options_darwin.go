package fs

import "github.com/hanwen/go-fuse/v2/fuse"

// capabilities are asked for beyond what go-fuse asks for by itself. macFUSE has
// neither READDIRPLUS nor set-ID bits to clear.
const capabilities = fuse.CAP_ATOMIC_O_TRUNC
