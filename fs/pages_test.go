package fs

import (
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
)

const (
	keep   = uint32(fuse.FOPEN_KEEP_CACHE)
	direct = uint32(fuse.FOPEN_DIRECT_IO)
	drop   = uint32(0)
)

// opened opens, and lets the kernel be heard of.
func (p *pages) opened(v uint64, write bool) uint32 {
	flags, drops := p.open(v, write)
	if drops {
		p.heard()
	}
	return flags
}

func TestPages(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]func(t *testing.T, p *pages){
		"kept under the same version": func(t *testing.T, p *pages) {
			require.Equal(t, drop, p.opened(1, false))
			p.close(false)
			require.Equal(t, keep, p.opened(1, false))
			require.Equal(t, keep, p.opened(1, false))
		},
		"dropped under another version": func(t *testing.T, p *pages) {
			p.opened(1, false)
			p.close(false)
			require.Equal(t, drop, p.opened(2, false))
			p.close(false)
			require.Equal(t, keep, p.opened(2, false))
		},
		"version 0 is a version": func(t *testing.T, p *pages) {
			require.Equal(t, drop, p.opened(0, false))
			require.Equal(t, keep, p.opened(0, false))
		},
		"not kept until the kernel has dropped": func(t *testing.T, p *pages) {
			_, drops := p.open(1, false)
			require.True(t, drops)
			flags, drops := p.open(1, false)
			require.Equal(t, drop, flags)
			require.True(t, drops)
			p.heard()
			require.Equal(t, drop, p.opened(1, false))
			p.heard()
			require.Equal(t, keep, p.opened(1, false))
		},
		"kept while there is a writer": func(t *testing.T, p *pages) {
			p.opened(1, true)
			require.Equal(t, keep, p.opened(2, false))
			require.Equal(t, keep, p.opened(3, true))
			require.False(t, p.observe(4))
		},
		"kept after own changes": func(t *testing.T, p *pages) {
			p.opened(1, true)
			p.settle(2)
			p.close(true)
			require.Equal(t, keep, p.opened(2, false))
		},
		"dropped after a change from elsewhere that follows own ones": func(t *testing.T, p *pages) {
			p.opened(1, true)
			p.settle(2)
			p.close(true)
			require.Equal(t, drop, p.opened(3, false))
		},
		"settling without a writer is too late": func(t *testing.T, p *pages) {
			p.opened(1, true)
			p.close(true)
			p.settle(2)
			require.Equal(t, drop, p.opened(2, false))
		},
		"another version seen of an open file": func(t *testing.T, p *pages) {
			p.opened(1, false)
			require.False(t, p.observe(1))
			require.True(t, p.observe(2))
			require.False(t, p.observe(2), "once")
		},
		"another version seen of a closed file": func(t *testing.T, p *pages) {
			p.opened(1, false)
			p.close(false)
			require.False(t, p.observe(2))
			require.Equal(t, drop, p.opened(1, false), "back again, but who knows")
		},
		"handles of two versions": func(t *testing.T, p *pages) {
			p.opened(1, false)
			require.Equal(t, direct, p.opened(2, false))
			require.Equal(t, direct, p.opened(2, false))
			require.Equal(t, direct, p.opened(2, true))
			require.Equal(t, direct, p.opened(2, false), "a writer does not unmix")
			p.close(false)
			p.close(false)
			p.close(false)
			p.close(true)
			p.close(false)
			require.Equal(t, drop, p.opened(2, false))
			p.close(false)
			require.Equal(t, keep, p.opened(2, false))
		},
		"truncated without a handle": func(t *testing.T, p *pages) {
			p.opened(1, false)
			p.close(false)
			p.truncated()
			require.Equal(t, drop, p.opened(1, false))
		},
		"truncated with a writer": func(t *testing.T, p *pages) {
			p.opened(1, true)
			p.truncated()
			require.Equal(t, keep, p.opened(2, false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, new(pages))
		})
	}
}
