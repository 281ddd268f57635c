package config

import (
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes on the command line: a number with an optional
// unit, where K, M, G and T (and KiB and so on) are powers of 1024 and kB, MB,
// GB and TB powers of 1000. It implements pflag.Value.
type Size int64

// Set parses s.
func (z *Size) Set(s string) error {
	t := strings.TrimSpace(s)
	if t != "" && strings.ContainsAny(t[len(t)-1:], "kKmMgGtT") {
		t += "iB" // a bare letter alone would be decimal
	}
	n, err := humanize.ParseBytes(t)
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is not a size like 500M, 10G or 1.5TiB", s)
	}
	*z = Size(n)
	return nil
}

// String formats the size for the help.
func (z *Size) String() string {
	if *z == 0 {
		return "0"
	}
	return humanize.IBytes(uint64(*z))
}

// Type names the kind of value in the help.
func (z *Size) Type() string { return "SIZE" }
