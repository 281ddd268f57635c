package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pcloudfs/pcloudfs/remote"
)

// ReadDir returns what is in a folder now, sorted by name, without "." and
// "..".
func (v *Volume) ReadDir(ctx context.Context, dir NodeID) ([]DirEntry, error) {
	for range 3 {
		if err := v.load(ctx, dir); err != nil {
			return nil, err
		}
		v.mu.Lock()
		fid, inCloud := v.folderOf(dir) // all in one moment
		entries, _, held := v.meta.List(fid)
		if !inCloud {
			entries, held = nil, true
		}
		if held {
			defer v.mu.Unlock()
			return v.merge(dir, entries), nil
		}
		v.mu.Unlock()
	}
	fid, _ := v.folderOf(dir)
	entries, err := v.listNow(ctx, fid) // does not stay in the cache for long
	if err != nil {
		return nil, err
	}
	defer v.mu.Unlock()
	return v.merge(dir, entries), nil
}

// merge folds the overlay over a listing. Volume.mu is held.
func (v *Volume) merge(dir NodeID, entries []remote.Entry) []DirEntry {
	folders := folderNames(entries)
	list := make([]DirEntry, 0, len(entries))
	over := v.slots[dir]
	for _, e := range entries {
		name := rendered(e, !e.Folder && folders[e.Name])
		if over[name] == nil && !hidden(name) {
			list = append(list, DirEntry{Name: name, Attr: v.attr(v.nodeOf(e), e)})
		}
	}
	for name, s := range over {
		if s.node != 0 {
			list = append(list, DirEntry{Name: name, Attr: v.attr(s.node, remote.Entry{})})
		}
	}
	slices.SortFunc(list, func(a, b DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// listing is what is in a folder at this moment.
type listing struct {
	dir     NodeID
	entries []remote.Entry
}

// listChild lists a folder and returns with Volume.mu held unless there is an
// error.
func (v *Volume) listChild(ctx context.Context, dir NodeID) (*listing, error) {
	fid, _ := v.folderOf(dir)
	entries, err := v.listNow(ctx, fid)
	return &listing{dir, entries}, err
}

// empty says whether nothing is in a folder, from memory or a listing made
// for the purpose; known is false when it has to be listed first. Volume.mu is
// held.
func (v *Volume) empty(dir NodeID, list *listing) (empty, known bool) {
	for _, s := range v.slots[dir] {
		if s.node != 0 {
			return false, true
		}
	}
	fid, ok := v.folderOf(dir)
	if !ok {
		return true, true
	}
	entries, fresh, held := v.meta.List(fid)
	if !held || !fresh {
		if list == nil || list.dir != dir {
			return false, false
		}
		entries = list.entries
	}
	folders := folderNames(entries)
	for _, e := range entries {
		if v.slots[dir][rendered(e, !e.Folder && folders[e.Name])] == nil {
			return false, true
		}
	}
	return true, true
}

// listNow returns what is in a folder, with Volume.mu held unless there is an
// error.
func (v *Volume) listNow(ctx context.Context, fid remote.FolderID) ([]remote.Entry, error) {
	for try := 1; ; try++ {
		t := v.meta.Begin(fid)
		f, err := v.remote.List(ctx, fid)
		if err != nil {
			return nil, fmt.Errorf("list folder: %w", err)
		}
		v.mu.Lock()
		if v.meta.Put(t, f) || try == 10 {
			return f.Contents, nil
		}
		v.mu.Unlock() // something changed meanwhile, perhaps by us
	}
}

func folderNames(entries []remote.Entry) map[string]bool {
	folders := make(map[string]bool)
	for _, e := range entries {
		if e.Folder {
			folders[e.Name] = true
		}
	}
	return folders
}
