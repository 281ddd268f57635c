package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"time"
)

const octetStream = "application/octet-stream"

// UploadTarget says what an upload becomes.
type UploadTarget struct {
	Parent FolderID
	Name   string

	// Modified and Created are set on the file; zero leaves them to the
	// server. Created needs Modified.
	Modified, Created time.Time

	// If is a condition on what has the name now.
	If Condition
}

// Condition makes an upload depend on what has the name now (pCloud API 8.6).
// When it does not hold the server stores the data all the same, under another
// name, and says so with Entry.Conflicted. The zero Condition always holds:
// an existing file gets the new content and keeps its FileID.
type Condition struct {
	set, fresh bool
	hash       Hash
}

// IfNew holds when no file has the name.
func IfNew() Condition { return Condition{set: true, fresh: true} }

// IfHash holds when the file of that name has the content version h.
func IfHash(h Hash) Condition { return Condition{set: true, hash: h} }

// target adds the parameters of an upload, except the name.
func (t *UploadTarget) params(k *call) error {
	if err := newName(k.method, t.Name); err != nil {
		return err
	}
	k.params.num("folderid", uint64(t.Parent))
	switch {
	case t.If.fresh:
		k.params.set("ifhash", "new")
	case t.If.set:
		k.params.num("ifhash", uint64(t.If.hash))
	}
	return setTimes(k, t.Modified, t.Created)
}

// UploadFile uploads size bytes of r as one file in one request (pCloud API
// 7.8), and returns the file with the server's digests of it.
//
// The digests have been compared with the SHA-1 of the bytes as they were
// sent, so on success r need not be read again. If they differ, or the size
// does, the error is ErrMismatch, and the entry is the damaged file that now
// has the name (with any other error it is zero). Without a condition it is sent again first.
//
// r is read from the beginning for every attempt and must not change; it is
// not touched after UploadFile returns.
func (c *Client) UploadFile(ctx context.Context, t UploadTarget, r io.ReaderAt, size int64) (Entry, Checksums, error) {
	k := &call{method: "uploadfile", params: params{}, slow: true}
	if err := t.params(k); err != nil {
		return Entry{}, Checksums{}, err
	}
	if size < 0 {
		return Entry{}, Checksums{}, &Error{Method: k.method, Err: fmt.Errorf("size %d: %w", size, fs.ErrInvalid)}
	}
	k.params.flag("nopartial")
	if size > 0 {
		k.params.set("filename", t.Name)
		k.body = &source{r: r, n: size, kind: octetStream, hash: true}
	} else if err := emptyUpload(k, t.Name); err != nil {
		return Entry{}, Checksums{}, &Error{Method: k.method, Err: err}
	}
	var u uploaded
	k.out = &u
	k.after = func() *Error { return u.check(k, size) }
	err := c.retry(ctx, once, nil, func(n int) *Error {
		u = uploaded{}
		start := time.Now()
		e := c.attempt(ctx, k)
		if e != nil && !t.If.set {
			// What can not have become a file may be sent again, and what
			// became a wrong one must be.
			whole := true
			if b := k.body.latest(); b != nil {
				whole, _ = b.state()
			}
			if !whole || e.Result == 2041 || errors.Is(e, ErrMismatch) {
				e.repeatable = true
			}
		}
		c.note(ctx, k.method, n, start, e)
		return e
	})
	return u.entry, u.sums, err
}

// uploaded is the reply of uploadfile: parallel arrays.
type uploaded struct {
	Metadata  []meta             `json:"metadata"`
	Checksums []object[wireSums] `json:"checksums"`

	entry Entry
	sums  Checksums
}

// check compares the reply with what was sent.
func (u *uploaded) check(k *call, size int64) *Error {
	if len(u.Metadata) != 1 || len(u.Checksums) != 1 {
		return &Error{Err: protocolErrorf("%d files and %d checksums for one upload", len(u.Metadata), len(u.Checksums)), unknown: true}
	}
	e, err := u.Metadata[0].v.entry()
	if err != nil {
		return &Error{Err: err, unknown: true}
	}
	sums, err := u.Checksums[0].v.checksums()
	if err != nil {
		return &Error{Err: err, unknown: true}
	}
	if e.Folder {
		return &Error{Err: protocolErrorf("the upload became a folder"), unknown: true}
	}
	u.entry, u.sums = e, sums
	sent := emptySHA1()
	if size > 0 {
		sent = k.body.latest().sha1()
	}
	if sums.SHA1 != sent || e.Size != size {
		return &Error{Err: fmt.Errorf("%w: %q has %d bytes with sha1 %s, sent were %d with %s",
			ErrMismatch, e.Name, e.Size, sums.SHA1, size, sent), unknown: true}
	}
	return nil
}

// emptyUpload makes the body for an empty file: the server ignores a raw body
// of no bytes (pCloud API 2.1), so it is a form with an empty part.
func emptyUpload(k *call, name string) error {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if _, err := w.CreateFormFile("content", name); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	k.body = &source{r: bytes.NewReader(b.Bytes()), n: int64(b.Len()), kind: w.FormDataContentType()}
	return nil
}
