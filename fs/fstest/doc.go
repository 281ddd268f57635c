// Package fstest mounts volumes in tests.
//
// The environment variable PCLOUDFS_TEST_FUSE says what happens where FUSE does
// not work: 1 makes it a failure, 0 skips without looking, and without the
// variable tests are skipped with the reason, except in CI (CI=true), where that
// is a failure too. So no test is left out silently.
//
// Mounts are served by the test process itself, which is safe for ordinary
// system calls. It is not for mmap: a page fault blocks a thread in a way that
// the Go scheduler does not see. Do that in a child process.
package fstest
