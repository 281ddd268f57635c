//go:build linux

package integration

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crashFile is what a file has to be.
type crashFile struct {
	Data sums
	Ino  uint64 // 0: not known
}

// crashTree has every file by its path from the mount point.
type crashTree map[string]crashFile

// workerHistory is what one worker did. states[i] is its tree after the first i
// operations that were answered; an operation that was begun and not answered
// has its state in open: it may have had its effect or not.
type workerHistory struct {
	ops    []crashOp
	states []crashTree
	open   crashTree // nil: nothing was under way
}

// crashOp is one operation with the times at which it was begun, in pCloud, and
// answered; zero: not.
type crashOp struct {
	entry
	begun, synced, done time.Time
}

// crashHistory is the log of a workload.
type crashHistory struct {
	workers map[int]*workerHistory
	known   map[hash64]bool // every content that was to be written
	failed  []entry
}

// readHistory reads the log of a workload that has ended.
func readHistory(tb testing.TB, file string) *crashHistory {
	tb.Helper()
	b, err := os.ReadFile(file)
	require.NoError(tb, err)
	h := &crashHistory{workers: map[int]*workerHistory{}, known: map[hash64]bool{}}
	for line := range bytes.Lines(b) {
		var e entry
		require.NoError(tb, json.Unmarshal(line, &e), "%s", line)
		h.add(tb, e)
	}
	for _, w := range h.workers {
		w.replay()
	}
	return h
}

func (h *crashHistory) add(tb testing.TB, e entry) {
	w := h.workers[e.Worker]
	if w == nil {
		w = &workerHistory{}
		h.workers[e.Worker] = w
	}
	if e.Data.SHA1 != "" {
		sum, err := hex.DecodeString(e.Data.SHA1)
		require.NoError(tb, err)
		h.known[hash64Of(sum)] = true
	}
	at := time.Unix(0, e.At)
	if e.Stage == stageBegin {
		w.ops = append(w.ops, crashOp{entry: e, begun: at})
		return
	}
	op := &w.ops[len(w.ops)-1]
	switch e.Stage {
	case stageSynced:
		op.synced = at
	case stageDone:
		op.done, op.Ino = at, e.Ino
	case stageFailed:
		h.failed = append(h.failed, e)
	}
}

func (w *workerHistory) replay() {
	w.states = []crashTree{{}}
	for _, op := range w.ops {
		next := op.apply(w.states[len(w.states)-1])
		if op.done.IsZero() {
			w.open = next
			return
		}
		w.states = append(w.states, next)
	}
}

// apply returns the tree that an operation makes of another.
func (op crashOp) apply(t crashTree) crashTree {
	t = maps.Clone(t)
	switch op.Kind {
	case "put", "append", "modify":
		t[op.Path] = crashFile{Data: op.Data, Ino: op.Ino}
	case "rename":
		t[op.To] = t[op.Path]
		delete(t, op.Path)
	case "unlink":
		delete(t, op.Path)
	}
	return t
}

// touches says whether an operation is about a path.
func (op crashOp) touches(p string) bool {
	return op.Path == p || op.To == p
}

// final is the tree after everything that was answered.
func (w *workerHistory) final() crashTree { return w.states[len(w.states)-1] }

// differs explains how a tree is none of those that a worker may have left; it
// is empty if it is one. got has only the worker's files.
func (w *workerHistory) differs(got crashTree) string {
	first := got.minus(w.final())
	if first == "" || (w.open != nil && got.minus(w.open) == "") {
		return ""
	}
	if w.open == nil {
		return first
	}
	op := w.ops[len(w.ops)-1]
	return fmt.Sprintf("%s\n  (or, if %s of %s %s had its effect: %s)", first, op.Kind, op.Path, op.To, got.minus(w.open))
}

