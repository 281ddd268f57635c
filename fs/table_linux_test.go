package fs_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/fs"
)

// TestInodeNumbersAreStable: through rename, and the kernel forgetting.
func TestInodeNumbersAreStable(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make the kernel forget")
	}
	mnt, v := newMount(t)
	require.NoError(t, os.Mkdir(mnt+"/d", 0o755))
	require.NoError(t, os.WriteFile(mnt+"/d/f", []byte("x"), 0o644))
	id := v.node("d/f")
	require.NoError(t, os.Rename(mnt+"/d/f", mnt+"/f"))
	require.Equal(t, uint64(id), stat(t, mnt+"/f").Ino)
	forgetEverything(t, mnt)
	v.waitForget(t, id)
	require.Equal(t, uint64(id), stat(t, mnt+"/f").Ino)
	require.Equal(t, "x", read(t, mnt+"/f"))
}

// TestLookupsRaceWithForget: a node that a lookup answers with may be forgotten at
// the same moment, for the sake of an earlier lookup.
func TestLookupsRaceWithForget(t *testing.T) {
	t.Parallel()
	const files, workers, rounds = 3, 4, 2000
	v := newFakeVolume()
	for i := range files {
		v.edit(fmt.Sprint(i), "x")
	}
	raw := fs.NewRaw(v, fs.Options{})
	header := &fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				var out fuse.EntryOut
				name := fmt.Sprint(rand.IntN(files))
				if st := raw.Lookup(nil, header, name, &out); !st.Ok() {
					t.Errorf("lookup: %v", st)
					return
				}
				var open fuse.OpenOut
				in := &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: out.NodeId}, Flags: syscall.O_RDONLY}
				if st := raw.Open(nil, in, &open); !st.Ok() {
					t.Errorf("open: %v", st)
					return
				}
				raw.Release(nil, &fuse.ReleaseIn{InHeader: in.InHeader, Fh: open.Fh})
				raw.Forget(out.NodeId, 1)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, raw.Known(), "only the root is left")

	// One node for one file: two lookups give the same, and so does a creation.
	var first, second fuse.EntryOut
	require.True(t, raw.Lookup(nil, header, "0", &first).Ok())
	require.True(t, raw.Lookup(nil, header, "0", &second).Ok())
	require.Equal(t, first.NodeId, second.NodeId)
	var created fuse.CreateOut
	in := &fuse.CreateIn{InHeader: *header, Flags: syscall.O_CREAT | syscall.O_RDWR, Mode: 0o600}
	require.True(t, raw.Create(nil, in, "0", &created).Ok())
	require.Equal(t, first.NodeId, created.NodeId)
	require.Equal(t, 2, raw.Known())
	raw.Release(nil, &fuse.ReleaseIn{InHeader: fuse.InHeader{NodeId: created.NodeId}, Fh: created.Fh})
	raw.Forget(created.NodeId, 2)
	require.Equal(t, 2, raw.Known(), "the kernel still has one of three")
	raw.Forget(created.NodeId, 1)
	require.Equal(t, 1, raw.Known())
}

func TestForgetWhileAnswering(t *testing.T) {
	t.Parallel()
	v := newFakeVolume()
	id := v.edit("f", "x")
	raw := fs.NewRaw(v, fs.Options{})
	header := &fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}
	var first, second fuse.EntryOut
	require.True(t, raw.Lookup(nil, header, "f", &first).Ok())

	attr, err := v.Lookup(t.Context(), cache.RootNode, "f")
	require.NoError(t, err)
	raw.Answer(t.Context(), attr)
	raw.Forget(first.NodeId, 1)
	require.Equal(t, 2, raw.Known(), "the node is on its way to the kernel again")
	require.True(t, raw.Lookup(nil, header, "f", &second).Ok())
	require.Equal(t, first.NodeId, second.NodeId)
	raw.Registered(id)

	raw.LateOnForget(id)
	require.Equal(t, 2, raw.Known(), "the kernel has it from the second lookup")
	raw.Forget(second.NodeId, 1)
	require.Equal(t, 1, raw.Known())
	v.waitForget(t, id)
}

// TestListingsRaceWithForget is the same for READDIRPLUS.
func TestListingsRaceWithForget(t *testing.T) {
	t.Parallel()
	const workers, rounds = 4, 300
	v := newFakeVolume()
	fill(v, 20)
	raw := fs.NewRaw(v, fs.Options{})
	header := fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				var open fuse.OpenOut
				if st := raw.OpenDir(nil, &fuse.OpenIn{InHeader: header}, &open); !st.Ok() {
					t.Errorf("opendir: %v", st)
					return
				}
				list := fuse.NewDirEntryList(make([]byte, 1<<16), 0)
				if st := raw.ReadDirPlus(nil, &fuse.ReadIn{InHeader: header, Fh: open.Fh}, list); !st.Ok() {
					t.Errorf("readdirplus: %v", st)
					return
				}
				raw.ReleaseDir(&fuse.ReleaseIn{InHeader: header, Fh: open.Fh})
				for _, id := range entryNodes(list.Bytes()) {
					raw.Forget(id, 1)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, raw.Known())
}
