package fs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/fs"
	"github.com/pcloudfs/pcloudfs/fs/fstest"
)

// childMount mounts on args[0], uses the mount, and says how it went.
func childMount(args []string) {
	err := func() error {
		m, err := fs.Mount(args[0], newFakeVolume(), fs.Options{
			AllowOther: len(args) > 1, Umask: 0o022, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		})
		if err != nil {
			return err
		}
		f, err := os.Create(args[0] + "/f")
		if err != nil {
			return err
		}
		if err := m.Unmount(); !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("unmount of a busy mount: %v", err)
		}
		return errors.Join(f.Close(), m.Unmount())
	}()
	fmt.Println(err)
}

// TestEnvironments mounts where something is missing, as root and as a user. Each
// case runs in a mount namespace of its own, prepared by a shell script.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	fstest.SkipUnlessFUSE(t)
	if os.Getuid() != 0 {
		t.Skip("needs root, to make environments")
	}
	for _, tool := range []string{"unshare", "setpriv", "fusermount3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	exe := publicCopy(t, os.Args[0])
	const (
		asUser         = "exec setpriv --reuid 65534 --regid 65534 --clear-groups"
		publicDevice   = "mknod -m 666 $TMP/fuse c 10 229 && mount --bind $TMP/fuse /dev/fuse && "
		privateDevice  = "mknod -m 600 $TMP/fuse c 10 229 && mount --bind $TMP/fuse /dev/fuse && "
		noDevice       = "mount -t tmpfs none /dev && "
		noFusermount   = "mount --bind /dev/null $(command -v fusermount3) && "
		defaultConfig  = ": >$TMP/conf && mount --bind $TMP/conf /etc/fuse.conf && "
		friendlyConfig = "echo user_allow_other >$TMP/conf && mount --bind $TMP/conf /etc/fuse.conf && "
	)
	for name, tc := range map[string]struct {
		script string
		args   []string
		want   string
	}{
		"root":                       {"exec", nil, "<nil>"},
		"root without fusermount":    {noFusermount + "exec", nil, "<nil>"},
		"root without device":        {noDevice + "exec", nil, "FUSE is not available: no /dev/fuse"},
		"root without capability":    {"exec setpriv --bounding-set -sys_admin --inh-caps -sys_admin", nil, "SYS_ADMIN"},
		"user on foreign directory":  {publicDevice + "chown 0 $DIR && " + asUser, nil, "fusermount3 refused"},
		"user":                       {publicDevice + asUser, nil, "<nil>"},
		"user without permission":    {privateDevice + asUser, nil, "FUSE is not available: no permission to open /dev/fuse"},
		"user without fusermount":    {publicDevice + noFusermount + asUser, nil, "fusermount3 not found"},
		"user for others":            {publicDevice + defaultConfig + asUser, []string{"allow"}, "add a line user_allow_other to /etc/fuse.conf"},
		"user for others, allowed":   {publicDevice + friendlyConfig + asUser, []string{"allow"}, "<nil>"},
		"root for others, not asked": {defaultConfig + "exec", []string{"allow"}, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat("/etc/fuse.conf"); err != nil && strings.Contains(tc.script, "/etc/fuse.conf") {
				t.Skipf("no configuration to hide: %v", err)
			}
			dir, tmp := publicDir(t), t.TempDir()
			require.NoError(t, os.Chown(dir, 65534, 65534))
			args := append([]string{"-m", "sh", "-ec", tc.script + ` "$@"`, "sh", exe, dir}, tc.args...)
			cmd := exec.CommandContext(t.Context(), "unshare", args...)
			cmd.Env = append(os.Environ(), childEnv+"=mount", "TMP="+tmp, "DIR="+dir)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), tc.want)
			require.Nil(t, info(t, dir))
		})
	}
}

// publicDir is a temporary directory that every user can reach.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

// publicCopy copies a program to where every user can run it. Another process does
// the copying: a descriptor open for writing here could slip into a child that is
// being started, and the program would be "busy".
func publicCopy(t *testing.T, program string) string {
	t.Helper()
	to := filepath.Join(publicDir(t), "program")
	out, err := exec.CommandContext(t.Context(), "cp", program, to).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.Chmod(to, 0o755))
	return to
}
