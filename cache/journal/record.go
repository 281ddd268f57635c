package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

// record is an Intent as it is stored: CRC-32C of the rest (4 bytes, big
// endian), then this as JSON. 64-bit identifiers are strings because most JSON
// tools round numbers above 2^53. Names that are not UTF-8 go to the raw
// fields, in base64.
type record struct {
	Seq        uint64   `json:"seq"`
	Op         Op       `json:"op"`
	Folder     bool     `json:"folder,omitempty"`
	Node       uint64   `json:"node,string"`
	Parent     uint64   `json:"parent,string"`
	Name       string   `json:"name,omitempty"`
	NameRaw    []byte   `json:"name_raw,omitempty"`
	OldParent  uint64   `json:"old_parent,string,omitempty"`
	OldName    string   `json:"old_name,omitempty"`
	OldNameRaw []byte   `json:"old_name_raw,omitempty"`
	Path       string   `json:"path,omitempty"`
	FileID     uint64   `json:"file,string,omitempty"`
	FolderID   uint64   `json:"folder_id,string,omitempty"`
	Base       *base    `json:"base,omitempty"`
	Replaced   uint64   `json:"replaced,string,omitempty"`
	Spool      string   `json:"spool,omitempty"`
	Size       int64    `json:"size,omitempty"`
	Modified   stamp    `json:"modified,omitzero"`
	Born       stamp    `json:"born,omitzero"`
	Open       bool     `json:"open,omitempty"`
	Synced     bool     `json:"synced,omitempty"`
	Upload     *session `json:"upload,omitempty"`
	Parked     string   `json:"parked,omitempty"`
	Tries      int      `json:"tries,omitempty"`
	Issued     stamp    `json:"issued,omitzero"`
}

type base struct {
	File uint64 `json:"file,string"`
	Hash uint64 `json:"hash,string"`
}

type session struct {
	ID    uint64 `json:"id,string"`
	Size  int64  `json:"size"`
	Parts []part `json:"parts,omitempty"`
	Gone  int64  `json:"gone,omitempty"`
	Hash  []byte `json:"hash,omitempty"`
	Done  bool   `json:"done,omitempty"`
	SHA1  []byte `json:"sha1,omitempty"` // of Done sessions
}

