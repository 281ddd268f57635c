//go:build linux

package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/fs/fstest"
)

// long runs the tests with more data and for a longer time.
var long = flag.Bool("long", false, "run the longer forms of the tests")

// patience is how long a test waits for something that takes moments.
const patience = time.Minute

// childEnv makes the test binary do the work of a child process, one of children.
const childEnv = "PCLOUDFS_INTEGRATION_CHILD"

// children are the programs that tests run as processes of their own.
var children = map[string]func(args []string) error{
	"load":   loadChild,
	"append": appendChild,
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if what := os.Getenv(childEnv); what != "" {
		if err := children[what](os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
			return 1
		}
		return 0
	}
	defer program.remove()
	return m.Run()
}

// program is pcloudfs, built when the first test asks for it.
var program builtProgram

type builtProgram struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// build compiles cmd/pcloudfs, with the race detector if the tests have it.
func (b *builtProgram) build() {
	if b.dir, b.err = os.MkdirTemp("", "pcloudfs-integration-"); b.err != nil {
		return
	}
	if b.err = os.Chmod(b.dir, 0o755); b.err != nil { // other users run it too
		return
	}
	b.path = filepath.Join(b.dir, "pcloudfs")
	args := []string{"build", "-o", b.path}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/pcloudfs/pcloudfs/cmd/pcloudfs")...).CombinedOutput()
	if err != nil {
		b.err = fmt.Errorf("build pcloudfs: %w\n%s", err, out)
	}
}

func (b *builtProgram) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// pcloudfs returns the path of the program under test.
func pcloudfs(tb testing.TB) string {
	tb.Helper()
	program.once.Do(program.build)
	require.NoError(tb, program.err)
	return program.path
}

// needMount skips or fails a test where nothing can be mounted.
func needMount(tb testing.TB) {
	tb.Helper()
	fstest.SkipUnlessFUSE(tb)
}

// needTools skips a test when a program is missing, and fails it in CI.
func needTools(tb testing.TB, names ...string) {
	tb.Helper()
	var missing []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	unavailable(tb, len(missing) > 0, "not installed: "+strings.Join(missing, ", "))
}

// needRoot skips a test that only root can run. CI runs as root.
func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root")
	}
}

func unavailable(tb testing.TB, missing bool, reason string) {
	tb.Helper()
	switch {
	case !missing:
	case os.Getenv("CI") == "true":
		tb.Fatal(reason + ", and CI=true demands it")
	default:
		tb.Skip(reason)
	}
}

// eventually polls for what other processes do and nothing announces.
func eventually(tb testing.TB, limit time.Duration, what string, done func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !done(); <-tick.C {
		if time.Now().After(end) {
			tb.Fatalf("not within %v: %s", limit, what)
		}
	}
}
