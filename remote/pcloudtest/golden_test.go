package pcloudtest_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest"
)

// shapeOf describes the JSON types of a value: "num", "str", "bool", "date",
// "[...]" and "{key:type ...}".
func shapeOf(v any) string {
	switch v := v.(type) {
	case json.Number:
		return "num"
	case bool:
		return "bool"
	case string:
		if _, err := time.Parse(time.RFC1123Z, v); err == nil && len(v) == 31 {
			return "date"
		}
		return "str"
	case []any:
		kinds := map[string]bool{}
		for _, e := range v {
			kinds[shapeOf(e)] = true
		}
		return "[" + strings.Join(slices.Sorted(maps.Keys(kinds)), "|") + "]"
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+":"+shapeOf(v[k]))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	return "null"
}

// The metadata of files and folders in replies (pCloud API 5.1).
const (
	fileShape = "{category:num comments:num contenttype:str created:date fileid:num hash:num icon:str id:str " +
		"isfolder:bool ismine:bool isshared:bool modified:date name:str parentfolderid:num size:num thumb:bool}"
	folderShape = "{comments:num created:date folderid:num icon:str id:str isfolder:bool ismine:bool isshared:bool " +
		"modified:date name:str parentfolderid:num thumb:bool}"
	rootShape = "{contents:[] created:date folderid:num icon:str id:str isfolder:bool ismine:bool isshared:bool " +
		"modified:date name:str path:str thumb:bool}"
)

// plus adds a member to the shape of an object, in its place.
func plus(shape, member string) string {
	parts := append(strings.Split(strings.Trim(shape, "{}"), " "), member)
	slices.Sort(parts)
	return "{" + strings.Join(parts, " ") + "}"
}

