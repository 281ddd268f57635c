package journal

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

const (
	enospc = unix.ENOSPC
	eio    = unix.EIO
)

// withCRC makes a record out of its JSON.
func withCRC(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte(body), castagnoli)), body...)
}

// breakPage destroys the page that is the root of a bucket.
func breakPage(t testing.TB, path, bucket string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	var page, size int64
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		page, size = int64(tx.Bucket([]byte(bucket)).Root()), int64(db.Info().PageSize)
		require.NotZero(t, page, "bucket is too small to have a page")
		return nil
	}))
	require.NoError(t, db.Close())
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("garbage!garbage!"), page*size+8)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
