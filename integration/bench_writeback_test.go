//go:build linux

package integration

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The conditions of the write-back benchmarks: a common home connection.
const (
	benchRTT  = 50 * time.Millisecond
	benchRate = 100_000_000 / 8 // bytes per second, each way
)

// BenchmarkWriteBack measures the time from the first write to the moment at
// which pCloud shows the last file with the right SHA-1, for pcloudfs and for
// Debian's rclone mount, on servers of their own under the same conditions. It
// prints pcloudfs' time as a multiple of what the bytes take on the line, and
// rclone's as a multiple of pcloudfs'.
//
//	go test ./integration -run '^$' -bench WriteBack -benchtime 1x -timeout 60m
func BenchmarkWriteBack(b *testing.B) {
	loads := []struct {
		name  string
		files int
		size  int
	}{
		{"20x50MB", 20, 50_000_000},
		{"2000x20kB", 2000, 20_000},
	}
	for _, load := range loads {
		b.Run(load.name, func(b *testing.B) {
			needMount(b)
			needTools(b, "rclone")
			line := time.Duration(float64(load.files*load.size) / benchRate * float64(time.Second))
			for b.Loop() {
				ours := writeBack(b, load.files, load.size, mountOurs)
				theirs := writeBack(b, load.files, load.size, mountRclone)
				b.ReportMetric(ours.Seconds(), "s-pcloudfs")
				b.ReportMetric(theirs.Seconds(), "s-rclone")
				b.ReportMetric(ours.Seconds()/line.Seconds(), "x-line")
				b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-faster")
				b.Logf("%s: line %v, pcloudfs %v, rclone %v", load.name, line, ours, theirs)
			}
		})
	}
}

// mountOurs and mountRclone mount a folder of the emulator that becomes "data".
func mountOurs(b *testing.B, e *emulator) (dir string, stop func()) {
	m := startMount(b, e, mountOptions{Options: []string{"create"}})
	return m.Dir, func() { m.stop(b) }
}

func mountRclone(b *testing.B, e *emulator) (dir string, stop func()) {
	r := newRclone(b, e, e.AppToken)
	r.run(b, "mkdir", "emu:data")
	return startRcloneMount(b, r, "emu:data", "--vfs-cache-mode", "writes")
}

// writeBack writes files into a fresh mount and waits until pCloud has them.
func writeBack(b *testing.B, files, size int, mount func(*testing.B, *emulator) (string, func())) time.Duration {
	e := startEmulator(b, "--rtt", benchRTT.String(), "--up", fmt.Sprint(benchRate), "--down", fmt.Sprint(benchRate))
	dir, stop := mount(b, e)
	defer stop()
	want := make(map[string]string, files)
	data := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{1})
	start := time.Now()
	for i := range files {
		_, _ = rng.Read(data) // never fails
		sum := sha1.Sum(data)
		name := fmt.Sprintf("%05d.bin", i)
		want["data/"+name] = hex.EncodeToString(sum[:])
		require.NoError(b, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	eventually(b, 20*time.Minute, "everything is in pCloud", func() bool {
		tree := e.tree(b)
		for name, sum := range want {
			if tree[name].SHA1 != sum {
				return false
			}
		}
		return true
	})
	return time.Since(start)
}

// startRcloneMount mounts a remote with Debian's rclone. It begins uploads as
// long after a close as pcloudfs does.
func startRcloneMount(b *testing.B, r *rclone, remote string, args ...string) (dir string, stop func()) {
	b.Helper()
	dir = b.TempDir()
	all := append([]string{"mount", remote, dir, "--vfs-write-back", "1s", "--cache-dir", b.TempDir()}, args...)
	cmd := exec.Command("rclone", r.args(all...)...)
	cmd.Env = r.env
	p := startProcess(b, "rclone mount", cmd)
	eventually(b, patience, "rclone mounts", func() bool { return p.ended() || mountedAt(dir) != nil })
	require.False(b, p.ended(), "rclone mount: %s", p.stderr.tail())
	return dir, func() {
		run(b, "fusermount3", "-u", dir)
		require.True(b, p.wait(drainLimit), "rclone mount does not end")
	}
}
