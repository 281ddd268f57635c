package remote

import (
	"encoding/json"
	"io"
)

const (
	// entryBudget is how many bytes of a listing may arrive without an entry
	// in them. The largest honest entry has a few kilobytes.
	entryBudget = 1 << 20

	// maxDepth is the deepest nesting of folders in one listing; pCloud fails
	// beyond 40 or so (pCloud API 6).
	maxDepth = 512

	// maxHeld is the number of entries that wait for the name of a folder
	// that comes after its contents.
	maxHeld = 100_000
)

// listing decodes the reply of listfolder while it arrives, one entry at a
// time, so that the size of the reply does not matter.
type listing struct {
	id        FolderID // that was asked for
	recursive bool
	left      int // entries that may still come
	fn        func(Entry) error

	dec    *json.Decoder
	budget *budgetReader
	status status
	top    *Entry // the listed folder
	raw    json.RawMessage

	// held are entries in order, with gaps for folders that are not complete
	// yet because the server sent their contents first.
	held    []heldEntry
	holding int // folders with a gap
}

type heldEntry struct {
	Entry
	depth int
}

// read decodes a reply. Errors of fn are returned as they are.
func (l *listing) read(r io.Reader) error {
	l.budget = &budgetReader{r: r, left: entryBudget}
	l.dec = json.NewDecoder(l.budget)
	err := l.object(func(key string) error {
		switch key {
		case "result":
			return l.dec.Decode(&l.status.Result)
		case "error":
			return l.dec.Decode(&l.status.Error)
		case "metadata":
			return l.metadata()
		}
		return l.skip()
	})
	if err != nil {
		return err
	}
	if _, err := l.dec.Token(); err != io.EOF {
		if err != nil {
			return err
		}
		return protocolErrorf("something follows it")
	}
	return nil
}

// object calls fn for each key of an object; fn consumes the value.
func (l *listing) object(fn func(key string) error) error {
	t, err := l.dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return protocolErrorf("not an object")
	}
	for l.dec.More() {
		t, err := l.dec.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		if err := fn(key); err != nil {
			return err
		}
	}
	_, err = l.dec.Token()
	return err
}

// skip passes over a value; the budget bounds it.
func (l *listing) skip() error { return l.dec.Decode(&l.raw) }

// metadata reads the listed folder.
func (l *listing) metadata() error {
	if l.top != nil {
		return protocolErrorf("metadata twice")
	}
	var m wireMeta
	contents := false
	err := l.object(func(key string) error {
		if key != "contents" {
			return l.field(&m, key)
		}
		if contents {
			return protocolErrorf("contents twice")
		}
		contents = true
		return l.contents(l.id, 1)
	})
	if err != nil {
		return err
	}
	if !contents {
		return protocolErrorf("the folder has no contents")
	}
	top, err := m.listed(l.id)
	l.top = &top
	return err
}

// contents reads the children of a folder at depth-1.
func (l *listing) contents(parent FolderID, depth int) error {
	if depth > maxDepth {
		return protocolErrorf("folders nested deeper than %d", maxDepth)
	}
	t, err := l.dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return protocolErrorf("contents is not an array")
	}
	for l.dec.More() {
		if l.left--; l.left < 0 {
			return protocolErrorf("too many entries")
		}
		l.budget.left = entryBudget
		if err := l.child(parent, depth); err != nil {
			return err
		}
	}
	_, err = l.dec.Token()
	return err
}

// child reads one entry with everything below it.
func (l *listing) child(parent FolderID, depth int) error {
	var m wireMeta
	if !l.recursive {
		if err := l.dec.Decode(&m); err != nil {
			return err
		}
		e, err := m.child(parent)
		if err != nil {
			return err
		}
		return l.fn(e)
	}
	given := false // the entry went to fn before its contents
	gap := -1      // its place in held
	err := l.object(func(key string) error {
		if key != "contents" {
			return l.field(&m, key)
		}
		if given || gap >= 0 {
			return protocolErrorf("contents twice")
		}
		if l.holding == 0 && m.complete() {
			e, err := m.child(parent)
			if err != nil {
				return err
			}
			if !e.Folder {
				return protocolErrorf("file %.100q has contents", e.Name)
			}
			given = true
			if err := l.fn(e); err != nil {
				return err
			}
			return l.contents(e.FolderID, depth+1)
		}
		gap = len(l.held)
		l.held = append(l.held, heldEntry{})
		l.holding++
		return l.contents(RootFolder, depth+1)
	})
	if err != nil || given {
		return err
	}
	e, err := m.child(parent)
	if err != nil {
		return err
	}
	return l.give(e, depth, gap)
}

// give passes an entry on, or keeps it until the folders around it are known.
func (l *listing) give(e Entry, depth, gap int) error {
	if gap < 0 {
		if l.holding == 0 {
			return l.fn(e)
		}
		if len(l.held) >= maxHeld {
			return protocolErrorf("too much comes before the name of its folder")
		}
		l.held = append(l.held, heldEntry{e, depth})
		return nil
	}
	if !e.Folder {
		return protocolErrorf("file %.100q has contents", e.Name)
	}
	l.held[gap] = heldEntry{e, depth}
	for i := gap + 1; i < len(l.held); i++ {
		if h := &l.held[i]; h.depth == depth+1 {
			h.ParentID = e.FolderID
		}
	}
	if l.holding--; l.holding > 0 {
		return nil
	}
	held := l.held
	l.held = nil
	for _, h := range held {
		if err := l.fn(h.Entry); err != nil {
			return err
		}
	}
	return nil
}

// complete reports whether everything that matters about a folder is known.
func (m *wireMeta) complete() bool {
	return m.Name != "" && m.IsFolder != nil && m.FolderID != nil && !m.Created.t.IsZero() && !m.Modified.t.IsZero()
}

// field reads the value of one key of a metadata object.
func (l *listing) field(m *wireMeta, key string) error {
	var dst any
	switch key {
	case "name":
		dst = &m.Name
	case "isfolder":
		dst = &m.IsFolder
	case "folderid":
		dst = &m.FolderID
	case "fileid":
		dst = &m.FileID
	case "parentfolderid":
		dst = &m.ParentID
	case "size":
		dst = &m.Size
	case "hash":
		dst = &m.Hash
	case "created":
		dst = &m.Created
	case "modified":
		dst = &m.Modified
	case "isdeleted":
		dst = &m.IsDeleted
	default:
		return l.skip()
	}
	return l.dec.Decode(dst)
}

// budgetReader fails when too much is read without the budget being renewed.
type budgetReader struct {
	r    io.Reader
	left int
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, protocolErrorf("more than %d bytes without an entry", entryBudget)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
