package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCacheDirIsPrivateAndOnePerIdentity(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	seen := map[string]string{}
	local := Mount{Endpoint: "[::1]:8443"}
	for _, id := range []string{
		Identity("api.pcloud.com", Mount{}, nil, 1, ""),
		Identity("eapi.pcloud.com", Mount{}, nil, 1, ""),
		Identity("api.pcloud.com", Mount{}, nil, 2, ""),
		Identity("api.pcloud.com", Mount{}, nil, 1, "a"),
		Identity("api.pcloud.com", Mount{}, nil, 1, "a/b"),
		Identity("api.pcloud.com", local, nil, 1, "../.."),
		Identity("api.pcloud.com", local, []byte("a"), 1, "../.."),
		Identity("api.pcloud.com", local, []byte("b"), 1, "../.."),
	} {
		dir, err := CacheDir(Mount{}, home, id, "/mnt")
		require.NoError(t, err)
		require.Empty(t, seen[dir], "shared with %s", id)
		seen[dir] = id
		require.Equal(t, filepath.Join(home, "pcloudfs"), filepath.Dir(dir))
		fi, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), fi.Mode().Perm())
		again, err := CacheDir(Mount{}, home, id, "/mnt")
		require.NoError(t, err)
		require.Equal(t, dir, again)
	}
}

func TestIdentitySurvivesAnotherPort(t *testing.T) {
	t.Parallel()
	ca := []byte("authority")
	a := Identity("api.pcloud.com", Mount{Endpoint: "localhost:1"}, ca, 1, "f")
	b := Identity("eapi.pcloud.com", Mount{Endpoint: "LOCALHOST:2"}, ca, 1, "f")
	require.Equal(t, a, b)
}

func TestCacheDirTakesTheGivenOne(t *testing.T) {
	t.Parallel()
	want := filepath.Join(t.TempDir(), "a", "b")
	dir, err := CacheDir(Mount{CacheDir: want}, "", "id", "/mnt")
	require.NoError(t, err)
	require.Equal(t, want, dir)
	require.DirExists(t, want)
}

func TestCacheDirRefuses(t *testing.T) {
	t.Parallel()
	_, err := CacheDir(Mount{}, "", "id", "/mnt")
	require.ErrorContains(t, err, "-o cachedir=DIR")

	tmp, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	mnt := filepath.Join(tmp, "mnt")
	require.NoError(t, os.Mkdir(mnt, 0o755))
	link := filepath.Join(tmp, "link")
	require.NoError(t, os.Symlink(mnt, link))
	for _, dir := range []string{mnt, filepath.Join(mnt, "cache"), filepath.Join(link, "cache")} {
		_, err = CacheDir(Mount{CacheDir: dir}, "", "id", mnt)
		require.ErrorContains(t, err, "below the mount point", dir)
	}
	for _, dir := range []string{mnt + "2", filepath.Join(tmp, "..mnt")} {
		_, err = CacheDir(Mount{CacheDir: dir}, "", "id", mnt)
		require.NoError(t, err, dir)
	}

	file := filepath.Join(tmp, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = CacheDir(Mount{CacheDir: filepath.Join(file, "x")}, "", "id", mnt)
	require.ErrorContains(t, err, "make the cache directory")
}
