package cache

import "github.com/pcloudfs/pcloudfs/remote"

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

// fileOf returns the pCloud id of a file; false when it has none yet.
func (v *Volume) fileOf(id NodeID) (remote.FileID, bool) {
	if id&localBit == 0 {
		return remote.FileID(id >> 1), id&1 == 0
	}
	b, ok := v.journal.BindingOf(id)
	return b.File, ok && !b.Folder
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
