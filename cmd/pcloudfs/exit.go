package main

import (
	"errors"
	"fmt"
)

// Exit statuses.
const (
	exitOK      = 0 // done; for a mount: unmounted, and everything is in pCloud
	exitFailure = 1 // the command could not do it, or a mount ended with something not uploaded
	exitUsage   = 2 // the command line is wrong; nothing was tried
)

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func exitStatus(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(usageError)):
		return exitUsage
	}
	return exitFailure
}
