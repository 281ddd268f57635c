package store

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxName is the longest name in bytes (pCloud API 6).
const maxName = 1023

// checkName refuses what no file or folder can be called (pCloud API 6).
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > maxName ||
		strings.ContainsAny(name, "/\\\x00") || !utf8.ValidString(name) {
		return fail(CodeInvalidName)
	}
	return nil
}

// splitExt cuts a name before its extension; a leading dot starts none.
func splitExt(name string) (stem, ext string) {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// decorated is the name with a suffix at the end of its stem, which is
// shortened if the name would get too long.
func decorated(name, suffix string) string {
	stem, ext := splitExt(name)
	if len(ext)+len(suffix) >= maxName {
		stem, ext = name, ""
	}
	for len(stem)+len(suffix)+len(ext) > maxName {
		_, n := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-n]
	}
	return stem + suffix + ext
}

// numbered returns the first name "stem (n).ext" that is not taken.
func (a *Account) numbered(name string, taken func(string) bool) string {
	for n := max(a.quirks.NumberFrom, 1); ; n++ {
		if c := decorated(name, fmt.Sprintf(" (%d)", n)); !taken(c) {
			return c
		}
	}
}

// conflictName returns where a refused conditional save goes (pCloud API 8.6).
func (a *Account) conflictName(name string, taken func(string) bool) string {
	mark := "{CONFLICTED}"
	if a.quirks.ConflictSpace {
		mark = " " + mark
	}
	c := decorated(name, mark)
	if !taken(c) {
		return c
	}
	return a.numbered(c, taken)
}
