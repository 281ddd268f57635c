package fstest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	missing := errors.New("no /dev/fuse")
	for _, tc := range []struct {
		wish, ci string
		err      error
		want     verdict
	}{
		{"", "", nil, run},
		{"", "", missing, skip},
		{"", "true", nil, run},
		{"", "true", missing, fail},
		{"", "false", missing, skip},
		{"1", "", nil, run},
		{"1", "", missing, fail},
		{"0", "", nil, skip},
		{"0", "true", nil, skip},
		{"0", "", missing, skip},
	} {
		got, reason := decide(tc.wish, tc.ci, func() error { return tc.err })
		require.Equal(t, tc.want, got, "%+v", tc)
		if got != run {
			require.NotEmpty(t, reason)
		}
		if got == fail {
			require.Contains(t, reason, missing.Error())
		}
	}
}
