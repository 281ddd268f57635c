package journal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func open(t testing.TB, dir string, o Options) *Journal {
	t.Helper()
	j, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

func TestCommitSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	name, f, err := j.NewSpool()
	require.NoError(t, err)
	_, err = f.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	seq, node := j.NextSeq(), j.NextNode()
	in := Intent{Seq: seq, Op: OpPut, Node: node, Name: "a", Spool: name, Size: 5}
	require.NoError(t, j.Commit(Change{Put: []Intent{in}, Bind: []Binding{{Node: node, File: 7}}}))
	require.NoError(t, j.Close())

	j = open(t, dir, Options{})
	list, err := j.Pending()
	require.NoError(t, err)
	in.Synced = true
	require.Equal(t, []Intent{in}, list)
	require.Empty(t, j.Damaged())
	n, ok := j.NodeOfFile(7)
	require.True(t, ok)
	require.Equal(t, node, n)
	require.Greater(t, j.NextSeq(), seq)
	require.Greater(t, j.NextNode(), node)
}
