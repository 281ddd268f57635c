package pcloudtest

import (
	"errors"
	"io"
	"math"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

func uploadMethods() map[string]method {
	return map[string]method{
		"uploadfile":             {run: (*call).uploadFile, access: users, data: true},
		"upload_create":          {run: (*call).uploadCreate, access: users},
		"upload_write":           {run: (*call).uploadWrite, access: users, data: true},
		"upload_info":            {run: (*call).uploadInfo, access: users},
		"upload_save":            {run: (*call).uploadSave, access: users},
		"upload_delete":          {run: (*call).uploadDelete, access: users},
		"upload_writefromfile":   {run: (*call).uploadWriteFromFile, access: users},
		"upload_writefromupload": {run: (*call).uploadWriteFromUpload, access: users},
	}
}

// upload is one uploadfile call: files that arrive one after the other.
type upload struct {
	c      *call
	parent uint64
	put    store.PutOptions

	ids, meta, sums list
}

// uploadFile stores files (pCloud API 7.8). A body that breaks leaves a
// truncated file unless the client asked for none.
func (c *call) uploadFile() error {
	u := &upload{c: c, ids: list{}, meta: list{}, sums: list{}}
	var err error
	if u.parent, err = c.uploadTarget(); err != nil {
		return err
	}
	if u.put, err = c.putOptions(); err != nil {
		return err
	}
	if c.form == nil {
		err = u.raw()
	} else {
		err = u.multipart()
	}
	if err != nil {
		return err
	}
	c.add("fileids", u.ids)
	c.add("metadata", u.meta)
	c.add("checksums", u.sums)
	return nil
}

// uploadTarget finds the folder to upload to, by default the root.
func (c *call) uploadTarget() (uint64, error) {
	if !c.params.has("folderid") && !c.params.has("path") {
		return 0, nil
	}
	n, _, err := c.folder()
	return n.ID, err
}

// putOptions reads how a file takes its name: times and conditions (pCloud API
// 8.6).
func (c *call) putOptions() (o store.PutOptions, err error) {
	if o.Modified, err = c.params.date("mtime"); err != nil {
		return o, err
	}
	if o.Created, err = c.params.date("ctime"); err != nil {
		return o, err
	}
	o.RenameIfExists = c.params.bool("renameifexists")
	switch v := c.params["ifhash"]; v {
	case "":
	case "new":
		o.IfNew = true
	default:
		h, err := parseNumber(v)
		if err != nil {
			// A hash that nothing can have: the condition fails.
			return o, fail(2001, "Invalid 'ifhash' provided.")
		}
		o.IfHash = &h
	}
	return o, nil
}

// raw takes the body as one file.
func (u *upload) raw() error {
	c := u.c
	if c.r.ContentLength == 0 && !c.s.o.Quirks.AcceptEmptyRaw {
		return fail(2088, "No file was uploaded.")
	}
	return u.file(c.body, c.params["filename"], c.r.ContentLength)
}

// multipart takes each file of the form.
func (u *upload) multipart() error {
	for {
		r, name, err := u.c.form.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fail(2041, "Connection broken.")
		}
		if name == "" {
			if name = u.c.params["filename"]; name == "" {
				continue // a file field of a form that was left empty
			}
		}
		if err := u.file(r, name, -1); err != nil {
			return err
		}
	}
	if len(u.ids) == 0 {
		return fail(2088, "No file was uploaded.")
	}
	return nil
}

// file stores one file of size bytes, or -1 if that is unknown.
func (u *upload) file(r io.Reader, name string, size int64) error {
	c := u.c
	if err := c.view.CheckPut(u.parent, name, size); err != nil {
		return err
	}
	w, err := c.s.account.NewBlob()
	if err != nil {
		return err
	}
	defer w.Abort()
	_, broken := io.Copy(w, r)
	if broken != nil && !u.keepsPart(w.Size()) {
		return fail(2041, "Connection broken.")
	}
	b, err := w.Commit()
	if err != nil {
		return err
	}
	sums := b.Sums()
	n, err := c.view.Put(u.parent, name, b, u.put)
	switch {
	case err != nil:
		return err
	case broken != nil:
		return fail(2041, "Connection broken.")
	}
	u.ids = append(u.ids, n.ID)
	u.meta = append(u.meta, &metadata{node: n})
	u.sums = append(u.sums, c.sums(sums))
	return nil
}

