//go:build linux

package integration

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// needLoop skips a test, and fails it in CI, where no file system can be put on
// a loop device.
func needLoop(tb testing.TB) {
	tb.Helper()
	needMount(tb)
	unavailable(tb, os.Geteuid() != 0, "only root can attach loop devices")
	needTools(tb, "losetup", "mkfs.ext4", "mount", "umount")
	out, err := exec.Command("losetup", "--find").CombinedOutput()
	unavailable(tb, err != nil, "no loop device: "+strings.TrimSpace(string(out)))
}

// sector is what a disk writes completely or not at all.
const sector = 4096

// disk is a disk with a write cache that loses power: what was written since
// the last flush may be on it or not, sector by sector. It is a file on a FUSE
// file system of its own, for a loop device on top of it.
type disk struct {
	fs.Inode

	mu       sync.Mutex
	now      []byte // as the system sees it
	flushed  []byte // as it was at the last flush
	cached   []diskWrite
	image    []byte        // what was left by the cut; nil: it has power
	plugged  chan struct{} // closed when writes may end that came after the cut
	unplug   sync.Once
	writes   int
	flushes  int
	mountDir string
}

type diskWrite struct {
	off  int64
	data []byte
}

var (
	_ fs.NodeOnAdder   = (*disk)(nil)
	_ fs.NodeGetattrer = (*diskFile)(nil)
	_ fs.NodeOpener    = (*diskFile)(nil)
	_ fs.NodeReader    = (*diskFile)(nil)
	_ fs.NodeWriter    = (*diskFile)(nil)
	_ fs.NodeFsyncer   = (*diskFile)(nil)
)

// newDisk makes a disk with the bytes of an image and returns the path of its
// file.
func newDisk(tb testing.TB, image []byte) (*disk, string) {
	tb.Helper()
	d := &disk{now: image, flushed: append([]byte(nil), image...), plugged: make(chan struct{}), mountDir: tb.TempDir()}
	server, err := fs.Mount(d.mountDir, d, &fs.Options{MountOptions: fuse.MountOptions{
		FsName: "disk", Name: "disk", DirectMount: true, MaxWrite: 1 << 20,
	}})
	require.NoError(tb, err)
	tb.Cleanup(func() {
		d.plug()
		if err := server.Unmount(); err != nil {
			tb.Errorf("the disk stays mounted: %v", err)
			_ = unix.Unmount(d.mountDir, unix.MNT_DETACH)
		}
		server.Wait()
	})
	return d, filepath.Join(d.mountDir, "disk")
}

// OnAdd makes the only file.
func (d *disk) OnAdd(ctx context.Context) {
	d.AddChild("disk", d.NewPersistentInode(ctx, &diskFile{d: d}, fs.StableAttr{Mode: syscall.S_IFREG, Ino: 2}), true)
}

// cut takes the power away and returns what is on the disk then, and how often
// it was written to and flushed. What is written from now on waits for plug, and
// is lost.
func (d *disk) cut(rng *rand.Rand) (image []byte, writes, flushes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.image = append([]byte(nil), d.flushed...)
	for _, w := range d.cached {
		for at := 0; at < len(w.data); {
			n := sector - int((w.off+int64(at))%sector)
			n = min(n, len(w.data)-at)
			if rng.IntN(2) == 0 {
				copy(d.image[w.off+int64(at):], w.data[at:at+n])
			}
			at += n
		}
	}
	return d.image, d.writes, d.flushes
}

// plug lets those end who wait for a disk without power.
func (d *disk) plug() { d.unplug.Do(func() { close(d.plugged) }) }

// powered waits after a cut. The lock is held on return.
func (d *disk) powered() {
	d.mu.Lock()
	for d.image != nil {
		select {
		case <-d.plugged:
			return
		default:
		}
		d.mu.Unlock()
		<-d.plugged
		d.mu.Lock()
	}
}

// diskFile is the file of a disk.
type diskFile struct {
	fs.Inode
	d *disk
}

// Getattr implements fs.NodeGetattrer.
func (f *diskFile) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, uint64(len(f.d.now))
	return 0
}

// Open implements fs.NodeOpener.
func (f *diskFile) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

// Read implements fs.NodeReader.
func (f *diskFile) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	n := copy(p, f.d.now[min(off, int64(len(f.d.now))):])
	return fuse.ReadResultData(p[:n]), 0
}

// Write implements fs.NodeWriter.
func (f *diskFile) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	f.d.powered()
	defer f.d.mu.Unlock()
	if off+int64(len(data)) > int64(len(f.d.now)) {
		return 0, syscall.ENOSPC
	}
	copy(f.d.now[off:], data)
	f.d.cached = append(f.d.cached, diskWrite{off, append([]byte(nil), data...)})
	f.d.writes++
	return uint32(len(data)), 0
}

// Fsync implements fs.NodeFsyncer; it is the flush of the disk's cache.
func (f *diskFile) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	f.d.powered()
	defer f.d.mu.Unlock()
	for _, w := range f.d.cached {
		copy(f.d.flushed[w.off:], w.data)
	}
	f.d.cached = nil
	f.d.flushes++
	return 0
}

// emptyExt4 returns the image of a new file system.
func emptyExt4(tb testing.TB, size int64) []byte {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "image")
	f, err := os.Create(name)
	require.NoError(tb, err)
	defer f.Close()
	require.NoError(tb, f.Truncate(size))
	run(tb, "mkfs.ext4", "-q", "-F", name)
	image, err := io.ReadAll(f)
	require.NoError(tb, err)
	return image
}

// mountExt4 mounts the file system in a file through a loop device. The function
// returned takes both away; the end of the test does it otherwise.
func mountExt4(tb testing.TB, file string) (dir string, unmount func()) {
	tb.Helper()
	dir = tb.TempDir()
	loop := strings.TrimSpace(run(tb, "losetup", "--find", "--show", file))
	var once sync.Once
	unmount = func() {
		once.Do(func() {
			if mountedAt(dir) != nil {
				if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
					tb.Errorf("umount %s: %v\n%s", dir, err, out)
					_ = unix.Unmount(dir, unix.MNT_DETACH)
				}
			}
			if out, err := exec.Command("losetup", "--detach", loop).CombinedOutput(); err != nil {
				tb.Errorf("losetup --detach %s: %v\n%s", loop, err, out)
			}
		})
	}
	tb.Cleanup(unmount)
	run(tb, "mount", "-t", "ext4", loop, dir)
	return dir, unmount
}
