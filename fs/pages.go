package fs

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// pages tracks what the kernel's page cache of one file may hold (see doc.go).
// The volume's Attr.Version stands for the content.
//
// A version noted here may be older than the bytes: what is written through the
// kernel changes both the pages and the content, and whether it changes the
// version is the volume's affair. If it does, the next open drops pages that
// were right; if not, they are kept, and are right.
type pages struct {
	mu sync.Mutex // leaf

	// known says that all pages are of version, or own changes of it.
	known   bool
	version uint64

	handles int // open handles
	writers int // of those, open for writing

	// unheard counts handles whose open told the kernel to drop its pages and on
	// which no request came yet: it may not have done so.
	unheard int

	// mixed says that handles of different versions are open.
	mixed bool
}

// open notes a new handle for version v and returns the flags for the kernel.
// If drops is set, heard has to be called at the first request on the handle.
func (p *pages) open(v uint64, write bool) (flags uint32, drops bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	same := p.known && p.version == v
	switch {
	case p.writers > 0 && !p.mixed, same && p.unheard == 0:
		flags = fuse.FOPEN_KEEP_CACHE
	case p.handles > 0 && !same:
		// Their reads may put pages of the other version into the cache at any
		// time, so this handle must not look there.
		p.mixed = true
		p.known = false
		flags = fuse.FOPEN_DIRECT_IO
	default:
		p.known, p.version = true, v
		p.unheard++
		drops = true
	}
	p.handles++
	if write {
		p.writers++
	}
	return flags, drops
}

// heard notes the first request on a handle whose open dropped the pages.
func (p *pages) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unheard--
}

// settle notes version v after own changes, looked up while a writer is open, so
// that the pages survive until the next open.
func (p *pages) settle(v uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known && p.writers > 0 {
		p.version = v
	}
}

// truncated notes a change of size that came without a handle. The kernel cuts
// its pages by itself, but whether the rest of them is what the volume truncated
// is not known.
func (p *pages) truncated() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writers == 0 {
		p.known = false
	}
}

// close notes the end of a handle.
func (p *pages) close(write bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handles--
	if write {
		p.writers--
	}
	if p.handles == 0 {
		p.mixed = false
	}
}

// observe notes that attributes showed version v, and returns whether the kernel
// must be told to drop its pages now. A file that nobody has open can wait for
// the next open.
func (p *pages) observe(v uint64) (drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writers > 0 || !p.known || p.version == v {
		return false
	}
	p.known = false
	return p.handles > 0
}
