package store

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOverwriteKeepsIdentity(t *testing.T) {
	c := newClock()
	eachMode(t, Options{Now: c.now}, func(t *testing.T, a *Account) {
		v := a.View(0)
		first := put(t, v, 0, "f", "one")
		second, err := v.Put(0, "f", blobOf(t, a, []byte("two!")), PutOptions{Modified: &time0})
		require.NoError(t, err)
		require.Equal(t, first.ID, second.ID)
		require.Equal(t, first.Created, second.Created)
		require.Equal(t, time0, second.Modified)
		require.NotEqual(t, first.Hash, second.Hash)
		require.Equal(t, "two!", text(t, v, first.ID))

		revs, n, err := v.RevisionsWithSums(first.ID)
		require.NoError(t, err)
		require.Equal(t, second, n)
		require.Len(t, revs, 1)
		require.Equal(t, first.Hash, revs[0].Hash)
		require.Equal(t, int64(3), revs[0].Size)
		require.Equal(t, sha1.Sum([]byte("one")), revs[0].Sums.SHA1)

		// The same bytes again change only the times.
		third, err := v.Put(0, "f", blobOf(t, a, []byte("two!")), PutOptions{})
		require.NoError(t, err)
		require.Equal(t, c.t, third.Modified)
		require.Equal(t, second.Hash, third.Hash)
		revs, _, err = v.Revisions(first.ID)
		require.NoError(t, err)
		require.Len(t, revs, 1)
		used, quota := a.Usage()
		require.Equal(t, []int64{4, DefaultQuota}, []int64{used, quota})
	})
}

func TestTimes(t *testing.T) {
	t.Parallel()
	c := newClock()
	v := open(t, Options{Now: c.now}).View(0)
	born := time0.Add(-time.Hour)
	for _, tc := range []struct {
		name              string
		o                 PutOptions
		created, modified time.Time
	}{
		{"none", PutOptions{}, c.t, c.t},
		{"mtime", PutOptions{Modified: &time0}, c.t, time0},
		{"both", PutOptions{Modified: &time0, Created: &born}, born, time0},
		{"ctime alone does not count", PutOptions{Created: &born}, c.t, c.t},
		{"before 1970", PutOptions{Modified: ptr(time.Unix(-86400, 5).UTC())}, c.t, time.Unix(-86400, 0).UTC()},
	} {
		n, err := v.Put(0, tc.name, blobOf(t, v.a, []byte("x")), tc.o)
		require.NoError(t, err)
		require.Equal(t, tc.created, n.Created, tc.name)
		require.Equal(t, tc.modified, n.Modified, tc.name)
	}
	f := put(t, v, 0, "f", "x")
	n, err := v.SetMtime(f.ID, time0, false, nil)
	require.NoError(t, err)
	require.Equal(t, time0, n.Modified)
	n, err = v.SetMtime(f.ID, born, true, nil)
	require.NoError(t, err)
	require.Equal(t, []time.Time{born, time0}, []time.Time{n.Created, n.Modified})
	n, err = v.SetMtime(f.ID, c.t, false, &born)
	require.NoError(t, err)
	require.Equal(t, time0, n.Modified, "compare-and-set with the wrong old value")
	n, err = v.SetMtime(f.ID, c.t, false, &time0)
	require.NoError(t, err)
	require.Equal(t, c.t, n.Modified)
	_, err = v.SetMtime(99, c.t, false, nil)
	require.Equal(t, CodeNoFile, Code(err))
}

