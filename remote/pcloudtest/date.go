package pcloudtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dateLayouts are the written forms of a date that pCloud takes besides unix
// seconds: RFC 2822 and ISO 8601, whole or in part (pCloud API 2.5).
var dateLayouts = []string{
	time.RFC1123Z,
	time.RFC1123,
	"Mon, _2 Jan 2006 15:04:05 -0700",
	"_2 Jan 2006 15:04:05 -0700",
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04",
	"2006-01-02",
	"2006-01",
}

// parseDate reads a date parameter. Unix seconds are unsigned numbers of 64
// bits that are to be taken as signed: rclone sends a time before 1970 as its
// two's complement (pCloud API 2.1).
func parseDate(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if len(s) == len("20060102150405") {
		if t, err := time.ParseInLocation("20060102150405", s, time.UTC); err == nil {
			return t, nil
		}
	}
	if n, err := parseNumber(s); err == nil {
		return time.Unix(int64(n), 0), nil
	}
	for _, l := range dateLayouts {
		if t, err := time.ParseInLocation(l, s, time.UTC); err == nil {
			return t.Truncate(time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date", s)
}

// parseNumber reads a decimal number. A negative one gives its two's
// complement, as the numbers of the API are unsigned.
func parseNumber(s string) (uint64, error) {
	if strings.HasPrefix(s, "-") {
		n, err := strconv.ParseInt(s, 10, 64)
		return uint64(n), err
	}
	return strconv.ParseUint(s, 10, 64)
}
