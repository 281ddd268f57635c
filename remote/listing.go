package remote

import (
	"cmp"
	"encoding/json"
	"io"
	"strconv"
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

	in     *scanner
	status status
	top    *Entry // the listed folder

	// held are entries in order, with gaps for folders that are not complete
	// yet because the server sent their contents first.
	held    []heldEntry
	holding int // folders with a gap
}

var errHeld = protocolErrorf("too much comes before the name of its folder")

type heldEntry struct {
	Entry
	depth int
}

// read decodes a reply. Errors of fn are returned as they are.
func (l *listing) read(r io.Reader) error {
	l.in = newScanner(r, entryBudget)
	err := l.in.object(func(key []byte) error {
		switch string(key) {
		case "result":
			tok, err := l.in.scalar()
			if err != nil {
				return err
			}
			return decodeScalar(tok, &l.status.Result)
		case "error":
			if b, err := l.in.next(); err != nil || b != '"' {
				return cmp.Or(err, l.in.skip())
			}
			tok, err := l.in.scalar()
			if err != nil {
				return err
			}
			msg, err := unquote(tok)
			l.status.Error = string(msg)
			return err
		case "metadata":
			return l.metadata()
		}
		return l.in.skip()
	})
	if err != nil {
		return err
	}
	return l.in.end()
}

// metadata reads the listed folder.
func (l *listing) metadata() error {
	if l.top != nil {
		return protocolErrorf("metadata twice")
	}
	var m scanned
	contents := false
	err := l.in.object(func(key []byte) error {
		if string(key) != "contents" {
			return m.field(l.in, key)
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
	top, err := m.meta().listed(l.id)
	l.top = &top
	return err
}

// contents reads the children of a folder at depth-1.
func (l *listing) contents(parent FolderID, depth int) error {
	if depth > maxDepth {
		return protocolErrorf("folders nested deeper than %d", maxDepth)
	}
	return l.in.array(func() error {
		if l.left--; l.left < 0 {
			return protocolErrorf("too many entries")
		}
		l.in.left = entryBudget
		return l.child(parent, depth)
	})
}

// child reads one entry with everything below it.
func (l *listing) child(parent FolderID, depth int) error {
	var m scanned
	given := false // the entry went to fn before its contents
	gap := -1      // its place in held
	err := l.in.object(func(key []byte) error {
		if string(key) != "contents" || !l.recursive {
			return m.field(l.in, key)
		}
		if given || gap >= 0 {
			return protocolErrorf("contents twice")
		}
		if l.holding == 0 && m.complete() {
			e, err := m.meta().child(parent)
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
		if len(l.held) >= maxHeld {
			return errHeld
		}
		gap = len(l.held)
		l.held = append(l.held, heldEntry{})
		l.holding++
		return l.contents(RootFolder, depth+1)
	})
	if err != nil || given {
		return err
	}
	e, err := m.meta().child(parent)
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
			return errHeld
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

// scanned is a wireMeta while its keys arrive; the pointers of wireMeta would
// cost more than everything else.
type scanned struct {
	wireMeta
	seen                             [6]bool // the pointers that are to be set, in order
	isFolder                         bool
	folderID, fileID, parentID, hash uint64
	size                             int64
}

// complete reports whether everything that matters about a folder is known.
func (m *scanned) complete() bool {
	return m.Name != "" && m.seen[0] && m.seen[1] && !m.Created.t.IsZero() && !m.Modified.t.IsZero()
}

// meta returns the metadata in its usual form.
func (m *scanned) meta() *wireMeta {
	point(&m.IsFolder, &m.isFolder, m.seen[0])
	point(&m.FolderID, &m.folderID, m.seen[1])
	point(&m.FileID, &m.fileID, m.seen[2])
	point(&m.ParentID, &m.parentID, m.seen[3])
	point(&m.Hash, &m.hash, m.seen[4])
	point(&m.Size, &m.size, m.seen[5])
	return &m.wireMeta
}

func point[T any](p **T, v *T, seen bool) {
	*p = nil
	if seen {
		*p = v
	}
}

// field reads the value of one key of a metadata object.
func (m *scanned) field(in *scanner, key []byte) error {
	var err error
	switch string(key) {
	case "name":
		err = m.scan(in, -1, func(tok []byte) error {
			name, err := unquote(tok)
			m.Name = string(name)
			return err
		})
	case "isfolder":
		err = m.scan(in, 0, func(tok []byte) error { return decodeScalar(tok, &m.isFolder) })
	case "folderid":
		err = m.number(in, 1, &m.folderID)
	case "fileid":
		err = m.number(in, 2, &m.fileID)
	case "parentfolderid":
		err = m.number(in, 3, &m.parentID)
	case "hash":
		err = m.number(in, 4, &m.hash)
	case "size":
		err = m.scan(in, 5, func(tok []byte) error { return decodeScalar(tok, &m.size) })
	case "created":
		err = m.scan(in, -1, m.Created.UnmarshalJSON)
	case "modified":
		err = m.scan(in, -1, m.Modified.UnmarshalJSON)
	case "isdeleted":
		err = m.scan(in, -1, func(tok []byte) error { return decodeScalar(tok, &m.IsDeleted) })
	default:
		err = in.skip()
	}
	return err
}

// scan reads a scalar with fn, and notes that it was there. null counts as
// absent.
func (m *scanned) scan(in *scanner, seen int, fn func(tok []byte) error) error {
	tok, err := in.scalar()
	if err != nil {
		return err
	}
	if seen >= 0 {
		m.seen[seen] = string(tok) != "null"
	}
	if string(tok) == "null" {
		return nil
	}
	return fn(tok)
}

func (m *scanned) number(in *scanner, seen int, v *uint64) error {
	return m.scan(in, seen, func(tok []byte) error { return decodeScalar(tok, v) })
}

// decodeScalar decodes a token as encoding/json does; numbers, of which there
// are many, without its help.
func decodeScalar(tok []byte, v any) error {
	var err error
	switch v := v.(type) {
	case *uint64:
		*v, err = strconv.ParseUint(string(tok), 10, 64)
	case *int64:
		*v, err = strconv.ParseInt(string(tok), 10, 64)
	default:
		err = json.Unmarshal(tok, v)
	}
	if err != nil {
		return protocolErrorf("a number or boolean is %.40q", tok)
	}
	return nil
}
