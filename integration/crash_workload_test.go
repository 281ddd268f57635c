//go:build linux

package integration

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// entry is a line of the log that a workload keeps outside the mount. An
// operation has one when it begins, one when it was answered, and one between
// if the file was fsynced.
type entry struct {
	Worker int    `json:"w"`
	Op     int    `json:"n"`  // of this worker
	At     int64  `json:"at"` // nanoseconds since 1970
	Stage  string `json:"stage"`
	Kind   string `json:"kind"`
	Path   string `json:"path,omitempty"` // from the mount point
	To     string `json:"to,omitempty"`   // of a rename
	Data   sums   `json:"data,omitzero"`  // of the file after the operation
	Ino    uint64 `json:"ino,omitempty"`
	Err    string `json:"err,omitempty"`
}

// Stages.
const (
	stageBegin  = "begin"
	stageSynced = "synced" // fsync has returned: it is in pCloud
	stageDone   = "done"   // close, or the call itself, has returned
	stageFailed = "failed"
)

// sums name a content.
type sums struct {
	Size   int64  `json:"size"`
	SHA1   string `json:"sha1"`
	SHA256 string `json:"sha256"`
}

func sumsOf(data []byte) sums {
	a, b := sha1.Sum(data), sha256.Sum256(data)
	return sums{int64(len(data)), hex.EncodeToString(a[:]), hex.EncodeToString(b[:])}
}

var _ = func() bool { children["crash workload"] = crashWorkload; return true }()

