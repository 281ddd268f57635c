package metadata

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/pcloudfs/pcloudfs/remote"
)

// Options configure a cache. The zero value is useful.
type Options struct {
	// MaxEntries bounds the entries and listings held, together. Default
	// 1,000,000. One folder that is bigger on its own is still held.
	MaxEntries int

	// TTL is how long a listing counts as fresh; 0 means until it is changed,
	// dropped or expired, as is right when a change feed keeps it up to date.
	TTL time.Duration
}

// Cache holds listings. Its methods are safe for concurrent use and never
// wait for anything but each other.
type Cache struct {
	max int
	ttl time.Duration

	mu       sync.Mutex // guards all below; leaf
	nodes    map[key]*node
	listings *simplelru.LRU[remote.FolderID, *listing] // by use; bounded by evict
	entries  int                                       // children of all listings

	clock   uint64 // counts Begins and changes
	expired uint64 // listings begun at or before it are not fresh
	changes changes
}

// New returns an empty cache.
func New(o Options) *Cache {
	if o.MaxEntries <= 0 {
		o.MaxEntries = 1_000_000
	}
	c := &Cache{max: o.MaxEntries, ttl: o.TTL}
	c.clear()
	return c
}

func (c *Cache) clear() {
	c.nodes = make(map[key]*node)
	c.listings, _ = simplelru.NewLRU[remote.FolderID, *listing](math.MaxInt, nil) // fails for sizes below 1 only
	c.entries = 0
	c.changes = newChanges(c.clock)
}

// Token marks when the listing of a folder began.
type Token struct {
	id    remote.FolderID
	clock uint64
	at    time.Time
}

// Of returns the token for another folder whose listing began at the same
// time: for recursive listings, which bring folders that nobody asked for by
// name.
func (t Token) Of(id remote.FolderID) Token {
	t.id = id
	return t
}

// Begin is called before the folder is listed. The token may be dropped if
// nothing comes of it.
func (c *Cache) Begin(id remote.FolderID) Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	return Token{id: id, clock: c.clock, at: time.Now()}
}

// Put stores the complete listing of the folder that t was begun for. It
// returns false, and stores nothing, if the folder or one of the entries
// changed since, so that the listing may be older than what is known: list
// again.
func (c *Cache) Put(t Token, f remote.Folder) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outdated(t, f) {
		return false
	}
	c.store(t, f)
	c.evict()
	return true
}

// List returns the children of a folder, sorted by name; of a folder and a
// file of one name, the folder comes first. ok is false if no listing is held.
// A listing that is not fresh may be out of date: it is for when pCloud cannot
// be asked.
func (c *Cache) List(id remote.FolderID) (entries []remote.Entry, fresh, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.listings.Get(id)
	if !ok {
		return nil, false, false
	}
	entries = make([]remote.Entry, len(l.children))
	for i, n := range l.children {
		entries[i] = n.entry()
	}
	return entries, c.fresh(l), true
}

// Lookup finds a child by name, the folder if there are a folder and a file of
// that name. known is false if no fresh listing is held: then found tells what
// an old one says, if there is one.
func (c *Cache) Lookup(id remote.FolderID, name string) (e remote.Entry, found, known bool) {
	return c.lookup(id, name, kindFolder, kindFile)
}

// LookupFile is Lookup for files only.
func (c *Cache) LookupFile(id remote.FolderID, name string) (e remote.Entry, found, known bool) {
	return c.lookup(id, name, kindFile)
}

// LookupFolder is Lookup for folders only.
func (c *Cache) LookupFolder(id remote.FolderID, name string) (e remote.Entry, found, known bool) {
	return c.lookup(id, name, kindFolder)
}

func (c *Cache) lookup(id remote.FolderID, name string, kinds ...kind) (e remote.Entry, found, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.listings.Get(id)
	if !ok {
		return remote.Entry{}, false, false
	}
	for _, k := range kinds {
		if i, ok := l.find(name, k); ok {
			return l.children[i].entry(), true, c.fresh(l)
		}
	}
	return remote.Entry{}, false, c.fresh(l)
}

// File returns what is held about a file, wherever it is.
func (c *Cache) File(id remote.FileID) (remote.Entry, bool) { return c.byKey(fileKey(id)) }

// Folder returns what is held about a folder: as a child of another or as one
// whose listing is held.
func (c *Cache) Folder(id remote.FolderID) (remote.Entry, bool) { return c.byKey(folderKey(id)) }

func (c *Cache) byKey(k key) (remote.Entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[k]
	if !ok {
		return remote.Entry{}, false
	}
	c.listings.Get(n.parent) // it is in use
	return n.entry(), true
}

// Len returns how many files and folders are held.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.nodes)
}

// Drop forgets the listing of a folder, and of none below it.
func (c *Cache) Drop(id remote.FolderID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	c.changes.record(change{folderKey(id), true}, c.clock)
	c.drop(id)
}

// Reset forgets everything. Listings that were begun before are refused.
func (c *Cache) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	c.clear()
}

// Expire makes every listing count as not fresh, including those that were
// begun before and are put later.
func (c *Cache) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expired = c.clock
}
