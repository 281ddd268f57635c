package pcloudtest

// AddPanickingMethod gives the server a method with a bug. It must be called
// before the first request.
func AddPanickingMethod(s *Server, name string) {
	s.methods[name] = method{run: func(*call) error { panic("bug") }}
}
