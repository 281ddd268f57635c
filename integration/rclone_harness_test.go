//go:build linux

package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// rclone is Debian's rclone with the emulator as its remote "emu:".
type rclone struct {
	config string
	ca     string
	env    []string
}

// newRclone makes its configuration. The token decides what it sees.
func newRclone(tb testing.TB, e *emulator, token string) *rclone {
	tb.Helper()
	needTools(tb, "rclone")
	dir := tb.TempDir()
	r := &rclone{config: filepath.Join(dir, "rclone.conf"), ca: e.CA, env: cleanEnv(dir)}
	text := fmt.Sprintf("[emu]\ntype = pcloud\nhostname = %s\n"+
		`token = {"access_token":"%s","token_type":"bearer","expiry":"0001-01-01T00:00:00Z"}`+"\n", e.API, token)
	require.NoError(tb, os.WriteFile(r.config, []byte(text), 0o600))
	return r
}

func (r *rclone) args(args ...string) []string {
	return append([]string{"--config", r.config, "--ca-cert", r.ca, "--low-level-retries", "3", "--retries", "1"}, args...)
}

// run runs rclone, which has to succeed, and returns what it printed.
func (r *rclone) run(tb testing.TB, args ...string) string {
	tb.Helper()
	return command{env: r.env, limit: drainLimit}.run(tb, "rclone", r.args(args...)...)
}

// try runs rclone.
func (r *rclone) try(tb testing.TB, args ...string) (string, error) {
	tb.Helper()
	return command{env: r.env, limit: drainLimit}.try(tb, "rclone", r.args(args...)...)
}

// fileState is what a copy of a file must keep.
type fileState struct {
	SHA256 string
	Size   int64
	MTime  int64 // Unix seconds: what pCloud keeps
}

// readTree reads every file below dir. Directories are listed with their names
// and a slash.
func readTree(tb testing.TB, dir string) map[string]fileState {
	tb.Helper()
	tree := map[string]fileState{}
	buf := make([]byte, 1<<20)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			tree[rel+"/"] = fileState{}
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, buf)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if n != fi.Size() {
			return fmt.Errorf("%s has %d bytes, stat says %d", path, n, fi.Size())
		}
		tree[rel] = fileState{hex.EncodeToString(h.Sum(nil)), n, fi.ModTime().Unix()}
		return nil
	})
	require.NoError(tb, err)
	return tree
}

// requireSameTree compares trees and tells the first few differences.
func requireSameTree(tb testing.TB, want, got map[string]fileState) {
	tb.Helper()
	var diffs []string
	for name, w := range want {
		g, ok := got[name]
		switch {
		case !ok:
			diffs = append(diffs, "missing: "+name)
		case g != w:
			diffs = append(diffs, fmt.Sprintf("%s: %+v, not %+v", name, g, w))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			diffs = append(diffs, "extra: "+name)
		}
	}
	if len(diffs) > 0 {
		tb.Fatalf("%d differences, the first: %q", len(diffs), diffs[:min(len(diffs), 10)])
	}
}
