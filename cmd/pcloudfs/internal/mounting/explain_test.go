package mounting

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cache/journal"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/source"
	"github.com/pcloudfs/pcloudfs/remote"
)

func TestExplainRemoteSaysWhatToDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"token", &remote.Error{Method: "userinfo", Result: 2094}, "access token is not valid"},
		{"certificate", &remote.Error{Err: x509.UnknownAuthorityError{}}, "-o ca=FILE"},
		{"refused", &remote.Error{Err: syscall.ECONNREFUSED}, "h cannot be reached; check the network"},
		{"no answer", &remote.Error{Err: context.DeadlineExceeded}, "h cannot be reached; check the network"},
		{"server out of order", &remote.Error{Status: 502}, "log in at h: "},
		{"refusal", &remote.Error{Result: 2003}, "log in at h: "},
		{"anything else", errors.New("odd"), "log in at h: odd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := explainRemote(tt.err, "h")
			require.ErrorContains(t, err, tt.want)
			require.ErrorIs(t, err, tt.err)
		})
	}
}

func TestExplainFolderSuggestsCreate(t *testing.T) {
	t.Parallel()
	r := Request{Source: source.Source{Path: "a/b"}}
	require.ErrorContains(t, explainFolder(fs.ErrNotExist, r, "h"), `the folder "a/b" does not exist in pCloud; add -o create`)
	require.ErrorContains(t, explainFolder(errors.New("odd"), r, "h"), "log in at h: odd")
}

func TestExplainCache(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want string
	}{
		{fmt.Errorf("open: %w", journal.ErrLocked), "/c is in use by another mount; unmount that one or use -o cachedir=DIR"},
		{fmt.Errorf("%w: it is for x", cache.ErrIdentity), "belongs to another account or folder: it is for x; use another directory"},
		{&remote.Error{Method: "diff", Result: 2095}, "revoked"},
		{syscall.ENOSPC, "use the cache directory /c: no space left"},
	}
	for _, tt := range tests {
		require.ErrorContains(t, explainCache(tt.err, "/c", "h"), tt.want)
	}
}

func TestExplainMountDoesNotRepeatThePath(t *testing.T) {
	t.Parallel()
	err := explainMount(fmt.Errorf("mount /mnt: %w", errors.New("odd")), "/mnt")
	require.EqualError(t, err, "odd")
	err = explainMount(fmt.Errorf("mount /mnt: %w", syscall.EPERM), "/mnt")
	require.ErrorContains(t, err, "--cap-add SYS_ADMIN")
}