func TestConditionalSave(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what   string
		quirks Quirks
		there  []string // names that exist, each with its name as content
		o      func(hash uint64) PutOptions
		want   string
		diff   bool // conflicted
	}{
		{"new, free", Quirks{}, nil, func(uint64) PutOptions { return PutOptions{IfNew: true} }, "a.txt", false},
		{"new, taken", Quirks{}, []string{"a.txt"}, func(uint64) PutOptions { return PutOptions{IfNew: true} },
			"a{CONFLICTED}.txt", true},
		{"spaced", Quirks{ConflictSpace: true}, []string{"a.txt"},
			func(uint64) PutOptions { return PutOptions{IfNew: true} }, "a {CONFLICTED}.txt", true},
		{"conflict name taken", Quirks{}, []string{"a.txt", "a{CONFLICTED}.txt", "a{CONFLICTED} (1).txt"},
			func(uint64) PutOptions { return PutOptions{IfNew: true} }, "a{CONFLICTED} (2).txt", true},
		{"hash equal", Quirks{}, []string{"a.txt"}, func(h uint64) PutOptions { return PutOptions{IfHash: &h} }, "a.txt", false},
		{"hash differs", Quirks{}, []string{"a.txt"}, func(h uint64) PutOptions { h++; return PutOptions{IfHash: &h} },
			"a{CONFLICTED}.txt", true},
		{"hash of nothing", Quirks{}, nil, func(h uint64) PutOptions { return PutOptions{IfHash: &h} },
			"a{CONFLICTED}.txt", true},
		{"rename, free", Quirks{}, nil, func(uint64) PutOptions { return PutOptions{RenameIfExists: true} }, "a.txt", false},
		{"rename, taken", Quirks{}, []string{"a.txt", "a (1).txt"},
			func(uint64) PutOptions { return PutOptions{RenameIfExists: true} }, "a (2).txt", false},
		{"rename from 2", Quirks{NumberFrom: 2}, []string{"a.txt"},
			func(uint64) PutOptions { return PutOptions{RenameIfExists: true} }, "a (2).txt", false},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			v := open(t, Options{Quirks: tc.quirks}).View(0)
			want := map[string]string{}
			var hash uint64
			for i, name := range tc.there {
				n := put(t, v, 0, name, name)
				want["/"+name] = name
				if i == 0 {
					hash = n.Hash
				}
			}
			n, err := v.Put(0, "a.txt", blobOf(t, v.a, []byte("new")), tc.o(hash))
			require.NoError(t, err)
			require.Equal(t, tc.want, n.Name)
			require.Equal(t, tc.diff, n.Conflicted)
			want["/"+tc.want] = "new"
			require.Equal(t, want, paths(t, v))
			again, err := v.FileByID(n.ID)
			require.NoError(t, err)
			require.False(t, again.Conflicted, "only the reply says so")
		})
	}
}

func TestCopyFile(t *testing.T) {
	t.Parallel()
	c := newClock()
	v := open(t, Options{Now: c.now}).View(0)
	d := mkdir(t, v, 0, "d")
	old := put(t, v, 0, "f", "one")
	f := put(t, v, 0, "f", "two")
	there := put(t, v, d.ID, "there", "three")
	c.advance(time.Hour)

	n, err := v.CopyFile(f.ID, d.ID, "", CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, []any{"f", f.Hash, c.t}, []any{n.Name, n.Hash, n.Modified})
	require.NotEqual(t, f.ID, n.ID)

	_, err = v.CopyFile(f.ID, d.ID, "there", CopyOptions{NoOver: true})
	require.Equal(t, CodeExists, Code(err))
	n, err = v.CopyFile(f.ID, d.ID, "there", CopyOptions{Modified: &time0, Hash: &old.Hash})
	require.NoError(t, err)
	require.Equal(t, []any{there.ID, there.Created, time0, old.Hash}, []any{n.ID, n.Created, n.Modified, n.Hash})
	require.Equal(t, "one", text(t, v, there.ID))
	revs, _, err := v.Revisions(there.ID)
	require.NoError(t, err)
	require.Len(t, revs, 1)

	// Onto itself: times only, as rclone sets them (pCloud API 7.14).
	n, err = v.CopyFile(f.ID, 0, "f", CopyOptions{Modified: &time0, Created: &time0})
	require.NoError(t, err)
	require.Equal(t, []any{f.ID, f.Hash, time0, time0}, []any{n.ID, n.Hash, n.Modified, n.Created})
	revs, _, err = v.Revisions(f.ID)
	require.NoError(t, err)
	require.Len(t, revs, 1)

	n, err = v.CopyFile(f.ID, 0, "by revision", CopyOptions{Revision: revs[0].ID})
	require.NoError(t, err)
	require.Equal(t, old.Hash, n.Hash)
	for code, do := range map[int]func() (Node, error){
		CodeNoRevision: func() (Node, error) { return v.CopyFile(f.ID, 0, "x", CopyOptions{Revision: 1}) },
		CodeNoFile:     func() (Node, error) { return v.CopyFile(f.ID, 0, "x", CopyOptions{Hash: ptr(uint64(1))}) },
		CodeNoFolder:   func() (Node, error) { return v.CopyFile(f.ID, 99, "x", CopyOptions{}) },
	} {
		_, err := do()
		require.Equal(t, code, Code(err))
	}
}

