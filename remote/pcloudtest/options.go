package pcloudtest

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/shape"
)

// Region is one of pCloud's two, which share nothing (pCloud API 1).
type Region int

const (
	US Region = iota // digests are SHA-1 and MD5
	EU               // digests are SHA-1 and SHA-256
)

// ParseRegion reads "us" or "eu".
func ParseRegion(s string) (Region, error) {
	switch strings.ToLower(s) {
	case "us":
		return US, nil
	case "eu":
		return EU, nil
	}
	return US, fmt.Errorf("region %q is neither us nor eu", s)
}

// String returns "US" or "EU".
func (r Region) String() string {
	if r == EU {
		return "EU"
	}
	return "US"
}

func (r Region) locationID() int { return int(r) + 1 }

func (r Region) other() Region { return 1 - r }

func (r Region) apiHost() string {
	if r == EU {
		return "eapi.pcloud.com"
	}
	return "api.pcloud.com"
}

func (r Region) binHost() string {
	if r == EU {
		return "bineapi.pcloud.com"
	}
	return "binapi.pcloud.com"
}

// Shape is the network between the server and its clients: the round-trip
// time, and rates in bytes per second, in total and for each connection.
type Shape = shape.Conditions

// ParseRate reads a rate as the command line and the admin API take it:
// bytes per second as a number, with a unit if wanted ("12.5M", "100mbit").
func ParseRate(s string) (int64, error) { return shape.ParseRate(s) }

// Options describe the server to start. The zero value is a fresh US account
// in memory with the default quota, reachable on two free ports of 127.0.0.1.
type Options struct {
	// Dir keeps the account, its tokens and the certificate authority across
	// restarts; it is created. Empty: everything is in memory.
	Dir string

	Region Region
	App    string // name of the application, default "pcloudfs"
	Quota  int64  // bytes, 0 for the default

	// Email and Password are for password logins. The default password is
	// made at random and kept in Dir.
	Email, Password string

	// Listen and ContentListen are the TCP addresses of the API host and the
	// content host, default "127.0.0.1:0".
	Listen, ContentListen string

	// ContentHosts are announced in links instead of the content host's own
	// address, for those who redirect names to it.
	ContentHosts []string

	// InProcess opens no sockets: the server is reached only through
	// [Server.Transport], without TLS. Nothing then waits for anything but
	// channels and timers, so server and client can share a testing/synctest
	// bubble.
	InProcess bool

	Shape Shape

	// Tree fills the application's folder with files whose contents are made
	// up as they are read: "files=100000,folders=1000,depth=4,avg=64k,seed=1".
	// With a Dir that has the tree already nothing changes.
	Tree string

	Quirks Quirks

	// ForeignTokens and ForeignUsers belong to an account of the other
	// region: they are refused with 2094 and 2321.
	ForeignTokens, ForeignUsers []string

	Seed uint64       // of everything that is drawn by lot, except secrets
	Log  *slog.Logger // nil discards
}

func (o Options) withDefaults() Options {
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	set(&o.App, "pcloudfs")
	set(&o.Email, "user@example.com")
	set(&o.Listen, "127.0.0.1:0")
	set(&o.ContentListen, "127.0.0.1:0")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Quirks = o.Quirks.withDefaults()
	return o
}

// Validate reports the first option that makes no sense.
func (o Options) Validate() error {
	if o.Region != US && o.Region != EU {
		return fmt.Errorf("region %d does not exist", o.Region)
	}
	if o.App == "." || o.App == ".." || strings.ContainsAny(o.App, "/\\\x00") {
		return fmt.Errorf("%q cannot be the name of an application", o.App)
	}
	if o.Quota < 0 {
		return errors.New("quota is negative")
	}
	if o.Quirks.LinkExpiry < 0 || o.Quirks.BlockTimeout < 0 || o.Quirks.UploadExpiry < 0 {
		return errors.New("a time limit among the quirks is negative")
	}
	return o.Shape.Validate()
}

// Quirks are the answers to questions about the service that its users cannot
// settle (pCloud API 13.4 and 15). The zero value is the likely answer to each.
type Quirks struct {
	// AcceptChunked takes bodies in chunked encoding instead of answering
	// 411 and closing.
	AcceptChunked bool
	// AcceptEmptyRaw makes an empty file of a raw upload of no bytes instead
	// of refusing it with 2088.
	AcceptEmptyRaw bool
	// UnknownMethodError answers an unknown method with an error object
	// instead of closing the connection.
	UnknownMethodError bool
	// RenameToSelf2049 refuses to rename a file to the name it has with 2049
	// instead of succeeding.
	RenameToSelf2049 bool
	// RenameIfExistsFrom2 makes renameifexists try "name (2).ext" first,
	// rather than "name (1).ext".
	RenameIfExistsFrom2 bool
	// ReviveDeleted gives a file that is made where one of its name was
	// deleted the old id and revisions, instead of a new id.
	ReviveDeleted bool
	// BlockTimeout is how long a blocked diff waits; 0 is 60 s.
	BlockTimeout time.Duration
	// UploadExpiry ends upload sessions that long after they were created; 0
	// is never.
	UploadExpiry time.Duration
	// OverwriteUploads lets upload_write go back into what was written,
	// instead of refusing any offset but the end with 2068.
	OverwriteUploads bool
	// KeepSavedUploads leaves a session alive after upload_save, so that a
	// second one succeeds; otherwise it says 2067.
	KeepSavedUploads bool
	// LinkExpiry is how long content links live; 0 is 6 h.
	LinkExpiry time.Duration
	// AnyClientIP lets content links work from other addresses than that of
	// the client that asked for them.
	AnyClientIP bool
	// LinksFollowOverwrite ends the links to the current version of a file
	// with 404 as soon as the file has another one.
	LinksFollowOverwrite bool
	// MissingPath2055 answers 2055 for every path that leads nowhere,
	// instead of the codes of the table at the end of pCloud API 12.
	MissingPath2055 bool
	// RecursiveRootPath allows listfolder of the path "/" with recursive=1,
	// which is refused with 1101 like folderid=0 otherwise.
	RecursiveRootPath bool
	// RecursiveAppRoot allows a recursive listing of its root to a token that
	// sees only its application's folder.
	RecursiveAppRoot bool
	// NotFoundOutside hides what is outside the application's folder as if it
	// did not exist (2005, 2009), instead of refusing it with 2003.
	NotFoundOutside bool
	// KeepOAuthState returns the state parameter of the consent page, which
	// pCloud drops.
	KeepOAuthState bool
	// RefuseBasicAuth makes oauth2_token ignore credentials in an
	// Authorization header: it answers an error and leaves the code unused.
	RefuseBasicAuth bool
	// PartialUploads keeps what arrived of a broken upload even with
	// nopartial.
	PartialUploads bool
	// OAuthSetFileMtime2003 refuses setfilemtime to OAuth tokens.
	OAuthSetFileMtime2003 bool
	// ConflictSpace puts a space before "{CONFLICTED}" in the names that
	// failed conditional uploads get.
	ConflictSpace bool
	// StickyConnection ties a connection to its first credentials and to its
	// filtermeta, as the documentation of 2014 says. Clients that share
	// connections between tokens must not be tried with it.
	StickyConnection bool
}

func (q Quirks) withDefaults() Quirks {
	if q.BlockTimeout == 0 {
		q.BlockTimeout = 60 * time.Second
	}
	if q.LinkExpiry == 0 {
		q.LinkExpiry = 6 * time.Hour
	}
	return q
}
