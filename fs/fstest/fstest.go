package fstest

import (
	"os"
	"testing"

	"github.com/pcloudfs/pcloudfs/fs"
)

// verdict is what becomes of a test that needs FUSE.
type verdict int

const (
	run verdict = iota
	skip
	fail
)

// decide takes the values of the environment variables and the check of what
// works, and gives the reason for skipping or failing.
func decide(wish, ci string, available func() error) (verdict, string) {
	if wish == "0" {
		return skip, "PCLOUDFS_TEST_FUSE=0: tests that mount are switched off"
	}
	err := available()
	switch {
	case err == nil:
		return run, ""
	case wish == "1" || ci == "true":
		return fail, "cannot mount here, which CI=true or PCLOUDFS_TEST_FUSE=1 demand: " + err.Error()
	}
	return skip, "cannot mount here: " + err.Error()
}

// SkipUnlessFUSE skips or fails the test where no file system can be mounted,
// see the package comment.
func SkipUnlessFUSE(tb testing.TB) {
	tb.Helper()
	switch v, reason := decide(os.Getenv("PCLOUDFS_TEST_FUSE"), os.Getenv("CI"), fs.Available); v {
	case skip:
		tb.Skip(reason)
	case fail:
		tb.Fatal(reason)
	}
}

// Mount mounts v on a new directory until the end of the test and returns that
// directory. The test fails if files are still open on the mount when it ends, or
// if a request panicked. Where UID and GID are zero they become those of the test
// process.
func Mount[H fs.Handle](tb testing.TB, v fs.Volume[H], o fs.Options) string {
	tb.Helper()
	SkipUnlessFUSE(tb)
	m := Start(tb, tb.TempDir(), v, o)
	return m.Dir()
}

// Start is Mount on a given directory; the test may unmount by itself.
func Start[H fs.Handle](tb testing.TB, dir string, v fs.Volume[H], o fs.Options) *fs.Mounted {
	tb.Helper()
	SkipUnlessFUSE(tb)
	if o.UID == 0 && o.GID == 0 {
		o.UID, o.GID = uint32(os.Getuid()), uint32(os.Getgid())
	}
	m, err := fs.Mount(dir, v, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stop(tb, m) })
	return m
}

func stop(tb testing.TB, m *fs.Mounted) {
	if err := m.Unmount(); err != nil {
		tb.Errorf("the test left the mount in use: %v", err)
		if err := m.UnmountLazy(); err != nil {
			tb.Errorf("and it cannot be taken away: %v", err)
		}
		return
	}
	if n := m.Panics(); n > 0 {
		tb.Errorf("%d requests panicked", n)
	}
}
