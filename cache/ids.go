package cache

import (
	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote"
)

// localBit marks node ids that were given out here and not derived from a
// pCloud id.
const localBit NodeID = 1 << 63

func fileNode(id remote.FileID) NodeID     { return NodeID(id) << 1 }
func folderNode(id remote.FolderID) NodeID { return NodeID(id)<<1 | 1 }

// nodeOf returns the identity of an entry of pCloud.
func (v *Volume) nodeOf(e remote.Entry) NodeID {
	if e.Folder {
		return v.nodeOfFolder(e.FolderID)
	}
	return v.nodeOfFile(e.FileID)
}

func (v *Volume) nodeOfFile(id remote.FileID) NodeID {
	if n, ok := v.journal.NodeOfFile(id); ok {
		return n
	}
	return fileNode(id)
}

func (v *Volume) nodeOfFolder(id remote.FolderID) NodeID {
	if id == v.root {
		return RootNode
	}
	if n, ok := v.journal.NodeOfFolder(id); ok {
		return n
	}
	return folderNode(id)
}

// bindings gives a file of pCloud to a node. A node that had another one loses
// that to a new node: it lives on, or did when its name was given to this one.
func (v *Volume) bindings(id NodeID, file remote.FileID) []journal.Binding {
	old, bound := v.fileOf(id)
	if bound && old == file {
		return nil
	}
	b := []journal.Binding{{Node: id, File: file}}
	if bound {
		b = append(b, journal.Binding{Node: v.journal.NextNode(), File: old})
	}
	return b
}

// unbind returns the node if the journal remembers what it is in pCloud.
func (v *Volume) unbind(id NodeID) []NodeID {
	if _, ok := v.journal.BindingOf(id); ok {
		return []NodeID{id}
	}
	return nil
}

// fileOf returns the pCloud id of a file; false when it has none yet.
func (v *Volume) fileOf(id NodeID) (remote.FileID, bool) {
	if b, ok := v.journal.BindingOf(id); ok {
		return b.File, !b.Folder
	}
	return remote.FileID(id >> 1), id&(localBit|1) == 0
}

// folderOf returns the pCloud id of a folder; false when it has none yet.
func (v *Volume) folderOf(id NodeID) (remote.FolderID, bool) {
	switch {
	case id == RootNode:
		return v.root, true
	case id&localBit == 0:
		return remote.FolderID(id >> 1), id&1 == 1
	}
	b, ok := v.journal.BindingOf(id)
	return b.FolderID, ok && b.Folder
}
