package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// helperNames are the names under which umount(8) starts this program. It looks
// for /sbin/umount.TYPE, where the type is that of the mount table.
func helperNames() []string { return []string{"umount.fuse.pcloudfs", "umount.pcloudfs"} }

// isHelper reports whether the program was started by umount(8).
func isHelper(name string) bool { return slices.Contains(helperNames(), filepath.Base(name)) }

// runHelper does what umount(8) asks for:
//
//	umount.SUFFIX {DIRECTORY|DEVICE} [-flnrv] [-N NAMESPACE] [-t TYPE.SUBTYPE]
//
// It waits for uploads as "pcloudfs umount" does. With -f it does not, because
// umount(8) has that for servers that cannot be reached: the rest is sent at
// the next mount. With -l it returns at once, as umount(8) promises, and the
// mount's process goes on.
func runHelper(args []string, env environment) int {
	return finish(env, umountHelper(args, env))
}

func umountHelper(args []string, env environment) error {
	f := pflag.NewFlagSet("umount", pflag.ContinueOnError)
	f.Usage = func() {}
	force, lazy := f.BoolP("force", "f", false, ""), f.BoolP("lazy", "l", false, "")
	for _, ignored := range []string{"no-mtab n", "read-only r", "verbose v"} {
		long, short, _ := strings.Cut(ignored, " ")
		f.BoolP(long, short, false, "")
	}
	f.StringP("types", "t", "", "")
	namespace := f.StringP("namespace", "N", "", "")
	if err := f.Parse(args); err != nil {
		return usagef("umount: %w", err)
	}
	switch {
	case f.NArg() != 1:
		return usagef("umount: one MOUNTPOINT is needed")
	case *namespace != "":
		return usagef("umount: -N is not supported")
	}
	return umount(env, f.Arg(0), umountOptions{now: *force, lazy: *lazy, quit: *lazy && !*force})
}
