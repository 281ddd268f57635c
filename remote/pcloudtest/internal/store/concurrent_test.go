package store

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConcurrentClients lets clients work at once and then compares what the
// feed told another with what is there.
func TestConcurrentClients(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		require.NoError(t, v.Generate(0, "files=50,folders=5,avg=2k"))
		watcher := follow(t, v, 0)
		var wg sync.WaitGroup
		for c := range 4 {
			wg.Go(func() {
				if err := busy(v, c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		watcher.catchUp(t, 3)
		watcher.check(t)
		require.Zero(t, a.Sessions())
		used, _ := a.Usage()
		var sum int64
		require.NoError(t, v.List(0, ListOptions{Recursive: true}, func(n Node, _ int) error {
			sum += n.Size
			return nil
		}))
		require.Equal(t, sum, used)
	})
}

// busy does what clients do, to shared and to own names. Losing a race is fine.
func busy(v *View, c int) error {
	own, _, err := v.CreateFolder(0, fmt.Sprint("client", c), true)
	if err != nil {
		return err
	}
	for i := range 40 {
		data := strings.Repeat(fmt.Sprint(c, i), 100)
		w, err := v.a.NewBlob()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, data); err != nil {
			return err
		}
		b, err := w.Commit()
		if err != nil {
			return err
		}
		n, err := v.Put(0, fmt.Sprint("shared", i%3), b, PutOptions{})
		if err != nil {
			return err
		}
		id, err := v.a.CreateSession(int64(len(data)))
		if err != nil {
			return err
		}
		if err := v.a.WriteSession(id, 0, strings.NewReader(data), -1); err != nil {
			return err
		}
		if _, err := v.SaveSession(id, own.ID, fmt.Sprint("s", i%4), PutOptions{}); err != nil {
			return err
		}
		err = readAll(v, n.ID)
		if err == nil {
			_, err = v.RenameFile(n.ID, own.ID, "moved")
		}
		if err == nil {
			_, err = v.ByChecksum(int64(len(data)), sumsOf(data).SHA1)
		}
		if code := Code(err); code != 0 && code != CodeNoFile {
			return err
		}
	}
	return nil
}

func readAll(v *View, id uint64) error {
	c, _, err := v.OpenContent(id, nil, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.Copy(io.Discard, io.NewSectionReader(c, 0, c.Size())); err != nil {
		return err
	}
	_, _, err = v.Checksums(id, 0)
	return err
}
