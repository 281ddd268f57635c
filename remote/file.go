package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Stat returns the metadata of a file (pCloud API 7.11).
func (c *Client) Stat(ctx context.Context, id FileID) (Entry, error) {
	return c.entryCall(ctx, fileCall("stat", id, reader), isFile(id))
}

func fileCall(method string, id FileID, how repeat) *call {
	k := &call{method: method, params: params{}, how: how}
	k.params.num("fileid", uint64(id))
	return k
}

// Checksum returns the metadata of a file with the server's digests of its
// content (pCloud API 7.12).
func (c *Client) Checksum(ctx context.Context, id FileID) (Entry, Checksums, error) {
	var reply struct {
		wireSums
		Metadata meta `json:"metadata"`
	}
	k := fileCall("checksumfile", id, reader)
	k.out = &reply
	e, err := c.entryOf(ctx, k, &reply.Metadata, isFile(id))
	if err != nil {
		return Entry{}, Checksums{}, err
	}
	sums, err := reply.checksums()
	if err != nil {
		return Entry{}, Checksums{}, &Error{Method: k.method, Err: err}
	}
	return e, sums, nil
}

// FilesByChecksum returns the account's files with that content, as far as the
// token sees them (pCloud API 7.13, undocumented by pCloud).
func (c *Client) FilesByChecksum(ctx context.Context, size int64, sha1 SHA1) ([]Entry, error) {
	var reply struct {
		Metadata []meta `json:"metadata"`
	}
	k := &call{method: "getfilesbychecksum", params: params{}, how: reader, limit: 16 << 20, out: &reply}
	k.params.num("size", uint64(size))
	k.params.set("sha1", sha1.String())
	var found []Entry
	k.after = func() *Error {
		found = nil
		for i := range reply.Metadata {
			e, err := reply.Metadata[i].v.entry()
			if err != nil {
				return &Error{Err: err}
			}
			if e.Folder || e.Size != size {
				return &Error{Err: protocolErrorf("%.100q does not have the size asked for", e.Name)}
			}
			found = append(found, e)
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return nil, err
	}
	return found, nil
}

// CopyTarget says where a copy goes.
type CopyTarget struct {
	Parent FolderID
	Name   string

	// Modified and Created are set on the copy; zero leaves them to the
	// server. Created needs Modified.
	Modified, Created time.Time

	// NoOverwrite makes an existing file of that name an error (fs.ErrExist)
	// instead of replacing its content.
	NoOverwrite bool

	// Hash is the version of the source that is meant; 0 means whatever is
	// there.
	Hash Hash
}

// CopyFile copies a file on the server (pCloud API 7.14). A file that has the
// name already keeps its FileID and gets the content. Not repeated when the
// reply is lost.
func (c *Client) CopyFile(ctx context.Context, id FileID, t CopyTarget) (Entry, error) {
	if err := newName("copyfile", t.Name); err != nil {
		return Entry{}, err
	}
	k := fileCall("copyfile", id, once)
	k.slow = true
	k.params.num("tofolderid", uint64(t.Parent))
	k.params.set("toname", t.Name)
	if err := setTimes(k, t.Modified, t.Created); err != nil {
		return Entry{}, err
	}
	if t.NoOverwrite {
		k.params.flag("noover")
	}
	if t.Hash != 0 {
		k.params.num("hash", uint64(t.Hash))
	}
	return c.entryCall(ctx, k, isFile(0))
}

// setTimes adds mtime and ctime, where they are not zero.
func setTimes(k *call, modified, created time.Time) error {
	if modified.IsZero() {
		if !created.IsZero() {
			return &Error{Method: k.method, Err: fmt.Errorf("a creation time needs a modification time: %w", fs.ErrInvalid)}
		}
		return nil
	}
	k.params.time("mtime", modified)
	if !created.IsZero() {
		k.params.time("ctime", created)
	}
	return nil
}

// SetTimes sets the times of a file by copying it onto itself, which needs no
// transfer and makes no revision (pCloud API 7.14). A zero created leaves the
// creation time alone. e must be the file's current metadata: if it was
// renamed meanwhile the call makes a second file, which the error ErrMoved
// reports together with that file's entry.
func (c *Client) SetTimes(ctx context.Context, e Entry, modified, created time.Time) (Entry, error) {
	k := fileCall("copyfile", e.FileID, again)
	k.params.num("tofolderid", uint64(e.ParentID))
	k.params.set("toname", e.Name)
	if modified.IsZero() {
		return Entry{}, &Error{Method: k.method, Err: fmt.Errorf("no modification time: %w", fs.ErrInvalid)}
	}
	if err := setTimes(k, modified, created); err != nil {
		return Entry{}, err
	}
	got, err := c.entryCall(ctx, k, isFile(0))
	if err == nil && got.FileID != e.FileID {
		return got, &Error{Method: k.method, Err: ErrMoved, uncertain: true}
	}
	return got, err
}

// SetFileMtime sets the modification time of a file by its id (pCloud API
// 7.15; undocumented by pCloud and not known to be open to OAuth tokens).
func (c *Client) SetFileMtime(ctx context.Context, id FileID, modified time.Time) (Entry, error) {
	k := fileCall("setfilemtime", id, again)
	k.params.time("newtm", modified)
	return c.entryCall(ctx, k, isFile(id))
}

// sameFile is the result of renaming a file to what it is (pCloud API 7.17).
const sameFile = 2049

// RenameFile moves a file into a folder under a new name (pCloud API 7.17). A
// file that has the name already is replaced atomically and named in
// Entry.Replaced. Not repeated when the reply is lost.
func (c *Client) RenameFile(ctx context.Context, id FileID, to FolderID, name string) (Entry, error) {
	if err := newName("renamefile", name); err != nil {
		return Entry{}, err
	}
	k := fileCall("renamefile", id, once)
	k.params.num("tofolderid", uint64(to))
	k.params.set("toname", name)
	e, err := c.entryCall(ctx, k, isFile(id))
	var failed *Error
	if errors.As(err, &failed) && failed.Result == sameFile {
		return c.Stat(ctx, id)
	}
	return e, err
}

// DeleteFile removes a file (pCloud API 7.16).
func (c *Client) DeleteFile(ctx context.Context, id FileID) error {
	k := fileCall("deletefile", id, again)
	k.done = []int{2009}
	return c.do(ctx, k)
}

// Revision is an older version of a file (pCloud API 7.18).
type Revision struct {
	ID      RevisionID
	Size    int64
	Hash    Hash
	Created time.Time
	Checksums
}

// Revisions lists the older versions of a file. Empty ones are not kept.
func (c *Client) Revisions(ctx context.Context, id FileID) ([]Revision, error) {
	var reply struct {
		Revisions []struct {
			wireSums
			ID      uint64   `json:"revisionid"`
			Size    int64    `json:"size"`
			Hash    uint64   `json:"hash"`
			Created wireTime `json:"created"`
		} `json:"revisions"`
	}
	k := fileCall("listrevisions", id, reader)
	k.params.flag("showchecksums")
	k.out = &reply
	var revisions []Revision
	k.after = func() *Error {
		revisions = nil
		for i := range reply.Revisions {
			r := &reply.Revisions[i]
			sums, err := r.checksums()
			if err != nil {
				return &Error{Err: err}
			}
			if r.ID > MaxID || r.Size < 0 {
				return &Error{Err: protocolErrorf("revision %d out of range", r.ID)}
			}
			revisions = append(revisions, Revision{RevisionID(r.ID), r.Size, Hash(r.Hash), r.Created.t, sums})
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return nil, err
	}
	return revisions, nil
}

// RevertRevision makes an older version the current one; the current one
// becomes a revision (pCloud API 7.18). fs.ErrNotExist if there is no such
// revision. Not repeated when the reply is lost.
func (c *Client) RevertRevision(ctx context.Context, id FileID, r RevisionID) (Entry, error) {
	k := fileCall("revertrevision", id, once)
	k.params.num("revisionid", uint64(r))
	return c.entryCall(ctx, k, isFile(id))
}
