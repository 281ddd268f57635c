package fs

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/remote"
)

// sentinels maps errors to what the kernel is told, first match wins: an error
// often matches several, and the narrower ones come first.
var sentinels = []struct {
	err   error
	errno syscall.Errno
}{
	// The request was cancelled. The VFS restarts most calls on EINTR; anything
	// else would fail a program because it received a signal.
	{context.Canceled, syscall.EINTR},
	{context.DeadlineExceeded, syscall.ETIMEDOUT},
	{os.ErrDeadlineExceeded, syscall.ETIMEDOUT},

	{cache.ErrNotEmpty, syscall.ENOTEMPTY},
	{cache.ErrIsFolder, syscall.EISDIR},
	{cache.ErrNotFolder, syscall.ENOTDIR},
	{cache.ErrInvalidName, syscall.EINVAL},
	{cache.ErrNameTooLong, syscall.ENAMETOOLONG},
	{cache.ErrReadOnly, syscall.EROFS},
	{cache.ErrNoSpace, syscall.ENOSPC},
	{cache.ErrStale, syscall.ESTALE},
	{cache.ErrLoop, syscall.EINVAL},
	{cache.ErrBusy, syscall.EBUSY},
	{cache.ErrNotSupported, syscall.EOPNOTSUPP},
	{cache.ErrBadHandle, syscall.EBADF},

	// Over quota is ENOSPC: backup tools retry EDQUOT for minutes.
	{remote.ErrQuota, syscall.ENOSPC},
	{remote.ErrNotEmpty, syscall.ENOTEMPTY},
	{remote.ErrInvalidName, syscall.EINVAL},
	{remote.ErrBusy, syscall.EBUSY},
	{remote.ErrVersionGone, syscall.ESTALE},
	{remote.ErrTimeout, syscall.ETIMEDOUT},
	{remote.ErrToken, syscall.EACCES},
	{remote.ErrWrongRegion, syscall.EACCES},
}

// sentinelsOfFS are those of io/fs. They come last because syscall.Errno and
// remote.Error answer to them too, and more roughly: ENOTEMPTY is fs.ErrExist.
var sentinelsOfFS = []struct {
	err   error
	errno syscall.Errno
}{
	{fs.ErrNotExist, syscall.ENOENT},
	{fs.ErrExist, syscall.EEXIST},
	{fs.ErrPermission, syscall.EACCES},
	{fs.ErrInvalid, syscall.EINVAL},
	{fs.ErrClosed, syscall.EBADF},
}

// errnoOf is the one place where errors become errno. Not known means that the
// answer, EIO, is a guess.
func errnoOf(err error) (errno syscall.Errno, known bool) {
	if err == nil {
		return 0, true
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.errno, true
		}
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return fromErrno(e)
	}
	for _, s := range sentinelsOfFS {
		if errors.Is(err, s.err) {
			return s.errno, true
		}
	}
	return syscall.EIO, false
}

// fromErrno lets those errno pass that a file system call may return. Others,
// such as ECONNREFUSED from the network, would puzzle whoever opened a file.
func fromErrno(e syscall.Errno) (syscall.Errno, bool) {
	switch e {
	case syscall.EDQUOT:
		return syscall.ENOSPC, true
	case syscall.EPERM, syscall.ENOENT, syscall.EINTR, syscall.EIO, syscall.ENXIO, syscall.EBADF,
		syscall.EAGAIN, syscall.ENOMEM, syscall.EACCES, syscall.EBUSY, syscall.EEXIST, syscall.EXDEV,
		syscall.ENOTDIR, syscall.EISDIR, syscall.EINVAL, syscall.ENFILE, syscall.EMFILE, syscall.EFBIG,
		syscall.ENOSPC, syscall.ESPIPE, syscall.EROFS, syscall.ENAMETOOLONG, syscall.ENOTEMPTY,
		syscall.ELOOP, syscall.EOPNOTSUPP, syscall.ESTALE, syscall.ETIMEDOUT:
		return e, true
	}
	if e == syscall.ENOTSUP { // another number on macOS
		return syscall.EOPNOTSUPP, true
	}
	return syscall.EIO, false
}

// errno maps err for the answer to op on node id. What becomes EIO is logged,
// because the errno no longer says what happened.
func (m *mountState) errno(op string, id cache.NodeID, err error) syscall.Errno {
	errno, _ := errnoOf(err)
	if errno == syscall.EIO {
		m.log.Warn("request answered with EIO", slog.String("op", op),
			slog.Uint64("node", uint64(id)), slog.Any("err", err))
	}
	return errno
}
