package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pcloudfs/pcloudfs/cache"
)

// choice is a word that an option accepts and what it means.
type choice[T any] struct {
	word  string
	value T
}

// choose returns what v means.
func choose[T any](v string, choices []choice[T]) (value T, err error) {
	i := slices.IndexFunc(choices, func(c choice[T]) bool { return c.word == v })
	if i >= 0 {
		return choices[i].value, nil
	}
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = c.word
	}
	known := strings.Join(words, ", ")
	if len(v) > maxEcho {
		return value, fmt.Errorf("the value is not one of %s", known)
	}
	return value, fmt.Errorf("%q is not one of %s", v, known)
}

func closeLevels() []choice[cache.Durability] {
	return []choice[cache.Durability]{{"journal", cache.InJournal}, {"sync", cache.OnDisk}, {"remote", cache.InCloud}}
}

func fsyncLevels() []choice[cache.Durability] {
	return []choice[cache.Durability]{{"remote", cache.InCloud}, {"local", cache.OnDisk}}
}

func mkdirModes() []choice[bool] {
	return []choice[bool]{{"confirm", false}, {"journal", true}}
}

const (
	maxUploads = 64 // more only compete with each other

	// minSpool is the smallest limit with which writing is not all waiting.
	minSpool = 16 << 20
)

func parseUploads(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxUploads {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", v, maxUploads)
	}
	return n, nil
}

func parseSpool(v string) (int64, error) {
	var z Size
	if err := z.Set(v); err != nil {
		return 0, err
	}
	if z < minSpool {
		return 0, fmt.Errorf("%s is too little to work with; at least %d MiB", v, minSpool>>20)
	}
	return int64(z), nil
}

func parseTimeout(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration like 90s or 5m", v)
	}
	if d <= 0 {
		return 0, errors.New("the duration must be more than 0")
	}
	return d, nil
}
