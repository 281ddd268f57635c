//go:build linux

package integration

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// hash64 names the content of a file as pCloud's hash of it does, which the
// server makes of the SHA-1. 0 stands for no file.
type hash64 uint64

func hash64Of(data []byte) hash64 {
	sum := sha1.Sum(data)
	return hash64(max(binary.BigEndian.Uint64(sum[:]), 1))
}

// orderOp is an operation that was answered, by one client, one after the other.
type orderOp struct {
	what string // for people
	// before is the server's last event when it was begun: nothing up to that
	// can have come of it.
	before uint64
	// after is the tree that it leaves: every file by its path.
	after map[string]hash64
	// closed is the content that it closed, 0 if it is no close, and small
	// whether that is sent in one request.
	closed hash64
	small  bool
}

// orderChecker compares what a client did with what the server's event log
// says that was applied, and when (promise P4).
type orderChecker struct {
	ops     []orderOp
	uploads int // transfers at a time

	state serverState
	known map[hash64]bool // every content that was ever written
	// closedBy and placedBy are the first operation that closed a content and
	// the last that gave it a name; first is the event that showed it first.
	closedBy, placedBy map[hash64]int
	first              map[hash64]int

	destroyed int // destructive events seen
	problems  []string
}

func checkOrder(ops []orderOp, events []pcloudtest.Event, uploads int) *orderChecker {
	c := &orderChecker{
		ops: ops, uploads: uploads, state: newServerState(), known: map[hash64]bool{},
		closedBy: map[hash64]int{}, placedBy: map[hash64]int{}, first: map[hash64]int{},
	}
	for i, op := range ops {
		if op.closed != 0 {
			c.known[op.closed] = true
			c.closedBy[op.closed] = i
		}
		for p, v := range op.after {
			if i == 0 || ops[i-1].after[p] != v {
				c.placedBy[v] = i
			}
		}
	}
	for i, e := range events {
		c.event(i, e)
	}
	c.closeOrder()
	return c
}

