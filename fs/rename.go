package fs

import (
	"context"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"
)

// Rename implements NodeRenamer. Of the flags of renameat2(2) only "do not
// replace" can be kept; ignoring the others would destroy what they protect.
func (d *dir) Rename(ctx context.Context, name string, newParent gofs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if d.m.o.ReadOnly {
		return syscall.EROFS
	}
	to, ok := newParent.(*dir)
	if !ok || flags&^renameNoReplace != 0 {
		return syscall.EINVAL
	}
	moved, replaced := d.GetChild(name), to.GetChild(newName)
	err := d.m.vol.Rename(ctx, d.id, name, to.id, newName, flags&renameNoReplace != 0)
	d.m.changes.Add(1)
	if err != nil {
		return d.m.errno("rename", d.id, err)
	}
	if replaced != moved {
		markRemoved(replaced)
	}
	return 0
}
