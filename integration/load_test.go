//go:build linux

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The load: every worker of every process owns a stripe of each of some files.
// The stripes are of an odd size, so neighbours share a page and a block.
const (
	loadFiles     = 3
	loadProcesses = 4
	loadWorkers   = 3 // of a process
	loadStripe    = 100_003
)

// TestConcurrentLoad has processes write and verify at random places of the
// same files for some time, and looks at the result after a remount.
func TestConcurrentLoad(t *testing.T) {
	needMount(t)
	e := startEmulator(t)
	m := startMount(t, e, mountOptions{})
	duration := 20 * time.Second
	if *long {
		duration = 5 * time.Minute
	}
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	expected := t.TempDir()
	var procs []*process
	for i := range loadProcesses {
		cmd := exec.Command(os.Args[0], m.Dir, expected, strconv.Itoa(i), strconv.FormatUint(seed, 10), duration.String())
		cmd.Env = append(os.Environ(), childEnv+"=load")
		procs = append(procs, startProcess(t, fmt.Sprintf("load %d", i), cmd))
	}
	for _, p := range procs {
		require.True(t, p.wait(duration+2*patience), "%s does not end", p.name)
	}
	for _, p := range procs {
		require.Zero(t, p.exitCode(), "%s: %s", p.name, p.stderr.tail())
		t.Logf("%s: %s", p.name, bytes.TrimSpace([]byte(p.stdout.String())))
	}
	st := e.stats(t)
	require.Positive(t, st.Requests["uploadfile"]+st.Requests["upload_save"], "versions uploaded meanwhile")
	m = drained(t, m)
	for f := range loadFiles {
		got, err := os.ReadFile(m.path(loadFile(f)))
		require.NoError(t, err)
		want := make([]byte, loadProcesses*loadWorkers*loadStripe)
		for w := range loadProcesses * loadWorkers {
			b, err := os.ReadFile(filepath.Join(expected, fmt.Sprintf("%s.%d", loadFile(f), w)))
			require.NoError(t, err)
			copy(want[w*loadStripe:], b)
		}
		require.Equal(t, len(want), len(got))
		require.Equal(t, -1, firstDifference(want, got), "first wrong byte of %s after the remount", loadFile(f))
	}
}

func loadFile(i int) string { return fmt.Sprintf("load-%d", i) }

// firstDifference is the first index at which two slices of one length differ,
// or -1.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// loadChild is one of the processes: DIR EXPECTED NUMBER SEED DURATION.
func loadChild(args []string) error {
	number, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(args[3], 10, 64)
	if err != nil {
		return err
	}
	duration, err := time.ParseDuration(args[4])
	if err != nil {
		return err
	}
	end := time.Now().Add(duration)
	failures := make([]error, loadWorkers)
	workers := make([]loadWorker, loadWorkers)
	var wg sync.WaitGroup
	for i := range workers {
		id := number*loadWorkers + i
		workers[i] = loadWorker{dir: args[0], id: id, rnd: rand.New(rand.NewPCG(seed, uint64(id)))}
		wg.Go(func() { failures[i] = workers[i].run(end) })
	}
	wg.Wait()
	writes, reads := 0, 0
	for i := range workers {
		writes, reads = writes+workers[i].writes, reads+workers[i].reads
		for f, b := range workers[i].want {
			failures = append(failures, os.WriteFile(filepath.Join(args[1], fmt.Sprintf("%s.%d", loadFile(f), workers[i].id)), b, 0o644))
		}
	}
	fmt.Printf("%d writes, %d reads", writes, reads)
	return errors.Join(failures...)
}

// loadWorker writes its stripes and knows what is in them.
type loadWorker struct {
	dir           string
	id            int
	rnd           *rand.Rand
	want          [loadFiles][]byte
	files         [loadFiles]*os.File
	writes, reads int
}

func (w *loadWorker) run(end time.Time) error {
	for f := range w.files {
		w.want[f] = make([]byte, loadStripe)
		if err := w.reopen(f); err != nil {
			return err
		}
		defer func() { w.files[f].Close() }()
		// The whole of it once, so that every byte is defined.
		if err := w.write(f, 0, loadStripe); err != nil {
			return err
		}
	}
	for time.Now().Before(end) {
		f := w.rnd.IntN(loadFiles)
		if err := w.step(f); err != nil {
			return fmt.Errorf("worker %d, %s, after %d writes: %w", w.id, loadFile(f), w.writes, err)
		}
	}
	for f := range w.files {
		if err := w.verify(f, 0, loadStripe); err != nil {
			return fmt.Errorf("worker %d, %s, at the end: %w", w.id, loadFile(f), err)
		}
	}
	return nil
}

