package store

import (
	"context"
	"io"
	"time"
)

var errTODO = fail(CodeInternal)

// Account is the state of one account. It is safe for concurrent use.
type Account struct{}

// View is what a token sees of an account.
type View struct{}

func Open(o Options) (*Account, error) { return &Account{}, nil }

// Close releases the directory. Waiting calls return ErrClosed. Idempotent.
func (a *Account) Close() error { return nil }

// View returns the account as seen by a token confined to folder root; 0 is
// the whole account.
func (a *Account) View(root uint64) *View { return &View{} }

// Usage returns the bytes of all live files and the quota.
func (a *Account) Usage() (used, quota int64) { return 0, 0 }

// SetQuota changes the quota and tells clients by a modifyuserinfo event.
func (a *Account) SetQuota(n int64) error { return errTODO }

// Setting returns a value kept across restarts by SetSetting.
func (a *Account) Setting(key string) (value string, ok bool) { return "", false }
func (a *Account) SetSetting(key, value string) error         { return errTODO }

// DelayVisibility makes the next n mutations visible to listings, look-ups,
// checksums and the change feed only after d. See View.Fresh.
func (a *Account) DelayVisibility(n int, d time.Duration) {}

// InjectReset makes every client that has a cursor start over (reset event).
func (a *Account) InjectReset() error { return errTODO }

// Fresh returns the view without the delays of DelayVisibility.
func (v *View) Fresh() *View { return v }

// Look-ups. Resolve has the codes of stat (2055, 2002, 2010), FileByPath those of
// file methods (2009, 2002, 2010), FolderByPath those of folder methods (2005).
func (v *View) Resolve(path string) (Node, error)      { return Node{}, errTODO }
func (v *View) FileByPath(path string) (Node, error)   { return Node{}, errTODO }
func (v *View) FolderByPath(path string) (Node, error) { return Node{}, errTODO }
func (v *View) FileByID(id uint64) (Node, error)       { return Node{}, errTODO }
func (v *View) FolderByID(id uint64) (Node, error)     { return Node{}, errTODO }

// ParentByPath splits the path of something to be created into its parent, which must exist
// (2002, 2010 if there is no leading slash), and its name.
func (v *View) ParentByPath(path string) (parent Node, name string, err error) {
	return Node{}, "", errTODO
}

// TargetByPath is ParentByPath for a topath: with a trailing slash the whole path is
// the folder (2005) and name is "", which means "keep the name".
func (v *View) TargetByPath(path string) (parent Node, name string, err error) {
	return Node{}, "", errTODO
}

// Path returns the path of a live node within the view ("/a/b").
func (v *View) Path(n Node) (string, error) { return "", errTODO }

// List visits the folder itself (depth 0), then what is in it, each folder before its
// contents. No lock is held during visit. 2005, 2003.
func (v *View) List(id uint64, o ListOptions, visit func(n Node, depth int) error) error {
	return errTODO
}

func (v *View) CreateFolder(parent uint64, name string, ifNotExists bool) (n Node, created bool, err error) {
	return Node{}, false, errTODO
}

// RenameFolder moves; name "" keeps the name.
func (v *View) RenameFolder(id, parent uint64, name string) (Node, error) { return Node{}, errTODO }
func (v *View) DeleteFolder(id uint64) (Node, error)                      { return Node{}, errTODO }
func (v *View) DeleteTree(id uint64) (files, folders int, err error)      { return 0, 0, errTODO }
func (v *View) CopyFolder(id, to uint64, o CopyFolderOptions) (Node, error) {
	return Node{}, errTODO
}

// CheckPut reports what Put of a content of size bytes would be refused for (2001, 2003, 2005, 2008);
// size -1 is unknown.
func (v *View) CheckPut(parent uint64, name string, size int64) error { return errTODO }

// Put stores b under a name. It takes b over, also when it fails.
func (v *View) Put(parent uint64, name string, b *Blob, o PutOptions) (Node, error) {
	return Node{}, errTODO
}
func (v *View) CopyFile(id, parent uint64, name string, o CopyOptions) (Node, error) {
	return Node{}, errTODO
}

// RenameFile moves; name "" keeps the name.
func (v *View) RenameFile(id, parent uint64, name string) (Node, error) { return Node{}, errTODO }
func (v *View) DeleteFile(id uint64) (Node, error)                      { return Node{}, errTODO }

