package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// ack is what the child reports to have been done, one JSON line each.
type ack struct {
	Op      string // put, delete, mkdir, session, save, setting
	ID      uint64
	Parent  uint64
	Name    string
	Content string
	Hash    uint64
	Cursor  uint64
}

// childDir is the directory that a re-executed test binary works in, or "".
func childDir() string { return os.Getenv("STORE_TEST_CHILD") }

// runChild changes the account and reports each change once it is done, until
// it is killed.
func runChild(dir string) {
	a, err := Open(Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	c := &child{a: a, v: a.View(0)}
	for i := 0; ; i++ {
		k, err := c.step(i)
		if err == nil {
			_, k.Cursor, err = c.v.LastEvents(0)
		}
		if err == nil {
			err = out.Encode(k)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

type child struct {
	a      *Account
	v      *View
	folder uint64 // last one made
	name   string // of that folder
	upload uint64
	data   string // of the upload
}

func (c *child) step(i int) (k ack, err error) {
	name, data := fmt.Sprint("f", rand.IntN(20)), strings.Repeat(fmt.Sprint(i, " "), rand.IntN(3000))
	switch i % 6 {
	case 0:
		k = ack{Op: "mkdir", Name: fmt.Sprint("d", os.Getpid(), "-", i)}
		n, _, e := c.v.CreateFolder(0, k.Name, false)
		k.ID, c.folder, c.name, err = n.ID, n.ID, k.Name, e
	case 1, 2:
		w, e := c.a.NewBlob()
		if e != nil {
			return k, e
		}
		if _, e = io.WriteString(w, data); e != nil {
			return k, e
		}
		b, e := w.Commit()
		if e != nil {
			return k, e
		}
		n, e := c.v.Put(c.folder, name, b, PutOptions{})
		k = ack{Op: "put", ID: n.ID, Parent: c.folder, Name: name, Content: data, Hash: n.Hash}
		err = e
	case 3:
		if c.upload == 0 {
			if c.upload, err = c.a.CreateSession(-1); err != nil {
				return k, err
			}
			c.data = ""
		}
		// A client that breaks off half-way is acknowledged by upload_info.
		_ = c.a.WriteSession(c.upload, int64(len(c.data)),
			io.MultiReader(strings.NewReader(data), iotest.ErrReader(io.ErrClosedPipe)), -1)
		c.data += data
		size, _, e := c.a.SessionInfo(c.upload)
		if e == nil && size != int64(len(c.data)) {
			e = fmt.Errorf("session has %d bytes instead of %d", size, len(c.data))
		}
		k, err = ack{Op: "session", ID: c.upload, Content: c.data}, e
	case 4:
		if i%4 == 0 {
			n, e := c.v.SaveSession(c.upload, c.folder, name, PutOptions{})
			k = ack{Op: "save", ID: n.ID, Parent: c.folder, Name: name, Content: c.data, Hash: n.Hash}
			c.upload, err = 0, e
		} else {
			k = ack{Op: "setting", Name: "last", Content: fmt.Sprint(i)}
			err = c.a.SetSetting(k.Name, k.Content)
		}
	case 5:
		n, e := c.v.FileByPath("/" + c.name + "/" + name)
		if Code(e) == CodeNoFile {
			return ack{Op: "nothing"}, nil
		}
		_, err = c.v.DeleteFile(n.ID)
		k = ack{Op: "delete", ID: n.ID}
	}
	return k, err
}

// TestKilled kills a process that uses an account and checks that everything
// it had acknowledged is there.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 4 {
		acks := killAfter(t, dir, 40+rand.IntN(150))
		a, err := Open(Options{Dir: dir})
		require.NoError(t, err, "round %d", round)
		checkAcks(t, a, acks)
		follow(t, a.View(0), 0).check(t)
		require.NoError(t, a.Close())
	}
}

// killAfter runs a child, kills it after n acknowledgements and returns all of
// them.
func killAfter(t *testing.T, dir string, n int) []ack {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var acks []ack
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var k ack
		if json.Unmarshal(lines.Bytes(), &k) != nil {
			break // cut off by the kill: not acknowledged
		}
		if acks = append(acks, k); len(acks) == n {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.Error(t, cmd.Wait(), "it was killed")
	require.Empty(t, stderr.String())
	require.GreaterOrEqual(t, len(acks), n)
	return acks
}

// checkAcks checks the last acknowledged state of everything. One change more
// may have been made than was reported, so that what the last report could
// not know is only looked at where it cannot differ.
func checkAcks(t *testing.T, a *Account, acks []ack) {
	t.Helper()
	v := a.View(0)
	last := map[uint64]ack{} // files by id
	var upload ack
	for _, k := range acks {
		switch k.Op {
		case "put", "save":
			last[k.ID] = k
			if k.Op == "save" {
				upload = ack{}
			}
		case "delete":
			delete(last, k.ID)
		case "session":
			upload = k
		case "mkdir":
			n, err := v.FolderByID(k.ID)
			require.NoError(t, err)
			require.Equal(t, k.Name, n.Name)
		}
	}
	final := acks[len(acks)-1]
	events, next, err := v.Diff(final.Cursor, 0)
	require.NoError(t, err)
	require.LessOrEqual(t, len(events), 1, "at most one change was not reported")
	require.GreaterOrEqual(t, next, final.Cursor)
	for id, k := range last {
		if len(events) == 1 && events[0].Node.ID == id {
			continue // changed by what was not reported
		}
		n, err := v.FileByID(id)
		require.NoError(t, err)
		require.Equal(t, []any{k.Name, k.Parent, k.Hash}, []any{n.Name, n.Parent, n.Hash})
		require.Equal(t, k.Content, text(t, v, id))
	}
	if upload.ID == 0 || len(events) == 1 {
		return
	}
	size, _, err := a.SessionInfo(upload.ID)
	require.NoError(t, err)
	require.GreaterOrEqual(t, size, int64(len(upload.Content)))
	n, err := v.SaveSession(upload.ID, 0, "rest", PutOptions{})
	require.NoError(t, err)
	require.Equal(t, upload.Content, text(t, v, n.ID)[:len(upload.Content)])
}
