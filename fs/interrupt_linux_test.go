package fs_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/fs"
)

// children are what child processes do.
var children = map[string]func(args []string){
	"read":  childRead,
	"mmap":  childMmap,
	"mount": childMount,
	"serve": childServe,
}

// childRead reads a file with one system call at a time, telling what came.
func childRead(args []string) {
	signal.Notify(make(chan os.Signal, 100), syscall.SIGUSR1)
	runtime.LockOSThread()
	fd, err := syscall.Open(args[0], syscall.O_RDONLY, 0)
	fmt.Println(syscall.Gettid(), err)
	buf := make([]byte, 100)
	for range 2 {
		n, err := syscall.Pread(fd, buf, 0)
		fmt.Println(n, err == syscall.EINTR, err)
	}
}

// blocker makes reads wait for the end of their context, as often as told.
type blocker struct {
	entered chan struct{} // a read has begun to wait
	left    chan error    // and ended so
}

func (b *blocker) before(ctx context.Context, op string, _ cache.NodeID) error {
	if op != "read" {
		return nil
	}
	select {
	case b.entered <- struct{}{}:
	default:
		return nil
	}
	<-ctx.Done()
	b.left <- ctx.Err()
	return ctx.Err()
}

func newBlocker(reads int) *blocker {
	return &blocker{entered: make(chan struct{}, reads), left: make(chan error, reads)}
}

func TestKilledReaderEnds(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	require.NoError(t, os.WriteFile(mnt+"/f", []byte("x"), 0o644))
	b := newBlocker(1)
	v.setBefore(b.before)

	cmd := exec.CommandContext(t.Context(), "cat", mnt+"/f")
	require.NoError(t, cmd.Start())
	v.waitCalls(t, "read", 1)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.ErrorIs(t, <-b.left, context.Canceled)
}

func TestSignalInterruptsRead(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	require.NoError(t, os.WriteFile(mnt+"/f", []byte("content"), 0o644))
	b := newBlocker(1)
	v.setBefore(b.before)

	cmd := child(t, "read", mnt+"/f")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	tid, opened, _ := strings.Cut(strings.TrimSpace(line), " ")
	require.Equal(t, "<nil>", opened)
	id, err := strconv.Atoi(tid)
	require.NoError(t, err)

	v.waitCalls(t, "read", 1)
	require.NoError(t, unix.Tgkill(cmd.Process.Pid, id, syscall.SIGUSR1))
	require.ErrorIs(t, <-b.left, context.Canceled)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Equal(t, "-1 true interrupted system call\n7 false <nil>\n", string(rest))
}

// TestSignalDoesNotInterruptClose: a close cannot be repeated.
func TestSignalDoesNotInterruptClose(t *testing.T) {
	t.Parallel()
	v := newFakeVolume()
	id := v.edit("f", "x")
	raw := fs.NewRaw(v, fs.Options{})
	header := fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}
	var entry fuse.EntryOut
	require.True(t, raw.Lookup(nil, &header, "f", &entry).Ok())
	header.NodeId = entry.NodeId
	var open fuse.OpenOut
	require.True(t, raw.Open(nil, &fuse.OpenIn{InHeader: header, Flags: syscall.O_RDWR}, &open).Ok())
	v.setBefore(func(ctx context.Context, _ string, n cache.NodeID) error {
		require.Equal(t, id, n)
		return ctx.Err()
	})
	signalled := make(chan struct{})
	close(signalled)
	require.Equal(t, fuse.OK, raw.Flush(signalled, &fuse.FlushIn{InHeader: header, Fh: open.Fh}))
	require.Equal(t, fuse.EINTR, raw.Fsync(signalled, &fuse.FsyncIn{InHeader: header, Fh: open.Fh}))
}
