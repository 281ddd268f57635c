package cache

import (
	"fmt"

	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/remote"
)

// recover puts the intents of an earlier volume back into the queue and shows
// their effect. What pCloud had refused is tried once more: the reason may be
// gone.
func (v *Volume) recover() error {
	intents, err := v.journal.Pending()
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	used := make(map[string]int64) // bytes of each spool file that some put needs
	for _, in := range intents {
		used[in.Spool] = max(used[in.Spool], in.Size)
	}
	for name, size := range used {
		if err := v.cutSpool(name, size); err != nil {
			return err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, in := range intents {
		if err := v.replay(in); err != nil {
			return err
		}
	}
	if len(intents) > 0 {
		v.log.Info("changes of the last time are being sent", "count", len(intents))
	}
	return nil
}

// cutSpool takes away what was appended to a spool file by a handle that was
// never closed.
func (v *Volume) cutSpool(name string, size int64) error {
	if name == "" {
		return nil
	}
	f, err := v.openSpool(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() <= size {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return spoolError("cut a spool file", err)
	}
	return nil
}

// replay makes one recorded intent effective in memory. Volume.mu is held.
func (v *Volume) replay(in journal.Intent) error {
	p := &pending{Intent: in, committed: true, recovered: true}
	p.Parked, p.Tries = "", 0
	p.n = v.recovered(in)
	defer v.unpin(p.n)
	p.over = v.recoveredOver(in)
	if p.over != nil {
		defer v.unpin(p.over)
		p.over.unlinked = true
		v.displace(p.over)
	}
	var err error
	switch in.Op {
	case opPut:
		err = v.replayPut(p)
	case opMkdir:
		p.n.mtime, p.n.birth = in.Born, in.Born
		if !p.n.inCloud {
			v.place(p.n)
		}
		p.claims = []claim{{in.Parent, in.Name, p.n.id}}
	case opRename:
		p.claims = []claim{{in.OldParent, in.OldName, 0}, {in.Parent, in.Name, p.n.id}}
		v.relocate(p.n, place{in.Parent, in.Name})
	case opRemove:
		p.claims = []claim{{in.Parent, in.Name, 0}}
		if in.OldName != "" {
			p.claims = append(p.claims, v.sameClaim(in.OldParent, in.OldName))
		}
		p.n.unlinked = true
		v.displace(p.n)
	case opTimes:
		p.n.mtime = in.Modified
	}
	if err != nil {
		return err
	}
	v.enqueue(p)
	return nil
}

// recovered returns the node of an intent, pinned. Volume.mu is held.
func (v *Volume) recovered(in journal.Intent) *node {
	n := v.nodes[in.Node]
	if n != nil {
		n.pins++
		return n
	}
	n = &node{id: in.Node, folder: in.Folder, parent: in.Parent, name: in.Name, pins: 1}
	n.entry = remote.Entry{Name: in.Name, Folder: in.Folder, FileID: in.FileID, FolderID: in.FolderID}
	if in.Op == opRename {
		n.parent, n.name, n.entry.Name = in.OldParent, in.OldName, in.OldName
	}
	if fid, ok := v.folderOf(n.parent); ok {
		n.entry.ParentID = fid
	}
	if in.Folder {
		n.entry.FolderID, n.inCloud = orBound(n.entry.FolderID, v.folderOf, n.id)
	} else {
		n.entry.FileID, n.inCloud = orBound(n.entry.FileID, v.fileOf, n.id)
	}
	if in.Base != nil && in.Base.FileID == n.entry.FileID {
		n.entry.Hash = in.Base.Hash
	}
	if in.Op != opPut { // see pending.remember
		n.entry.Size, n.entry.Modified, n.entry.Created = in.Size, in.Modified, in.Born
	}
	v.nodes[in.Node] = n
	return n
}

// recoveredOver returns the node that lost its name to a put or rename, pinned.
// Volume.mu is held.
func (v *Volume) recoveredOver(in journal.Intent) *node {
	if in.Replaced == 0 {
		return nil
	}
	if n := v.nodes[in.Replaced]; n != nil {
		n.pins++
		return n
	}
	n := &node{id: in.Replaced, parent: in.Parent, name: in.Name, unlinked: true, pins: 1}
	n.entry = remote.Entry{Name: in.Name}
	if n.entry.FileID, n.inCloud = v.fileOf(n.id); !n.inCloud {
		return nil
	}
	n.entry.ParentID, _ = v.folderOf(in.Parent)
	if in.Op == opPut && in.Base != nil {
		n.entry.Hash = in.Base.Hash
	}
	v.nodes[n.id] = n
	return n
}

// orBound returns the pCloud id that an intent recorded, or else the one that
// its node got since.
func orBound[ID ~uint64](id ID, bound func(NodeID) (ID, bool), n NodeID) (ID, bool) {
	if id != 0 {
		return id, true
	}
	return bound(n)
}

// replayPut brings back the content of a file. Volume.mu is held.
func (v *Volume) replayPut(p *pending) error {
	n := p.n
	c := n.content
	if c == nil {
		c = newContent(versionOf(n.entry), uint64(n.id))
		n.content = c
	}
	n.mtime, n.birth = p.Modified, p.Born
	v.relocate(n, place{p.Parent, p.Name})
	c.size.Store(p.Size)
	v.charge(c, p.Size)
	p.c, p.closed = c, true
	if !n.inCloud && !n.placed {
		v.place(n)
	}
	if p.over != nil && n.over == nil {
		n.over = p.over
		n.over.pins++
	}
	p.claims = []claim{{p.Parent, p.Name, n.id}}
	if p.Spool == "" {
		return nil
	}
	if c.local != nil && c.local.name == p.Spool {
		p.sp = c.local
		return nil
	}
	f, err := v.openSpool(p.Spool)
	if err != nil {
		return err
	}
	if c.local != nil {
		if last := v.unrefSpool(c.local); last != nil {
			v.garbage = append(v.garbage, last)
		}
	}
	c.local = &spool{name: p.Spool, f: f, refs: 1}
	p.sp = c.local
	return nil
}
