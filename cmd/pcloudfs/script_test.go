package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/fs/fstest"
)

func TestMain(m *testing.M) {
	commands := map[string]func(){"pcloudfs": main}
	for _, name := range helperNames() {
		commands[name] = main
	}
	testscript.Main(m, commands)
}

// TestScripts runs the scripts that need no kernel support.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scriptParams(filepath.Join("testdata", "script")))
}

// TestMountScripts runs the scripts that really mount.
func TestMountScripts(t *testing.T) {
	t.Parallel()
	fstest.SkipUnlessFUSE(t)
	testscript.Run(t, scriptParams(filepath.Join("testdata", "script", "fuse")))
}

// scriptParams adds to the commands of testscript:
//
//	start NAME PATTERN ARG...   run pcloudfs in the background until its standard output
//	                            matches, or for a pattern that begins with msg=, its log
//	signal NAME SIGNAL          INT, TERM or KILL
//	[!] finish NAME             wait for the end, which must be success (or not); its output is then stdout and stderr
//	ready NAME                  set $NAME_api, $NAME_token and so on from the JSON line of an emulator
//	exits STATUS ARG...         run pcloudfs and compare the exit status
//	[!] http METHOD URL CA TOKEN [FILE]  call an emulator with the admin's header; stdout is the reply
//	[!] mounted DIR             look into the mount table
//	unmounted DIR               wait until DIR is not in the mount table
//	appears FILE                wait until FILE exists and is not empty
//	write FILE TEXT             make or overwrite a file
func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			bg := &background{procs: map[string]*process{}}
			e.Values[backgroundKey{}] = bg
			e.Defer(func() { bg.stop(e.WorkDir) })
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
			e.Setenv("XDG_DATA_HOME", filepath.Join(e.WorkDir, ".local"))
			e.Setenv(control.EnvDir, filepath.Join(e.WorkDir, ".run"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start": cmdStart, "signal": cmdSignal, "finish": cmdFinish, "ready": cmdReady,
			"exits": cmdExits, "http": cmdHTTP, "mounted": cmdMounted, "unmounted": cmdUnmounted, "appears": cmdAppears, "write": cmdWrite,
		},
	}
}

// patience is how long a script waits for anything.
const patience = time.Minute

type backgroundKey struct{}

// background holds the processes that a script started.
type background struct{ procs map[string]*process }

// stop ends what a failed script left running, and unmounts what it left mounted.
func (b *background) stop(workDir string) {
	for _, p := range b.procs {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	left, _ := mountinfo.GetMounts(mountinfo.PrefixFilter(workDir))
	for _, m := range left {
		_ = exec.Command("umount", "-l", m.Mountpoint).Run()
	}
}

type process struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	done   chan struct{} // closed when it has ended
	err    error         // of Wait
}

// output collects what a process writes and tells when it matches.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	want  *regexp.Regexp
	match chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if o.want != nil && o.want.Match(o.buf.Bytes()) {
		o.want = nil
		close(o.match)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PATTERN ARG...")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	bin, err := exec.LookPath("pcloudfs")
	ts.Check(err)
	p := &process{cmd: exec.Command(bin, args[2:]...), done: make(chan struct{})}
	match := make(chan struct{})
	if strings.HasPrefix(args[1], "msg=") {
		p.stderr = output{want: want, match: match}
	} else {
		p.stdout = output{want: want, match: match}
	}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	for _, key := range []string{
		"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "PCLOUDFS_AUTHID", "GOCOVERDIR", control.EnvDir,
	} {
		if v := ts.Getenv(key); v != "" {
			p.cmd.Env = append(p.cmd.Env, key+"="+v)
		}
	}
	ts.Check(p.cmd.Start())
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	ts.Value(backgroundKey{}).(*background).procs[args[0]] = p
	select {
	case <-match:
	case <-p.done:
		ts.Fatalf("%s ended (%v) before it printed %q\n%s%s", args[0], p.err, args[1], &p.stdout, &p.stderr)
	case <-time.After(patience):
		ts.Fatalf("%s did not print %q\n%s%s", args[0], args[1], &p.stdout, &p.stderr)
	}
}

func findProcess(ts *testscript.TestScript, name string) *process {
	p := ts.Value(backgroundKey{}).(*background).procs[name]
	if p == nil {
		ts.Fatalf("no process %q was started", name)
	}
	return p
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || signals[args[1]] == 0 {
		ts.Fatalf("usage: signal NAME INT|TERM|KILL")
	}
	ts.Check(findProcess(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] finish NAME")
	}
	p := findProcess(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s does not end\n%s%s", args[0], &p.stdout, &p.stderr)
	}
	delete(ts.Value(backgroundKey{}).(*background).procs, args[0])
	_, _ = io.WriteString(ts.Stdout(), p.stdout.String())
	_, _ = io.WriteString(ts.Stderr(), p.stderr.String())
	if (p.err != nil) != neg {
		ts.Fatalf("%s ended with %v\n%s%s", args[0], p.err, &p.stdout, &p.stderr)
	}
}

func cmdReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready NAME")
	}
	out := findProcess(ts, args[0]).stdout.String()
	var r ready
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	ts.Check(d.Decode(&r))
	if strings.Count(out, "\n") != 1 {
		ts.Fatalf("standard output is not one line: %q", out)
	}
	for key, value := range map[string]string{
		"api": r.API, "content": r.Content, "ca": r.CA, "token": r.AppToken, "admin": r.AccountToken,
	} {
		if value == "" {
			ts.Fatalf("%s is empty in %q", key, out)
		}
		ts.Setenv(args[0]+"_"+key, value)
	}
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits STATUS ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("pcloudfs", args[1:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
}

func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 && len(args) != 5 {
		ts.Fatalf("usage: [!] http METHOD URL CA TOKEN [FILE]")
	}
	var body io.Reader
	if len(args) == 5 {
		body = strings.NewReader(ts.ReadFile(args[4]))
	}
	req, err := http.NewRequest(args[0], args[1], body)
	ts.Check(err)
	if args[3] != "" {
		req.Header.Set("X-Emulator-Admin", args[3])
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ts.ReadFile(args[2]))) {
		ts.Fatalf("no certificate in %s", args[2])
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil && neg {
		return // pCloud closes the connection on what it does not know
	}
	ts.Check(err)
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, _ = ts.Stdout().Write(reply)
	if (resp.StatusCode != http.StatusOK) != neg {
		ts.Fatalf("%s %s: %s\n%s", args[0], args[1], resp.Status, reply)
	}
}

func cmdMounted(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] mounted DIR")
	}
	if found := isMounted(ts, args[0]); found == neg {
		ts.Fatalf("mounted at %s: %v", args[0], found)
	}
}

func isMounted(ts *testscript.TestScript, dir string) bool {
	path := ts.MkAbs(dir)
	all, err := mountinfo.GetMounts(nil)
	ts.Check(err)
	return slices.ContainsFunc(all, func(m *mountinfo.Info) bool { return m.Mountpoint == path })
}

func cmdUnmounted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unmounted DIR")
	}
	poll(ts, args[0]+" is still mounted", func() bool { return !isMounted(ts, args[0]) })
}

func cmdAppears(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: appears FILE")
	}
	poll(ts, args[0]+" does not appear", func() bool {
		fi, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil && fi.Size() > 0
	})
}

// poll waits for something that another process does to the system and that
// nothing announces.
func poll(ts *testscript.TestScript, otherwise string, done func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(end) {
			ts.Fatalf("%s after %v", otherwise, patience)
		}
	}
}

func cmdWrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: write FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]), 0o644))
}
