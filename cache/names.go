package cache

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pcloudfs/pcloudfs/cache/upload"
	"github.com/pcloudfs/pcloudfs/remote"
)

// NameMax is the longest name of the mount in bytes. pCloud allows 1023, the
// kernel 255 (pCloud API 6).
const NameMax = 255

// checkName refuses names that pCloud cannot hold, before anything is done
// with them (pCloud API 6).
func checkName(name string) error {
	switch {
	case len(name) > NameMax:
		return ErrNameTooLong
	case name == "", name == ".", name == "..":
		return ErrInvalidName
	case strings.ContainsAny(name, "/\\\x00"), !utf8.ValidString(name), hidden(name):
		return ErrInvalidName
	}
	return nil
}

// hidden says whether a name in pCloud is that of an upload under way, which
// nobody should see.
func hidden(name string) bool {
	return strings.HasPrefix(name, upload.TempPrefix) && strings.HasSuffix(name, upload.TempSuffix)
}

// A name of pCloud that the mount cannot show as it is – because it is too
// long, or because a folder of the same name takes precedence over a file – is
// shown as its beginning, a tilde, and the entry's pCloud id: "report~f20417".
// The id makes it unambiguous, and the way back needs no table.

// rendered returns the name under which e is shown. shadowed says that e is a
// file beside a folder of the same name.
func rendered(e remote.Entry, shadowed bool) string {
	if len(e.Name) <= NameMax && !shadowed {
		return e.Name
	}
	tag := fmt.Sprintf("~f%d", e.FileID)
	if e.Folder {
		tag = fmt.Sprintf("~d%d", e.FolderID)
	}
	stem := e.Name
	if room := NameMax - len(tag); len(stem) > room {
		stem = strings.ToValidUTF8(stem[:room], "")
	}
	return stem + tag
}

// unrendered takes the id out of a rendered name.
func unrendered(name string) (folder bool, id uint64, ok bool) {
	i := strings.LastIndexByte(name, '~')
	if i < 0 || i+2 >= len(name) || (name[i+1] != 'f' && name[i+1] != 'd') {
		return false, 0, false
	}
	id, err := strconv.ParseUint(name[i+2:], 10, 62)
	return name[i+1] == 'd', id, err == nil
}
