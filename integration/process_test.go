//go:build linux

package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs in the background. It is waited for by a
// goroutine of its own and ends with the test at the latest.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdout output
	stderr output
	done   chan struct{} // closed when it has ended
	err    error         // of Wait
}

// startProcess runs a command. When the test has failed, its log shows what
// the program wrote to standard error.
func startProcess(tb testing.TB, name string, cmd *exec.Cmd) *process {
	tb.Helper()
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	// A test binary that is killed, by its time limit for one, leaves nothing.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // for children that hold its output open
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	go func() { p.err = cmd.Wait(); close(p.done) }()
	tb.Cleanup(func() {
		if !p.ended() {
			p.signal(syscall.SIGKILL)
			<-p.done
		}
		if tb.Failed() {
			tb.Logf("--- %s (pid %d): %s\n%s", name, cmd.Process.Pid, p.status(), p.stderr.tail())
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// ended tells whether it has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait tells whether it ends within limit.
func (p *process) wait(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// exitCode is the exit status, -1 after a signal. It has to have ended.
func (p *process) exitCode() int { return p.cmd.ProcessState.ExitCode() }

func (p *process) status() string {
	if !p.ended() {
		return "runs"
	}
	return p.cmd.ProcessState.String()
}

// output collects what a process writes.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // closed at the next write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// tail is the end of what was written, as much as anybody reads.
func (o *output) tail() string {
	const most = 16 << 10
	s := o.String()
	if len(s) > most {
		s = "...\n" + s[len(s)-most:]
	}
	return s
}

// find looks for a match in what was written, and returns a channel that is
// closed when more is there.
func (o *output) find(want *regexp.Regexp) (match string, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return string(want.Find(o.buf.Bytes())), o.changed
}

// waitFor waits until what the process writes to o matches, and returns that.
func (p *process) waitFor(tb testing.TB, o *output, want *regexp.Regexp, limit time.Duration) string {
	tb.Helper()
	end := time.After(limit)
	for {
		match, more := o.find(want)
		if match != "" {
			return match
		}
		select {
		case <-more:
		case <-p.done:
			if match, _ := o.find(want); match != "" {
				return match
			}
			tb.Fatalf("%s ended (%s) before it printed %q\n%s", p.name, p.status(), want, p.stderr.tail())
		case <-end:
			tb.Fatalf("%s did not print %q within %v", p.name, want, limit)
		}
	}
}

// command is one run of a program in the foreground.
type command struct {
	dir   string
	env   []string // besides the environment of the tests
	stdin string
	limit time.Duration // default: patience
}

// run runs a program that has to succeed and returns what it printed.
func run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	return command{}.run(tb, name, args...)
}

// script runs a shell script in dir that has to succeed; the first command that
// fails ends it.
func script(tb testing.TB, dir, text string) string {
	tb.Helper()
	return command{dir: dir}.run(tb, "bash", "-euo", "pipefail", "-c", text)
}

func (c command) run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := c.try(tb, name, args...)
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// try runs a program and returns what it printed on both outputs, and how it
// failed.
func (c command) try(tb testing.TB, name string, args ...string) (string, error) {
	tb.Helper()
	if c.limit == 0 {
		c.limit = patience
	}
	ctx, cancel := context.WithTimeoutCause(tb.Context(), c.limit, fmt.Errorf("not done within %v", c.limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// The children of a shell too.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if c.stdin != "" {
		cmd.Stdin = strings.NewReader(c.stdin)
	}
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return string(out), err
}
