package remote

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// List returns a folder with its direct children (pCloud API 7.3).
// fs.ErrNotExist if there is no such folder.
func (c *Client) List(ctx context.Context, id FolderID) (Folder, error) {
	return c.list(ctx, id, false)
}

// ListFolders is List without the files.
func (c *Client) ListFolders(ctx context.Context, id FolderID) (Folder, error) {
	return c.list(ctx, id, true)
}

func (c *Client) list(ctx context.Context, id FolderID, nofiles bool) (Folder, error) {
	k := &call{method: "listfolder", params: params{}, how: reader}
	k.params.num("folderid", uint64(id))
	if nofiles {
		k.params.flag("nofiles")
	}
	var f Folder
	k.stream = func(r io.Reader, secret string) error {
		f = Folder{} // of an attempt that broke off
		l := &listing{id: id, left: c.o.MaxListing, fn: func(e Entry) error {
			if !nofiles || e.Folder {
				f.Contents = append(f.Contents, e)
			}
			return nil
		}}
		err := c.listed(l, k, r, secret)
		if err == nil {
			f.Entry = *l.top
		}
		return err
	}
	if err := c.do(ctx, k); err != nil {
		return Folder{}, err
	}
	return f, nil
}

// ListTree calls fn for everything below a folder (not for the folder
// itself), each folder before its contents, while the reply arrives: memory
// does not grow with the tree. The time that fn takes is not limited.
//
// fn is never called again for what it has seen: once it was called, a lost
// connection is an error (a temporary one) and not repeated. An error of fn
// ends the listing and is the cause of the error returned. fn must not wait
// for other calls of the client, which may wait for this one to end.
//
// ErrRecursionRefused if the server does not list this folder recursively; it
// does not for the root (pCloud API 7.3). Trees of more than a million entries
// or 40 levels fail with result 5000. In both cases List works.
func (c *Client) ListTree(ctx context.Context, id FolderID, fn func(Entry) error) error {
	k := &call{method: "listfolder", params: params{}, how: reader, slow: true}
	k.params.num("folderid", uint64(id))
	k.params.flag("recursive")
	k.stream = func(r io.Reader, secret string) error {
		called := false
		var stop error // of fn
		l := &listing{id: id, recursive: true, left: c.o.MaxListing, fn: func(e Entry) error {
			called = true
			stop = fn(e)
			return stop
		}}
		err := c.listed(l, k, r, secret)
		if stop != nil {
			return &Error{Err: stop, final: true, local: true}
		}
		if err != nil && called {
			e := asError(err)
			e.Err, e.garbled, e.final = jsonError(e.Err), garbled(e.Err), true
			return e
		}
		return err
	}
	return c.do(ctx, k)
}

// listed reads a listing and judges its result.
func (c *Client) listed(l *listing, k *call, r io.Reader, secret string) error {
	if err := l.read(r); err != nil {
		return err
	}
	if e := l.status.failure(k, c.host, secret); e != nil {
		return e
	}
	if l.top == nil {
		return protocolErrorf("no metadata in it")
	}
	return nil
}

// ResolveFolder finds a folder by its path below RootFolder, in which slashes
// separate exact names; the empty path is RootFolder itself. With create,
// missing folders are made. An error that is fs.ErrNotExist names the
// component that is missing.
func (c *Client) ResolveFolder(ctx context.Context, path string, create bool) (Entry, error) {
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	for _, name := range names {
		if err := newName("listfolder", name); err != nil {
			return Entry{}, err
		}
	}
	f, err := c.ListFolders(ctx, RootFolder)
	if err != nil {
		return Entry{}, err
	}
	at := f.Entry
	for _, name := range names {
		if at.FolderID != RootFolder {
			if f, err = c.ListFolders(ctx, at.FolderID); err != nil {
				return Entry{}, err
			}
		}
		next, ok := f.folder(name)
		switch {
		case ok:
		case create:
			if next, _, err = c.EnsureFolder(ctx, at.FolderID, name); err != nil {
				return Entry{}, err
			}
		default:
			return Entry{}, &Error{Method: "listfolder",
				Err: fmt.Errorf("path %q: no folder %q in %q: %w", path, name, at.Name, fs.ErrNotExist)}
		}
		at = next
	}
	return at, nil
}