func TestRenameFile(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	d := mkdir(t, v, 0, "d")
	put(t, v, 0, "f", "f1")
	f := put(t, v, 0, "f", "f2")
	put(t, v, d.ID, "g", "g1")
	g := put(t, v, d.ID, "g", "g2")

	n, err := v.RenameFile(f.ID, d.ID, "g")
	require.NoError(t, err)
	require.Equal(t, []any{f.ID, g.ID, "g", d.ID, f.Created, f.Modified}, []any{n.ID, n.Replaced, n.Name, n.Parent, n.Created, n.Modified})
	require.Equal(t, map[string]string{"/d/": "", "/d/g": "f2"}, paths(t, v))
	_, err = v.FileByID(g.ID)
	require.Equal(t, CodeNoFile, Code(err))
	revs, n, err := v.RevisionsWithSums(f.ID)
	require.NoError(t, err)
	require.Zero(t, n.Replaced, "only the reply and the event say so")
	var got []Sums
	for _, r := range revs {
		got = append(got, r.Sums)
	}
	require.Equal(t, []Sums{sumsOf("f1"), sumsOf("g1"), sumsOf("g2")}, got, "the histories merge")
	used, _ := v.a.Usage()
	require.Equal(t, int64(2), used)

	n, err = v.RenameFile(f.ID, d.ID, "g")
	require.NoError(t, err)
	require.Equal(t, f.ID, n.ID)
	_, err = v.RenameFile(g.ID, 0, "x")
	require.Equal(t, CodeNoFile, Code(err))
	_, err = v.RenameFile(f.ID, 99, "x")
	require.Equal(t, CodeNoFolder, Code(err))

	strict := open(t, Options{Quirks: Quirks{SelfRename2049: true}}).View(0)
	f = put(t, strict, 0, "f", "1")
	_, err = strict.RenameFile(f.ID, 0, "f")
	require.Equal(t, CodeSameFile, Code(err))
}

func sumsOf(s string) Sums {
	b := []byte(s)
	return Sums{SHA1: sha1.Sum(b), MD5: md5.Sum(b), SHA256: sha256.Sum256(b)}
}

func TestRevisions(t *testing.T) {
	eachMode(t, Options{}, func(t *testing.T, a *Account) {
		v := a.View(0)
		f := put(t, v, 0, "f", "")
		put(t, v, 0, "f", "one")
		put(t, v, 0, "f", "two")
		revs, _, err := v.Revisions(f.ID)
		require.NoError(t, err)
		require.Len(t, revs, 1, "empty contents are not listed")

		s, _, err := v.Checksums(f.ID, revs[0].ID)
		require.NoError(t, err)
		require.Equal(t, sumsOf("one"), s)
		_, err = v.Revert(f.ID, 1)
		require.Equal(t, CodeNoRevision, Code(err))
		n, err := v.Revert(f.ID, revs[0].ID)
		require.NoError(t, err)
		require.Equal(t, f.ID, n.ID)
		require.Equal(t, "one", text(t, v, f.ID))
		after, _, err := v.Revisions(f.ID)
		require.NoError(t, err)
		require.Len(t, after, 1)
		require.NotEqual(t, revs[0], after[0])

		c, n, err := v.OpenContent(f.ID, &after[0].Hash, 0)
		require.NoError(t, err)
		require.Equal(t, int64(3), n.Size)
		require.Equal(t, after[0].Hash, c.Hash())
		_, err = v.DeleteFile(f.ID)
		require.NoError(t, err)
		require.NoError(t, v.TrashClear(0, true))
		p := make([]byte, 5)
		k, _ := c.ReadAt(p, 0)
		require.Equal(t, "two", string(p[:k]), "an open content outlives its file")
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		_, _, err = v.OpenContent(f.ID, nil, 0)
		require.Equal(t, CodeNoFile, Code(err))
	})
}

