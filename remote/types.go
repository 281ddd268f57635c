package remote

import (
	"crypto/sha1"
	"encoding/hex"
	"time"
)

// Identifiers of pCloud objects (pcloud-api.md 2.5, 5). Files and folders are
// numbered in separate spaces: a FileID may equal a FolderID.
type (
	FolderID   uint64 // folder; RootFolder is the top of what the token sees
	FileID     uint64 // file; stable across rename, move and overwrite
	UploadID   uint64 // upload session (8.1)
	DiffID     uint64 // position in the change feed (11.1)
	RevisionID uint64 // stored older version of a file (7.18)
)

// RootFolder is the folder that every token sees as its top: the account's
// root, or /Applications/<App> for an application-folder token (4.3).
const RootFolder FolderID = 0

// MaxID is the largest identifier accepted from the server. pCloud's ids are
// far below it; the bits above are needed to tell the id spaces apart locally.
const MaxID = 1<<62 - 1

// Hash names one version of a file's content (5.5). It is opaque: it may be
// compared for equality and nothing else, and uses all 64 bits.
type Hash uint64

// SHA1 is the digest that pCloud reports for every file in every region.
type SHA1 [sha1.Size]byte

// String returns the digest in lower-case hexadecimal.
func (s SHA1) String() string { return hex.EncodeToString(s[:]) }

// Entry is the metadata of one file or folder (5.1).
type Entry struct {
	Name     string
	Folder   bool
	FolderID FolderID // of a folder
	FileID   FileID   // of a file
	ParentID FolderID // meaningless for the root
	Size     int64    // bytes; 0 for folders
	Hash     Hash     // content version of a file

	// Created and Modified have a resolution of one second.
	Created, Modified time.Time

	// Deleted is set on entries that no longer exist (in replies to deletions
	// and in the change feed).
	Deleted bool

	// Conflicted is set in the reply to a conditional upload whose condition
	// failed: the bytes were stored under Name, which is then not the name
	// that was asked for (8.6).
	Conflicted bool

	// Replaced is the file that disappeared because this one took its name,
	// or 0 (7.17).
	Replaced FileID
}

// Folder is a folder with its direct children, in no particular order (7.3).
type Folder struct {
	Entry
	Contents []Entry
}

// Checksums are the server's own digests of a file or an upload session.
// SHA1 is always there; of the others pCloud gives MD5 in the US and SHA256
// in the EU (6), in lower-case hexadecimal.
type Checksums struct {
	SHA1   SHA1
	MD5    string
	SHA256 string
}
