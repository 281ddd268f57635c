package cache

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote"
)

// NodeID identifies a file or folder for as long as it is known, through
// upload, rename and restart. It is the inode number.
type NodeID = journal.NodeID

// RootNode is the mounted folder.
const RootNode NodeID = 1

// Attr describes a file or folder.
type Attr struct {
	ID     NodeID
	Folder bool
	Size   int64 // bytes
	Blocks int64 // units of 512 bytes

	Atime, Mtime, Ctime, Birth time.Time

	// Nlink is 0 for a file that lost its name and is still open.
	Nlink uint32

	// Version changes whenever the content may have changed behind the
	// kernel's back. Pages read under the same version may be kept.
	Version uint64
}

// DirEntry is one name in a folder.
type DirEntry struct {
	Name string
	Attr Attr
}

// OpenFlags say what a handle is for.
type OpenFlags struct {
	Read, Write bool
	Truncate    bool // cut the file to nothing when it is opened
	Exclusive   bool // Create only: fail if the name exists
	Sync        bool // every write waits for pCloud (O_SYNC, O_DSYNC)
}

// Changes are the attributes that SetAttr can change; nil leaves one alone.
type Changes struct {
	Size         *int64
	Atime, Mtime *time.Time
}

// Statfs is the account's space as seen through the mount, in bytes.
type Statfs struct {
	Total, Free, Avail int64
	Files              uint64 // entries known
}

// Durability is where something has to be before a caller is answered.
type Durability int

// The levels of durability. The zero value stands for the default of the
// option.
const (
	DefaultDurability Durability = iota
	InJournal                    // in the journal: survives the end of this process, and soon a power cut
	OnDisk                       // on the local disk: survives a power cut
	InCloud                      // in pCloud, verified
)

// Errors that callers tell apart, besides those of io/fs and remote.
var (
	ErrNotEmpty     = errors.New("folder not empty")
	ErrIsFolder     = errors.New("is a folder")
	ErrNotFolder    = errors.New("not a folder")
	ErrInvalidName  = errors.New("name that pCloud cannot hold")
	ErrNameTooLong  = errors.New("name too long")
	ErrReadOnly     = errors.New("mounted read-only")
	ErrNoSpace      = errors.New("no space left")
	ErrStale        = errors.New("the file no longer exists in this version")
	ErrLoop         = errors.New("folder cannot be moved into itself")
	ErrBusy         = errors.New("in use")
	ErrNotSupported = errors.New("not supported")
	ErrBadHandle    = errors.New("handle was not opened for this")
)

// Remote is what the volume needs of pCloud; *remote.Client has it.
type Remote interface {
	UserInfo(ctx context.Context) (remote.UserInfo, error)
	List(ctx context.Context, id remote.FolderID) (remote.Folder, error)
	Stat(ctx context.Context, id remote.FileID) (remote.Entry, error)
	Checksum(ctx context.Context, id remote.FileID) (remote.Entry, remote.Checksums, error)

	CreateFolder(ctx context.Context, parent remote.FolderID, name string) (remote.Entry, error)
	RenameFolder(ctx context.Context, id, to remote.FolderID, name string) (remote.Entry, error)
	DeleteFolder(ctx context.Context, id remote.FolderID) error
	ListTree(ctx context.Context, id remote.FolderID, f func(remote.Entry) error) error
	DeleteFolderTree(ctx context.Context, id remote.FolderID) (files, folders int64, err error)

	RenameFile(ctx context.Context, id remote.FileID, to remote.FolderID, name string) (remote.Entry, error)
	DeleteFile(ctx context.Context, id remote.FileID) error
	SetTimes(ctx context.Context, e remote.Entry, modified, created time.Time) (remote.Entry, error)

	UploadFile(ctx context.Context, t remote.UploadTarget, r io.ReaderAt, size int64) (remote.Entry, remote.Checksums, error)
	CreateUpload(ctx context.Context, size int64) (remote.UploadID, error)
	WriteUpload(ctx context.Context, id remote.UploadID, off int64, r io.ReaderAt, n int64) error
	UploadInfo(ctx context.Context, id remote.UploadID) (remote.UploadStatus, error)
	SaveUpload(ctx context.Context, id remote.UploadID, t remote.UploadTarget) (remote.Entry, error)
	DeleteUpload(ctx context.Context, id remote.UploadID) error

	ReadAt(ctx context.Context, id remote.FileID, h remote.Hash, size int64, p []byte, off int64) (int, error)

	LastDiff(ctx context.Context) (remote.DiffID, error)
	WaitDiff(ctx context.Context, since remote.DiffID, limit int) (remote.Changes, error)
}

// Options configure a volume.
type Options struct {
	Remote Remote
	Root   remote.FolderID // the folder to present
	Dir    string          // cache directory; used by one volume at a time

	// Identity names the account and folder. A cache directory that belongs
	// to another one is refused: its pending changes are not ours to apply.
	Identity string

	ReadOnly bool
	Log      *slog.Logger // nil: silent

	MetaEntries int           // entries of metadata kept; default 1,000,000
	TTL         time.Duration // age of a listing when there is no change feed; default 10 s
	Settle      time.Duration // from the last close to the upload; default 1 s
	Uploads     int           // transfers at a time; default 4
	BlockBytes  int64         // memory for blocks of remote files; default 256 MiB
	Threshold   int64         // bytes up to which a file is sent in one request; default 4 MiB
	SyncTimeout time.Duration // an fsync without any progress for so long fails; default 5 min
	Spool       int64         // bytes of local files that wait for pCloud; writers wait at the limit; 0: none

	Fsync Durability // what fsync waits for: InCloud (default) or OnDisk
	Close Durability // what close waits for: InJournal (default), OnDisk or InCloud

	// MkdirJournal makes folders like everything else, in the queue. Otherwise
	// pCloud confirms each before Mkdir returns: lock protocols that several
	// machines take part in are built on that.
	MkdirJournal bool

	// NoSync leaves out the fsyncs of the journal. Only for simulations.
	NoSync bool
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.MetaEntries, 1_000_000)
	setDefault(&o.TTL, 10*time.Second)
	setDefault(&o.Settle, time.Second)
	setDefault(&o.Uploads, 4)
	setDefault(&o.BlockBytes, 256<<20)
	setDefault(&o.Threshold, 4<<20)
	setDefault(&o.SyncTimeout, 5*time.Minute)
	setDefault(&o.Fsync, InCloud)
	setDefault(&o.Close, InJournal)
	return o
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
