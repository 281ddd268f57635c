package store

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is a tree as a map: paths of folders end with a slash, those of files
// map to their content.
type model map[string]string

var modelNames = []string{"a", "b", "c"}

// under returns the paths within a folder, without the folder itself.
func (m model) under(folder string) []string {
	var out []string
	for p := range m {
		if p != folder && strings.HasPrefix(p, folder) {
			out = append(out, p)
		}
	}
	return out
}

// move renames a file, or a folder with what is in it.
func (m model) move(from, to string) {
	moved := map[string]string{to: m[from]}
	delete(m, from)
	if strings.HasSuffix(from, "/") {
		for _, p := range m.under(from) {
			moved[to+strings.TrimPrefix(p, from)] = m[p]
			delete(m, p)
		}
	}
	maps.Copy(m, moved)
}

// history drives an account and its model.
type history struct {
	t    *rapid.T
	a    *Account
	v    *View
	m    model
	now  *clock
	reps []*replica
}

// folder and file draw an existing path; the root is "/".
func (h *history) folder() string {
	all := []string{"/"}
	for p := range h.m {
		if strings.HasSuffix(p, "/") {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return rapid.SampledFrom(all).Draw(h.t, "folder")
}

func (h *history) file() string {
	var all []string
	for p := range h.m {
		if !strings.HasSuffix(p, "/") {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		h.t.Skip("no files")
	}
	slices.Sort(all)
	return rapid.SampledFrom(all).Draw(h.t, "file")
}

func (h *history) name() string { return rapid.SampledFrom(modelNames).Draw(h.t, "name") }

func (h *history) folderID(p string) uint64 {
	n, err := h.v.FolderByPath(p)
	require.NoError(h.t, err)
	return n.ID
}

func (h *history) fileID(p string) uint64 {
	n, err := h.v.FileByPath(p)
	require.NoError(h.t, err)
	return n.ID
}

// code checks a call's outcome.
func (h *history) code(want int, err error) {
	h.t.Helper()
	require.Equal(h.t, want, Code(err), "%v", err)
}

func (h *history) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"": func(*rapid.T) {
			require.Equal(h.t, map[string]string(h.m), paths(h.t, h.v))
			h.now.advance(time.Second)
		},
		"mkdir":         func(*rapid.T) { h.mkdir() },
		"put":           func(*rapid.T) { h.put() },
		"delete file":   func(*rapid.T) { h.deleteFile() },
		"delete folder": func(*rapid.T) { h.deleteFolder() },
		"delete tree":   func(*rapid.T) { h.deleteTree() },
		"rename file":   func(*rapid.T) { h.renameFile() },
		"rename folder": func(*rapid.T) { h.renameFolder() },
		"copy file":     func(*rapid.T) { h.copyFile() },
		"copy folder":   func(*rapid.T) { h.copyFolder() },
		"restore":       func(*rapid.T) { h.restore() },
		"follow":        func(*rapid.T) { h.follow() },
	}
}

func (h *history) mkdir() {
	d, name := h.folder(), h.name()
	p := d + name + "/"
	want := 0
	if _, ok := h.m[p]; ok {
		want = CodeExists
	}
	_, _, err := h.v.CreateFolder(h.folderID(d), name, false)
	h.code(want, err)
	h.m[p] = ""
}

func (h *history) put() {
	d, name := h.folder(), h.name()
	data := rapid.SampledFrom([]string{"", "1", "22", "333"}).Draw(h.t, "data")
	put(h.t, h.v, h.folderID(d), name, data)
	h.m[d+name] = data
}

func (h *history) deleteFile() {
	p := h.file()
	_, err := h.v.DeleteFile(h.fileID(p))
	h.code(0, err)
	delete(h.m, p)
}

func (h *history) deleteFolder() {
	p := h.folder()
	_, err := h.v.DeleteFolder(h.folderID(p))
	switch {
	case p == "/":
		h.code(CodeDeleteRoot, err)
	case len(h.m.under(p)) > 0:
		h.code(CodeNotEmpty, err)
	default:
		h.code(0, err)
		delete(h.m, p)
	}
}

func (h *history) deleteTree() {
	p := h.folder()
	files, folders, err := h.v.DeleteTree(h.folderID(p))
	if p == "/" {
		h.code(CodeDeleteRoot, err)
		return
	}
	h.code(0, err)
	require.Equal(h.t, len(h.m.under(p))+1, files+folders)
	for _, c := range h.m.under(p) {
		delete(h.m, c)
	}
	delete(h.m, p)
}

func (h *history) renameFile() {
	p, d, name := h.file(), h.folder(), h.name()
	n, err := h.v.RenameFile(h.fileID(p), h.folderID(d), name)
	h.code(0, err)
	_, there := h.m[d+name]
	require.Equal(h.t, there && d+name != p, n.Replaced != 0)
	h.m.move(p, d+name)
}

func (h *history) renameFolder() {
	p, d, name := h.folder(), h.folder(), h.name()
	to := d + name + "/"
	_, there := h.m[to]
	_, err := h.v.RenameFolder(h.folderID(p), h.folderID(d), name)
	switch {
	case p == "/":
		h.code(CodeRenameRoot, err)
	case strings.HasPrefix(d, p):
		h.code(CodeIntoDescendant, err)
	case there && to != p:
		h.code(CodeExists, err)
	default:
		h.code(0, err)
		h.m.move(p, to)
	}
}

func (h *history) copyFile() {
	p, d, name := h.file(), h.folder(), h.name()
	noOver := rapid.Bool().Draw(h.t, "noover")
	_, there := h.m[d+name]
	_, err := h.v.CopyFile(h.fileID(p), h.folderID(d), name, CopyOptions{NoOver: noOver})
	if there && noOver {
		h.code(CodeExists, err)
		return
	}
	h.code(0, err)
	h.m[d+name] = h.m[p]
}

func (h *history) copyFolder() {
	p, d := h.folder(), h.folder()
	if len(h.m) > 60 {
		h.t.Skip("enough")
	}
	_, err := h.v.CopyFolder(h.folderID(p), h.folderID(d), CopyFolderOptions{})
	switch {
	case p != "/" && path.Dir(strings.TrimSuffix(p, "/")) == path.Clean(d):
		h.code(CodeCopyOntoItself, err)
	case strings.HasPrefix(d, p):
		h.code(CodeCopyIntoItself, err)
	default:
		h.code(0, err)
		to := d + path.Base(p) + "/"
		before := maps.Clone(h.m) // the copy may overlap its source
		for _, c := range h.m.under(p) {
			h.m[to+strings.TrimPrefix(c, p)] = before[c]
		}
		h.m[to] = ""
	}
}

// restore brings back what was deleted first; the listing tells where it went.
func (h *history) restore() {
	var top Node
	require.NoError(h.t, h.v.TrashList(0, ListOptions{}, func(n Node, depth int) error {
		if depth == 1 && top.ID == 0 {
			top = n
		}
		return nil
	}))
	if top.ID == 0 {
		h.t.Skip("the trash is empty")
	}
	_, err := h.v.TrashRestore(top.ID, top.Folder, nil)
	h.code(0, err)
	clear(h.m)
	maps.Copy(h.m, paths(h.t, h.v))
}

// follow lets another client join: of the whole account or of a folder, from
// the full state or from a listing.
func (h *history) follow() {
	if len(h.reps) >= 12 {
		h.t.Skip("enough")
	}
	id := h.folderID(h.folder())
	v := h.a.View(id)
	if v.bit == 0 {
		h.t.Skip("too many views")
	}
	if rapid.Bool().Draw(h.t, "from listing") {
		h.reps = append(h.reps, followFrom(h.t, v))
		return
	}
	h.reps = append(h.reps, follow(h.t, v, rapid.IntRange(0, 5).Draw(h.t, "limit")))
}

// TestTreeAgainstModel runs random histories. Clients that joined at any point
// have to end up with the same tree from the change feed alone.
func TestTreeAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		o := Options{Now: c.now, Seed: rapid.Uint64().Draw(t, "seed")}
		if rapid.Bool().Draw(t, "short log") {
			o.MaxEvents = 16
		}
		a, err := Open(o)
		require.NoError(t, err)
		h := &history{t: t, a: a, v: a.View(0), m: model{}, now: c}
		app, _, err := h.v.CreateFolder(0, "a", false)
		require.NoError(t, err)
		h.m["/a/"] = ""
		for _, v := range []*View{h.v, a.View(app.ID)} {
			h.reps = append(h.reps, follow(t, v, 0), follow(t, v, 1))
		}
		t.Repeat(h.actions())
		for _, r := range h.reps {
			if _, err := r.v.FolderByID(0); err != nil {
				continue // its folder was deleted
			}
			r.catchUp(t, rapid.IntRange(0, 7).Draw(t, "limit"))
			r.check(t)
		}
		require.NoError(t, a.Close())
	})
}

