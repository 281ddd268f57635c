package journal

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also is the program that the crash test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirVar); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
