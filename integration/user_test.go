//go:build linux

package integration

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// ordinary is a user that is not root; every system has this one.
type ordinary struct {
	uid, gid int
}

// newOrdinary is for tests that start as root.
func newOrdinary(tb testing.TB) ordinary {
	tb.Helper()
	needRoot(tb)
	needTools(tb, "setpriv")
	u, err := user.Lookup("nobody")
	require.NoError(tb, err)
	uid, err := strconv.Atoi(u.Uid)
	require.NoError(tb, err)
	gid, err := strconv.Atoi(u.Gid)
	require.NoError(tb, err)
	return ordinary{uid, gid}
}

// prefix is what to put before a command that the user runs. The command ends
// when the tests do, which a change of the user makes it forget otherwise.
func (o ordinary) prefix() []string {
	return []string{"setpriv", "--reuid=" + strconv.Itoa(o.uid), "--regid=" + strconv.Itoa(o.gid), "--clear-groups", "--pdeathsig", "KILL"}
}

// dir is a new directory of the user.
func (o ordinary) dir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	reachable(tb, dir)
	require.NoError(tb, os.Chown(dir, o.uid, o.gid))
	return dir
}

// reachable lets everybody into the directories that testing has made above
// path.
func reachable(tb testing.TB, path string) {
	tb.Helper()
	for dir := filepath.Dir(path); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(tb, os.Chmod(dir, 0o755))
	}
}

// try runs a shell command as the user.
func (o ordinary) try(tb testing.TB, text string) (string, error) {
	tb.Helper()
	argv := append(o.prefix(), "sh", "-c", text)
	return command{dir: "/"}.try(tb, argv[0], argv[1:]...)
}

// TestOrdinaryUser mounts with fusermount3 as a user who is not root.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	needMount(t)
	needTools(t, "fusermount3")
	u := newOrdinary(t)
	e := startEmulator(t)
	reachable(t, e.CA)
	m := startMount(t, e, mountOptions{Dir: u.dir(t), CacheDir: u.dir(t), Prefix: u.prefix()})

	out, err := u.try(t, "cd "+m.Dir+` && echo text > f && mkdir d && mv f d/ && cat d/f && stat -c '%u %g %a' d/f && sync d`)
	require.NoError(t, err, out)
	require.Equal(t, "text\n"+strconv.Itoa(u.uid)+" "+strconv.Itoa(u.gid)+" 644\n", out)
	require.Equal(t, int64(5), e.tree(t)["data/d/f"].Size)
	_, err = os.ReadDir(m.Dir)
	require.ErrorIs(t, err, syscall.EACCES, "others, and even root, stay outside")

	// Unmounted by its owner: the program uploads what is left and ends well.
	out, err = u.try(t, "echo last > "+m.path("last")+" && fusermount3 -u "+m.Dir)
	require.NoError(t, err, out)
	require.True(t, m.wait(drainLimit))
	m.ended = true
	require.Zero(t, m.exitCode(), m.stderr.tail())
	require.Equal(t, int64(5), e.tree(t)["data/last"].Size)

	// And again, ended by a signal; after a crash too.
	m = m.remount(t)
	m.kill(t)
	m = m.remount(t)
	out, err = u.try(t, "cat "+m.path("last"))
	require.NoError(t, err, out)
	m.stop(t)
}

// TestOrdinaryUserAllowOther: the system's administrator decides.
func TestOrdinaryUserAllowOther(t *testing.T) {
	t.Parallel()
	needMount(t)
	needTools(t, "fusermount3")
	u := newOrdinary(t)
	e := startEmulator(t)
	reachable(t, e.CA)
	if conf, err := os.ReadFile("/etc/fuse.conf"); err == nil && strings.Contains("\n"+string(conf), "\nuser_allow_other") {
		m := startMount(t, e, mountOptions{Dir: u.dir(t), CacheDir: u.dir(t), Prefix: u.prefix(), Options: []string{"allow_other"}})
		require.NoError(t, os.WriteFile(m.path("by root"), []byte("text"), 0o644))
		return
	}
	m := &mount{emulator: e, mountOptions: mountOptions{Folder: "data", Dir: u.dir(t), CacheDir: u.dir(t), Options: []string{"allow_other"}}}
	argv := append(append(u.prefix(), pcloudfs(t)), m.args()...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(cleanEnv(m.CacheDir), "PCLOUDFS_AUTHID="+e.AppToken)
	p := startProcess(t, "mount", cmd)
	require.True(t, p.wait(patience))
	require.Equal(t, 1, p.exitCode())
	require.Contains(t, p.stderr.String(), "user_allow_other")
	require.Contains(t, p.stderr.String(), "/etc/fuse.conf")
	require.Nil(t, mountedAt(m.Dir))
}

// TestRootsMountForOthers: what other users may do in root's mount.
func TestRootsMountForOthers(t *testing.T) {
	t.Parallel()
	needMount(t)
	u := newOrdinary(t)
	e := startEmulator(t)
	at := func(options ...string) *mount {
		dir := t.TempDir()
		reachable(t, dir)
		return startMount(t, e, mountOptions{Dir: dir, Options: options})
	}
	m := at()
	require.NoError(t, os.WriteFile(m.path("f"), []byte("text"), 0o644))
	out, err := u.try(t, "cat "+m.path("f"))
	require.Error(t, err)
	require.Contains(t, out, "Permission denied", "without allow_other")
	m.stop(t)

	m = at("allow_other")
	out, err = u.try(t, "cat "+m.path("f"))
	require.NoError(t, err, out)
	require.Equal(t, "text", out)
	out, err = u.try(t, "echo more >> "+m.path("f"))
	require.Error(t, err)
	require.Contains(t, out, "Permission denied", "it is root's")
	m.stop(t)

	m = at("allow_other", "umask=077")
	_, err = u.try(t, "cat "+m.path("f"))
	require.Error(t, err, "umask=077")
	m.stop(t)

	own := "uid=" + strconv.Itoa(u.uid)
	m = at("allow_other", own, "gid="+strconv.Itoa(u.gid), "umask=027")
	out, err = u.try(t, "cd "+m.Dir+" && echo more >> f && mkdir d && echo text > d/g && stat -c '%u %a' f")
	require.NoError(t, err, out)
	require.Equal(t, strconv.Itoa(u.uid)+" 640\n", out)
	m.stop(t)
	require.Equal(t, int64(9), e.tree(t)["data/f"].Size)

	// What was made has the mode that its maker asked for until the unmount.
	m = at("allow_other", own, "umask=027")
	out, err = u.try(t, "cd "+m.Dir+" && stat -c '%u %a' d d/g")
	require.NoError(t, err, out)
	require.Equal(t, strconv.Itoa(u.uid)+" 750\n"+strconv.Itoa(u.uid)+" 640\n", out)
	m.stop(t)

	m = at("ro")
	require.ErrorIs(t, os.WriteFile(m.path("f"), nil, 0o644), syscall.EROFS)
	require.ErrorIs(t, os.Remove(m.path("f")), syscall.EROFS)
}
