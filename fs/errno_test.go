package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/remote"
)

func TestErrno(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, tc := range []struct {
		err   error
		want  syscall.Errno
		known bool
	}{
		{nil, 0, true},

		{context.Canceled, syscall.EINTR, true},
		{context.DeadlineExceeded, syscall.ETIMEDOUT, true},
		{&remote.Error{Method: "stat", Err: context.Canceled}, syscall.EINTR, true},
		{&remote.Error{Method: "stat", Err: os.ErrDeadlineExceeded}, syscall.ETIMEDOUT, true},

		{iofs.ErrNotExist, syscall.ENOENT, true},
		{iofs.ErrExist, syscall.EEXIST, true},
		{iofs.ErrPermission, syscall.EACCES, true},
		{iofs.ErrInvalid, syscall.EINVAL, true},
		{iofs.ErrClosed, syscall.EBADF, true},

		{cache.ErrNotEmpty, syscall.ENOTEMPTY, true},
		{cache.ErrIsFolder, syscall.EISDIR, true},
		{cache.ErrNotFolder, syscall.ENOTDIR, true},
		{cache.ErrInvalidName, syscall.EINVAL, true},
		{cache.ErrNameTooLong, syscall.ENAMETOOLONG, true},
		{cache.ErrReadOnly, syscall.EROFS, true},
		{cache.ErrNoSpace, syscall.ENOSPC, true},
		{cache.ErrStale, syscall.ESTALE, true},
		{cache.ErrLoop, syscall.EINVAL, true},
		{cache.ErrBusy, syscall.EBUSY, true},
		{cache.ErrNotSupported, syscall.EOPNOTSUPP, true},
		{cache.ErrBadHandle, syscall.EBADF, true},

		{remote.ErrQuota, syscall.ENOSPC, true},
		{remote.ErrNotEmpty, syscall.ENOTEMPTY, true},
		{remote.ErrInvalidName, syscall.EINVAL, true},
		{remote.ErrBusy, syscall.EBUSY, true},
		{remote.ErrToken, syscall.EACCES, true},
		{remote.ErrWrongRegion, syscall.EACCES, true},
		{remote.ErrVersionGone, syscall.ESTALE, true},
		{remote.ErrTimeout, syscall.ETIMEDOUT, true},
		{remote.ErrProtocol, syscall.EIO, false},
		{&remote.Error{Method: "listfolder", Result: 2005}, syscall.ENOENT, true},
		{&remote.Error{Method: "uploadfile", Result: 2008}, syscall.ENOSPC, true},
		{&remote.Error{Method: "createfolder", Result: 2004}, syscall.EEXIST, true},
		{&remote.Error{Method: "listfolder", Result: 5000}, syscall.EIO, false},

		{syscall.ENOSPC, syscall.ENOSPC, true},
		{syscall.EDQUOT, syscall.ENOSPC, true},
		{syscall.ENOTEMPTY, syscall.ENOTEMPTY, true}, // and not EEXIST, which it Is
		{syscall.ENXIO, syscall.ENXIO, true},
		{syscall.ENOTSUP, syscall.EOPNOTSUPP, true},
		{syscall.ENOSYS, syscall.EIO, false}, // the kernel would never ask again
		{&os.PathError{Op: "write", Path: "spool", Err: syscall.ENOSPC}, syscall.ENOSPC, true},
		{&os.PathError{Op: "write", Path: "spool", Err: syscall.EDQUOT}, syscall.ENOSPC, true},
		{refused, syscall.EIO, false},
		{&remote.Error{Method: "stat", Err: refused}, syscall.EIO, false},
		{errors.New("something"), syscall.EIO, false},
	} {
		t.Run(fmt.Sprint(tc.err), func(t *testing.T) {
			t.Parallel()
			got, known := errnoOf(tc.err)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.known, known)
			if tc.err != nil {
				got, known = errnoOf(fmt.Errorf("open x: %w", tc.err))
				require.Equal(t, tc.want, got, "wrapped")
				require.Equal(t, tc.known, known, "wrapped")
			}
		})
	}
}

func TestErrnoLogsWhatBecomesEIO(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	m := &mountState{log: slog.New(slog.NewTextHandler(&buf, nil))}
	require.Equal(t, syscall.ENOENT, m.errno("lookup", 7, iofs.ErrNotExist))
	require.Empty(t, buf.String())
	require.Equal(t, syscall.EIO, m.errno("lookup", 7, errors.New("something odd")))
	require.Equal(t, 1, strings.Count(buf.String(), "\n"), "one line: %s", buf.String())
	require.Contains(t, buf.String(), "something odd")
	require.Contains(t, buf.String(), "op=lookup")
	require.Contains(t, buf.String(), "node=7")
}
