package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
)

func TestTakeMountpoint(t *testing.T) {
	t.Parallel()
	tests := []struct{ args, mountpoint, rest string }{
		{"5", "", "5"},
		{"all", "", "all"},
		{"mnt 5", "mnt", "5"},
		{"5 mnt", "mnt", "5"},
		{"mnt all", "mnt", "all"},
		{"mnt 5 6", "mnt", "5 6"},
		{"5 6", "", "5 6"},
		{"./5 6", "./5", "6"},
		{"mnt", "", "mnt"}, // no ID: refused later
	}
	for _, tt := range tests {
		mountpoint, rest := takeMountpoint(strings.Fields(tt.args), 1)
		require.Equal(t, tt.mountpoint, mountpoint, tt.args)
		require.Equal(t, tt.rest, strings.Join(rest, " "), tt.args)
	}
}

func TestParseIDs(t *testing.T) {
	t.Parallel()
	ids, err := parseIDs("x", []string{"5", "18446744073709551615"})
	require.NoError(t, err)
	require.Equal(t, []uint64{5, 1<<64 - 1}, ids)
	for _, bad := range []string{"", "0", "-1", "all", "x", "18446744073709551616"} {
		_, err := parseIDs("x", []string{bad})
		require.Equal(t, exitUsage, exitStatus(err), bad)
	}
}

func TestQueueTable(t *testing.T) {
	t.Parallel()
	item := func(it cache.QueueItem, rate int64) control.Item { return control.Item{QueueItem: it, Rate: rate} }
	var w bytes.Buffer
	require.NoError(t, printQueue(&w, []control.Item{
		item(cache.QueueItem{ID: 1, Op: "put", Path: "a b", Bytes: 2 << 20, Sent: 1 << 20, State: cache.StateActive}, 1<<20),
		item(cache.QueueItem{ID: 20, Op: "put", Path: "evil\x1b[2Jname", Bytes: 10, State: cache.StateParked, Reason: "no\nspace"}, 0),
		item(cache.QueueItem{ID: 21, Op: "rename", Path: "x", To: "y/z", State: cache.StatePending}, 0),
		item(cache.QueueItem{ID: 22, Op: "remove", Path: "d", Folder: true, State: cache.StatePending}, 0),
	}))
	require.Equal(t, strings.TrimPrefix(`
ID  STATE    WHAT    SIZE     SENT           PATH
1   active   put     2.0 MiB  50% 1.0 MiB/s  a b
20  parked   put     10 B     -              "evil\x1b[2Jname": "no\nspace"
21  pending  rename  -        -              x -> y/z
22  pending  remove  -        -              d/
4 changes, 2.0 MiB; 1 parked
`, "\n"), w.String())
}

func TestOnlyAClearYesDrops(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "y": true, "\n": false, "": false, "n\n": false, "yeah\n": false} {
		var w bytes.Buffer
		it := control.Item{QueueItem: cache.QueueItem{Op: "put", Path: "a", Bytes: 1024}}
		require.Equal(t, want, confirm(bufio.NewReader(strings.NewReader(answer)), &w, it), "%q", answer)
		require.Equal(t, "Give up a (put, 1.0 KiB)? It will never reach pCloud. [y/N] ", w.String())
	}
}

func TestHelperIsKnownByItsName(t *testing.T) {
	t.Parallel()
	require.True(t, isHelper("/sbin/umount.fuse.pcloudfs"))
	require.True(t, isHelper("umount.pcloudfs"))
	require.False(t, isHelper("/usr/bin/pcloudfs"))
	require.False(t, isHelper("umount.fuse"))
}

func TestLeftErrorSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	end := control.End{Left: control.Left{Pending: 1, Parked: 2, Bytes: 2048, Reason: "full"}, Error: "disk on fire"}
	require.EqualError(t, leftError(end, control.Info{CacheDir: "/c"}),
		"3 changes (2.0 KiB) not in pCloud; they stay in /c and are sent at the next mount; 2 refused: full; disk on fire")
}
