package remotetest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/remote"
)

// Times for files: whole seconds, and one before 1970 (pCloud API 2.1).
var (
	monday  = time.Date(2024, 2, 5, 8, 15, 30, 0, time.UTC)
	tuesday = time.Date(2025, 9, 2, 23, 59, 59, 0, time.UTC)
	sixties = time.Date(1969, 12, 30, 12, 0, 0, 0, time.UTC)
)

// content returns n bytes that no other seed gives.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(b)
	return b
}

// put uploads data under a name.
func (s *Service) put(t *testing.T, name string, data []byte) remote.Entry {
	t.Helper()
	return s.putAt(t, remote.UploadTarget{Parent: s.Folder, Name: name, Modified: monday}, data)
}

func (s *Service) putAt(t *testing.T, target remote.UploadTarget, data []byte) remote.Entry {
	t.Helper()
	e, sums, err := s.Client.UploadFile(t.Context(), target, bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	s.checkSums(t, data, sums)
	require.EqualValues(t, len(data), e.Size)
	require.False(t, e.Folder)
	return e
}

// checkSums requires the digests of the service's region (pCloud API 6).
func (s *Service) checkSums(t *testing.T, data []byte, got remote.Checksums) {
	t.Helper()
	want := remote.Checksums{SHA1: sha1.Sum(data)}
	if s.EU {
		d := sha256.Sum256(data)
		want.SHA256 = hex.EncodeToString(d[:])
	} else {
		d := md5.Sum(data)
		want.MD5 = hex.EncodeToString(d[:])
	}
	require.Equal(t, want, got)
}

// read returns a version of a file as the content host gives it.
func (s *Service) read(t *testing.T, e remote.Entry) []byte {
	t.Helper()
	p := make([]byte, e.Size)
	n, err := s.Client.ReadAt(t.Context(), e.FileID, e.Hash, e.Size, p, 0)
	if !errors.Is(err, io.EOF) {
		require.NoError(t, err)
	}
	return p[:n]
}

// holds requires that a file has these bytes, by checksum and by download.
func (s *Service) holds(t *testing.T, e remote.Entry, data []byte) {
	t.Helper()
	got, sums, err := s.Client.Checksum(t.Context(), e.FileID)
	require.NoError(t, err)
	s.checkSums(t, data, sums)
	require.True(t, bytes.Equal(data, s.read(t, got)), "the content differs")
}

func (s *Service) mkdir(t *testing.T, parent remote.FolderID, name string) remote.Entry {
	t.Helper()
	e, err := s.Client.CreateFolder(t.Context(), parent, name)
	require.NoError(t, err)
	return e
}

// list returns the children of a folder by name.
func (s *Service) list(t *testing.T, id remote.FolderID) map[string]remote.Entry {
	t.Helper()
	f, err := s.Client.List(t.Context(), id)
	require.NoError(t, err)
	m := make(map[string]remote.Entry)
	for _, e := range f.Contents {
		require.NotContains(t, m, e.Name)
		m[e.Name] = e
	}
	return m
}

func names(m map[string]remote.Entry) []string {
	n := make([]string, 0, len(m))
	for name := range m {
		n = append(n, name)
	}
	slices.Sort(n)
	return n
}

// result returns the result code of an error of the API.
func result(t *testing.T, err error) int {
	t.Helper()
	var e *remote.Error
	require.ErrorAs(t, err, &e)
	require.NotZero(t, e.Result, "not an answer: %v", err)
	return e.Result
}

// refused requires an error with a result code and, if given, its meaning.
func refused(t *testing.T, err error, code int, sentinels ...error) {
	t.Helper()
	require.Equal(t, code, result(t, err), "%v", err)
	for _, want := range sentinels {
		require.ErrorIs(t, err, want)
	}
	var e *remote.Error
	require.ErrorAs(t, err, &e)
	require.False(t, e.Temporary(), "a refusal is final")
	require.False(t, e.Uncertain(), "a refusal has no effect")
}

// sameTime compares what pCloud keeps of a time.
func sameTime(t *testing.T, want, got time.Time) {
	t.Helper()
	require.Equal(t, want.Unix(), got.Unix(), "want %v, got %v", want, got)
}

// missing are ids that no account has had.
const (
	missingFolder remote.FolderID = 1<<61 + 12345
	missingFile   remote.FileID   = 1<<61 + 54321
)

// nfc and nfd are the same word to a reader and two names to pCloud
// (pCloud API 6, inferred).
const (
	nfc = "caf\u00e9"
	nfd = "cafe\u0301"
)

func longName(n int) string { return strings.Repeat("n", n) }