// SetMtime sets the modification (or creation) time; if old is given and is not the present value nothing changes.
func (v *View) SetMtime(id uint64, t time.Time, isCreated bool, old *time.Time) (Node, error) {
	return Node{}, errTODO
}
func (v *View) Checksums(id, revision uint64) (Sums, Node, error)     { return Sums{}, Node{}, errTODO }
func (v *View) ByChecksum(size int64, sha1 [20]byte) ([]Node, error)  { return nil, errTODO }
func (v *View) Revisions(id uint64) ([]Revision, Node, error)         { return nil, Node{}, errTODO }
func (v *View) RevisionsWithSums(id uint64) ([]Revision, Node, error) { return nil, Node{}, errTODO }
func (v *View) Revert(id, revision uint64) (Node, error)              { return Node{}, errTODO }
func (v *View) OpenContent(id uint64, hash *uint64, revision uint64) (*Content, Node, error) {
	return nil, Node{}, errTODO
}

// Diff returns the events after since, at most limit (0: all), and the cursor for the next call.
// since 0 is the full state. With nothing new next is since.
func (v *View) Diff(since uint64, limit int) (entries []Event, next uint64, err error) {
	return nil, 0, errTODO
}

// LastEvents returns the last n events and the current cursor.
func (v *View) LastEvents(n int) (entries []Event, next uint64, err error) { return nil, 0, errTODO }

// DiffAfter is Diff from the first event later than t.
func (v *View) DiffAfter(t time.Time, limit int) (entries []Event, next uint64, err error) {
	return nil, 0, errTODO
}

// Wait blocks until Diff(since) would return something. It returns ctx.Err() or ErrClosed otherwise.
func (v *View) Wait(ctx context.Context, since uint64) error { return errTODO }

// TrashList visits the trash (id 0) or a deleted folder in it, like List.
func (v *View) TrashList(id uint64, o ListOptions, visit func(n Node, depth int) error) error {
	return errTODO
}

// TrashClear removes deleted items for good; id 0 with folder removes all.
func (v *View) TrashClear(id uint64, folder bool) error { return errTODO }

// TrashRestorePath tells where TrashRestore would put the item.
func (v *View) TrashRestorePath(id uint64, folder bool) (n, destination Node, err error) {
	return Node{}, Node{}, errTODO
}

// TrashRestore brings deleted items back, to folder *to if given; id 0 with folder restores all.
func (v *View) TrashRestore(id uint64, folder bool, to *uint64) ([]Node, error) {
	return nil, errTODO
}

// Generate fills folder parent as spec says ("files=100000,folders=1000,depth=4,avg=64k,seed=1").
// Doing it again with the same spec changes nothing.
func (v *View) Generate(parent uint64, spec string) error { return errTODO }

// Blob is a stored content that no file has yet.
type Blob struct{}

func (b *Blob) Size() int64  { return 0 }
func (b *Blob) Hash() uint64 { return 0 }
func (b *Blob) Sums() Sums   { return Sums{} }

// Release drops a blob that is not given to Put.
func (b *Blob) Release() {}

// BlobWriter receives a content. End it with Commit or Abort (Abort after Commit does nothing).
type BlobWriter struct{}

func (w *BlobWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *BlobWriter) Size() int64                 { return 0 }
func (w *BlobWriter) Commit() (*Blob, error)      { return nil, errTODO }
func (w *BlobWriter) Abort()                      {}

func (a *Account) NewBlob() (*BlobWriter, error) { return nil, errTODO }

// Content reads one version of a file, whatever happens to the file meanwhile.
type Content struct{}

func (c *Content) ReadAt(p []byte, off int64) (int, error) { return 0, io.EOF }
func (c *Content) Size() int64                             { return 0 }
func (c *Content) Hash() uint64                            { return 0 }
func (c *Content) Close() error                            { return nil }

// Upload sessions (pCloud API 8). size is the announced size or -1; 2008 if it has no room.
func (a *Account) CreateSession(size int64) (id uint64, err error) { return 0, errTODO }

// WriteSession appends n bytes of r (n -1: until EOF). 2067, 2068. What was read before r broke stays.
func (a *Account) WriteSession(id uint64, off int64, r io.Reader, n int64) error { return errTODO }
func (a *Account) SessionInfo(id uint64) (size int64, s Sums, err error) {
	return 0, Sums{}, errTODO
}

// SessionFromFile appends n bytes from srcOff of a file version (hash nil: the current one).
func (v *View) SessionFromFile(id uint64, off int64, file uint64, hash *uint64, srcOff, n int64) error {
	return errTODO
}
func (a *Account) SessionFromSession(id uint64, off int64, src uint64, srcOff, n int64) error {
	return errTODO
}
func (v *View) SaveSession(id, parent uint64, name string, o PutOptions) (Node, error) {
	return Node{}, errTODO
}
func (a *Account) DeleteSession(id uint64) error { return errTODO }
func (a *Account) Sessions() int                 { return 0 }
func (a *Account) DropSessions()                 {}
