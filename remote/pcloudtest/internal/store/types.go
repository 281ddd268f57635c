package store

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"log/slog"
	"time"
)

// DefaultQuota is the size of an account whose Options name none.
const DefaultQuota = 10 << 30

// Options of an account. The zero value is an empty account in memory.
type Options struct {
	// Dir holds the account's state; "" keeps it in memory.
	Dir string
	// Quota in bytes; 0 means what the directory has, or DefaultQuota. Another
	// value replaces what the directory has.
	Quota int64
	// Seed makes ids and the order of listings reproducible. It is fixed when
	// the account is made; reopening a directory ignores it.
	Seed   uint64
	Quirks Quirks
	// MaxEvents bounds the event log; clients with an older cursor get a reset
	// and the full state (pCloud API 11.1). 0 means DefaultMaxEvents.
	MaxEvents int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what an operator may want to know; nil discards it.
	Log *slog.Logger
}

// DefaultMaxEvents is the length of the event log unless Options say otherwise.
const DefaultMaxEvents = 1 << 18

// Quirks are the answers to questions about the real service that are open
// (pCloud API 13.4, 15). The zero value is the suggested default of each.
type Quirks struct {
	// SelfRename2049 answers 2049 to renaming a file to where it is.
	SelfRename2049 bool
	// NumberFrom is the first number tried by renameifexists; 0 means 1.
	NumberFrom int
	// ConflictSpace writes "a {CONFLICTED}.txt" instead of "a{CONFLICTED}.txt".
	ConflictSpace bool
	// ReviveDeleted gives a re-created file the id of the deleted file of that
	// name in that folder, with the old content as a revision.
	ReviveDeleted bool
	// TrashCounts makes deleted files count towards the quota.
	TrashCounts bool
	// SessionExpiry is how long after its creation an upload session is
	// forgotten (2067); 0 means never.
	SessionExpiry time.Duration
	// NoMD5 and NoSHA256 leave that digest out while bytes are written; it is
	// then computed when asked for. A server for one region needs only one.
	NoMD5, NoSHA256 bool
}

// Node is the metadata of a file or folder at one moment, as a view shows it:
// ids are those of the account, except that the view's own folder is 0.
type Node struct {
	ID     uint64
	Folder bool
	// Root marks the view's folder: ID 0, Name "/", no parent.
	Root   bool
	Parent uint64
	Name   string
	// Created and Modified are whole seconds, in UTC.
	Created, Modified time.Time
	Size              int64  // bytes; 0 for folders
	Hash              uint64 // version of the content; 0 for folders
	// Deleted is set in replies to deletions, in their events and in the trash.
	Deleted bool
	// OrigParent is, for deleted nodes, the folder they were deleted from;
	// Parent is then their place in the trash, 0 being its top.
	OrigParent uint64
	// Replaced is the id of the file that this one took the name from, in the
	// reply to a rename and in its event; otherwise 0.
	Replaced uint64
	// Conflicted is set in the reply to a conditional save that was diverted to
	// another name (pCloud API 8.6).
	Conflicted bool
}

// Sums are the digests of a content.
type Sums struct {
	SHA1   [sha1.Size]byte
	MD5    [md5.Size]byte
	SHA256 [sha256.Size]byte
}

// Revision is an older content of a file (pCloud API 7.18).
type Revision struct {
	ID      uint64
	Size    int64
	Hash    uint64
	Created time.Time
	Sums    Sums // only from RevisionsWithSums
}

// Event types (pCloud API 11.2).
const (
	EventReset          = "reset"
	EventCreateFolder   = "createfolder"
	EventModifyFolder   = "modifyfolder"
	EventDeleteFolder   = "deletefolder"
	EventCreateFile     = "createfile"
	EventModifyFile     = "modifyfile"
	EventDeleteFile     = "deletefile"
	EventModifyUserInfo = "modifyuserinfo"
)

// Event is one entry of the change feed (pCloud API 11).
type Event struct {
	ID   uint64 // diffid
	Type string
	Time time.Time
	// Node is the metadata; meaningless for EventReset and EventModifyUserInfo.
	Node Node
}

// ListOptions select what List visits (pCloud API 7.3).
type ListOptions struct {
	Recursive   bool
	ShowDeleted bool
	NoFiles     bool
}

// PutOptions say how a content takes its name (pCloud API 7.8, 8.6).
type PutOptions struct {
	// Modified and Created are set on the file; nil means now, or for Created
	// of an existing file what it has. Created counts only with Modified.
	Modified, Created *time.Time
	// IfNew and IfHash are the conditional save: if the name is taken, or the
	// file's hash is not *IfHash, the content goes to a conflict name.
	IfNew  bool
	IfHash *uint64
	// RenameIfExists takes the first free numbered name if the name is taken.
	RenameIfExists bool
}

// CopyOptions of CopyFile (pCloud API 7.14).
type CopyOptions struct {
	// NoOver refuses an existing destination with 2004.
	NoOver bool
	// Modified and Created are set on the copy; nil means now, or for Created
	// of an existing file what it has. Created counts only with Modified.
	Modified, Created *time.Time
	// Hash requires that content version, current or a revision; nil is current.
	Hash *uint64
	// Revision chooses a revision by id; 0 is the current content.
	Revision uint64
}

// CopyFolderOptions of CopyFolder (pCloud API 7.7).
type CopyFolderOptions struct {
	NoOver       bool // 2004 at the first file that exists
	SkipExisting bool // leave files that exist alone
	ContentOnly  bool // copy the children, not the folder
}
