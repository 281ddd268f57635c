package journal

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/pcloudfs/pcloudfs/remote"
)

func intents() *rapid.Generator[Intent] {
	return rapid.Custom(func(t *rapid.T) Intent {
		name := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(p []byte) string { return string(p) }))
		when := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "none") {
				return time.Time{}
			}
			return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")).UTC()
		})
		in := Intent{
			Seq: rapid.Uint64Range(1, math.MaxUint64).Draw(t, "seq"),
			Op:  rapid.SampledFrom([]Op{OpMkdir, OpPut, OpTimes, OpRename, OpRemove}).Draw(t, "op"), Folder: rapid.Bool().Draw(t, "folder"),
			Node: NodeID(rapid.Uint64().Draw(t, "node")), Parent: NodeID(rapid.Uint64().Draw(t, "parent")), Name: name.Draw(t, "name"),
			OldParent: NodeID(rapid.Uint64().Draw(t, "old parent")), OldName: name.Draw(t, "old name"),
			FileID: remote.FileID(rapid.Uint64().Draw(t, "file")), FolderID: remote.FolderID(rapid.Uint64().Draw(t, "folder id")),
			Replaced: NodeID(rapid.Uint64().Draw(t, "replaced")), Size: rapid.Int64Range(0, math.MaxInt64).Draw(t, "size"),
			Modified: when.Draw(t, "modified"), Born: when.Draw(t, "born"), Issued: when.Draw(t, "issued"),
			Open: rapid.Bool().Draw(t, "open"), Synced: rapid.Bool().Draw(t, "synced"),
			Path: rapid.String().Draw(t, "path"), Parked: rapid.String().Draw(t, "parked"), Tries: rapid.Int().Draw(t, "tries"),
		}
		if rapid.Bool().Draw(t, "has spool") {
			in.Spool = "0123456789abcdef"
		}
		if rapid.Bool().Draw(t, "has base") {
			in.Base = &Version{FileID: remote.FileID(rapid.Uint64().Draw(t, "base")), Hash: remote.Hash(rapid.Uint64().Draw(t, "hash"))}
		}
		if rapid.Bool().Draw(t, "has upload") {
			in.Upload = uploads().Draw(t, "upload")
		}
		return in
	})
}

func uploads() *rapid.Generator[*Upload] {
	return rapid.Custom(func(t *rapid.T) *Upload {
		u := &Upload{
			ID: remote.UploadID(rapid.Uint64().Draw(t, "session")), Size: rapid.Int64().Draw(t, "sent"),
			Gone: rapid.Int64().Draw(t, "gone"), Done: rapid.Bool().Draw(t, "done"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			u.Parts = append(u.Parts, UploadPart{
				ID:     remote.UploadID(rapid.Uint64().Draw(t, "part")),
				Offset: rapid.Int64().Draw(t, "offset"), Size: rapid.Int64().Draw(t, "part sent"),
			})
		}
		if rapid.Bool().Draw(t, "has hash") {
			u.Hash = rapid.SliceOfN(rapid.Byte(), 1, 96).Draw(t, "hash")
			copy(u.SHA1[:], u.Hash)
		}
		return u
	})
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := intents().Draw(t, "intent")
		p, err := encodeIntent(&in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeIntent(in.Seq, p)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(in, got); d != "" {
			t.Fatalf("-in +out\n%s", d)
		}
	})
}

func TestEveryFlippedBitOfARecordIsNoticed(t *testing.T) {
	t.Parallel()
	in := Intent{Seq: 77, Op: OpRename, Node: 5, Parent: 1, Name: "new", OldParent: 1, OldName: "old"}
	p, err := encodeIntent(&in)
	require.NoError(t, err)
	for i := range len(p) * 8 {
		p[i/8] ^= 1 << (i % 8)
		_, err := decodeIntent(77, p)
		require.Error(t, err, "bit %d", i)
		p[i/8] ^= 1 << (i % 8)
	}
	for n := range p {
		_, err := decodeIntent(77, p[:n])
		require.Error(t, err, "%d bytes", n)
	}
	_, err = decodeIntent(78, p)
	require.ErrorContains(t, err, "intent 77 is stored as 78")
}

func TestRecordsCanBeReadByPeople(t *testing.T) {
	t.Parallel()
	in := Intent{
		Seq: 3, Op: OpPut, Node: 1<<63 + 5, Parent: 1, Name: "a<b>&ü", Spool: "0123456789abcdef", Size: 9,
		Modified: time.Unix(1_700_000_000, 5), Base: &Version{FileID: 4, Hash: 1<<64 - 1},
	}
	p, err := encodeIntent(&in)
	require.NoError(t, err)
	require.Equal(t, `{"seq":3,"op":"put","node":"9223372036854775813","parent":"1","name":"a<b>&ü",`+
		`"base":{"file":"4","hash":"18446744073709551615"},"spool":"0123456789abcdef","size":9,"modified":"1700000000.000000005"}`,
		string(p[crcLen:]))
}

func TestBindingsAreChecked(t *testing.T) {
	t.Parallel()
	want := Binding{Node: FirstLocalNode + 3, Folder: true, FolderID: 9}
	k, v := encodeBinding(want)
	got, err := decodeBinding(k, v)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for i := range len(v) * 8 {
		v[i/8] ^= 1 << (i % 8)
		_, err := decodeBinding(k, v)
		require.Error(t, err)
		v[i/8] ^= 1 << (i % 8)
	}
	_, err = decodeBinding(beKey(1), v)
	require.ErrorIs(t, err, errChecksum)
	_, err = decodeBinding(k, v[1:])
	require.ErrorIs(t, err, errShort)
}

func FuzzDecodeIntent(f *testing.F) {
	for _, in := range []Intent{
		{Seq: 1, Op: OpMkdir, Folder: true, Name: "dir"},
		{Seq: 1, Op: OpPut, Name: "a\xffb", Spool: "0123456789abcdef", Size: 3, Base: &Version{FileID: 1, Hash: 2}, Upload: &Upload{ID: 3, Size: 1}, Modified: time.Unix(1, 2)},
	} {
		p, err := encodeIntent(&in)
		require.NoError(f, err)
		f.Add(string(p[crcLen:]))
	}
	f.Add(`{"seq":1,"op":"put","node":"1","parent":"1","spool":"../../etc/passwd"}`)
	f.Fuzz(func(t *testing.T, body string) {
		p := withCRC(body)
		in, err := decodeIntent(1, p)
		if err != nil {
			return
		}
		if in.Spool != "" && (len(in.Spool) != 2*spoolBytes || strings.Trim(in.Spool, "0123456789abcdef") != "") {
			t.Fatalf("spool name %q", in.Spool)
		}
		again, err := encodeIntent(&in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeIntent(1, again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(in, back); d != "" {
			t.Fatal(d)
		}
	})
}
