package store

import "os"

// childDir is the directory that a re-executed test binary works in, or "".
func childDir() string { return os.Getenv("STORE_TEST_CHILD") }

func runChild(dir string) {}
