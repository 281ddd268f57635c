package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
	"unicode/utf8"

	"github.com/pcloudfs/pcloudfs/remote"
)

// NodeID is the local identity of a file or folder: its inode number, the same
// through upload, rename and restart. Those given out by [Journal.NextNode] are
// at least FirstLocalNode.
type NodeID uint64

// FirstLocalNode is where the ids given out by [Journal.NextNode] begin. Ids
// below it are the caller's to derive from pCloud ids.
const FirstLocalNode NodeID = 1 << 63

// DatabaseName is the file by which a directory is known to hold a journal.
const DatabaseName = "journal.db"

// Op says what an intent does.
type Op string

// The operations.
const (
	OpMkdir  Op = "mkdir"  // make the folder Node as Name in Parent
	OpPut    Op = "put"    // give Name in Parent the bytes of Spool
	OpTimes  Op = "times"  // set the modification time of Node
	OpRename Op = "rename" // move Node from OldName in OldParent to Name in Parent
	OpRemove Op = "remove" // remove Node, which is Name in Parent
)

func (o Op) valid() bool {
	switch o {
	case OpMkdir, OpPut, OpTimes, OpRename, OpRemove:
		return true
	}
	return false
}

// Version is one version of a file in pCloud.
type Version struct {
	FileID remote.FileID
	Hash   remote.Hash
}

// Upload is an unfinished upload session (pCloud API 8.1).
type Upload struct {
	ID   remote.UploadID
	Size int64 // bytes that the server confirmed

	// Parts are further sessions that have later ranges of the file, in order
	// of offset.
	Parts []UploadPart

	// Gone is how many of the first bytes are no longer in the spool file but
	// only in the session; Hash is the state of their SHA-1, from which it can
	// be continued without them. Nobody but the session has these bytes.
	Gone int64
	Hash []byte

	// Done says that the session has all bytes of the put, and SHA1 is theirs.
	Done bool
	SHA1 remote.SHA1
}

// UploadPart is an upload session for a part of a file.
type UploadPart struct {
	ID           remote.UploadID
	Offset, Size int64 // where it begins in the file, and bytes confirmed
}

// Intent is one change that is to be made in pCloud. The journal keeps it and
// gives it back as it was; apart from Seq, Op, Spool, Size, Open and Synced it
// attaches no meaning to the fields.
type Intent struct {
	Seq    uint64 // order of issue; the key
	Op     Op
	Folder bool // Node is a folder
	Node   NodeID

	// Parent and Name are the slot after the operation (mkdir, put, rename) or
	// the one that is freed (remove).
	Parent NodeID
	Name   string

	// OldParent and OldName are the slot that a rename frees.
	OldParent NodeID
	OldName   string

	// The pCloud id of Node, when it was known at the time.
	FileID   remote.FileID
	FolderID remote.FolderID

	// Path tells people where Name is, as it was known when the intent was
	// issued. Valid UTF-8; what is not there is lost when it is stored.
	Path string

	// Base is the file that a put expects in its slot and is to replace; nil if
	// it expects none.
	Base *Version

	// Replaced is the node that lost its name to a put or rename, or 0.
	Replaced NodeID

	// Spool names the spool file of a put and Size how many of its bytes belong
	// to it. The file may be longer: what follows was appended by a handle that
	// was not closed yet.
	Spool string
	Size  int64

	// Modified is the modification time that a put or times sets and Born the
	// creation time. They come back in UTC, to the nanosecond.
	Modified, Born time.Time

	// Open says that the bytes of a put are being changed again, so that they
	// are not the ones that were closed and must not be published.
	Open bool

	// Synced says that the bytes of Spool are known to be on the disk. The
	// journal sets it by itself, after its group commit at the latest; a caller
	// need not copy it when it commits the put again.
	Synced bool

	Upload *Upload   // of a put whose upload has begun
	Parked string    // why it failed for good; empty: it has not
	Tries  int       // failed attempts
	Issued time.Time // when the caller was answered
}

// Binding remembers which pCloud object a node that was made here became, so
// that it keeps its inode number.
type Binding struct {
	Node     NodeID
	Folder   bool
	File     remote.FileID   // unless Folder
	FolderID remote.FolderID // if Folder
}

// Change is what one [Journal.Commit] does, all of it or nothing.
type Change struct {
	Put    []Intent // inserted, or replacing the one of the same Seq
	Delete []uint64 // by Seq; missing ones are no error
	Bind   []Binding
	Unbind []NodeID
}

// Damage is something found at Open that could not be used.
type Damage struct {
	Seq    uint64    // of the record, 0 if it concerns none or is not known
	Name   string    // file name in the record, if it could be read
	Reason string    // for people
	Kept   string    // path of what was set aside, empty if there was nothing to keep
	Found  time.Time // when it was found
}

// Errors that callers tell apart.
var (
	ErrLocked  = errors.New("journal is in use by another process")
	ErrVersion = errors.New("journal was written by a newer version of this program")
	ErrClosed  = errors.New("journal is closed")

	// ErrFailed is in every error after the disk refused to make a commit
	// durable: what is on it is then not known, and only opening the journal
	// again tells.
	ErrFailed = errors.New("journal cannot be written")
)

// Options configure a journal. The zero value is useful.
type Options struct {
	// Log gets what an operator should know; nil is silent.
	Log *slog.Logger

	// GroupCommit is how long the bytes of a spool file may stay in memory
	// only after the commit of their put. Default 500 ms, at most 1 s.
	GroupCommit time.Duration

	// NoSync leaves out everything that waits for the disk, so that a power cut
	// loses what it likes. Only for simulations.
	NoSync bool

	hooks hooks
}

// hooks replace what tests cannot have otherwise.
type hooks struct {
	bootID   func() (string, error)
	syncFile func(*os.File) error // makes the bytes of a spool file durable
	group    time.Duration        // instead of GroupCommit, without its limit
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.GroupCommit <= 0 {
		o.GroupCommit = 500 * time.Millisecond
	}
	o.GroupCommit = min(o.GroupCommit, time.Second)
	if o.hooks.group > 0 {
		o.GroupCommit = o.hooks.group
	}
	if o.hooks.bootID == nil {
		o.hooks.bootID = bootID
	}
	if o.hooks.syncFile == nil {
		o.hooks.syncFile = syncData
	}
	return o
}

func (in *Intent) validate() error {
	switch {
	case in.Seq == 0:
		return errors.New("intent without sequence number")
	case !in.Op.valid():
		return fmt.Errorf("intent %d: unknown operation %q", in.Seq, in.Op)
	case in.Spool != "" && !validSpool(in.Spool):
		return fmt.Errorf("intent %d: %q is no name of a spool file", in.Seq, in.Spool)
	case in.Size < 0:
		return fmt.Errorf("intent %d: negative size", in.Seq)
	}
	return nil
}

// unsynced reports whether the group commit has to see to the intent's bytes.
func (in *Intent) unsynced() bool {
	return in.Op == OpPut && in.Spool != "" && !in.Synced && !in.Open
}

// lossless splits a name into what JSON can hold as text and, if it cannot,
// the bytes.
func lossless(name string) (text string, raw []byte) {
	if utf8.ValidString(name) {
		return name, nil
	}
	return "", []byte(name)
}
