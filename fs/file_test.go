package fs

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
)

func TestOpenFlags(t *testing.T) {
	t.Parallel()
	for flags, want := range map[int]cache.OpenFlags{
		os.O_RDONLY:                              {Read: true},
		os.O_WRONLY:                              {Write: true},
		os.O_RDWR:                                {Read: true, Write: true},
		os.O_RDWR | os.O_TRUNC:                   {Read: true, Write: true, Truncate: true},
		os.O_RDONLY | os.O_TRUNC:                 {Read: true, Write: true, Truncate: true},
		os.O_WRONLY | syscall.O_SYNC:             {Write: true, Sync: true},
		os.O_WRONLY | syscall.O_DSYNC:            {Write: true, Sync: true},
		os.O_WRONLY | os.O_APPEND | os.O_CREATE:  {Write: true},
		os.O_RDONLY | syscall.O_NOFOLLOW | 1<<30: {Read: true},
	} {
		require.Equal(t, want, openFlags(uint32(flags)), "%#o", flags)
	}
}
