package upload

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// content is a source in memory.
type content struct{ *bytes.Reader }

func source(b []byte) content { return content{bytes.NewReader(b)} }
