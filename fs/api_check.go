package fs

import (
	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pcloudfs/pcloudfs/cache"
)

var _ Volume[*cache.Handle] = (*cache.Volume)(nil)

// go-fuse finds out by type assertion what a node or handle can do, so a method
// with a wrong signature would silently not be used.
var (
	_ inode = (*dir)(nil)
	_ inode = (*file)(nil)

	_ gofs.NodeOnForgetter    = (*dir)(nil)
	_ gofs.NodeStatfser       = (*dir)(nil)
	_ gofs.NodeGetattrer      = (*dir)(nil)
	_ gofs.NodeSetattrer      = (*dir)(nil)
	_ gofs.NodeLookuper       = (*dir)(nil)
	_ gofs.NodeOpendirHandler = (*dir)(nil)
	_ gofs.NodeCreater        = (*dir)(nil)
	_ gofs.NodeMkdirer        = (*dir)(nil)
	_ gofs.NodeUnlinker       = (*dir)(nil)
	_ gofs.NodeRmdirer        = (*dir)(nil)
	_ gofs.NodeRenamer        = (*dir)(nil)
	_ gofs.NodeLinker         = (*dir)(nil)
	_ gofs.NodeSymlinker      = (*dir)(nil)
	_ gofs.NodeMknoder        = (*dir)(nil)
	_ gofs.NodeTmpfiler       = (*dir)(nil)

	_ gofs.NodeOnForgetter = (*file)(nil)
	_ gofs.NodeStatfser    = (*file)(nil)
	_ gofs.NodeGetattrer   = (*file)(nil)
	_ gofs.NodeSetattrer   = (*file)(nil)
	_ gofs.NodeOpener      = (*file)(nil)

	_ gofs.FileReader    = (*fileHandle)(nil)
	_ gofs.FileWriter    = (*fileHandle)(nil)
	_ gofs.FileFlusher   = (*fileHandle)(nil)
	_ gofs.FileFsyncer   = (*fileHandle)(nil)
	_ gofs.FileReleaser  = (*fileHandle)(nil)
	_ gofs.FileAllocater = (*fileHandle)(nil)
	_ gofs.FileLseeker   = (*fileHandle)(nil)

	_ gofs.FileReaddirenter = (*dirHandle)(nil)
	_ gofs.FileLookuper     = (*dirHandle)(nil)
	_ gofs.FileSeekdirer    = (*dirHandle)(nil)
	_ gofs.FileReleasedirer = (*dirHandle)(nil)
	_ gofs.FileFsyncdirer   = (*dirHandle)(nil)

	_ fuse.RawFileSystem = registrar{}
)