type part struct {
	ID     uint64 `json:"id,string"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

func encodeUpload(u *Upload) *session {
	s := &session{ID: uint64(u.ID), Size: u.Size, Gone: u.Gone, Hash: u.Hash, Done: u.Done}
	for _, p := range u.Parts {
		s.Parts = append(s.Parts, part{uint64(p.ID), p.Offset, p.Size})
	}
	if u.SHA1 != (remote.SHA1{}) {
		s.SHA1 = u.SHA1[:]
	}
	return s
}

func (s *session) upload() *Upload {
	u := &Upload{ID: remote.UploadID(s.ID), Size: s.Size, Gone: s.Gone, Hash: s.Hash, Done: s.Done}
	for _, p := range s.Parts {
		u.Parts = append(u.Parts, UploadPart{remote.UploadID(p.ID), p.Offset, p.Size})
	}
	copy(u.SHA1[:], s.SHA1)
	return u
}

// stamp is a time as "seconds.nanoseconds" since 1970. RFC 3339 would refuse
// years that utimensat(2) accepts.
type stamp struct{ time.Time }

func (s stamp) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `"%d.%09d"`, s.Unix(), s.Nanosecond()), nil
}

func (s *stamp) UnmarshalJSON(p []byte) error {
	var text string
	if err := json.Unmarshal(p, &text); err != nil {
		return err
	}
	whole, frac, ok := strings.Cut(text, ".")
	sec, err1 := strconv.ParseInt(whole, 10, 64)
	nsec, err2 := strconv.ParseUint(frac, 10, 32)
	if !ok || len(frac) != 9 || err1 != nil || err2 != nil {
		return fmt.Errorf("%q is no time", text)
	}
	s.Time = time.Unix(sec, int64(nsec)).UTC()
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const crcLen = 4

// encodeIntent returns the stored form of an intent.
func encodeIntent(in *Intent) ([]byte, error) {
	r := record{
		Seq: in.Seq, Op: in.Op, Folder: in.Folder, Node: uint64(in.Node), Parent: uint64(in.Parent),
		OldParent: uint64(in.OldParent), FileID: uint64(in.FileID), FolderID: uint64(in.FolderID),
		Path: in.Path, Replaced: uint64(in.Replaced), Spool: in.Spool, Size: in.Size,
		Modified: stamp{in.Modified}, Born: stamp{in.Born}, Open: in.Open, Synced: in.Synced,
		Parked: in.Parked, Tries: in.Tries, Issued: stamp{in.Issued},
	}
	r.Name, r.NameRaw = lossless(in.Name)
	r.OldName, r.OldNameRaw = lossless(in.OldName)
	if in.Base != nil {
		r.Base = &base{File: uint64(in.Base.FileID), Hash: uint64(in.Base.Hash)}
	}
	if in.Upload != nil {
		r.Upload = encodeUpload(in.Upload)
	}

	var b bytes.Buffer
	b.Write(make([]byte, crcLen))
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encode intent %d: %w", in.Seq, err)
	}
	p := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	binary.BigEndian.PutUint32(p, crc32.Checksum(p[crcLen:], castagnoli))
	return p, nil
}

var (
	errShort    = errors.New("record is too short")
	errChecksum = errors.New("checksum of the record is wrong")
)

// decodeIntent is the inverse of encodeIntent for the record with key seq.
func decodeIntent(seq uint64, p []byte) (Intent, error) {
	if len(p) < crcLen {
		return Intent{}, errShort
	}
	if binary.BigEndian.Uint32(p) != crc32.Checksum(p[crcLen:], castagnoli) {
		return Intent{}, errChecksum
	}
	var r record
	if err := json.Unmarshal(p[crcLen:], &r); err != nil {
		return Intent{}, fmt.Errorf("record is not readable: %w", err)
	}
	in := Intent{
		Seq: r.Seq, Op: r.Op, Folder: r.Folder, Node: NodeID(r.Node), Parent: NodeID(r.Parent),
		Name: r.Name + string(r.NameRaw), OldParent: NodeID(r.OldParent), OldName: r.OldName + string(r.OldNameRaw),
		FileID: remote.FileID(r.FileID), FolderID: remote.FolderID(r.FolderID),
		Path: r.Path, Replaced: NodeID(r.Replaced), Spool: r.Spool, Size: r.Size,
		Modified: r.Modified.Time, Born: r.Born.Time, Open: r.Open, Synced: r.Synced,
		Parked: r.Parked, Tries: r.Tries, Issued: r.Issued.Time,
	}
	if r.Base != nil {
		in.Base = &Version{FileID: remote.FileID(r.Base.File), Hash: remote.Hash(r.Base.Hash)}
	}
	if r.Upload != nil {
		in.Upload = r.Upload.upload()
	}
	if in.Seq != seq {
		return Intent{}, fmt.Errorf("record of intent %d is stored as %d", in.Seq, seq)
	}
	return in, in.validate()
}

// A binding is stored under its node as CRC-32C of key and rest, kind ('f' file,
// 'd' folder), id.
const bindingLen = crcLen + 1 + 8

func encodeBinding(b Binding) (key, value []byte) {
	key = beKey(uint64(b.Node))
	value = make([]byte, bindingLen)
	value[crcLen] = 'f'
	id := uint64(b.File)
	if b.Folder {
		value[crcLen], id = 'd', uint64(b.FolderID)
	}
	binary.BigEndian.PutUint64(value[crcLen+1:], id)
	binary.BigEndian.PutUint32(value, bindingCRC(key, value))
	return key, value
}

func bindingCRC(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[crcLen:])
}

func decodeBinding(key, value []byte) (Binding, error) {
	if len(key) != 8 || len(value) != bindingLen {
		return Binding{}, errShort
	}
	if binary.BigEndian.Uint32(value) != bindingCRC(key, value) {
		return Binding{}, errChecksum
	}
	b := Binding{Node: NodeID(binary.BigEndian.Uint64(key)), Folder: value[crcLen] == 'd'}
	id := binary.BigEndian.Uint64(value[crcLen+1:])
	if b.Folder {
		b.FolderID = remote.FolderID(id)
	} else {
		b.File = remote.FileID(id)
	}
	return b, nil
}

func beKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