func TestHashIsAFunctionOfContent(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View(0)
	seen, large := map[uint64]bool{}, false
	for _, s := range []string{"", "a", "b", "c", "d", "e", "f", "g"} {
		one, two := put(t, v, 0, "one", s), put(t, v, 0, "two", s)
		require.Equal(t, one.Hash, two.Hash)
		require.False(t, seen[one.Hash])
		seen[one.Hash] = true
		large = large || one.Hash > 1<<63
	}
	require.True(t, large, "hashes use all 64 bits")
}

func TestQuota(t *testing.T) {
	t.Parallel()
	a := open(t, Options{Quota: 10})
	v := a.View(0)
	f := put(t, v, 0, "f", "12345678")
	full := func(err error) { t.Helper(); require.Equal(t, CodeOverQuota, Code(err)) }
	ten := func() *Blob { return blobOf(t, a, []byte("0123456789")) }

	full(v.CheckPut(0, "g", 3))
	require.NoError(t, v.CheckPut(0, "g", 2))
	require.NoError(t, v.CheckPut(0, "f", 10), "it replaces 8 bytes")
	full(v.CheckPut(0, "f", 11))
	_, err := a.CreateSession(3)
	full(err)
	_, err = v.Put(0, "g", ten(), PutOptions{})
	full(err)
	_, err = v.Put(0, "f", ten(), PutOptions{})
	require.NoError(t, err, "revisions do not count")
	_, err = v.CopyFile(f.ID, 0, "copy", CopyOptions{})
	full(err)
	put(t, v, 0, "empty", "")
	id, err := a.CreateSession(-1)
	require.NoError(t, err)
	require.NoError(t, a.WriteSession(id, 0, ten2(), 10))
	_, err = v.SaveSession(id, 0, "g", PutOptions{})
	full(err)
	size, _, err := a.SessionInfo(id)
	require.NoError(t, err, "a refused save keeps the session")
	require.Equal(t, int64(10), size)

	_, err = v.DeleteFile(f.ID)
	require.NoError(t, err)
	_, err = v.SaveSession(id, 0, "g", PutOptions{})
	require.NoError(t, err)
	_, err = v.TrashRestore(f.ID, false, nil)
	full(err)
	require.NoError(t, a.SetQuota(20))
	_, err = v.TrashRestore(f.ID, false, nil)
	require.NoError(t, err)
	used, quota := a.Usage()
	require.Equal(t, []int64{20, 20}, []int64{used, quota})

	strict := open(t, Options{Quota: 10, Quirks: Quirks{TrashCounts: true}})
	v = strict.View(0)
	trashed(t, v, "12345678")
	full(v.CheckPut(0, "x", 3))
	require.NoError(t, v.TrashClear(0, true))
	require.NoError(t, v.CheckPut(0, "x", 10))
}

func TestByChecksum(t *testing.T) {
	t.Parallel()
	v := open(t, Options{Quirks: Quirks{NoMD5: true, NoSHA256: true}}).View(0)
	a, b := put(t, v, 0, "a", "same"), put(t, v, 0, "b", "same")
	put(t, v, 0, "c", "else")
	found, err := v.ByChecksum(4, sumsOf("same").SHA1)
	require.NoError(t, err)
	require.Equal(t, []Node{a, b}, found)
	found, err = v.ByChecksum(5, sumsOf("same").SHA1)
	require.NoError(t, err)
	require.Empty(t, found)
	s, _, err := v.Checksums(a.ID, 0)
	require.NoError(t, err)
	require.Equal(t, sumsOf("same"), s, "digests that were left out are computed")
}
