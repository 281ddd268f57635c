// Package remote is a client of the pCloud API: typed methods over HTTPS and
// JSON, with everything that the network and a foreign server make necessary.
//
// It speaks to one region (one host) with one access token. It retries, paces,
// limits time and memory, and checks what it is told. It keeps no state about
// the account except content links, knows nothing of FUSE, and never decides
// about conflicts: a caller that needs to know whether a call took effect is
// told when that is uncertain.
//
// Section numbers such as (pCloud API 7.3) refer to the project's reference of
// the service.
//
// # Which calls are repeated
//
// Every call may be attempted several times ([Options.Attempts]) with a
// jittered exponential back-off. What the failure and the method allow decides:
//
//   - A failure that certainly had no effect (no connection, HTTP 429, results
//     4xxx) is followed by another attempt, whatever the method.
//   - A failure whose effect is unknown (reply lost, HTTP 5xx, results 5xxx, no
//     answer in time) is followed by another attempt only when the method can
//     be repeated blindly (pCloud API 7.21): reading, createfolderifnotexists,
//     deletions (then "gone" counts as done), upload_create, setting times.
//   - WriteUpload and the server-side copies into a session look at the session
//     and go on where it ends.
//   - UploadFile without a condition is repeated as long as the server can not
//     have seen the whole body, or when the checksum in the reply is wrong.
//   - Everything else ends with an [*Error] whose Uncertain method says that
//     the caller has to look before repeating.
//
// # Limits
//
// A reply to a call has to begin within [Options.CallTimeout]; a transfer that
// moves less than [Options.StallRate] is abandoned. Every wait ends with its
// context. Sizes of replies, numbers of entries and depth are bounded, and
// metadata that no honest server sends is refused with [ErrProtocol].
//
// # Secrets
//
// The access token travels in the Authorization header of requests to the API
// host and nowhere else: not in URLs, not to content hosts, not to redirect
// targets (redirects are not followed), and not in errors or logs, even when
// the server echoes it.
//
// # Concurrency and time
//
// A [Client] is safe for concurrent use. It starts no goroutines that outlive
// a call, other than those of its own http.Transport, which Close ends. All
// time goes through package time, so that a client with a given
// [Options.Transport] runs inside a testing/synctest bubble.
package remote
