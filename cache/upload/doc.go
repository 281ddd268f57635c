// Package upload moves the bytes of one file into pCloud so that the name in
// pCloud only ever shows one complete version, and knows afterwards whether it
// does.
//
// It has no queue and no memory: the caller decides when and in which order to
// call, keeps the [State] of an unfinished session, and repeats what failed.
// There are three ways:
//
//   - [Uploader.Single]: one request that carries the bytes and the name. For
//     small files.
//   - [Uploader.Transfer] brings the bytes into an upload session, where nobody
//     sees them, and compares the server's size and SHA-1 with the source.
//     [Uploader.Publish] gives the verified session its name. The first may run
//     long before the second. For everything else (pCloud API 8).
//   - [Uploader.Whole], when the server refuses sessions ([ErrNoSessions]): one
//     request under a temporary name, verified, then a rename.
//
// # What is promised
//
// After success the name has exactly the bytes of the source, once; or
// Result.Conflicted is set, the name has what somebody else put there, and the
// bytes of the source are under Result.Entry.Name. Nothing of somebody else is
// overwritten when the target has a condition.
//
// After an error the name has the old version or the new one. Every method may
// be called again, also in another process: copies that earlier calls have made
// without knowing are removed in the end.
//
// # Lost replies
//
// A conditional upload that is repeated although it took effect makes a conflict
// copy (pCloud API 7.21). So after a failure that may have been a success the
// folder is listed, and the bytes at the name compared, before anything is sent
// again. That cannot help when the earlier attempt belongs to a process that
// died, or takes effect late; so when the server reports a conflict, the name is
// looked at as well: if it has the very bytes that were sent, the conflict is
// with ourselves, and the copy is deleted.
//
// # Resuming
//
// An interrupted session continues where the server says that it ends, if the
// server's SHA-1 of what it has is that of the source's beginning. A break
// therefore costs no more than the chunk that it interrupted, in each stream.
//
// # Several streams
//
// Where a connection is slower than the link, a large file goes up in several
// sessions at a time, each with a range of it, and the server appends them to
// the first one in the end (pCloud API 8.5). A session is compared with its
// range before that, and the result with the file, so the promises are the same.
// Streams that have nothing left to do take half of what the slowest has to
// send. Whether the server does such a thing is tried out with a few bytes
// before the first time; if it does not, one stream has to do. Each file has one
// stream at any time; others send a chunk for it when fewer than Options.Streams
// are busy in all.
//
// # Files that grow
//
// [Uploader.Grow] sends a file while it is still being written. The local file
// may be emptied behind that ([Growing.Release]): then the session is the only
// copy of the bytes, the state has what is needed to verify the whole in the
// end, and nothing here begins a new session for it. The caller must not give
// such a source to [Uploader.Single], [Uploader.Whole] or [Uploader.Find],
// which read all of it; [Uploader.Publish] finds out by itself what an earlier
// call has done.
//
// The bytes of the source must not change during a call. If what was sent turns
// out to be something else than the source, the result is [ErrSourceChanged].
package upload
