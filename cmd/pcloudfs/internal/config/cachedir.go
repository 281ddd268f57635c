package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Identity names what a cache directory belongs to: the server, the account and
// the folder. It contains no token, so a new token keeps the cache.
//
// pCloud's servers are known by their host name. A server given by -o endpoint
// is known by the authority that signs for it, if there is one of its own, and
// its host name; it may change its port.
func Identity(host string, m Mount, authority []byte, userID uint64, path string) string {
	server := host
	if m.Endpoint != "" {
		server = m.Endpoint
		if h, _, err := net.SplitHostPort(m.Endpoint); err == nil {
			server = h
		}
		if authority != nil {
			sum := sha256.Sum256(authority)
			server += "+" + hex.EncodeToString(sum[:8])
		}
	}
	return fmt.Sprintf("%s/u%d/%s", strings.ToLower(server), userID, path)
}

// CacheDir returns the cache directory for what identity names: m.CacheDir, or
// a directory of its own below cacheHome. It creates the directory, with mode
// 0700. A directory that lies on the file system to be mounted at mountpoint
// would make the mount wait for itself and is refused.
func CacheDir(m Mount, cacheHome, identity, mountpoint string) (string, error) {
	dir := m.CacheDir
	if dir == "" {
		if !filepath.IsAbs(cacheHome) {
			return "", errors.New("no place for the cache is known (neither HOME nor XDG_CACHE_HOME is set); use -o cachedir=DIR")
		}
		dir = filepath.Join(cacheHome, "pcloudfs", dirName(identity))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	if Within(mountpoint, real) {
		return "", fmt.Errorf("the cache directory %s lies below the mount point; use -o cachedir=DIR elsewhere", dir)
	}
	return dir, nil
}

// dirName makes one component of identity: the server for people, a hash to
// keep the rest apart whatever it contains.
func dirName(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	server, _, _ := strings.Cut(identity, "/")
	server = strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, server)
	return server + "-" + hex.EncodeToString(sum[:8])
}

// Within reports whether path is dir or lies below it; both are clean.
func Within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
