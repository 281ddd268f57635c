// Package shape gives server-side connections the conditions of a distant
// network: round-trip time, and rates per connection and in total.
//
// A [Shaper] wraps a [net.Listener]. Its connections sit below TLS, so that
// handshakes cost their round trips as well:
//
//   - a connection is accepted one round trip late (the TCP handshake), and
//     what its client sent meanwhile counts as sent after the handshake;
//   - each direction is a delay line of half a round trip that keeps data in
//     flight instead of limiting the throughput;
//   - rates are kept with small quanta, first come first served, so that the
//     connections which share a total rate get equal parts of it.
//
// [Network] is a network inside the process. It blocks only on channels, so a
// client and a server that meet on it can run in a testing/synctest bubble
// with virtual time.
//
// The package models neither packet loss nor TCP's slow start: the first
// window of a connection is as large as any other.
package shape
