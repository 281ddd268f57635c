package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/adrg/xdg"
)

// environment is the world as the commands see it, so that tests can pass
// another one.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	getenv   func(key string) string
	unsetenv func(key string) error

	// signals delivers the wish to end; a second one is impatience.
	signals <-chan os.Signal

	cacheHome, dataHome string // XDG directories
}

func main() {
	// A reader of our output that goes away must not end a mount.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	run := run
	if isHelper(os.Args[0]) {
		run = runHelper
	}
	os.Exit(run(os.Args[1:], environment{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, unsetenv: os.Unsetenv,
		signals:   signals,
		cacheHome: xdg.CacheHome, dataHome: xdg.DataHome,
	}))
}
