package fs_test

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// parseDirents reads the struct linux_dirent64 of getdents64(2).
func parseDirents(buf []byte) (list []dirent) {
	for len(buf) > 0 {
		length := binary.NativeEndian.Uint16(buf[16:])
		name, _, _ := bytes.Cut(buf[19:length], []byte{0})
		list = append(list, dirent{
			name: string(name),
			ino:  binary.NativeEndian.Uint64(buf),
			off:  int64(binary.NativeEndian.Uint64(buf[8:])),
		})
		buf = buf[length:]
	}
	return list
}

// entryNodes returns the node ids of a READDIRPLUS answer: struct fuse_direntplus
// is a fuse_entry_out, which begins with the node id, and a fuse_dirent.
func entryNodes(buf []byte) (ids []uint64) {
	const entry = int(unsafe.Sizeof(fuse.EntryOut{}))
	for len(buf) > 0 {
		if id := binary.NativeEndian.Uint64(buf); id != 0 {
			ids = append(ids, id)
		}
		name := int(binary.NativeEndian.Uint32(buf[entry+16:]))
		buf = buf[(entry+24+name+7)/8*8:]
	}
	return ids
}