func (c *orderChecker) report(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// event applies one event of the log and judges it.
func (c *orderChecker) event(i int, e pcloudtest.Event) {
	lost := c.state.apply(e)
	if v := hash64(e.Hash); !e.Folder && e.Event != "deletefile" {
		if !c.known[v] {
			c.report("event %d %s: %q shows %d bytes that nobody closed", e.DiffID, e.Event, e.Name, e.Size)
		}
		if _, ok := c.first[v]; !ok {
			c.first[v] = i
		}
	}
	for p, v := range lost {
		c.destroyed++
		c.judge(e, p, v)
	}
}

// judge checks that everything that was issued before the operation that took
// content v from path p had been applied: every path is as that operation found
// it or as a later one left it, and every content that was there then and still
// is wanted is on the server.
func (c *orderChecker) judge(e pcloudtest.Event, p string, v hash64) {
	last := c.issuedBy(e.DiffID)
	cause := c.cause(v, last)
	if cause < 0 {
		c.report("event %d %s: content %x of %s is gone, which nobody asked for", e.DiffID, e.Event, v, p)
		return
	}
	now := c.state.files()
	for q := range c.universe(cause-1, last) {
		ok := slices.ContainsFunc(c.ops[cause-1:last+1], func(op orderOp) bool { return op.after[q] == now[q] })
		if !ok {
			c.report("event %d %s of %s is of operation %d (%s), but %s is %x on the server, and was left as %x before that operation",
				e.DiffID, e.Event, p, cause, c.ops[cause].what, q, now[q], c.ops[cause-1].after[q])
		}
	}
	up := slices.Collect(maps.Values(now))
	wanted := slices.Collect(maps.Values(c.ops[last].after))
	for q, w := range c.ops[cause-1].after {
		if slices.Contains(wanted, w) && !slices.Contains(up, w) {
			c.report("event %d %s of %s is of operation %d (%s), but content %x, which was closed as %s before, is nowhere on the server",
				e.DiffID, e.Event, p, cause, c.ops[cause].what, w, q)
		}
	}
}

// issuedBy returns the last operation that may have been begun when an event
// happened.
func (c *orderChecker) issuedBy(event uint64) int {
	n := len(c.ops) - 1
	for n > 0 && c.ops[n].before >= event {
		n--
	}
	return n
}

// cause returns the first operation that did away with content v, -1 if there is
// none.
func (c *orderChecker) cause(v hash64, last int) int {
	has := func(op orderOp) bool {
		for _, w := range op.after {
			if w == v {
				return true
			}
		}
		return false
	}
	for i := 1; i <= last; i++ {
		if has(c.ops[i-1]) && !has(c.ops[i]) {
			return i
		}
	}
	return -1
}

// universe is every path that had a file at some time.
func (c *orderChecker) universe(from, to int) map[string]bool {
	all := map[string]bool{}
	for _, op := range c.ops[from : to+1] {
		for p := range op.after {
			all[p] = true
		}
	}
	return all
}

// closeOrder checks that versions appeared in the order in which they were
// closed. A hash64 counts from its close to the operation that gave it its last
// name: a temporary file that is renamed at once goes up under its final name.
// Small new files that were in flight together may overtake each other.
func (c *orderChecker) closeOrder() {
	order := slices.SortedFunc(maps.Keys(c.first), func(a, b hash64) int { return c.first[a] - c.first[b] })
	for i, late := range order {
		overtaken := 0
		for _, early := range order[i+1:] { // shown after late
			if c.placedBy[early] >= c.closedBy[late] {
				continue
			}
			overtaken++
			if !c.smallNew(early) || !c.smallNew(late) || overtaken >= c.uploads {
				c.report("content %x of operation %d (%s) appeared before %x of operation %d (%s), which was closed earlier",
					late, c.closedBy[late], c.ops[c.closedBy[late]].what, early, c.closedBy[early], c.ops[c.closedBy[early]].what)
			}
		}
	}
}

// smallNew says whether a content went up in one request under a name that was
// free.
func (c *orderChecker) smallNew(v hash64) bool {
	op := c.ops[c.closedBy[v]]
	return op.small && !c.state.replaced[v]
}

// serverState is the tree of the server, played from its event log.
type serverState struct {
	folders map[uint64]serverNode
	entries map[uint64]serverNode // files
	// replaced has every content that was there, and whether it took the place
	// of another one when it appeared.
	replaced map[hash64]bool
}

type serverNode struct {
	parent  uint64
	name    string
	content hash64
}

func newServerState() serverState {
	return serverState{folders: map[uint64]serverNode{}, entries: map[uint64]serverNode{}, replaced: map[hash64]bool{}}
}

// apply plays one event and returns the contents that disappeared by it, by
// their path. A file that only moved is among them when it made place for
// nothing: its old path is free.
func (s *serverState) apply(e pcloudtest.Event) map[string]hash64 {
	before := s.files()
	n := serverNode{parent: e.Parent, name: e.Name, content: hash64(e.Hash)}
	switch e.Event {
	case "createfolder", "modifyfolder":
		s.folders[e.ID] = n
		return nil // a move of files, which destroys nothing
	case "deletefolder":
		delete(s.folders, e.ID)
	case "deletefile":
		delete(s.entries, e.ID)
	case "createfile", "modifyfile":
		if _, seen := s.replaced[n.content]; !seen {
			s.replaced[n.content] = e.Event == "modifyfile"
		}
		if e.Replaced != 0 && e.Replaced != e.ID {
			delete(s.entries, e.Replaced)
		}
		s.entries[e.ID] = n
	}
	lost := map[string]hash64{}
	now := s.files()
	for p, v := range before {
		if now[p] != v && !slices.Contains(slices.Collect(maps.Values(now)), v) {
			lost[p] = v
		}
	}
	return lost
}

// files returns the application's files by their path in its folder.
func (s *serverState) files() map[string]hash64 {
	files := map[string]hash64{}
	for _, n := range s.entries {
		p := n.name
		for parent := n.parent; parent != 0; {
			f, ok := s.folders[parent]
			if !ok {
				break
			}
			p = path.Join(f.name, p)
			parent = f.parent
		}
		if rel, ok := strings.CutPrefix("/"+p, appFolder); ok {
			files[rel] = n.content
		}
	}
	return files
}