// folder finds a child folder by its name.
func (f *Folder) folder(name string) (Entry, bool) {
	for _, e := range f.Contents {
		if e.Folder && e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// CreateFolder makes a folder (pCloud API 7.1). fs.ErrExist if there is one of
// that name; a file of that name does not matter to pCloud. Not repeated when
// the reply is lost.
func (c *Client) CreateFolder(ctx context.Context, parent FolderID, name string) (Entry, error) {
	k, err := newFolderCall("createfolder", parent, name, once)
	if err != nil {
		return Entry{}, err
	}
	return c.entryCall(ctx, k, isFolder(0))
}

// EnsureFolder makes a folder unless there is one of that name (pCloud API
// 7.2), and says whether it did. After a lost reply the call is repeated, and
// created may then be false although this call made the folder.
func (c *Client) EnsureFolder(ctx context.Context, parent FolderID, name string) (e Entry, created bool, err error) {
	k, err := newFolderCall("createfolderifnotexists", parent, name, again)
	if err != nil {
		return Entry{}, false, err
	}
	var reply struct {
		Metadata meta `json:"metadata"`
		Created  bool `json:"created"`
	}
	k.out = &reply
	e, err = c.entryOf(ctx, k, &reply.Metadata, isFolder(0))
	return e, reply.Created && err == nil, err
}

func newFolderCall(method string, parent FolderID, name string, how repeat) (*call, error) {
	if err := newName(method, name); err != nil {
		return nil, err
	}
	k := &call{method: method, params: params{}, how: how}
	k.params.num("folderid", uint64(parent))
	k.params.set("name", name)
	return k, nil
}

// RenameFolder moves a folder into another under a new name (pCloud API 7.4).
// It never replaces anything: fs.ErrExist if the name is taken by a folder.
// fs.ErrInvalid when it would be moved into itself. Not repeated when the reply
// is lost.
func (c *Client) RenameFolder(ctx context.Context, id, to FolderID, name string) (Entry, error) {
	if err := newName("renamefolder", name); err != nil {
		return Entry{}, err
	}
	k := &call{method: "renamefolder", params: params{}}
	k.params.num("folderid", uint64(id))
	k.params.num("tofolderid", uint64(to))
	k.params.set("toname", name)
	return c.entryCall(ctx, k, isFolder(id))
}

// DeleteFolder removes an empty folder (pCloud API 7.5). ErrNotEmpty if it is
// not; ErrBusy for the root and for shared folders.
func (c *Client) DeleteFolder(ctx context.Context, id FolderID) error {
	k := &call{method: "deletefolder", params: params{}, how: again, done: []int{2005}}
	k.params.num("folderid", uint64(id))
	return c.do(ctx, k)
}

// DeleteFolderTree removes a folder with everything in it (pCloud API 7.6) and
// returns how many files and folders that were, the folder itself included;
// both are 0 when the reply was lost and the repeat found nothing.
func (c *Client) DeleteFolderTree(ctx context.Context, id FolderID) (files, folders int64, err error) {
	var reply struct {
		Files   int64 `json:"deletedfiles"`
		Folders int64 `json:"deletedfolders"`
	}
	k := &call{method: "deletefolderrecursive", params: params{}, how: again, done: []int{2005}, slow: true, out: &reply}
	k.params.num("folderid", uint64(id))
	if err := c.do(ctx, k); err != nil {
		return 0, 0, err
	}
	return reply.Files, reply.Folders, nil
}

// entryCall makes a call whose reply is the metadata of one object, which has
// to be what want says.
func (c *Client) entryCall(ctx context.Context, k *call, want func(Entry) bool) (Entry, error) {
	var reply struct {
		Metadata meta `json:"metadata"`
	}
	k.out = &reply
	return c.entryOf(ctx, k, &reply.Metadata, want)
}

// entryOf makes a call that decodes metadata into m.
func (c *Client) entryOf(ctx context.Context, k *call, m *meta, want func(Entry) bool) (Entry, error) {
	var e Entry
	k.after = func() *Error {
		var err error
		if e, err = m.v.entry(); err == nil && !want(e) {
			err = protocolErrorf("metadata of something else, %.100q", e.Name)
		}
		if err != nil {
			return &Error{Err: err, unknown: true}
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// isFolder accepts a folder, with the given id unless that is 0.
func isFolder(id FolderID) func(Entry) bool {
	return func(e Entry) bool { return e.Folder && (id == 0 || e.FolderID == id) }
}

// isFile accepts a file, with the given id unless that is 0.
func isFile(id FileID) func(Entry) bool {
	return func(e Entry) bool { return !e.Folder && (id == 0 || e.FileID == id) }
}

// asError makes an *Error of err.
func asError(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return &Error{Err: err}
}
