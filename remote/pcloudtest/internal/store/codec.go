package store

import (
	"encoding/binary"
	"errors"
)

// The metadata file's values are sequences of varints and length-prefixed
// bytes; a change of any of them needs a new formatVersion.

func appendBytes[T string | []byte](out []byte, p T) []byte {
	return append(binary.AppendUvarint(out, uint64(len(p))), p...)
}

// decoder reads such a sequence. After the first error everything is zero.
type decoder struct {
	rest []byte
	err  error
}

var errDamaged = errors.New("damaged record")

func (d *decoder) fail(err error) {
	d.rest = nil
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail(errDamaged)
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uint() uint64 {
	n, k := binary.Uvarint(d.rest)
	if k <= 0 {
		d.fail(errDamaged)
		return 0
	}
	d.rest = d.rest[k:]
	return n
}

func (d *decoder) int() int64 {
	n, k := binary.Varint(d.rest)
	if k <= 0 {
		d.fail(errDamaged)
		return 0
	}
	d.rest = d.rest[k:]
	return n
}

// bytes returns a part of the input, valid as long as that is.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail(errDamaged)
		return nil
	}
	p := d.rest[:n]
	d.rest = d.rest[n:]
	return p
}

// end returns the first error; bytes left over are one.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		d.err = errDamaged
	}
	return d.err
}

func idKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

func encodeRecord(r *record) []byte {
	var flags byte
	if r.folder {
		flags |= 1
	}
	if r.deleted {
		flags |= 2
	}
	out := []byte{flags}
	out = binary.AppendUvarint(out, r.id)
	out = binary.AppendUvarint(out, r.parent)
	out = binary.AppendUvarint(out, r.orig)
	out = binary.AppendVarint(out, r.created)
	out = binary.AppendVarint(out, r.modified)
	return appendBytes(out, r.name)
}

func (d *decoder) record() *record {
	flags := d.byte()
	r := &record{folder: flags&1 != 0, deleted: flags&2 != 0, id: d.uint(), parent: d.uint(), orig: d.uint()}
	r.created, r.modified = d.int(), d.int()
	r.name = string(d.bytes())
	return r
}

// encodeFile is encodeRecord with the content's number.
func encodeFile(r *record) []byte {
	out := encodeRecord(r)
	if !r.folder {
		out = binary.AppendUvarint(out, r.blob.id)
	}
	return out
}

func encodeBlob(b *blob) []byte {
	if b.gen {
		out := binary.AppendVarint([]byte{1}, b.size)
		out = binary.BigEndian.AppendUint64(out, b.hash)
		return binary.BigEndian.AppendUint64(out, b.seed)
	}
	out := binary.AppendVarint([]byte{0}, b.size)
	out = binary.BigEndian.AppendUint64(out, b.hash)
	out = append(out, byte(b.sum.have))
	out = append(out, b.sum.SHA1[:]...)
	out = append(out, b.sum.MD5[:]...)
	return append(out, b.sum.SHA256[:]...)
}

func (d *decoder) blob(id uint64) *blob {
	b := &blob{id: id, gen: d.byte() == 1, size: d.int(), hash: d.fixed(), saved: true}
	if b.gen {
		b.seed = d.fixed()
		return b
	}
	b.sum = &digests{have: sumSet(d.byte())}
	if len(d.rest) < len(b.sum.SHA1)+len(b.sum.MD5)+len(b.sum.SHA256) {
		d.fail(errDamaged)
	}
	d.rest = d.rest[copyAll(d.rest, b.sum.SHA1[:], b.sum.MD5[:], b.sum.SHA256[:]):]
	return b
}

func (d *decoder) fixed() uint64 {
	if len(d.rest) < 8 {
		d.fail(errDamaged)
		return 0
	}
	n := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return n
}

// copyAll fills the destinations one after the other and returns what it used.
func copyAll(src []byte, dst ...[]byte) (n int) {
	for _, p := range dst {
		n += copy(p, src[n:])
	}
	return n
}

func encodeEvent(e *event) []byte {
	out := appendBytes(nil, e.typ)
	out = binary.AppendVarint(out, e.time)
	out = binary.AppendUvarint(out, e.mask)
	out = binary.AppendUvarint(out, e.replaced)
	if e.rec == nil {
		return append(out, 0)
	}
	out = append(append(out, 1), encodeRecord(e.rec)...)
	if !e.rec.folder {
		out = binary.AppendVarint(out, e.rec.blob.size)
		out = binary.AppendUvarint(out, e.rec.blob.hash)
	}
	return out
}

func (d *decoder) event(id uint64) *event {
	e := &event{id: id, typ: string(d.bytes()), time: d.int(), mask: d.uint(), replaced: d.uint()}
	if d.byte() == 0 {
		return e
	}
	if e.rec = d.record(); !e.rec.folder {
		e.rec.blob = &blob{size: d.int(), hash: d.uint()}
	}
	return e
}

func encodeSession(s *session) ([]byte, error) {
	state, err := s.dig.marshal()
	if err != nil {
		return nil, err
	}
	out := binary.AppendVarint(nil, s.created)
	out = binary.AppendVarint(out, s.size)
	return append(out, state...), nil
}

func (d *decoder) session(id uint64) *session {
	s := &session{id: id, created: d.int(), size: d.int()}
	s.recorded, s.dig = s.size, unmarshalDigester(d)
	return s
}

func encodeRevisions(list []*revision) []byte {
	out := binary.AppendUvarint(nil, uint64(len(list)))
	for _, r := range list {
		out = binary.AppendUvarint(out, r.id)
		out = binary.AppendUvarint(out, r.blob.id)
		out = binary.AppendVarint(out, r.created)
	}
	return out
}
