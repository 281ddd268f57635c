package control

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerUID returns the user at the other end of a connection.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Xucred
	var cerr error
	err = raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	})
	if err == nil {
		err = cerr
	}
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// openDir returns the name of a directory for the path of a socket in it, and
// the directory, which the caller closes.
func openDir(dir string) (name string, f *os.File, err error) {
	f, err = os.Open(dir)
	return dir, f, err
}
