package fs_test

import (
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// posixSkips are the tests of go-fuse's suite that cannot pass, with the reason.
var posixSkips = map[string]string{
	"Link":             "pCloud has no hard links",
	"LinkUnlinkRename": "pCloud has no hard links",
	"SymlinkReadlink":  "pCloud has no symbolic links",
	"SetattrSymlink":   "pCloud has no symbolic links",
	"OpenSymlinkRace":  "pCloud has no symbolic links",
	"FcntlFlockLocksFile": "expects locks of one process to conflict, as they do where the server " +
		"handles them; here the kernel does, by POSIX",
}

func TestPosixSuite(t *testing.T) {
	t.Parallel()
	for name, fn := range posixtest.All {
		t.Run(name, func(t *testing.T) {
			if reason, ok := posixSkips[name]; ok {
				t.Skip(reason)
			}
			mnt, _ := newMount(t)
			fn(t, mnt)
		})
	}
}
