//go:build linux

package integration

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// duplicati makes exactly the requests of Duplicati's pCloud destination
// (pCloud API 13.2).
type duplicati struct {
	e     *emulator
	token string
}

func newDuplicati(tb testing.TB, e *emulator) *duplicati {
	tb.Helper()
	return &duplicati{e: e, token: e.AppToken}
}

// duplicatiItem is what Duplicati reads of an entry.
type duplicatiItem struct {
	Name     string          `json:"name"`
	IsFolder bool            `json:"isfolder"`
	FolderID uint64          `json:"folderid"`
	FileID   uint64          `json:"fileid"`
	Size     int64           `json:"size"`
	Contents []duplicatiItem `json:"contents"`
}

type duplicatiReply struct {
	Result   int             `json:"result"`
	Metadata json.RawMessage `json:"metadata"`
	Hosts    []string        `json:"hosts"`
	Path     string          `json:"path"`
}

// send sends a request: two slashes, a header that is really called UserAgent,
// the token as Bearer, to the content host too.
func (d *duplicati) send(tb testing.TB, method, target string, body []byte) []byte {
	tb.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, target, r)
	require.NoError(tb, err)
	req.Header["UserAgent"] = []string{"Duplicati Pcloud Client 2.1"}
	req.Header.Set("Authorization", "Bearer "+d.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := d.e.http.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.Equal(tb, http.StatusOK, resp.StatusCode, "%s", b)
	return b
}

// call calls a method of the API with the query as it is.
func (d *duplicati) call(tb testing.TB, method, call string, body []byte) (v duplicatiReply) {
	tb.Helper()
	b := d.send(tb, method, "https://"+d.e.API+"//"+call, body)
	require.NoError(tb, json.Unmarshal(b, &v), "%s", b)
	require.Zero(tb, v.Result, "%s: %s", call, b)
	return v
}

// list lists a folder.
func (d *duplicati) list(tb testing.TB, id uint64) []duplicatiItem {
	tb.Helper()
	var folder duplicatiItem
	require.NoError(tb, json.Unmarshal(d.call(tb, "GET", "listfolder?folderid="+strconv.FormatUint(id, 10), nil).Metadata, &folder))
	return folder.Contents
}

// folder looks for a folder from folder 0 down, by listing each on the way.
func (d *duplicati) folder(tb testing.TB, path string) uint64 {
	tb.Helper()
	var id uint64
next:
	for name := range strings.SplitSeq(path, "/") {
		for _, item := range d.list(tb, id) {
			if item.IsFolder && item.Name == name {
				id = item.FolderID
				continue next
			}
		}
		tb.Fatalf("Duplicati finds no folder %q of %q", name, path)
	}
	return id
}

// file looks for a file in a folder.
func (d *duplicati) file(tb testing.TB, folder uint64, name string) (duplicatiItem, bool) {
	tb.Helper()
	for _, item := range d.list(tb, folder) {
		if !item.IsFolder && item.Name == name {
			return item, true
		}
	}
	return duplicatiItem{}, false
}

func (d *duplicati) makeFolder(tb testing.TB, parent uint64, name string) uint64 {
	tb.Helper()
	var made duplicatiItem
	query := "createfolderifnotexists?folderid=" + strconv.FormatUint(parent, 10) + "&name=" + url.PathEscape(name)
	require.NoError(tb, json.Unmarshal(d.call(tb, "GET", query, nil).Metadata, &made))
	return made.FolderID
}

func (d *duplicati) upload(tb testing.TB, folder uint64, name string, content []byte) {
	tb.Helper()
	query := "uploadfile?folderid=" + strconv.FormatUint(folder, 10) + "&filename=" + url.PathEscape(name) + "&nopartial=1"
	var made []duplicatiItem
	require.NoError(tb, json.Unmarshal(d.call(tb, "POST", query, content).Metadata, &made))
	require.Len(tb, made, 1)
	require.Equal(tb, int64(len(content)), made[0].Size)
}

func (d *duplicati) download(tb testing.TB, id uint64) []byte {
	tb.Helper()
	link := d.call(tb, "GET", "getfilelink?fileid="+strconv.FormatUint(id, 10), nil)
	require.NotEmpty(tb, link.Hosts)
	return d.send(tb, "GET", "https://"+link.Hosts[0]+link.Path, nil)
}

func (d *duplicati) remove(tb testing.TB, id uint64) {
	tb.Helper()
	d.call(tb, "GET", "deletefile?fileid="+strconv.FormatUint(id, 10), nil)
}

// TestSameFolderAsDuplicati is promise P10: the address is what Duplicati's
// destination field takes, and each reads the other's volumes.
func TestSameFolderAsDuplicati(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	d := newDuplicati(t, e)
	// The token comes from the address, not from the environment.
	m := startMount(t, e, mountOptions{
		Folder: `My%20Backups\disk+1/?authid=` + url.QueryEscape(e.AppToken) + "&retention-policy=1W%3A1D",
		Token:  "not-this-one",
	})
	folder := d.folder(t, "My Backups/disk+1")
	rnd := rand.New(rand.NewPCG(8, 0))
	volumes := map[string][]byte{}
	for i := range 12 {
		volumes["duplicati-b"+strconv.Itoa(i)+".dblock.zip.aes"] = randomBytes(rnd, 200_000+rnd.IntN(400_000))
	}

	i := 0
	for name, content := range volumes { // half of them by each
		if i++; i%2 == 0 {
			d.upload(t, folder, name, content)
		} else {
			require.NoError(t, os.WriteFile(m.path(name), content, 0o644))
		}
	}
	require.NoError(t, os.WriteFile(m.path("duplicati-verification.json"), []byte("[]"), 0o644))
	for name, content := range volumes {
		eventually(t, settled+soon, "the mount has "+name, func() bool {
			b, err := os.ReadFile(m.path(name))
			return err == nil && bytes.Equal(content, b)
		})
		eventually(t, settled+soon, "Duplicati lists "+name, func() bool {
			_, ok := d.file(t, folder, name)
			return ok
		})
		item, _ := d.file(t, folder, name)
		require.Equal(t, int64(len(content)), item.Size)
		require.True(t, bytes.Equal(content, d.download(t, item.FileID)), name)
	}
	// Every name that it sees on the way is a whole file; nothing else is there.
	require.Len(t, d.list(t, folder), len(volumes)+1)

	i = 0
	for name := range volumes { // each removes what it likes, and all sees it
		item, ok := d.file(t, folder, name)
		require.True(t, ok)
		if i++; i%2 == 0 {
			d.remove(t, item.FileID)
			eventually(t, soon, "the mount has "+name+" no more", func() bool {
				_, err := os.Lstat(m.path(name))
				return os.IsNotExist(err)
			})
		} else {
			require.NoError(t, os.Remove(m.path(name)))
			eventually(t, settled, "Duplicati has "+name+" no more", func() bool {
				_, ok := d.file(t, folder, name)
				return !ok
			})
		}
	}
	// A new version by Duplicati: it deletes and uploads.
	item, ok := d.file(t, folder, "duplicati-verification.json")
	require.True(t, ok)
	d.remove(t, item.FileID)
	d.upload(t, folder, "duplicati-verification.json", []byte("[1]"))
	eventually(t, soon, "the mount has the new version", func() bool {
		b, err := os.ReadFile(m.path("duplicati-verification.json"))
		return err == nil && string(b) == "[1]"
	})
	require.NotContains(t, run(t, "cat", "/proc/self/mounts"), e.AppToken)
	require.NotContains(t, m.stderr.String(), e.AppToken)
}