// step does one thing with a file.
func (w *loadWorker) step(f int) error {
	off := w.rnd.IntN(loadStripe)
	n := 1 + w.rnd.IntN(min(16<<10, loadStripe-off))
	switch p := w.rnd.IntN(1000); {
	case p < 5:
		return w.files[f].Sync()
	case p < 25:
		return w.reopen(f)
	case p < 45:
		return w.verifyMapped(f, off, n)
	case p < 500:
		if err := w.write(f, off, n); err != nil || p%2 == 0 {
			return err
		}
		return w.verify(f, off, n)
	}
	return w.verify(f, off, n)
}

// reopen closes the file, so that it can be uploaded, and opens it again.
func (w *loadWorker) reopen(f int) error {
	if w.files[f] != nil {
		if err := w.files[f].Close(); err != nil {
			return err
		}
	}
	var err error
	w.files[f], err = os.OpenFile(filepath.Join(w.dir, loadFile(f)), os.O_RDWR|os.O_CREATE, 0o644)
	return err
}

func (w *loadWorker) position(off int) int64 { return int64(w.id*loadStripe + off) }

func (w *loadWorker) write(f, off, n int) error {
	b := randomBytes(w.rnd, n)
	if _, err := w.files[f].WriteAt(b, w.position(off)); err != nil {
		return err
	}
	copy(w.want[f][off:], b)
	w.writes++
	return nil
}

func (w *loadWorker) verify(f, off, n int) error {
	b := make([]byte, n)
	if _, err := w.files[f].ReadAt(b, w.position(off)); err != nil {
		return fmt.Errorf("read %d bytes at %d: %w", n, w.position(off), err)
	}
	return w.compare(f, off, b, "read")
}

// verifyMapped reads through the page cache, whatever read(2) does.
func (w *loadWorker) verifyMapped(f, off, n int) error {
	start := w.position(off) &^ int64(os.Getpagesize()-1)
	skip := int(w.position(off) - start)
	b, err := syscall.Mmap(int(w.files[f].Fd()), start, skip+n, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	err = w.compare(f, off, b[skip:], "mmap")
	return errors.Join(err, syscall.Munmap(b))
}

func (w *loadWorker) compare(f, off int, got []byte, how string) error {
	w.reads++
	if i := firstDifference(w.want[f][off:off+len(got)], got); i >= 0 {
		return fmt.Errorf("%s of %d bytes at %d: wrong from %d on (%#x, not %#x)",
			how, len(got), w.position(off), w.position(off+i), got[i], w.want[f][off+i])
	}
	return nil
}

// TestTwoProcessesAppend checks that no record gets lost between two writers
// that open and append as loggers do.
func TestTwoProcessesAppend(t *testing.T) {
	t.Parallel()
	_, m := newTestMount(t)
	const processes, records = 2, 400
	var procs []*process
	for i := range processes {
		cmd := exec.Command(os.Args[0], m.path("log"), strconv.Itoa(i), strconv.Itoa(records))
		cmd.Env = append(os.Environ(), childEnv+"=append")
		procs = append(procs, startProcess(t, fmt.Sprintf("append %d", i), cmd))
	}
	for _, p := range procs {
		require.True(t, p.wait(patience), "%s does not end", p.name)
		require.Zero(t, p.exitCode(), p.stderr.tail())
	}
	m = drained(t, m)
	b, err := os.ReadFile(m.path("log"))
	require.NoError(t, err)
	next := make([]int, processes)
	for line := range bytes.Lines(b) {
		var who, n int
		_, err := fmt.Sscanf(string(line), "process %d record %d ends\n", &who, &n)
		require.NoError(t, err, "%q", line)
		require.Equal(t, next[who], n, "records of process %d are in order", who)
		next[who]++
	}
	require.Equal(t, []int{records, records}, next)
}

// appendChild appends records: FILE NUMBER RECORDS.
func appendChild(args []string) error {
	records, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for i := range records {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(f, "process %s record %d ends\n", args[1], i)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if i%100 == 99 { // long enough for an upload to begin in between
			time.Sleep(1200 * time.Millisecond)
		}
	}
	return nil
}
