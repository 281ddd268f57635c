package pcloudtest

import (
	"encoding/hex"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/fault"
	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

func fileMethods() map[string]method {
	return map[string]method{
		"stat":               {run: (*call).stat, access: users},
		"checksumfile":       {run: (*call).checksumFile, access: users},
		"getfilesbychecksum": {run: (*call).filesByChecksum, access: users},
		"copyfile":           {run: (*call).copyFile, access: users},
		"renamefile":         {run: (*call).renameFile, access: users},
		"deletefile":         {run: (*call).deleteFile, access: users},
		"setfilemtime":       {run: (*call).setFileMtime, access: users},
		"listrevisions":      {run: (*call).listRevisions, access: users},
		"revertrevision":     {run: (*call).revertRevision, access: users},
		"file_open":          {run: (*call).fileOpen, access: users},
	}
}

// file finds the file that fileid or path names; the id wins.
func (c *call) file() (n store.Node, byPath bool, err error) {
	id, ok, err := c.fileID("fileid")
	if err != nil {
		return n, false, err
	}
	if ok {
		n, err = c.view.FileByID(id)
		return n, false, err
	}
	if p, ok := c.params["path"]; ok {
		n, err = c.view.FileByPath(p)
		return n, true, c.missing(err)
	}
	return n, false, fail(1004, "No fileid or path provided.")
}

// revision reads revisionid, which every method that addresses a file takes;
// 0 is the current version.
func (c *call) revision() (uint64, error) {
	n, _, err := c.id("revisionid", 2029, "Revision not found.")
	return n, err
}

// stat describes a file or, by path, a folder as well (pCloud API 7.11).
func (c *call) stat() error {
	if id, ok, err := c.fileID("fileid"); ok {
		if err != nil {
			return err
		}
		n, err := c.view.FileByID(id)
		if err != nil {
			return err
		}
		c.meta(n)
		return nil
	}
	p, ok := c.params["path"]
	if !ok {
		return fail(1001, "No full path or fileid provided.")
	}
	n, err := c.view.Resolve(p)
	if err != nil {
		return c.missing(err)
	}
	c.metaAt(n, true)
	return nil
}

// sums are the digests of the region: SHA-1 always, MD5 in the US, SHA-256 in
// the EU (pCloud API 6).
func (c *call) sums(s store.Sums) object {
	if c.fault.has(fault.WrongDigest) != nil {
		s.SHA1[0] ^= 0xff
		s.MD5[0] ^= 0xff
		s.SHA256[0] ^= 0xff
	}
	o := object{{"sha1", hex.EncodeToString(s.SHA1[:])}}
	if c.s.o.Region == EU {
		return append(o, member{"sha256", hex.EncodeToString(s.SHA256[:])})
	}
	return append(o, member{"md5", hex.EncodeToString(s.MD5[:])})
}

func (c *call) checksumFile() error {
	n, byPath, err := c.file()
	if err != nil {
		return err
	}
	rev, err := c.revision()
	if err != nil {
		return err
	}
	s, n, err := c.view.Checksums(n.ID, rev)
	if err != nil {
		return err
	}
	c.reply = append(c.reply, c.sums(s)...)
	c.metaAt(n, byPath)
	return nil
}

func (c *call) filesByChecksum() error {
	size, ok := c.params.number("size")
	sum, err := hex.DecodeString(c.params["sha1"])
	if !ok || err != nil || len(sum) != 20 {
		return fail(1019, "Please provide 'size' and 'sha1'.")
	}
	nodes, err := c.view.ByChecksum(int64(size), [20]byte(sum))
	if err != nil {
		return err
	}
	all := list{}
	for _, n := range nodes {
		all = append(all, &metadata{node: n})
	}
	c.add("metadata", all)
	return nil
}

// copyFile copies on the server. A file copied onto itself only gets other
// times (pCloud API 7.14).
func (c *call) copyFile() error {
	n, _, err := c.file()
	if err != nil {
		return err
	}
	if !c.params.has("topath") && !c.params.has("tofolderid") {
		return fail(1016, "No full topath or toname/tofolderid provided.")
	}
	to, name, err := c.destination(n.Parent)
	if err != nil {
		return err
	}
	o := store.CopyOptions{NoOver: c.params.bool("noover")}
	if o.Revision, err = c.revision(); err != nil {
		return err
	}
	if h, ok := c.params.number("hash"); ok {
		o.Hash = &h
	}
	if o.Modified, err = c.params.date("mtime"); err != nil {
		return err
	}
	if o.Created, err = c.params.date("ctime"); err != nil {
		return err
	}
	n, err = c.view.CopyFile(n.ID, to, name, o)
	if err != nil {
		return err
	}
	c.meta(n)
	return nil
}

func (c *call) renameFile() error {
	n, _, err := c.file()
	if err != nil {
		return err
	}
	to, name, err := c.destination(n.Parent)
	if err != nil {
		return err
	}
	n, err = c.view.RenameFile(n.ID, to, name)
	if err != nil {
		return err
	}
	c.meta(n)
	return nil
}

func (c *call) deleteFile() error {
	n, _, err := c.file()
	if err != nil {
		return err
	}
	if n, err = c.view.DeleteFile(n.ID); err != nil {
		return err
	}
	c.meta(n)
	return nil
}

// setFileMtime sets one of a file's times (pCloud API 7.15).
func (c *call) setFileMtime() error {
	if c.s.o.Quirks.OAuthSetFileMtime2003 && c.who.oauth() {
		return fail(2003, "Access denied.")
	}
	n, _, err := c.file()
	if err != nil {
		return err
	}
	t, err := c.params.date("newtm")
	if err != nil {
		return err
	}
	if t == nil {
		return fail(1013, "Invalid date/time provided.")
	}
	old, err := c.params.date("oldtm")
	if err != nil {
		return err
	}
	n, err = c.view.SetMtime(n.ID, *t, c.params.bool("isctime"), old)
	if err != nil {
		return err
	}
	c.meta(n)
	return nil
}

func (c *call) listRevisions() error {
	n, byPath, err := c.file()
	if err != nil {
		return err
	}
	withSums := c.params.bool("showchecksums")
	get := c.view.Revisions
	if withSums {
		get = c.view.RevisionsWithSums
	}
	revs, n, err := get(n.ID)
	if err != nil {
		return err
	}
	all := list{}
	for _, r := range revs {
		o := object{{"revisionid", r.ID}, {"size", r.Size}, {"hash", r.Hash}, {"created", r.Created}}
		if withSums {
			o = append(o, c.sums(r.Sums)...)
		}
		all = append(all, o)
	}
	c.add("revisions", all)
	c.metaAt(n, byPath)
	return nil
}

func (c *call) revertRevision() error {
	n, _, err := c.file()
	if err != nil {
		return err
	}
	rev, err := c.revision()
	if err != nil {
		return err
	}
	if rev == 0 {
		return fail(2029, "Revision not found.")
	}
	n, err = c.view.Revert(n.ID, rev)
	if err != nil {
		return err
	}
	c.meta(n)
	return nil
}

// fileOpen stands for the file_* family, which this server does not have. It
// refuses OAuth tokens as the real service does (pCloud API 10), and password
// logins, whom the real one would serve, with the same code.
func (c *call) fileOpen() error {
	if c.who.oauth() {
		return fail(2003, "Access denied.")
	}
	return fail(2003, "The file_* methods are not implemented by this server.")
}
