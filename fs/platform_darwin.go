package fs

import "golang.org/x/sys/unix"

const (
	flagDsync       = unix.O_DSYNC
	renameNoReplace = unix.RENAME_EXCL
)
