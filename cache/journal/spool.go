package journal

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// layout is where things lie.
type layout struct{ root string }

func (l layout) lock() string             { return filepath.Join(l.root, "lock") }
func (l layout) db() string               { return filepath.Join(l.root, DatabaseName) }
func (l layout) newDB() string            { return filepath.Join(l.root, "journal.db.new") }
func (l layout) spoolDir() string         { return filepath.Join(l.root, "spool") }
func (l layout) spool(name string) string { return filepath.Join(l.root, "spool", name) }
func (l layout) asideDir() string         { return filepath.Join(l.root, "aside") }
func (l layout) aside(name string) string { return filepath.Join(l.root, "aside", name) }

// spoolBytes is the length of a spool file's random name before it is written
// in hexadecimal.
const spoolBytes = 8

// validSpool keeps names from a record or a caller inside the spool directory.
func validSpool(name string) bool {
	p, err := hex.DecodeString(name)
	return err == nil && len(p) == spoolBytes && strings.ToLower(name) == name
}

func badSpool(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// NewSpool makes an empty spool file, open for reading and writing, readable
// by the owner only. The caller closes it.
func (j *Journal) NewSpool() (name string, f *os.File, err error) {
	for {
		var p [spoolBytes]byte
		rand.Read(p[:]) // never fails
		name = hex.EncodeToString(p[:])
		f, err = os.OpenFile(j.dirs.spool(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("new spool file: %w", err)
		}
		return name, f, nil
	}
}

// OpenSpool opens a spool file for reading and writing. The caller closes it.
func (j *Journal) OpenSpool(name string) (*os.File, error) {
	if !validSpool(name) {
		return nil, badSpool(name)
	}
	return os.OpenFile(j.dirs.spool(name), os.O_RDWR, 0)
}

// CloneSpool makes a spool file with the bytes of another: sharing its blocks
// where the file system can, else as a copy in which holes stay holes. The
// caller closes it.
func (j *Journal) CloneSpool(name string) (string, *os.File, error) {
	src, err := j.OpenSpool(name)
	if err != nil {
		return "", nil, fmt.Errorf("clone spool file: %w", err)
	}
	defer src.Close()
	clone, dst, err := j.NewSpool()
	if err != nil {
		return "", nil, err
	}
	if err = reflink(dst, src); err != nil {
		err = copySparse(dst, src)
	}
	if err != nil {
		dst.Close()
		os.Remove(j.dirs.spool(clone))
		return "", nil, fmt.Errorf("clone spool file: %w", err)
	}
	return clone, dst, nil
}

// copySparse copies src to the empty file dst, leaving out holes.
func copySparse(dst, src *os.File) error {
	info, err := src.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	if err := dst.Truncate(end); err != nil {
		return err
	}
	for off := int64(0); off < end; {
		from, err := src.Seek(off, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO): // only a hole is left
			return rewind(dst)
		case err != nil: // the file system does not know: all of it is data
			from = off
		}
		to, err := src.Seek(from, unix.SEEK_HOLE)
		if err != nil || to <= from {
			to = end
		}
		if err := copyRange(dst, src, from, min(to, end)-from); err != nil {
			return err
		}
		off = to
	}
	return rewind(dst)
}

func copyRange(dst, src *os.File, off, n int64) error {
	if _, err := src.Seek(off, io.SeekStart); err != nil {
		return err
	}
	if _, err := dst.Seek(off, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(dst, src, n) // copy_file_range(2) where there is one
	if errors.Is(err, io.EOF) {     // it became shorter meanwhile
		return io.ErrUnexpectedEOF
	}
	return err
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// RemoveSpool deletes a spool file. Deleting one that is not there is no error.
func (j *Journal) RemoveSpool(name string) error {
	if !validSpool(name) {
		return badSpool(name)
	}
	if err := os.Remove(j.dirs.spool(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j.syncer.forget(name)
	return nil
}

// SetAside moves a spool file out of the way, to the directory "aside", where
// the journal never touches it again, and returns its path. label says to
// people what it is, a file name perhaps; anything is allowed in it. Nothing is
// ever overwritten. It is called before the record that names the file is
// deleted: after a crash in between, Open reports where the file is, while the
// file of a deleted record counts as not needed.
func (j *Journal) SetAside(name, label string) (string, error) {
	if !validSpool(name) {
		return "", badSpool(name)
	}
	path, err := j.dirs.setAside(j.dirs.spool(name), name, label)
	if err != nil {
		return "", fmt.Errorf("set spool file aside: %w", err)
	}
	j.syncer.forget(name)
	return path, nil
}

// setAside moves the file at path to aside/NAME.LABEL, or with a number behind
// it if there is one of that name already.
func (l layout) setAside(path, name, label string) (string, error) {
	if _, err := os.Lstat(path); err != nil {
		return "", err
	}
	claimed, err := l.claimAside(name, label)
	if err != nil {
		return "", err
	}
	if err := os.Rename(path, claimed); err != nil {
		os.Remove(claimed)
		return "", err
	}
	return claimed, nil
}

// claimAside makes an empty file of a new name in the aside directory.
func (l layout) claimAside(name, label string) (string, error) {
	if label = cleanLabel(label); label != "" {
		name += "." + label
	}
	for try := name; ; {
		path := l.aside(try)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return path, f.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		var p [3]byte
		rand.Read(p[:])
		try = name + "." + hex.EncodeToString(p[:])
	}
}

// maxLabel keeps names in the aside directory far below the limit of 255
// bytes.
const maxLabel = 120

// cleanLabel makes a string fit to be part of a file name.
func cleanLabel(label string) string {
	label = strings.Map(func(r rune) rune {
		if r == '/' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, label)
	for len(label) > maxLabel {
		_, n := utf8.DecodeLastRuneInString(label)
		label = label[:len(label)-n]
	}
	return label
}

// intent returns the record seq if it is there and can be read.
func (t *txn) intent(seq uint64) (Intent, bool) {
	p := t.intents.Get(beKey(seq))
	if p == nil {
		return Intent{}, false
	}
	in, err := decodeIntent(seq, p)
	return in, err == nil // a damaged record is for the next Open to find
}

// release remembers that no record needs the bytes that the spool file has
// now. If the process dies before it removes the file, the next Open does,
// instead of taking it for something that was never closed.
func (t *txn) release(name string) error {
	if name == "" {
		return nil
	}
	info, err := os.Lstat(t.j.dirs.spool(name))
	if err != nil {
		return nil // gone already
	}
	return t.released.Put([]byte(name), stateOf(info))
}

// claim takes a release back: a record names the file again.
func (t *txn) claim(name string) error {
	if name == "" {
		return nil
	}
	return t.released.Delete([]byte(name))
}

// stateOf tells whether a file was written to between two looks at it.
func stateOf(info fs.FileInfo) []byte {
	return binary.BigEndian.AppendUint64(beKey(uint64(info.Size())), uint64(info.ModTime().UnixNano()))
}
