package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pcloudfs/pcloudfs/cache"
)

// Mount holds the options of a mount (-o).
type Mount struct {
	ReadOnly   bool
	AllowOther bool // let other users in
	Debug      bool // log every request
	Create     bool // make the folder in pCloud if it is missing

	UID, GID uint32 // owner of everything shown
	Umask    uint32 // permission bits taken away

	Uploads      int              // transfers at a time; 0 is the default
	Spool        int64            // bytes that may wait for upload; 0: as the disk allows
	Fsync        cache.Durability // what fsync waits for
	Close        cache.Durability // what close waits for
	FsyncTimeout time.Duration    // without progress; 0 is the default
	MkdirJournal bool             // mkdir does not wait for pCloud

	CacheDir string // absolute; "" is the default place
	FsName   string // name in /proc/mounts and df; "" is the source
	Endpoint string // HOST:PORT to use instead of the source's host; "" is none
	CAFile   string // PEM file with the certificates to trust; "" is the system's
	AuthFile string // file with the token; "" is none
}

// option is one word that -o accepts.
type option struct {
	name  string
	value string // what stands after "=" in the help; "" for a flag
	help  string // "" if the next option explains this one too
	set   func(m *Mount, v string) error
}

// options lists what -o accepts, in the order of the help.
func options() []option {
	return []option{
		{"ro", "", "", func(m *Mount, _ string) error { m.ReadOnly = true; return nil }},
		{"rw", "", "read-only, or for reading and writing (default)", func(m *Mount, _ string) error { m.ReadOnly = false; return nil }},
		{"allow_other", "", "let other users in, as permissions allow", func(m *Mount, _ string) error { m.AllowOther = true; return nil }},
		{"uid", "N", "", func(m *Mount, v string) (err error) { m.UID, err = parseID(v); return err }},
		{"gid", "N", "owner of all files (default: you)", func(m *Mount, v string) (err error) { m.GID, err = parseID(v); return err }},
		{"umask", "OCTAL", "permission bits to take away (default 022)", func(m *Mount, v string) (err error) { m.Umask, err = parseUmask(v); return err }},
		{"create", "", "create the folder in pCloud if it is missing", func(m *Mount, _ string) error { m.Create = true; return nil }},
		{"cachedir", "DIR", "where changes wait for upload; one mount per DIR", func(m *Mount, v string) (err error) { m.CacheDir, err = filepath.Abs(v); return err }},
		{"spool", "SIZE", "how much may wait (default: 20 % of the free space)", func(m *Mount, v string) (err error) { m.Spool, err = parseSpool(v); return err }},
		{"uploads", "N", "transfers at a time (default 4)", func(m *Mount, v string) (err error) { m.Uploads, err = parseUploads(v); return err }},
		{"close", "journal|sync|remote", "what close waits for (default: journal)", func(m *Mount, v string) (err error) { m.Close, err = choose(v, closeLevels()); return err }},
		{"fsync", "remote|local", "what fsync waits for (default: remote)", func(m *Mount, v string) (err error) { m.Fsync, err = choose(v, fsyncLevels()); return err }},
		{"fsync-timeout", "DUR", "time without progress that ends it (default 5m)", func(m *Mount, v string) (err error) { m.FsyncTimeout, err = parseTimeout(v); return err }},
		{"mkdir", "confirm|journal", "mkdir waits for pCloud (default), or for nothing", func(m *Mount, v string) (err error) { m.MkdirJournal, err = choose(v, mkdirModes()); return err }},
		{"authfile", "FILE", "read the access token from FILE (mode 0600)", func(m *Mount, v string) error { m.AuthFile = v; return nil }},
		{"fsname", "NAME", "name shown by df and mount (default: SOURCE)", func(m *Mount, v string) (err error) { m.FsName, err = parseFsName(v); return err }},
		{"endpoint", "HOST:PORT", "connect to this server instead of pCloud's", func(m *Mount, v string) (err error) { m.Endpoint, err = parseEndpoint(v); return err }},
		{"ca", "FILE", "trust only the certificates in FILE (PEM)", func(m *Mount, v string) error { m.CAFile = v; return nil }},
		{"debug", "", "log every request", func(m *Mount, _ string) error { m.Debug = true; return nil }},
	}
}

// ParseMount reads the values of -o, in which commas separate options and a
// backslash takes the meaning from the next character. Of an option that is
// given twice the last one counts. The fields of def that no option changes
// stay.
func ParseMount(def Mount, values ...string) (Mount, error) {
	m, known := def, options()
	for _, v := range values {
		for _, word := range split(v) {
			if err := apply(&m, known, word); err != nil {
				return Mount{}, err
			}
		}
	}
	return m, nil
}

func apply(m *Mount, known []option, word string) error {
	name, value, hasValue := strings.Cut(word, "=")
	for _, o := range known {
		if o.name != name {
			continue
		}
		if o.value == "" && hasValue {
			return fmt.Errorf("option %s takes no value", name)
		}
		if o.value != "" && value == "" {
			return fmt.Errorf("option %s needs a value: %s=%s", name, name, o.value)
		}
		if err := o.set(m, value); err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
		return nil
	}
	return unknown(known, name)
}

// maxEcho is the longest unknown word that is repeated in an error. What is
// longer is no mistyped option but may be a token.
const maxEcho = 32

func unknown(known []option, name string) error {
	if strings.EqualFold(name, "authid") {
		return errors.New("the access token is not given by -o; use -o authfile=FILE or the environment variable " + EnvToken)
	}
	if len(name) > maxEcho {
		return errors.New("unknown option (not repeated here: it is too long to be a mistyped one)")
	}
	names := make([]string, len(known))
	for i, o := range known {
		names[i] = o.name
	}
	if s := nearest(name, names); s != "" {
		return fmt.Errorf("unknown option %q; did you mean %s?", name, s)
	}
	return fmt.Errorf("unknown option %q; known are %s", name, strings.Join(names, ", "))
}

// split cuts s at commas that no backslash precedes, and removes the
// backslashes that do so. Empty words vanish.
func split(s string) []string {
	var words []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			words = append(words, b.String())
			b.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == ',':
			flush()
		default:
			b.WriteByte(s[i])
		}
	}
	flush()
	return words
}

// OptionHelp returns the options of -o for people, aligned. An option without
// an explanation of its own shares the line of the next.
func OptionHelp() string {
	var b strings.Builder
	words := ""
	for _, o := range options() {
		words += o.name
		if o.value != "" {
			words += "=" + o.value
		}
		if o.help == "" {
			words += ", "
			continue
		}
		fmt.Fprintf(&b, "  %-25s %s\n", words, o.help)
		words = ""
	}
	return b.String()
}

func parseID(v string) (uint32, error) {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n == math.MaxUint32 {
		return 0, fmt.Errorf("%q is not a numeric user or group id", v)
	}
	return uint32(n), nil
}

func parseUmask(v string) (uint32, error) {
	n, err := strconv.ParseUint(v, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is not an octal number from 0 to 777", v)
	}
	return uint32(n), nil
}

func parseFsName(v string) (string, error) {
	if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("the name contains a control character")
	}
	return v, nil
}

func parseEndpoint(v string) (string, error) {
	host, port, err := net.SplitHostPort(v)
	if err != nil || host == "" || strings.ContainsAny(v, "/@?# ") {
		return "", fmt.Errorf("%q is not HOST:PORT", v)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q has no port number from 1 to 65535", v)
	}
	return v, nil
}
