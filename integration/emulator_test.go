//go:build linux

package integration

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// appFolder is what the application's token sees as its root.
const appFolder = "/Applications/pcloudfs/"

// emulator is "pcloudfs emulate" in a process.
type emulator struct {
	*process
	API          string `json:"api"`
	Content      string `json:"content"`
	CA           string `json:"ca"`
	AppToken     string `json:"app_token"`
	AccountToken string `json:"account_token"`

	args []string
	http *http.Client
}

// startEmulator runs a server with its account in memory, unless args say
// otherwise (--data DIR).
func startEmulator(tb testing.TB, args ...string) *emulator {
	tb.Helper()
	e := &emulator{args: args}
	e.start(tb)
	return e
}

func (e *emulator) start(tb testing.TB) {
	tb.Helper()
	listen := "127.0.0.1:0"
	contentListen := listen
	if e.API != "" { // as before, so that mounts find it again
		listen, contentListen = e.API, e.Content
	}
	args := append([]string{"emulate", "--listen", listen, "--content-listen", contentListen}, e.args...)
	cmd := exec.Command(pcloudfs(tb), args...)
	// A killed server leaves its temporary files: they belong to the test.
	cmd.Env = append(cleanEnv(tb.TempDir()), "TMPDIR="+tb.TempDir())
	e.process = startProcess(tb, "emulator", cmd)
	line := e.waitFor(tb, &e.stdout, regexp.MustCompile(`(?m)^\{.*\}$`), patience)
	require.NoError(tb, json.Unmarshal([]byte(line), e))
	pem, err := os.ReadFile(e.CA)
	require.NoError(tb, err)
	// Without a data directory it disappears with the process.
	ca := filepath.Join(tb.TempDir(), "ca.pem")
	require.NoError(tb, os.WriteFile(ca, pem, 0o644))
	e.CA = ca
	pool := x509.NewCertPool()
	require.True(tb, pool.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	tb.Cleanup(transport.CloseIdleConnections)
	e.http = &http.Client{Transport: transport, Timeout: patience}
}

// stop ends the server as a user would.
func (e *emulator) stop(tb testing.TB) {
	tb.Helper()
	e.signal(syscall.SIGTERM)
	require.True(tb, e.wait(patience), "the emulator does not end")
	require.Zero(tb, e.exitCode(), "exit status of the emulator")
}

// restart kills the server and starts it again on the same addresses. With
// --data it has the same account again.
func (e *emulator) restart(tb testing.TB) {
	tb.Helper()
	e.signal(syscall.SIGKILL)
	<-e.done
	e.http.CloseIdleConnections()
	e.start(tb)
}

// admin calls the admin API and decodes the reply into v, unless that is nil.
func (e *emulator) admin(tb testing.TB, method, call string, body, v any) {
	tb.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(tb, err)
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, "https://"+e.API+"/_admin/"+call, r)
	require.NoError(tb, err)
	req.Header.Set("X-Emulator-Admin", e.AccountToken)
	resp, err := e.http.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.Equal(tb, http.StatusOK, resp.StatusCode, "%s %s: %s", method, call, reply)
	if v != nil {
		require.NoError(tb, json.Unmarshal(reply, v), "%s", reply)
	}
}

// stats are the emulator's counters.
type stats struct {
	Requests       map[string]int64 `json:"requests"` // by method
	BytesIn        int64            `json:"bytes_in"`
	BytesOut       int64            `json:"bytes_out"`
	Connections    int64            `json:"connections"`
	UploadSessions int64            `json:"upload_sessions"`
}

// total is the number of requests of all methods.
func (s stats) total() (n int64) {
	for _, v := range s.Requests {
		n += v
	}
	return n
}

// stats returns the counters since the start or the last resetStats.
func (e *emulator) stats(tb testing.TB) (s stats) {
	tb.Helper()
	e.admin(tb, http.MethodGet, "stats", nil, &s)
	return s
}

func (e *emulator) resetStats(tb testing.TB) {
	tb.Helper()
	e.admin(tb, http.MethodPost, "stats/reset", nil, nil)
}

// rule is a fault rule as the admin API takes it, for example
// {"method": "uploadfile", "do": "reset-after", "count": 1}.
type rule map[string]any

// faults replaces the rules in force.
func (e *emulator) faults(tb testing.TB, rules ...rule) {
	tb.Helper()
	if rules == nil {
		rules = []rule{}
	}
	e.admin(tb, http.MethodPost, "faults", rules, nil)
}

// shape changes the network conditions that it names: rtt, up, down, conn_up,
// conn_down.
func (e *emulator) shape(tb testing.TB, conditions map[string]any) {
	tb.Helper()
	e.admin(tb, http.MethodPost, "shape", conditions, nil)
}

// treeEntry is a file in the account.
type treeEntry struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA1   string `json:"sha1"`
	FileID uint64 `json:"fileid"`
	Hash   uint64 `json:"hash"`
}

// tree returns every file of the application's folder by its path in there.
func (e *emulator) tree(tb testing.TB) map[string]treeEntry {
	tb.Helper()
	var all []treeEntry
	e.admin(tb, http.MethodGet, "tree", nil, &all)
	files := make(map[string]treeEntry, len(all))
	for _, f := range all {
		if rel, ok := strings.CutPrefix(f.Path, appFolder); ok {
			files[rel] = f
		}
	}
	return files
}

// cleanEnv is the environment of the tests with the user's directories below home.
func cleanEnv(home string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PCLOUDFS_AUTHID=") {
			env = append(env, kv)
		}
	}
	return append(env, "HOME="+home, "XDG_CACHE_HOME="+filepath.Join(home, "cache"),
		"XDG_DATA_HOME="+filepath.Join(home, "data"), "XDG_CONFIG_HOME="+filepath.Join(home, "config"))
}
