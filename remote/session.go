package remote

import (
	"context"
	"crypto/sha1"
	"errors"
	"io"
)

func emptySHA1() SHA1 { return sha1.Sum(nil) }

// CreateUpload opens an upload session (pCloud API 8.2). size is a hint; 0 if
// unknown. A repeated attempt may leave an unused session behind, which the
// server forgets.
func (c *Client) CreateUpload(ctx context.Context, size int64) (UploadID, error) {
	var reply struct {
		ID *uint64 `json:"uploadid"`
	}
	k := &call{method: "upload_create", params: params{}, how: again, out: &reply}
	if size > 0 {
		k.params.num("filesize", uint64(size))
	}
	k.after = func() *Error {
		if reply.ID == nil || *reply.ID > MaxID {
			return &Error{Err: protocolErrorf("uploadid missing or out of range"), unknown: true}
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return 0, err
	}
	return UploadID(*reply.ID), nil
}

func sessionCall(method string, id UploadID, how repeat) *call {
	k := &call{method: method, params: params{}, how: how}
	k.params.num("uploadid", uint64(id))
	return k
}

// WriteUpload appends r[off:off+n] to a session that ends at off (pCloud API
// 8.3). ErrUploadOffset if it ends elsewhere, ErrNoUpload if it is gone. After
// a broken attempt it asks where the session ends and goes on from there, so
// there must be one writer of a session at a time.
//
// Whether the server has the right bytes is for UploadInfo to say. r is not
// touched after WriteUpload returns.
func (c *Client) WriteUpload(ctx context.Context, id UploadID, off int64, r io.ReaderAt, n int64) error {
	return c.appendUpload(ctx, id, off, n, func(at, left int64) *call {
		k := sessionCall("upload_write", id, once)
		k.params.num("uploadoffset", uint64(at))
		k.body = &source{r: r, off: at, n: left, kind: octetStream}
		return k
	})
}

// WriteUploadFromFile appends n bytes of a version of a file, from srcOff, to
// a session that ends at off, without a transfer (pCloud API 8.5). pCloud's
// own client asks for at most 32 MiB at a time. Any failure means: send the
// bytes instead.
func (c *Client) WriteUploadFromFile(ctx context.Context, id UploadID, off int64, src FileID, h Hash, srcOff, n int64) error {
	return c.appendUpload(ctx, id, off, n, func(at, left int64) *call {
		k := sessionCall("upload_writefromfile", id, once)
		k.params.num("uploadoffset", uint64(at))
		k.params.num("fileid", uint64(src))
		k.params.num("hash", uint64(h))
		k.params.num("offset", uint64(srcOff+at-off))
		k.params.num("count", uint64(left))
		k.slow = true
		return k
	})
}

// WriteUploadFromUpload appends n bytes of another session, from srcOff, to a
// session that ends at off (pCloud API 8.5).
func (c *Client) WriteUploadFromUpload(ctx context.Context, id UploadID, off int64, src UploadID, srcOff, n int64) error {
	return c.appendUpload(ctx, id, off, n, func(at, left int64) *call {
		k := sessionCall("upload_writefromupload", id, once)
		k.params.num("uploadoffset", uint64(at))
		k.params.num("readuploadid", uint64(src))
		k.params.num("offset", uint64(srcOff+at-off))
		k.params.num("count", uint64(left))
		k.slow = true
		return k
	})
}

// appendUpload appends off..off+n with calls made by next. After a failure of
// unknown effect the session's size says what is left to do; anything outside
// the range is ErrUploadOffset.
func (c *Client) appendUpload(ctx context.Context, id UploadID, off, n int64, next func(at, left int64) *call) error {
	if n <= 0 {
		return nil
	}
	end := off + n
	at := off
	k := next(at, end-at)
	for broken := 0; ; {
		err := c.do(ctx, k)
		var e *Error
		if err == nil || !errors.As(err, &e) {
			return err
		}
		// The first attempt may still be at work on the server when the
		// session is looked at, so that the next one misses the end.
		missed := broken > 0 && errors.Is(e, ErrUploadOffset)
		if broken++; ctx.Err() != nil || e.final || broken >= c.o.Attempts || !missed && !(e.uncertain && e.Temporary()) {
			return err
		}
		if werr := c.pause(ctx, broken, e); werr != nil {
			return e.endedBy(werr)
		}
		st, ierr := c.UploadInfo(ctx, id)
		switch {
		case ierr != nil:
			return ierr
		case st.Size == end:
			return nil
		case st.Size < off || st.Size > end:
			return &Error{Method: k.method, Err: ErrUploadOffset}
		case st.Size > at:
			broken = 1 // it moves
		}
		at = st.Size
		k = next(at, end-at)
	}
}

// UploadStatus is what a session holds so far.
type UploadStatus struct {
	Size int64
	Checksums
}

// UploadInfo returns the size and the server's digests of a session (pCloud
// API 8.4). ErrNoUpload if it does not exist.
func (c *Client) UploadInfo(ctx context.Context, id UploadID) (UploadStatus, error) {
	var reply struct {
		wireSums
		Size *int64 `json:"size"`
	}
	k := sessionCall("upload_info", id, reader)
	k.out = &reply
	var st UploadStatus
	k.after = func() *Error {
		sums, err := reply.checksums()
		if err == nil && (reply.Size == nil || *reply.Size < 0) {
			err = protocolErrorf("size missing or negative")
		}
		if err != nil {
			return &Error{Err: err}
		}
		st = UploadStatus{*reply.Size, sums}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return UploadStatus{}, err
	}
	return st, nil
}

// SaveUpload makes a session a file (pCloud API 8.6). The reply has no
// digests: compare those of UploadInfo before. Not repeated when the reply is
// lost; the session is used up if the call took effect.
func (c *Client) SaveUpload(ctx context.Context, id UploadID, t UploadTarget) (Entry, error) {
	k := sessionCall("upload_save", id, once)
	k.slow = true
	if err := t.params(k); err != nil {
		return Entry{}, err
	}
	k.params.set("name", t.Name)
	return c.entryCall(ctx, k, isFile(0))
}

// DeleteUpload abandons a session (pCloud API 8.8). One that does not exist is
// no error.
func (c *Client) DeleteUpload(ctx context.Context, id UploadID) error {
	err := c.do(ctx, sessionCall("upload_delete", id, again))
	if errors.Is(err, ErrNoUpload) {
		return nil
	}
	return err
}
