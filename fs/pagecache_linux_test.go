package fs_test

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestUnchangedFileIsReadOnce(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, noTimeouts())
	content := strings.Repeat("x", 100_000)
	v.edit("f", content)
	require.Equal(t, content, read(t, mnt+"/f"))
	reads := v.count("read")
	require.Positive(t, reads)
	require.Equal(t, content, read(t, mnt+"/f"))
	require.Equal(t, reads, v.count("read"))
}

func TestChangedFileIsReadAgain(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, noTimeouts())
	for _, content := range []string{"one", "two", "three", "", "four"} {
		v.edit("f", content)
		require.Equal(t, content, read(t, mnt+"/f"))
	}
}

func TestWrittenFileIsNotReadBack(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	content := strings.Repeat("0123456789abcdef", 4096) // whole pages
	require.NoError(t, os.WriteFile(mnt+"/f", []byte(content), 0o644))
	require.Equal(t, content, read(t, mnt+"/f"))
	require.Zero(t, v.count("read"))
	v.edit("f", strings.ToUpper(content))
	require.Equal(t, strings.ToUpper(content), read(t, mnt+"/f"))
}

// TestOpenFileSeesChange: attributes that show another version have the pages of
// an open file dropped, without a new open.
func TestOpenFileSeesChange(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, noTimeouts())
	v.edit("f", "old content")
	f, err := os.Open(mnt + "/f")
	require.NoError(t, err)
	defer f.Close()
	buf := make([]byte, 100)
	n, _ := f.ReadAt(buf, 0)
	require.Equal(t, "old content", string(buf[:n]))
	require.Equal(t, 1, v.count("read"))
	_, _ = f.ReadAt(buf, 0)
	require.Equal(t, 1, v.count("read"), "from the cache")

	v.edit("f", "new content")
	stat(t, mnt+"/f")
	// The notification is on its way; when it arrives, a read reaches the volume.
	for end := time.Now().Add(patience); v.count("read") == 1; {
		require.True(t, time.Now().Before(end), "the pages are never dropped")
		_, _ = f.ReadAt(buf, 0)
	}
}

func TestVersionsDoNotMix(t *testing.T) {
	t.Parallel()
	mnt, v := newMountWith(t, noTimeouts())
	old, fresh := strings.Repeat("old!", 50_000), strings.Repeat("new!", 50_000)
	v.edit("f", old)
	f, err := os.Open(mnt + "/f")
	require.NoError(t, err)
	head := make([]byte, 10)
	_, err = f.ReadAt(head, 0)
	require.NoError(t, err)

	v.edit("f", fresh)
	require.Equal(t, fresh, read(t, mnt+"/f"), "the old handle is still open")
	tail := make([]byte, 10_000)
	_, err = f.ReadAt(tail, 150_000)
	require.NoError(t, err)
	require.Equal(t, fresh, read(t, mnt+"/f"), "and has read pages of the old version")
	got, err := child(t, "mmap", mnt+"/f").Output()
	require.NoError(t, err, "a shared mapping must be possible all the same")
	require.Len(t, got, len(fresh))
	require.NoError(t, f.Close())
	require.Equal(t, fresh, read(t, mnt+"/f"))
}

// TestWritersAndReadersAtOnce: a file that is opened and written in several places
// at once keeps every byte. With the kernel's own invalidation some get lost.
func TestWritersAndReadersAtOnce(t *testing.T) {
	t.Parallel()
	mnt, v := newMount(t)
	const (
		writers = 4
		size    = 64 << 10
		rounds  = 20
	)
	require.NoError(t, os.WriteFile(mnt+"/f", make([]byte, writers*size), 0o644))
	keepOpen, err := os.OpenFile(mnt+"/f", os.O_RDWR, 0)
	require.NoError(t, err)
	defer keepOpen.Close()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				want := bytes.Repeat([]byte{byte(w), byte(r), 0xff}, size/3)
				f, err := os.OpenFile(mnt+"/f", os.O_RDWR, 0)
				if err != nil {
					t.Error(err)
					return
				}
				off := int64(w * size)
				for i := 0; i < len(want); i += 1000 {
					_, err = f.WriteAt(want[i:min(i+1000, len(want))], off+int64(i))
					if err != nil {
						t.Error(err)
					}
				}
				got := make([]byte, len(want))
				if _, err := f.ReadAt(got, off); err != nil || !bytes.Equal(got, want) {
					t.Errorf("writer %d, round %d: other bytes than written (err %v)", w, r, err)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for w := range writers {
		want := bytes.Repeat([]byte{byte(w), rounds - 1, 0xff}, size/3)
		require.True(t, strings.HasPrefix(string(v.content("f")[w*size:]), string(want)))
	}
}
