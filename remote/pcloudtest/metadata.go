package pcloudtest

import (
	"strconv"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

// metadata is the one form in which files and folders appear in replies
// (pCloud API 5). All fields that some client insists on are always there.
type metadata struct {
	node     store.Node
	path     string      // left out if empty
	contents []*metadata // of a folder in a listing, if listed
	listed   bool
}

func (m *metadata) render(w *jsonWriter) {
	keep := w.style.keepFile
	if m.node.Folder {
		keep = w.style.keepFolder
	}
	field := func(k string, v any) {
		if keep == nil || keep[k] {
			w.key(k)
			w.value(v)
		}
	}
	w.open('{')
	n := &m.node
	if m.path != "" {
		field("path", m.path)
	}
	field("name", n.Name)
	field("created", n.Created)
	field("modified", n.Modified)
	field("ismine", true)
	field("isshared", false)
	field("isfolder", n.Folder)
	if !n.Root {
		field("parentfolderid", n.Parent)
		field("comments", 0)
	}
	m.renderState(field)
	if n.Folder {
		m.renderFolder(w, field)
	} else {
		m.renderFile(w, field)
	}
	w.close('}')
}

// renderState writes the fields that are there only when they say something.
func (m *metadata) renderState(field func(string, any)) {
	n := &m.node
	if n.Deleted {
		field("isdeleted", true)
		if n.OrigParent != n.Parent {
			field("origparentfolderid", n.OrigParent)
		}
	}
	if n.Replaced != 0 {
		field("deletedfileid", n.Replaced)
	}
	if n.Conflicted {
		field("conflicted", true)
	}
}

func (m *metadata) renderFolder(w *jsonWriter, field func(string, any)) {
	field("id", "d"+strconv.FormatUint(m.node.ID, 10))
	field("folderid", m.node.ID)
	field("thumb", false)
	if w.style.iconID {
		field("icon", 0)
	} else {
		field("icon", "folder")
	}
	if !m.listed {
		return
	}
	w.key("contents") // not metadata, so not filtered
	w.open('[')
	for _, c := range m.contents {
		w.next()
		c.render(w)
	}
	w.close(']')
}

func (m *metadata) renderFile(w *jsonWriter, field func(string, any)) {
	n := &m.node
	t := typeOf(n.Name)
	field("id", "f"+strconv.FormatUint(n.ID, 10))
	field("fileid", n.ID)
	field("size", n.Size)
	field("hash", n.Hash)
	field("category", t.category)
	field("contenttype", t.contentType)
	field("thumb", t.thumb)
	if w.style.iconID {
		field("icon", t.iconID)
	} else {
		field("icon", t.icon)
	}
}

// meta adds a node as the reply's metadata.
func (c *call) meta(n store.Node) { c.add("metadata", &metadata{node: n}) }

// metaAt adds a node, with its path if the request named it by a path.
func (c *call) metaAt(n store.Node, byPath bool) {
	m := &metadata{node: n}
	if byPath {
		m.path = c.pathOf(n)
	}
	c.add("metadata", m)
}

// pathOf returns the path of a node, or "" if it has just vanished.
func (c *call) pathOf(n store.Node) string {
	p, err := c.view.Path(n)
	if err != nil {
		return ""
	}
	return p
}
