//go:build linux

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	// drainLimit is how long an unmount may take to upload what is left.
	drainLimit = 3 * time.Minute
	// mountLimit is how long a mount may live: one that hangs must not hang the
	// tests. It is below the ten minutes after which go test gives up.
	mountLimit = 8 * time.Minute
)

// mountOptions say what to mount and how; the zero value is good.
type mountOptions struct {
	Folder   string   // default "data"; "/" is the application's folder itself
	Dir      string   // mount point; default: a new directory
	CacheDir string   // default: a new directory
	Options  []string // more options, as after -o
	Token    string   // default: the application's
	Prefix   []string // command that runs the program, such as setpriv ...
	Env      []string // more environment
}

// mount is "pcloudfs mount" in a process, in the foreground.
type mount struct {
	*process
	mountOptions
	emulator *emulator
	ended    bool // stop or kill has been called
}

// startMount mounts a folder of the emulator and returns when it can be used.
// At the end of the test the mount is gone whatever has happened, and a test
// that has not failed has drained it.
func startMount(tb testing.TB, e *emulator, o mountOptions) *mount {
	tb.Helper()
	needMount(tb)
	if o.Folder == "" {
		o.Folder = "data"
	}
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	if o.CacheDir == "" {
		o.CacheDir = tb.TempDir()
	}
	if o.Token == "" {
		o.Token = e.AppToken
	}
	m := &mount{mountOptions: o, emulator: e}
	m.start(tb)
	return m
}

// remount mounts the same folder at the same place with the same cache
// directory, after stop or kill.
func (m *mount) remount(tb testing.TB) *mount {
	tb.Helper()
	return startMount(tb, m.emulator, m.mountOptions)
}

// remountEmpty mounts the same folder at the same place with an empty cache
// directory, after stop.
func (m *mount) remountEmpty(tb testing.TB) *mount {
	tb.Helper()
	o := m.mountOptions
	o.CacheDir = ""
	return startMount(tb, m.emulator, o)
}

func (m *mount) args() []string {
	options := append([]string{
		"endpoint=" + m.emulator.API, "ca=" + m.emulator.CA, "cachedir=" + m.CacheDir, "create",
	}, m.Options...)
	source := "pcloud://api.pcloud.com/" + strings.TrimPrefix(m.Folder, "/")
	return []string{"mount", source, m.Dir, "-o", strings.Join(options, ",")}
}

func (m *mount) start(tb testing.TB) {
	tb.Helper()
	argv := append(append([]string{}, m.Prefix...), pcloudfs(tb))
	argv = append(argv, m.args()...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(cleanEnv(m.CacheDir), "PCLOUDFS_AUTHID="+m.Token)
	cmd.Env = append(cmd.Env, m.Env...)
	m.process = startProcess(tb, "mount of "+m.Folder, cmd)
	watchdog := time.AfterFunc(mountLimit, func() {
		tb.Errorf("the mount at %s is taken away after %v", m.Dir, mountLimit)
		abort(m.Dir)
		m.signal(syscall.SIGKILL)
	})
	tb.Cleanup(func() {
		watchdog.Stop()
		m.cleanUp(tb)
	})
	m.waitFor(tb, &m.stderr, regexp.MustCompile(`msg=mounted\b`), patience)
	require.NotNil(tb, mountedAt(m.Dir), "%s is not in the mount table", m.Dir)
}

// path is a file of the mount.
func (m *mount) path(elem ...string) string {
	return filepath.Join(append([]string{m.Dir}, elem...)...)
}

// stop unmounts with SIGTERM, which uploads everything, and demands success.
func (m *mount) stop(tb testing.TB) {
	tb.Helper()
	if code := m.stopStatus(tb); code != 0 {
		tb.Fatalf("exit status %d of the mount\n%s", code, m.stderr.tail())
	}
}

// stopStatus unmounts with SIGTERM and returns the exit status.
func (m *mount) stopStatus(tb testing.TB) int {
	tb.Helper()
	m.ended = true
	m.signal(syscall.SIGTERM)
	if !m.wait(drainLimit) {
		tb.Fatalf("the mount does not end within %v\n%s", drainLimit, m.stderr.tail())
	}
	require.Nil(tb, mountedAt(m.Dir), "%s is in the mount table after the unmount", m.Dir)
	return m.exitCode()
}

// kill ends the program with SIGKILL, as if it had crashed. The dead mount
// point stays; the next mount, or the end of the test, removes it.
func (m *mount) kill(tb testing.TB) {
	tb.Helper()
	m.ended = true
	m.signal(syscall.SIGKILL)
	require.True(tb, m.wait(patience), "killed, and does not end")
}

// cleanUp leaves no process and no mount.
func (m *mount) cleanUp(tb testing.TB) {
	switch {
	case m.ended && m.process.ended():
	case m.process.ended():
		tb.Errorf("the mount at %s ended by itself: %s", m.Dir, m.status())
	case tb.Failed():
		abort(m.Dir)
		m.signal(syscall.SIGKILL)
	default:
		m.signal(syscall.SIGTERM)
		if !m.wait(drainLimit) {
			tb.Errorf("the mount at %s does not end within %v", m.Dir, drainLimit)
			abort(m.Dir)
			m.signal(syscall.SIGKILL)
		} else if code := m.exitCode(); code != 0 {
			tb.Errorf("exit status %d of the mount at %s", code, m.Dir)
		}
	}
	if !m.wait(patience) {
		tb.Errorf("the process of the mount at %s cannot be ended", m.Dir)
	}
	detach(tb, m.Dir)
}

// mountedAt looks up a mount point; nil if there is nothing mounted.
func mountedAt(dir string) *mountinfo.Info {
	found, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) { return i.Mountpoint != dir, false })
	if err != nil || len(found) == 0 {
		return nil
	}
	return found[len(found)-1]
}

// abort makes every request to the mount at dir fail, now and from now on, so
// that nobody waits for it any more.
func abort(dir string) {
	i := mountedAt(dir)
	if i == nil || !strings.HasPrefix(i.FSType, "fuse") {
		return
	}
	file := fmt.Sprintf("/sys/fs/fuse/connections/%d/abort", i.Minor)
	if err := os.WriteFile(file, []byte("1"), 0); err != nil { // fusectl is not mounted everywhere
		_ = unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH)
	}
}

// detach takes away what is still mounted at dir.
func detach(tb testing.TB, dir string) {
	for i := mountedAt(dir); i != nil; i = mountedAt(dir) {
		abort(dir)
		err := unix.Unmount(dir, unix.MNT_DETACH)
		if err != nil { // not root
			err = exec.Command("fusermount3", "-u", "-z", dir).Run()
		}
		if err != nil {
			tb.Errorf("%s stays mounted: %v", dir, err)
			return
		}
	}
}
