// Package integration holds no code but tests of the whole product: the built
// program, a kernel mount and the tools that people use on one, against the
// emulator run as a process of its own, which is reached over TLS only.
//
// The harness is harness_test.go (the program, what a test needs),
// process_test.go (processes and their logs), emulator_test.go (the server and
// its admin API) and mount_test.go (mounts, and how they end whatever happens).
// README.md says how to run the tests, what they prove and what they measured.
package integration
