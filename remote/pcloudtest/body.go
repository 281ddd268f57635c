package pcloudtest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
)

// readParams collects the parameters of a call from all their sources. For
// methods that take file data it stops before the data, so fields that follow
// a file are not seen (pCloud API 2.1).
func (c *call) readParams() error {
	c.params = parseParams(c.r)
	kind, attrs, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	// A PUT that carries data is raw whatever its type says: clients send the
	// type of the file.
	raw := c.method.data && c.r.Method == http.MethodPut
	switch {
	case raw:
	case kind == "application/x-www-form-urlencoded":
		q, err := readForm(c.body)
		if err != nil {
			return err
		}
		c.params.add(q)
		c.form = &formBody{} // a form without files
	case kind == "multipart/form-data":
		c.form = &formBody{parts: multipart.NewReader(c.body, attrs["boundary"])}
		q, err := c.form.fields()
		if err != nil {
			return err
		}
		c.params.add(q)
	}
	c.params.addCookies(c.r)
	return nil
}

// formBody is a multipart body, read as far as its first file.
type formBody struct {
	parts *multipart.Reader
	first *multipart.Part // the next file, if it was met already
	name  string
}

// fields reads the fields before the first file.
func (f *formBody) fields() (map[string]string, error) {
	q := make(map[string]string)
	left := maxForm
	for {
		p, name, isFile, err := f.part()
		if errors.Is(err, io.EOF) {
			return q, nil
		}
		if err != nil {
			return nil, err
		}
		if isFile {
			f.first, f.name = p, name
			return q, nil
		}
		b, err := io.ReadAll(io.LimitReader(p, int64(left)+1))
		if err != nil {
			return nil, fmt.Errorf("read form: %w", err)
		}
		if left -= len(b) + len(p.FormName()); left < 0 {
			return nil, errors.New("form too large")
		}
		if _, ok := q[p.FormName()]; !ok {
			q[p.FormName()] = string(b)
		}
	}
}

// part reads the header of the next part. A part with a file name is a file,
// whatever the name of its field.
func (f *formBody) part() (p *multipart.Part, name string, isFile bool, err error) {
	if f.parts == nil {
		return nil, "", false, io.EOF
	}
	if p, err = f.parts.NextRawPart(); err != nil {
		return nil, "", false, err
	}
	// Part.FileName would cut off what looks like a directory.
	_, attrs, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	name, isFile = attrs["filename"]
	return p, name, isFile, nil
}

// next returns the next file, or io.EOF after the last.
func (f *formBody) next() (io.Reader, string, error) {
	if f.first != nil {
		p := f.first
		f.first = nil
		return p, f.name, nil
	}
	for {
		p, name, isFile, err := f.part()
		if err != nil {
			return nil, "", err
		}
		if isFile {
			return p, name, nil
		}
	}
}

// chunked reports whether the length of the body was not announced.
func chunked(r *http.Request) bool { return slices.Contains(r.TransferEncoding, "chunked") }

// trackedBody remembers how reading it failed.
type trackedBody struct {
	r   io.Reader
	err error // other than io.EOF
}

func (b *trackedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}
