package pcloudtest

// TB is what [New] needs of a testing.TB.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// New starts a server that is closed when the test ends. The test fails if
// the server had to be told of a bug of its own.
func New(tb TB, o Options) *Server {
	tb.Helper()
	s, err := Start(o)
	if err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("%v", err)
		}
		if n := s.Panics(); n > 0 {
			tb.Errorf("pcloudtest: %d requests made the server panic", n)
		}
	})
	return s
}
