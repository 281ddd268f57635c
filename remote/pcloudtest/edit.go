package pcloudtest

import (
	"encoding/hex"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// TreeEntry is a live file of the account.
type TreeEntry struct {
	Path   string `json:"path"` // from the root of the whole account
	Size   int64  `json:"size"`
	SHA1   string `json:"sha1"`
	FileID uint64 `json:"fileid"`
	Hash   uint64 `json:"hash"`
}

// Event is an entry of the change feed, as the whole account sees it.
type Event struct {
	DiffID   uint64
	Event    string // "createfile", ...
	Time     time.Time
	Folder   bool
	ID       uint64 // fileid or folderid
	Parent   uint64
	Name     string
	Size     int64
	Hash     uint64
	Replaced uint64 // fileid that this file took the name of, or 0
}

// all sees the whole account as it is, without delays.
func (s *Server) all() *store.View { return s.account.View(0).Fresh() }

// Tree returns every live file, sorted by path. It is empty after Close.
func (s *Server) Tree() []TreeEntry {
	t, err := s.tree()
	if err != nil {
		s.o.Log.Error("list tree", "error", err)
	}
	return t
}

func (s *Server) tree() ([]TreeEntry, error) {
	v := s.all()
	tree := []TreeEntry{}
	var open []string // paths of the folders above
	err := v.List(0, store.ListOptions{Recursive: true}, func(n store.Node, depth int) error {
		if depth == 0 {
			open = []string{"/"}
			return nil
		}
		p := path.Join(open[depth-1], n.Name)
		if n.Folder {
			open = append(open[:depth], p)
			return nil
		}
		sums, now, err := v.Checksums(n.ID, 0)
		if store.Code(err) == store.CodeNoFile {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		tree = append(tree, TreeEntry{Path: p, Size: now.Size, SHA1: hex.EncodeToString(sums.SHA1[:]), FileID: n.ID, Hash: now.Hash})
		return nil
	})
	slices.SortFunc(tree, func(a, b TreeEntry) int { return strings.Compare(a.Path, b.Path) })
	return tree, err
}

// Events returns the events after a diffid, oldest first, as far back as the
// log goes.
func (s *Server) Events(after uint64) []Event {
	log, _, err := s.all().LastEvents(math.MaxInt32)
	if err != nil {
		s.o.Log.Error("read events", "error", err)
		return nil
	}
	var out []Event
	for _, e := range log {
		if e.ID > after {
			n := e.Node
			out = append(out, Event{DiffID: e.ID, Event: e.Type, Time: e.Time, Folder: n.Folder, ID: n.ID,
				Parent: n.Parent, Name: n.Name, Size: n.Size, Hash: n.Hash, Replaced: n.Replaced})
		}
	}
	return out
}

// The methods below change the account as another client would. Paths start
// at the root of the whole account: "/Applications/pcloudfs/dir/file".

// MkdirAll makes a folder and those above it, as far as they are missing.
func (s *Server) MkdirAll(p string) error {
	_, err := s.mkdirAll(p)
	return wrapEdit("mkdir", p, err)
}

func (s *Server) mkdirAll(p string) (store.Node, error) {
	v := s.all()
	n, err := v.FolderByID(0)
	for name := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		if err != nil || name == "" {
			break
		}
		n, _, err = v.CreateFolder(n.ID, name, true)
	}
	return n, err
}

// WriteFile makes or overwrites a file. The zero time stands for now. The
// folder must exist.
func (s *Server) WriteFile(p string, data []byte, modified time.Time) error {
	return wrapEdit("write", p, s.writeFile(p, data, modified))
}

func (s *Server) writeFile(p string, data []byte, modified time.Time) error {
	v := s.all()
	dir, name, err := v.ParentByPath(p)
	if err != nil {
		return err
	}
	w, err := s.account.NewBlob()
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	b, err := w.Commit()
	if err != nil {
		return err
	}
	var o store.PutOptions
	if !modified.IsZero() {
		o.Modified = &modified
	}
	_, err = v.Put(dir.ID, name, b, o)
	return err
}

// ReadFile returns the content of a file.
func (s *Server) ReadFile(p string) ([]byte, error) {
	b, err := s.readFile(p)
	return b, wrapEdit("read", p, err)
}

func (s *Server) readFile(p string) ([]byte, error) {
	v := s.all()
	n, err := v.FileByPath(p)
	if err != nil {
		return nil, err
	}
	c, _, err := v.OpenContent(n.ID, nil, 0)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	b := make([]byte, c.Size())
	if n, err := c.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}

// Remove deletes a file, or a folder with everything in it. If both have the
// name it is the file.
func (s *Server) Remove(p string) error { return wrapEdit("remove", p, s.remove(p)) }

func (s *Server) remove(p string) error {
	v := s.all()
	if n, err := v.FileByPath(p); err == nil {
		_, err = v.DeleteFile(n.ID)
		return err
	}
	n, err := v.FolderByPath(p)
	if err != nil {
		return err
	}
	_, _, err = v.DeleteTree(n.ID)
	return err
}

// Rename moves a file or a folder. A file replaces a file that has the name.
func (s *Server) Rename(from, to string) error {
	return wrapEdit("rename", from, s.rename(from, to))
}

func (s *Server) rename(from, to string) error {
	v := s.all()
	dir, name, err := v.TargetByPath(to)
	if err != nil {
		return err
	}
	if n, err := v.FileByPath(from); err == nil {
		_, err = v.RenameFile(n.ID, dir.ID, name)
		return err
	}
	n, err := v.FolderByPath(from)
	if err != nil {
		return err
	}
	_, err = v.RenameFolder(n.ID, dir.ID, name)
	return err
}

func wrapEdit(op, p string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("pcloudtest: %s %s: %w", op, p, err)
}
