package fs

import (
	"log/slog"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Options configure a mount. UID, GID and Umask are used as they are: the
// caller fills in those of the mounting process where the user said nothing.
type Options struct {
	ReadOnly   bool
	AllowOther bool // other users may enter; the kernel still checks modes

	// UID and GID own everything whose owner is not known otherwise.
	UID, GID uint32

	// Umask is taken from the modes 0666 of files and 0777 of folders whose mode
	// is not known otherwise.
	Umask uint32

	FsName string // first column of df and mount; never with a token in it
	Debug  bool   // log every request and reply, at level debug

	// Log receives messages; nil: silent.
	Log *slog.Logger

	// Kernel cache of names, attributes, and names known to be absent. Zero means
	// 1 s, 1 s and none; a negative duration means none.
	EntryTimeout, AttrTimeout, NegativeTimeout time.Duration
}

const (
	// fsType is what follows "fuse." in the type of the mount.
	fsType = "pcloudfs"

	// maxRequest is the size of the largest WRITE and READ. The kernel's limit is
	// 1 MiB unless an administrator raised it.
	maxRequest = 1 << 20

	// maxInflight bounds the memory of requests being handled. Without it, 500
	// stuck writes would hold half a gigabyte.
	maxInflight = 256 << 20

	// maxBackground bounds parallel read-ahead. The default of 12 is made for
	// disks; over a network more of it hides the round-trip time.
	maxBackground = 64
)

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.EntryTimeout == 0 {
		o.EntryTimeout = time.Second
	}
	if o.AttrTimeout == 0 {
		o.AttrTimeout = time.Second
	}
	o.EntryTimeout = max(o.EntryTimeout, 0)
	o.AttrTimeout = max(o.AttrTimeout, 0)
	o.NegativeTimeout = max(o.NegativeTimeout, 0)
	return o
}

// fuseOptions translates to go-fuse. doc.go has the reasons for the
// capabilities.
func (m *mountState) fuseOptions() *gofs.Options {
	logger := slog.NewLogLogger(m.log.Handler(), slog.LevelDebug)
	// UID and GID stay unset: go-fuse would apply them to files of root.
	o := &gofs.Options{
		EntryTimeout:    &m.o.EntryTimeout,
		AttrTimeout:     &m.o.AttrTimeout,
		NullPermissions: true,
		RootStableAttr:  &gofs.StableAttr{Ino: uint64(m.root.id)},
		Logger:          logger,
	}
	if m.o.NegativeTimeout > 0 {
		o.NegativeTimeout = &m.o.NegativeTimeout
	}
	o.MountOptions = fuse.MountOptions{
		Name:                     fsType,
		FsName:                   m.o.FsName,
		Options:                  []string{"default_permissions"},
		AllowOther:               m.o.AllowOther,
		MaxWrite:                 maxRequest,
		MaxBackground:            maxBackground,
		MaxInflightRequestBytes:  maxInflight,
		DisableSplice:            true,
		DisableXAttrs:            true,
		ExplicitDataCacheControl: true,
		ExtraCapabilities:        capabilities,
		PanicHandler:             m.onPanic,
		Debug:                    m.o.Debug,
		Logger:                   logger,
	}
	if m.o.ReadOnly {
		o.Options = append(o.Options, "ro")
	}
	setMountMethod(&o.MountOptions, m.o.ReadOnly)
	return o
}
