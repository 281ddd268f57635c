package journal

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// crashDirVar tells the test binary to be the process that is killed.
const crashDirVar = "JOURNAL_CRASH_TEST_DIR"

// crashChild changes the journal in dir until it is killed. It says on standard
// output what it begins and what was acknowledged.
func crashChild(dir string) {
	j, err := Open(dir, Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...) // one write: a line is there or not
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() { crashWorker(j, rand.New(rand.NewPCG(rand.Uint64(), uint64(w))), say) })
	}
	wg.Wait()
}

// crashWorker puts files, renames them, and finishes them.
func crashWorker(j *Journal, rnd *rand.Rand, say func(string, ...any)) {
	var mine []Intent
	for {
		var c Change
		var applied string
		switch op := rnd.IntN(4); {
		case op < 2 || len(mine) == 0:
			in, err := crashPut(j, rnd)
			if err != nil {
				say("error %v", err)
				return
			}
			c.Put = []Intent{in}
			mine = append(mine, in)
		case op == 2: // a rename that folds into the put
			in := mine[rnd.IntN(len(mine))]
			c.Delete = []uint64{in.Seq}
			in.Seq, in.Name = j.NextSeq(), in.Name+"+"
			c.Put = []Intent{in}
			for i := range mine {
				if mine[i].Spool == in.Spool {
					mine[i] = in
				}
			}
		default: // applied
			i := rnd.IntN(len(mine))
			c.Delete = []uint64{mine[i].Seq}
			c.Bind = []Binding{{Node: mine[i].Node, File: remote.FileID(mine[i].Seq)}}
			applied = mine[i].Spool
			mine = append(mine[:i], mine[i+1:]...)
		}
		for _, seq := range c.Delete {
			say("deleting %d", seq)
		}
		if err := j.Commit(c); err != nil {
			say("error %v", err)
			return
		}
		for _, seq := range c.Delete {
			say("deleted %d", seq)
		}
		if applied != "" {
			_ = j.RemoveSpool(applied)
		}
		for _, in := range c.Put {
			say("put %d %d %s", in.Seq, uint64(in.Node), in.Name)
		}
		for _, b := range c.Bind {
			say("bound %d %d", uint64(b.Node), b.File)
		}
	}
}

// crashPut makes a file whose name begins with the digest of its bytes.
func crashPut(j *Journal, rnd *rand.Rand) (Intent, error) {
	data := make([]byte, rnd.IntN(20_000))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	name, f, err := j.NewSpool()
	if err != nil {
		return Intent{}, err
	}
	if _, err := f.Write(data); err != nil {
		return Intent{}, err
	}
	return Intent{
		Seq: j.NextSeq(), Op: OpPut, Node: j.NextNode(), Spool: name, Size: int64(len(data)),
		Name: fmt.Sprintf("%x", sha256.Sum256(data)),
	}, f.Close()
}

// promises is what the killed processes acknowledged.
type promises struct {
	put      map[uint64]string // by Seq: the name
	deleting map[uint64]bool
	deleted  map[uint64]bool
	bound    map[NodeID]remote.FileID
	seq      uint64
	node     NodeID
}

func (p *promises) hear(t *testing.T, line string) {
	var a, b uint64
	var name string
	switch word, _, _ := strings.Cut(line, " "); word {
	case "put":
		_, err := fmt.Sscanf(line, "put %d %d %s", &a, &b, &name)
		require.NoError(t, err)
		p.put[a], p.seq, p.node = name, max(p.seq, a), max(p.node, NodeID(b))
	case "deleting":
		_, err := fmt.Sscanf(line, "deleting %d", &a)
		require.NoError(t, err)
		p.deleting[a] = true
	case "deleted":
		_, err := fmt.Sscanf(line, "deleted %d", &a)
		require.NoError(t, err)
		delete(p.deleting, a)
		delete(p.put, a)
		p.deleted[a] = true
	case "bound":
		_, err := fmt.Sscanf(line, "bound %d %d", &a, &b)
		require.NoError(t, err)
		p.bound[NodeID(a)] = remote.FileID(b)
	default:
		t.Fatal(line)
	}
}

// kill runs the child and kills it after some lines. It reports whether
// something was under way at that moment.
func (p *promises) kill(t *testing.T, dir string, after int) bool {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashDirVar+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	r := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == after {
			require.NoError(t, cmd.Process.Kill())
		}
		line, err := r.ReadString('\n')
		if err == io.EOF { // half a line was not said
			break
		}
		require.NoError(t, err)
		p.hear(t, strings.TrimSuffix(line, "\n"))
	}
	require.Error(t, cmd.Wait())
	return len(p.deleting) > 0
}

// verify opens the journal after a crash.
func (p *promises) verify(t *testing.T, dir string) {
	j, err := Open(dir, Options{})
	require.NoError(t, err)
	defer crash(t, j)
	for _, d := range j.Damaged() {
		require.Contains(t, d.Reason, "never closed")
	}
	there := make(map[uint64]bool)
	for _, in := range pending(t, j) {
		there[in.Seq] = true
		require.False(t, p.deleted[in.Seq], "intent %d is back", in.Seq)
		name, acked := p.put[in.Seq]
		if acked {
			require.Equal(t, name, in.Name)
		}
		data, err := os.ReadFile(j.dirs.spool(in.Spool))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(data[:in.Size])), strings.TrimRight(in.Name, "+"))
		p.put[in.Seq] = in.Name // what was not acknowledged and is there stays
	}
	for seq := range p.put {
		require.True(t, there[seq] || p.deleting[seq], "intent %d was acknowledged and is lost", seq)
		if !there[seq] {
			delete(p.put, seq)
		}
	}
	clear(p.deleting)
	for node, id := range p.bound {
		b, ok := j.BindingOf(node)
		require.True(t, ok)
		require.Equal(t, id, b.File)
	}
	require.Greater(t, j.NextSeq(), p.seq)
	require.Greater(t, j.NextNode(), p.node)
}

func TestNothingAcknowledgedIsLostByKill(t *testing.T) {
	t.Parallel()
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	dir := filepath.Join(t.TempDir(), "journal")
	p := &promises{
		put: make(map[uint64]string), deleting: make(map[uint64]bool), deleted: make(map[uint64]bool),
		bound: make(map[NodeID]remote.FileID),
	}
	busy := 0
	for range rounds {
		if p.kill(t, dir, 1+rand.IntN(300)) {
			busy++
		}
		p.verify(t, dir)
	}
	t.Logf("%d intents, %d of %d kills while a deletion was under way", len(p.put), busy, rounds)
	require.NotEmpty(t, p.put)
	require.NotEmpty(t, p.bound)
	if rounds >= 12 {
		require.NotZero(t, busy, "no kill hit anything in flight")
	}
}
