package remote

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wireMeta is the metadata object of the API (pCloud API 5.1), as far as it is
// used. Pointers tell absent from zero.
type wireMeta struct {
	Name       string   `json:"name"`
	IsFolder   *bool    `json:"isfolder"`
	FolderID   *uint64  `json:"folderid"`
	FileID     *uint64  `json:"fileid"`
	ParentID   *uint64  `json:"parentfolderid"`
	Size       *int64   `json:"size"`
	Hash       *uint64  `json:"hash"`
	Created    wireTime `json:"created"`
	Modified   wireTime `json:"modified"`
	IsDeleted  bool     `json:"isdeleted"`
	Conflicted bool     `json:"conflicted"`
	Replaced   uint64   `json:"deletedfileid"`
}

// meta is a wireMeta anywhere but in listings.
type meta = object[wireMeta]

// entry checks the metadata of an object other than the root and converts it.
func (m *wireMeta) entry() (Entry, error) {
	if m.ParentID == nil {
		return Entry{}, protocolErrorf("metadata of %.100q has no parentfolderid", m.Name)
	}
	return m.child(FolderID(*m.ParentID))
}

// child is entry for an object that is known to be in parent.
func (m *wireMeta) child(parent FolderID) (Entry, error) {
	if err := checkName(m.Name); err != nil {
		return Entry{}, err
	}
	e := Entry{
		Name:       m.Name,
		ParentID:   parent,
		Created:    m.Created.t,
		Modified:   m.Modified.t,
		Deleted:    m.IsDeleted,
		Conflicted: m.Conflicted,
		Replaced:   FileID(m.Replaced),
	}
	if parent > MaxID || m.Replaced > MaxID {
		return Entry{}, protocolErrorf("id of %.100q out of range", m.Name)
	}
	e.Folder = m.folder()
	if e.Folder {
		if m.FolderID == nil || *m.FolderID == 0 || *m.FolderID > MaxID {
			return Entry{}, protocolErrorf("folderid of %.100q missing or out of range", m.Name)
		}
		e.FolderID = FolderID(*m.FolderID)
		return e, nil
	}
	if m.FileID == nil || *m.FileID == 0 || *m.FileID > MaxID {
		return Entry{}, protocolErrorf("fileid of %.100q missing or out of range", m.Name)
	}
	e.FileID = FileID(*m.FileID)
	if m.Size == nil || m.Hash == nil {
		if !m.IsDeleted {
			return Entry{}, protocolErrorf("file %.100q has no size or no hash", m.Name)
		}
		return e, nil
	}
	if *m.Size < 0 {
		return Entry{}, protocolErrorf("size of %.100q is negative", m.Name)
	}
	e.Size, e.Hash = *m.Size, Hash(*m.Hash)
	return e, nil
}

// folder tells folders from files by isfolder, or by which id there is.
func (m *wireMeta) folder() bool {
	if m.IsFolder != nil {
		return *m.IsFolder
	}
	return m.FileID == nil && m.FolderID != nil
}

// listed is the entry of the folder that was listed as id. The root has
// neither a parent nor a name of its own.
func (m *wireMeta) listed(id FolderID) (Entry, error) {
	if id == RootFolder {
		if !m.folder() || m.FolderID == nil {
			return Entry{}, protocolErrorf("the root is no folder")
		}
		return Entry{Name: "/", Folder: true, Created: m.Created.t, Modified: m.Modified.t}, nil
	}
	e, err := m.entry()
	if err == nil && (!e.Folder || e.FolderID != id) {
		err = protocolErrorf("folder %d was asked for, not %.100q", id, m.Name)
	}
	return e, err
}

// checkName refuses names that could lead outside a folder. pCloud itself does
// not allow them (pCloud API 6).
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || !utf8.ValidString(name) {
		return protocolErrorf("name %.100q", name)
	}
	return nil
}

// maxName is the longest name that pCloud stores, in bytes (pCloud API 6).
const maxName = 1023

// newName checks a name before it is sent, so that it is refused without a
// request and always in the same way.
func newName(method, name string) error {
	if checkName(name) != nil || strings.Contains(name, `\`) || len(name) > maxName {
		return &Error{Method: method, Err: ErrInvalidName}
	}
	return nil
}

// wireTime is unix seconds, which timeformat=timestamp asks for. The default
// format is taken as well, in case a method ignores the parameter.
type wireTime struct{ t time.Time }

// Times outside the years 1 to 9999 are moved to the nearest end: a strange
// time stamp, set by whatever client, must not make a folder unreadable.
const (
	minUnix = -62135596800
	maxUnix = 253402300799
)

func (t *wireTime) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		v, err := time.Parse(time.RFC1123Z, s)
		if err != nil {
			return protocolErrorf("time %.40q", s)
		}
		t.t = v
		return nil
	}
	if string(b) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		u, uerr := strconv.ParseUint(string(b), 10, 64)
		if uerr != nil {
			return protocolErrorf("time %.40q", b)
		}
		n = int64(u)
	}
	t.t = time.Unix(min(max(n, minUnix), maxUnix), 0)
	return nil
}

// wireSums are digests as replies carry them.
type wireSums struct {
	SHA1   string `json:"sha1"`
	MD5    string `json:"md5"`
	SHA256 string `json:"sha256"`
}

func (s *wireSums) checksums() (Checksums, error) {
	c := Checksums{MD5: s.MD5, SHA256: s.SHA256}
	if !hexOf(s.SHA1, len(c.SHA1)) || s.MD5 != "" && !hexOf(s.MD5, 16) || s.SHA256 != "" && !hexOf(s.SHA256, 32) {
		return Checksums{}, protocolErrorf("a checksum is missing or malformed")
	}
	_, err := hex.Decode(c.SHA1[:], []byte(s.SHA1))
	c.MD5, c.SHA256 = strings.ToLower(s.MD5), strings.ToLower(s.SHA256)
	return c, err
}

// hexOf reports whether s is n bytes in hexadecimal.
func hexOf(s string, n int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 2*n
}