// crashWorkload writes to a mount until it fails or its standard input ends:
// arguments are the mount, the log, a seed, the number of workers, the largest
// file, and what is fsynced: nothing (0), files (1), or folders too (2).
func crashWorkload(args []string) error {
	if len(args) != 6 {
		return fmt.Errorf("%d arguments", len(args))
	}
	seed, err1 := strconv.ParseUint(args[2], 10, 64)
	workers, err2 := strconv.Atoi(args[3])
	largest, err3 := strconv.Atoi(args[4])
	syncs, err4 := strconv.Atoi(args[5])
	log, err5 := os.OpenFile(args[1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	defer log.Close()
	end := make(chan struct{})
	go func() { // ends with the process
		_, _ = os.Stdin.Read(make([]byte, 1))
		close(end)
	}()
	var wg sync.WaitGroup
	for i := range workers {
		w := &crashWorker{
			id: i, root: args[0], log: log, end: end, largest: largest, syncs: syncs,
			rng: rand.New(rand.NewPCG(seed, uint64(i))), files: map[string][]byte{},
		}
		wg.Go(w.run)
	}
	wg.Wait()
	return nil
}

// crashWorker makes random changes in a folder of its own, one after the other.
type crashWorker struct {
	id      int
	root    string
	log     *os.File
	end     <-chan struct{}
	largest int
	syncs   int
	rng     *rand.Rand
	ops     int
	files   map[string][]byte
}

func (w *crashWorker) run() {
	kinds := []struct {
		weight int
		do     func() bool
	}{
		{26, w.put}, {16, w.replace}, {10, w.appendTo}, {8, w.modify}, {10, w.rename}, {10, w.unlink}, {4, w.touch}, {2, w.syncDir}, {6, w.rest},
	}
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	for _, dir := range []string{w.dir(), w.dir() + "/sub"} {
		if !w.op(entry{Kind: "mkdir", Path: dir}, func(func()) error { return os.Mkdir(w.path(dir), 0o755) }) {
			return
		}
	}
	for {
		select {
		case <-w.end:
			return
		default:
		}
		n := w.rng.IntN(sum)
		for _, k := range kinds {
			if n -= k.weight; n < 0 {
				if !k.do() {
					return
				}
				break
			}
		}
	}
}

// op makes one change and logs it. do calls synced when fsync has returned.
func (w *crashWorker) op(e entry, do func(synced func()) error) bool {
	e.Worker, e.Op = w.id, w.ops
	w.ops++
	e.Stage = stageBegin
	w.write(e)
	err := do(func() { e.Stage = stageSynced; w.write(e) })
	e.Stage = stageDone
	if err != nil {
		e.Stage, e.Err = stageFailed, err.Error()
	} else if e.Data.SHA1 != "" {
		var st syscall.Stat_t
		if syscall.Stat(w.path(e.Path), &st) == nil {
			e.Ino = st.Ino
		}
	}
	w.write(e)
	return err == nil
}

func (w *crashWorker) write(e entry) {
	e.At = time.Now().UnixNano()
	b, err := json.Marshal(e)
	if err == nil {
		_, err = w.log.Write(append(b, '\n'))
	}
	if err != nil {
		panic(err) // without the log nothing can be said
	}
}

func (w *crashWorker) dir() string { return fmt.Sprintf("w%d", w.id) }

func (w *crashWorker) path(p string) string { return filepath.Join(w.root, p) }

func (w *crashWorker) somePath() string {
	dir := w.dir()
	if w.rng.IntN(3) == 0 {
		dir += "/sub"
	}
	return dir + "/" + string(rune('a'+w.rng.IntN(8)))
}

func (w *crashWorker) someFile() string {
	if len(w.files) == 0 {
		return ""
	}
	names := make([]string, 0, len(w.files))
	for p := range w.files {
		names = append(names, p)
	}
	slices.Sort(names)
	return names[w.rng.IntN(len(names))]
}

// bytes is a content that no other file has.
func (w *crashWorker) bytes() []byte {
	size := w.rng.IntN(20 << 10)
	switch w.rng.IntN(10) {
	case 0, 1:
		size = w.rng.IntN(min(1<<20, w.largest))
	case 2:
		size = w.largest/2 + w.rng.IntN(w.largest/2)
	}
	b := fmt.Appendf(make([]byte, 0, size+32), "worker %d op %d ", w.id, w.ops)
	for len(b) < size {
		b = append(b, byte(w.rng.Uint32()), byte(len(b)>>8), byte(len(b)>>16))
	}
	return b
}

func (w *crashWorker) put() bool { return w.putTo(w.somePath(), os.O_CREATE|os.O_TRUNC) }

func (w *crashWorker) putTo(p string, flags int) bool {
	data := w.bytes()
	return w.store("put", p, flags, 0, data, data)
}

// replace writes a temporary file, sets its time and gives it its name, as most
// programs do.
func (w *crashWorker) replace() bool {
	p := w.somePath()
	tmp := p + ".tmp"
	if !w.putTo(tmp, os.O_CREATE|os.O_EXCL) {
		return false
	}
	return w.touchFile(tmp) && w.renameTo(tmp, p)
}

func (w *crashWorker) appendTo() bool {
	p := w.someFile()
	if p == "" {
		return true
	}
	more := w.bytes()
	if len(w.files[p])+len(more) > 2*w.largest {
		return true
	}
	return w.store("append", p, os.O_APPEND, int64(len(w.files[p])), more, append(slices.Clone(w.files[p]), more...))
}

// modify overwrites a part in the middle.
func (w *crashWorker) modify() bool {
	p := w.someFile()
	if p == "" || len(w.files[p]) < 2 {
		return true
	}
	all := slices.Clone(w.files[p])
	off := w.rng.IntN(len(all) - 1)
	part := w.bytes()
	part = part[:min(len(part), len(all)-off)]
	copy(all[off:], part)
	return w.store("modify", p, 0, int64(off), part, all)
}

// store opens a file, writes to it in pieces, perhaps fsyncs it, and closes it.
func (w *crashWorker) store(kind, p string, flags int, off int64, data, all []byte) bool {
	sync := w.syncs > 0 && w.rng.IntN(6) == 0
	return w.op(entry{Kind: kind, Path: p, Data: sumsOf(all)}, func(synced func()) error {
		f, err := os.OpenFile(w.path(p), os.O_WRONLY|flags, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		for len(data) > 0 {
			n := min(len(data), 1+w.rng.IntN(256<<10))
			if flags&os.O_APPEND != 0 {
				_, err = f.Write(data[:n])
			} else {
				_, err = f.WriteAt(data[:n], off)
			}
			if err != nil {
				return err
			}
			data, off = data[n:], off+int64(n)
		}
		if sync {
			if err := f.Sync(); err != nil {
				return err
			}
			synced()
		}
		if err := f.Close(); err != nil {
			return err
		}
		w.files[p] = all
		return nil
	})
}

func (w *crashWorker) rename() bool {
	from, to := w.someFile(), w.somePath()
	if from == "" || from == to {
		return true
	}
	return w.renameTo(from, to)
}

func (w *crashWorker) renameTo(from, to string) bool {
	return w.op(entry{Kind: "rename", Path: from, To: to}, func(func()) error {
		if err := os.Rename(w.path(from), w.path(to)); err != nil {
			return err
		}
		w.files[to] = w.files[from]
		delete(w.files, from)
		return nil
	})
}

func (w *crashWorker) unlink() bool {
	p := w.someFile()
	if p == "" {
		return true
	}
	return w.op(entry{Kind: "unlink", Path: p}, func(func()) error {
		delete(w.files, p)
		return os.Remove(w.path(p))
	})
}

func (w *crashWorker) touch() bool {
	if p := w.someFile(); p != "" {
		return w.touchFile(p)
	}
	return true
}

func (w *crashWorker) touchFile(p string) bool {
	t := time.Unix(1_600_000_000+w.rng.Int64N(1e8), 0)
	return w.op(entry{Kind: "touch", Path: p}, func(func()) error { return os.Chtimes(w.path(p), t, t) })
}

// syncDir makes sure that everything in the worker's folder is in pCloud.
func (w *crashWorker) syncDir() bool {
	if w.syncs < 2 {
		return true
	}
	return w.op(entry{Kind: "syncdir", Path: w.dir()}, func(synced func()) error {
		d, err := os.Open(w.path(w.dir()))
		if err != nil {
			return err
		}
		defer d.Close()
		if err := d.Sync(); err != nil {
			return err
		}
		synced()
		return nil
	})
}

// rest lets the settle time pass, or not.
func (w *crashWorker) rest() bool {
	select {
	case <-w.end:
	case <-time.After(time.Duration(w.rng.IntN(1200)) * time.Millisecond):
	}
	return true
}