// keepsPart tells whether a broken upload becomes a file of what arrived.
func (u *upload) keepsPart(size int64) bool {
	return size > 0 && (!u.c.params.bool("nopartial") || u.c.s.o.Quirks.PartialUploads)
}

// uploadID reads the session that a call is about.
func (c *call) uploadID(name string) (uint64, error) {
	n, ok := c.params.number(name)
	if !ok {
		return 0, fail(2067, "Upload not found.")
	}
	return n, nil
}

// amount reads an offset or a length; absent is 0. Beyond what a file can be
// it is refused with code.
func (c *call) amount(name string, code int) (int64, error) {
	if !c.params.has(name) {
		return 0, nil
	}
	n, ok := c.params.number(name)
	if !ok || n > math.MaxInt64 {
		return 0, fail(code, "Invalid '"+name+"' provided.")
	}
	return int64(n), nil
}

func (c *call) uploadCreate() error {
	size := int64(-1)
	if c.params.has("filesize") {
		n, err := c.amount("filesize", 2008)
		if err != nil {
			return err
		}
		size = n
	}
	id, err := c.s.account.CreateSession(size)
	if err != nil {
		return err
	}
	c.add("uploadid", id)
	return nil
}

// uploadWrite appends the body to a session. What arrived of a broken body
// stays (pCloud API 8.3).
func (c *call) uploadWrite() error {
	id, err := c.uploadID("uploadid")
	if err != nil {
		return err
	}
	off, err := c.amount("uploadoffset", 2068)
	if err != nil {
		return err
	}
	r, n := io.Reader(c.body), c.r.ContentLength
	if c.form != nil {
		if r, _, err = c.form.next(); err != nil {
			return fail(2088, "No file was uploaded.")
		}
		n = -1
	}
	err = c.sessionWrite(id, off, r, n)
	if err != nil && c.body.err != nil {
		return fail(2041, "Connection broken.")
	}
	return err
}

func (c *call) uploadInfo() error {
	id, err := c.uploadID("uploadid")
	if err != nil {
		return err
	}
	size, sums, err := c.s.account.SessionInfo(c.s.sessions.real(id))
	if err != nil {
		return err
	}
	c.add("size", size)
	c.reply = append(c.reply, c.sums(sums)...)
	return nil
}

// uploadSave makes a file of a session (pCloud API 8.6).
func (c *call) uploadSave() error {
	id, err := c.uploadID("uploadid")
	if err != nil {
		return err
	}
	parent, err := c.uploadTarget()
	if err != nil {
		return err
	}
	name, ok := c.params["name"]
	if !ok {
		name = c.params["filename"]
	}
	put, err := c.putOptions()
	if err != nil {
		return err
	}
	n, err := c.sessionSave(id, parent, name, put)
	if err != nil {
		return err
	}
	c.meta(n)
	return nil
}

func (c *call) uploadDelete() error {
	id, err := c.uploadID("uploadid")
	if err != nil {
		return err
	}
	return c.s.account.DeleteSession(c.s.sessions.real(id))
}

// span reads the source range of a server-side copy into a session.
func (c *call) span() (id uint64, off, from, count int64, err error) {
	if id, err = c.uploadID("uploadid"); err != nil {
		return
	}
	if off, err = c.amount("uploadoffset", 2068); err != nil {
		return
	}
	if from, err = c.amount("offset", 1010); err != nil {
		return
	}
	count, err = c.amount("count", 1011)
	return
}

func (c *call) uploadWriteFromFile() error {
	id, off, from, count, err := c.span()
	if err != nil {
		return err
	}
	file, ok, err := c.fileID("fileid")
	if err != nil {
		return err
	}
	if !ok {
		return fail(1004, "No fileid provided.")
	}
	var hash *uint64
	if h, ok := c.params.number("hash"); ok {
		hash = &h
	}
	return c.view.SessionFromFile(c.s.sessions.real(id), off, file, hash, from, count)
}

func (c *call) uploadWriteFromUpload() error {
	id, off, from, count, err := c.span()
	if err != nil {
		return err
	}
	src, err := c.uploadID("readuploadid")
	if err != nil {
		return err
	}
	real := c.s.sessions.real
	return c.s.account.SessionFromSession(real(id), off, real(src), from, count)
}
