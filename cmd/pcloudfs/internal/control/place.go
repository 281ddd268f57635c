package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// EnvDir is the environment variable that replaces the runtime directory.
const EnvDir = "PCLOUDFS_RUNTIME_DIR"

// Info says which process serves a mount.
type Info struct {
	Mountpoint string    `json:"mountpoint"` // absolute, without symbolic links
	Source     string    `json:"source"`     // without the token
	CacheDir   string    `json:"cachedir"`
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
}

// Dir returns the directory for the sockets of a user: that of the environment
// variable EnvDir, or for root /run/pcloudfs, or pcloudfs below XDG_RUNTIME_DIR,
// or below /run/user/UID, or, where there is none of them, pcloudfs-UID below
// TMPDIR or /tmp.
func Dir(getenv func(string) string, uid int) string {
	if dir := getenv(EnvDir); dir != "" {
		return dir
	}
	if dir := getenv("XDG_RUNTIME_DIR"); uid != 0 && filepath.IsAbs(dir) {
		return filepath.Join(dir, "pcloudfs")
	}
	dirs := usualDirs(uid)
	if fi, err := os.Stat(filepath.Dir(dirs[0])); err == nil && fi.IsDir() {
		return dirs[0]
	}
	last := dirs[len(dirs)-1]
	if tmp := getenv("TMPDIR"); uid != 0 && filepath.IsAbs(tmp) {
		return filepath.Join(tmp, filepath.Base(last))
	}
	return last
}

// usualDirs are the directories of a user whose environment is not known.
func usualDirs(uid int) []string {
	switch {
	case uid == 0 && runtime.GOOS == "darwin":
		return []string{"/var/run/pcloudfs"}
	case uid == 0:
		return []string{"/run/pcloudfs"}
	}
	id := strconv.Itoa(uid)
	return []string{filepath.Join("/run/user", id, "pcloudfs"), "/tmp/pcloudfs-" + id}
}

// Search says where to look for a mount's socket, and whom to believe.
type Search struct {
	Dirs []string
	UIDs []int // users whose sockets and directories are trusted
}

// NewSearch looks where a user's own mounts are, then where those of owner are,
// the user to whom the mount in question belongs.
func NewSearch(getenv func(string) string, uid, owner int) Search {
	s := Search{Dirs: []string{Dir(getenv, uid)}, UIDs: []int{uid, owner, 0}}
	if getenv(EnvDir) != "" {
		return s
	}
	for _, id := range []int{uid, owner} {
		for _, dir := range usualDirs(id) {
			if !slices.Contains(s.Dirs, dir) {
				s.Dirs = append(s.Dirs, dir)
			}
		}
	}
	return s
}

// Remembered returns what the last mount at a mount point left behind about
// itself, if there is anything.
func (s Search) Remembered(mountpoint string) (Info, bool) {
	for _, dir := range s.Dirs {
		info, err := readInfo(filepath.Join(dir, baseName(mountpoint)+infoSuffix))
		if err == nil && info.Mountpoint == mountpoint && s.trusts(dir) == nil {
			return info, true
		}
	}
	return Info{}, false
}

// Forget removes what Remembered found.
func (s Search) Forget(info Info) {
	for _, dir := range s.Dirs {
		file := filepath.Join(dir, baseName(info.Mountpoint)+infoSuffix)
		if have, err := readInfo(file); err == nil && have.PID == info.PID {
			_ = os.Remove(file)
			_ = os.Remove(filepath.Join(dir, baseName(info.Mountpoint)+socketSuffix))
		}
	}
}

// Mounts returns the mounts that have a socket in the directories, living or
// not.
func (s Search) Mounts() []Info {
	var mounts []Info
	for _, dir := range s.Dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*"+infoSuffix))
		for _, file := range files {
			_, err := os.Lstat(strings.TrimSuffix(file, infoSuffix) + socketSuffix)
			info, ierr := readInfo(file)
			if err == nil && ierr == nil && s.trusts(dir) == nil {
				mounts = append(mounts, info)
			}
		}
	}
	return mounts
}

// trusts reports why a directory may be the trap of another user.
func (s Search) trusts(dir string) error {
	for _, uid := range s.UIDs {
		err := checkDir(dir, uid)
		if err == nil {
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("%s belongs to somebody else or is open to others", dir)
}

const (
	socketSuffix = ".sock"
	infoSuffix   = ".json"
)

// baseName is the name of a mount point's files without the suffix.
func baseName(mountpoint string) string {
	sum := sha256.Sum256([]byte(mountpoint))
	return hex.EncodeToString(sum[:8])
}

// makeDir makes a runtime directory, or checks that the one there is ours.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the runtime directory: %w", err)
	}
	return checkDir(dir, os.Geteuid())
}

// checkDir demands that only uid can do anything in dir.
func checkDir(dir string, uid int) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s is not a directory", dir)
	case int(st.Uid) != uid:
		return fmt.Errorf("%s belongs to another user (%d)", dir, st.Uid)
	case st.Mode&0o077 != 0:
		return fmt.Errorf("%s is open to others (mode %04o); run: chmod 700 %s", dir, st.Mode&0o777, dir)
	}
	return nil
}

func readInfo(file string) (info Info, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return info, err
	}
	return info, json.Unmarshal(text, &info)
}

func writeInfo(file string, info Info) error {
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return renameio.WriteFile(file, append(text, '\n'), 0o600)
}

// sweep removes what processes left behind that are dead and whose cache
// directory is gone too.
func sweep(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*"+infoSuffix))
	for _, file := range files {
		info, err := readInfo(file)
		if err != nil {
			continue
		}
		if _, err := os.Stat(info.CacheDir); !errors.Is(err, fs.ErrNotExist) || unix.Kill(info.PID, 0) == nil {
			continue
		}
		_ = os.Remove(file)
		_ = os.Remove(strings.TrimSuffix(file, infoSuffix) + socketSuffix)
	}
}
