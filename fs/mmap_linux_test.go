package fs_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// childMmap writes what it sees of a mapped file to stdout.
func childMmap(args []string) {
	f, err := os.Open(args[0])
	if err != nil {
		panic(err)
	}
	fi, err := f.Stat()
	if err != nil {
		panic(err)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(fi.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.Write(data); err != nil {
		panic(err)
	}
}

func TestMmapRead(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	v.edit("f", strings.Repeat("0123456789", 10_000))
	got, err := child(t, "mmap", mnt+"/f").Output()
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("0123456789", 10_000), string(got))
}