// TestReopenedAccountIsTheSame runs random histories in a directory and
// compares all that can be seen before and after reopening it.
func TestReopenedAccountIsTheSame(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(top, "")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		c := newClock()
		a, err := Open(Options{Dir: dir, Now: c.now, Seed: 3})
		require.NoError(t, err)
		h := &history{t: t, a: a, v: a.View(0), m: model{}, now: c}
		actions := h.actions()
		delete(actions, "follow")
		actions["reopen"] = func(t *rapid.T) {
			before := everything(t, h.a)
			require.NoError(t, h.a.Close())
			h.a, err = Open(Options{Dir: dir, Now: c.now})
			require.NoError(t, err)
			h.v = h.a.View(0)
			require.Equal(t, before, everything(t, h.a))
		}
		t.Repeat(actions)
		actions["reopen"](t)
		require.NoError(t, h.a.Close())
	})
}

// everything renders what a whole-account client can see.
func everything(t *rapid.T, a *Account) []string {
	var out []string
	v := a.View(0)
	line := func(what string, n Node) { out = append(out, fmt.Sprintf("%s %+v", what, n)) }
	require.NoError(t, v.List(0, ListOptions{Recursive: true}, func(n Node, depth int) error {
		line("live", n)
		if !n.Folder {
			out = append(out, text(t, v, n.ID))
			revs, _, err := v.RevisionsWithSums(n.ID)
			require.NoError(t, err)
			out = append(out, fmt.Sprintf("%x", revs))
		}
		return nil
	}))
	require.NoError(t, v.TrashList(0, ListOptions{Recursive: true}, func(n Node, depth int) error {
		line("trash", n)
		return nil
	}))
	events, next, err := v.Diff(firstDiff, 0)
	require.NoError(t, err)
	for _, e := range events {
		out = append(out, fmt.Sprintf("%+v", e))
	}
	used, quota := a.Usage()
	return append(out, fmt.Sprint(next, used, quota))
}