// TestReplyTypes holds every method to the exact members and types of its
// reply.
func TestReplyTypes(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	require.Equal(t, "{metadata:"+rootShape+" result:num}", shapeOf(map[string]any(c.ok("listfolder", "folderid", 0))))

	var dir, file, upload, rev uint64
	var auth string
	login := []any{"username", c.srv.Email(), "password", c.srv.Password()}
	cursor := c.ok("diff", "last", 0).num("diffid")
	data := func() reply { return c.put(dir, "f.txt", "data") }
	for _, step := range []struct {
		method string
		call   func() reply
		want   string // members besides result
	}{
		{"createfolder", func() reply {
			v := c.ok("createfolder", "folderid", 0, "name", "d")
			dir = v.meta().num("folderid")
			return v
		}, "metadata:" + folderShape},
		{"createfolder by path", func() reply { return c.ok("createfolder", "path", "/p") },
			"metadata:" + plus(folderShape, "path:str")},
		{"createfolderifnotexists", func() reply { return c.ok("createfolderifnotexists", "folderid", 0, "name", "d") },
			"created:bool metadata:" + folderShape},
		{"uploadfile", func() reply {
			v := data()
			file = v.file().num("fileid")
			return v
		}, "checksums:[{md5:str sha1:str}] fileids:[num] metadata:[" + fileShape + "]"},
		{"uploadfile again", func() reply { return c.put(dir, "f.txt", "other data") },
			"checksums:[{md5:str sha1:str}] fileids:[num] metadata:[" + fileShape + "]"},
		{"listfolder", func() reply { return c.ok("listfolder", "folderid", dir) },
			"metadata:" + plus(plus(folderShape, "path:str"), "contents:[CHILD]")},
		{"listfolder recursive", func() reply { return c.ok("listfolder", "folderid", dir, "recursive", 1) },
			"metadata:" + plus(folderShape, "contents:[FILE]")},
		{"stat", func() reply { return c.ok("stat", "fileid", file) }, "metadata:" + fileShape},
		{"stat by path", func() reply { return c.ok("stat", "path", "/d/f.txt") }, "metadata:" + plus(fileShape, "path:str")},
		{"checksumfile", func() reply { return c.ok("checksumfile", "fileid", file) }, "md5:str metadata:" + fileShape + " sha1:str"},
		{"getfilesbychecksum", func() reply { return c.ok("getfilesbychecksum", "size", 10, "sha1", hexSHA1("other data")) },
			"metadata:[" + fileShape + "]"},
		{"copyfile", func() reply { return c.ok("copyfile", "fileid", file, "tofolderid", 0) }, "metadata:" + fileShape},
		{"renamefile", func() reply { return c.ok("renamefile", "fileid", file, "toname", "g.txt") }, "metadata:" + fileShape},
		{"setfilemtime", func() reply { return c.ok("setfilemtime", "fileid", file, "newtm", 5) }, "metadata:" + fileShape},
		{"listrevisions", func() reply {
			v := c.ok("listrevisions", "fileid", file)
			rev = v.list("revisions")[0].num("revisionid")
			return v
		}, "metadata:" + fileShape + " revisions:[{created:date hash:num revisionid:num size:num}]"},
		{"listrevisions with checksums", func() reply { return c.ok("listrevisions", "fileid", file, "showchecksums", 1) },
			"metadata:" + fileShape + " revisions:[{created:date hash:num md5:str revisionid:num sha1:str size:num}]"},
		{"revertrevision", func() reply { return c.ok("revertrevision", "fileid", file, "revisionid", rev) }, "metadata:" + fileShape},
		{"getfilelink", func() reply { return c.ok("getfilelink", "fileid", file) },
			"dwltag:str expires:date hash:num hosts:[str] path:str size:num"},
		{"getfilepublink", func() reply { return c.ok("getfilepublink", "fileid", file) }, "code:str link:str linkid:num"},
		{"upload_create", func() reply {
			v := c.ok("upload_create")
			upload = v.num("uploadid")
			return v
		}, "uploadid:num"},
		{"upload_write", func() reply { return c.write(upload, 0, "abc") }, ""},
		{"upload_info", func() reply { return c.ok("upload_info", "uploadid", upload) }, "md5:str sha1:str size:num"},
		{"upload_writefromfile", func() reply {
			return c.ok("upload_writefromfile", "uploadid", upload, "uploadoffset", 3, "fileid", file, "offset", 0, "count", 2)
		}, ""},
		{"upload_save", func() reply { return c.ok("upload_save", "uploadid", upload, "folderid", 0, "name", "u") }, "metadata:" + fileShape},
		{"deletefile", func() reply { return c.ok("deletefile", "fileid", file) }, "metadata:" + plus(fileShape, "isdeleted:bool")},
		{"renamefolder", func() reply { return c.ok("renamefolder", "folderid", dir, "toname", "e") }, "metadata:" + folderShape},
		{"copyfolder", func() reply { return c.ok("copyfolder", "folderid", dir, "topath", "/p") }, "metadata:" + folderShape},
		{"deletefolder", func() reply { return c.ok("deletefolder", "folderid", dir) }, "metadata:" + plus(folderShape, "isdeleted:bool")},
		{"deletefolderrecursive", func() reply { return c.ok("deletefolderrecursive", "path", "/p") }, "deletedfiles:num deletedfolders:num"},
		{"diff", func() reply { return c.ok("diff", "diffid", cursor, "limit", 1) },
			"diffid:num entries:[{diffid:num event:str metadata:" + folderShape + " time:date}]"},
		{"getdigest", func() reply { return c.ok("getdigest") }, "digest:str expires:date"},
		{"getapiserver", func() reply { return c.ok("getapiserver") }, "api:[str] binapi:[]"},
		{"getlocationapi", func() reply { return c.ok("getlocationapi") }, "locations:[{api:str binapi:str id:num label:str}]"},
		{"currentserver", func() reply { return c.ok("currentserver") }, "hostname:str ip:str ipbin:str ipv6:str"},
		{"getip", func() reply { return c.ok("getip") }, "country:bool ip:str"},
		{"userinfo", func() reply {
			v := c.with("").ok("userinfo", append(login, "getauth", 1, "getapiserver", 1)...)
			auth = v.str("auth")
			return v
		}, "agreedwithpp:bool apiserver:{api:[str] binapi:[]} auth:str business:bool cryptolifetime:bool cryptosetup:bool " +
			"cryptosubscription:bool cryptov2isactive:bool currency:str email:str emailverified:bool freequota:num " +
			"haspaidrelocation:bool haspassword:bool journey:{claimed:bool steps:{autoupload:bool downloadapp:bool " +
			"downloaddrive:bool sentinvitation:bool uploadfile:bool verifymail:bool}} language:str plan:num premium:bool " +
			"premiumlifetime:bool publiclinkquota:num quota:num registered:date trashrevretentiondays:num " +
			"usedpublinkbranding:bool usedquota:num userid:num"},
		{"trash_clear", func() reply { return c.with("").ok("trash_clear", append(login, "folderid", 0)...) }, ""},
		{"logout", func() reply { return c.with("").ok("logout", "auth", auth) }, "auth_deleted:bool"},
	} {
		v := step.call()
		v.mustBeOK(t)
		delete(v, "result")
		want := strings.NewReplacer("CHILD", plus(fileShape, "path:str"), "FILE", fileShape).Replace("{" + step.want + "}")
		require.Equal(t, want, shapeOf(map[string]any(v)), step.method)
	}
}

// A number is a number however large, and hashes use all 64 bits.
func TestLargeNumbersAreExact(t *testing.T) {
	t.Parallel()
	c, _ := newServer(t, pcloudtest.Options{})
	big, ids := false, false
	for i := range 32 {
		f := c.put(0, "f"+itoa(uint64(i)), itoa(uint64(i))).file()
		big = big || f.num("hash") > 1<<63
		ids = ids || f.num("fileid") > 1<<32
	}
	require.True(t, big, "no hash above 2^63")
	require.True(t, ids, "no fileid above 2^32")
}
