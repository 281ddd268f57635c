package store

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sweep makes the files agree with the metadata: it removes what nothing refers
// to, cuts sessions to their recorded size, and refuses a directory that lacks
// bytes which it should have.
func (a *Account) sweep() error {
	if err := a.sweepTemp(); err != nil {
		return err
	}
	if err := a.sweepBlobs(); err != nil {
		return err
	}
	return a.sweepSessions()
}

func (a *Account) sweepTemp() error {
	return a.eachFile("tmp", func(path string, _ fs.DirEntry) error { return os.Remove(path) })
}

func (a *Account) sweepBlobs() error {
	want := map[string]*blob{}
	add := func(b *blob) {
		if b != nil && b.stored() {
			want[a.blobPath(b.id)] = b
		}
	}
	for _, m := range []map[key]*record{a.tree.live, a.tree.trash} {
		for _, r := range m {
			add(r.blob)
		}
	}
	for _, list := range a.revs {
		for _, r := range list {
			add(r.blob)
		}
	}
	err := a.eachFile("blobs", func(path string, e fs.DirEntry) error {
		b := want[path]
		if b == nil {
			return os.Remove(path)
		}
		delete(want, path)
		info, err := e.Info()
		if err == nil && info.Size() != b.size {
			err = fmt.Errorf("content %s is damaged: %d bytes instead of %d", path, info.Size(), b.size)
		}
		return err
	})
	if err != nil {
		return err
	}
	for path := range want {
		return fmt.Errorf("content %s is missing", path)
	}
	return nil
}

func (a *Account) sweepSessions() error {
	want := map[string]*session{}
	for id, s := range a.upload {
		want[a.sessionPath(id)] = s
	}
	err := a.eachFile("sessions", func(path string, e fs.DirEntry) error {
		s := want[path]
		if s == nil {
			return os.Remove(path)
		}
		delete(want, path)
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() < s.size {
			return fmt.Errorf("upload %s is damaged: %d bytes instead of %d", path, info.Size(), s.size)
		}
		return os.Truncate(path, s.size)
	})
	if err != nil {
		return err
	}
	for path := range want {
		return fmt.Errorf("upload %s is missing", path)
	}
	return nil
}

func (a *Account) eachFile(dir string, fn func(path string, e fs.DirEntry) error) error {
	return filepath.WalkDir(filepath.Join(a.dir, dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return fn(path, e)
	})
}