// minus says how a tree differs from the one that is wanted.
func (t crashTree) minus(want crashTree) string {
	var diff []string
	for _, p := range slices.Sorted(maps.Keys(want)) {
		g, ok := t[p]
		switch w := want[p]; {
		case !ok:
			diff = append(diff, fmt.Sprintf("%s (%d bytes) is missing", p, w.Data.Size))
		case g.Data.SHA1 != "" && g.Data.SHA1 != w.Data.SHA1, g.Data.SHA256 != "" && g.Data.SHA256 != w.Data.SHA256:
			diff = append(diff, fmt.Sprintf("%s has %d other bytes instead of %d", p, g.Data.Size, w.Data.Size))
		case g.Ino != 0 && w.Ino != 0 && g.Ino != w.Ino:
			diff = append(diff, fmt.Sprintf("%s is inode %#x and was %#x", p, g.Ino, w.Ino))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(t)) {
		if _, ok := want[p]; !ok {
			diff = append(diff, fmt.Sprintf("%s (%d bytes) is there", p, t[p].Data.Size))
		}
	}
	return strings.Join(diff, "; ")
}

// of returns the files of one worker.
func (t crashTree) of(worker int) crashTree {
	part := crashTree{}
	prefix := fmt.Sprintf("w%d/", worker)
	for p, f := range t {
		if strings.HasPrefix(p, prefix) {
			part[p] = f
		}
	}
	return part
}

// story lists the operations about paths that a problem names.
func (w *workerHistory) story(problem string, moment time.Time) string {
	var b strings.Builder
	for i, op := range w.ops {
		if !strings.Contains(problem, op.Path) && (op.To == "" || !strings.Contains(problem, op.To)) {
			continue
		}
		fmt.Fprintf(&b, "\n    %d %s %s %s, %d bytes, begun %v", i, op.Kind, op.Path, op.To, op.Data.Size, op.begun.Sub(moment).Round(time.Millisecond))
		if !op.synced.IsZero() {
			fmt.Fprintf(&b, ", in pCloud %v", op.synced.Sub(moment).Round(time.Millisecond))
		}
		if !op.done.IsZero() {
			fmt.Fprintf(&b, ", answered %v", op.done.Sub(moment).Round(time.Millisecond))
		}
	}
	return b.String()
}

// check compares a tree with what all workers may have left.
func (h *crashHistory) check(got crashTree, killed time.Time) (problems []string) {
	for id, w := range h.workers {
		if d := w.differs(got.of(id)); d != "" {
			problems = append(problems, fmt.Sprintf("worker %d: %s%s\n", id, d, w.story(d, killed)))
		}
	}
	for p := range got {
		id, _, _ := strings.Cut(strings.TrimPrefix(p, "w"), "/")
		if n, err := strconv.Atoi(id); err != nil || h.workers[n] == nil {
			problems = append(problems, p+" is nobody's")
		}
	}
	return problems
}

// checkSynced compares the server's tree at some moment with what had been
// reported to be there by fsync, unless something was done to it since.
func (h *crashHistory) checkSynced(server crashTree) (problems []string, checked int) {
	for id, w := range h.workers {
		for i, op := range w.ops {
			if op.synced.IsZero() {
				continue
			}
			want := crashTree{op.Path: {Data: op.Data}}
			if op.Kind == "syncdir" {
				want = w.states[min(i, len(w.states)-1)]
			}
			for p, f := range want {
				if slices.ContainsFunc(w.ops[i+1:], func(later crashOp) bool { return later.touches(p) }) {
					continue
				}
				checked++
				if got := server[p]; got.Data.SHA1 != f.Data.SHA1 {
					problems = append(problems, fmt.Sprintf("worker %d: %s was fsynced with %d bytes (%s, operation %d), and pCloud has %d other bytes",
						id, p, f.Data.Size, op.Kind, i, got.Data.Size))
				}
			}
		}
	}
	return problems, checked
}

// pending counts the files that were closed and are not in a tree.
func (h *crashHistory) pending(server crashTree) (n int) {
	for _, w := range h.workers {
		for p, f := range w.final() {
			if server[p].Data.SHA1 != f.Data.SHA1 {
				n++
			}
		}
	}
	return n
}
