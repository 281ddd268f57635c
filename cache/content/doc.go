// Package content holds blocks of remote files in memory and fetches the ones
// that are missing.
//
// A block belongs to one version of a file, named by [Key]; a file that
// changes gets another key, so old bytes can never be taken for new ones.
// Missing blocks are fetched in runs, called extents. An extent is the unit of
// a request, of sharing (every reader that wants a block of it waits for the
// same request) and of eviction.
//
// What the store keeps to:
//
//   - The memory of all extents, those in flight included, stays below
//     Options.MaxBytes. Readers wait when there is no room, read-ahead does
//     without.
//   - A fetch belongs to the store, not to the reader that caused it: a reader
//     whose context ends stops waiting and is gone. A fetch that nobody waits
//     for, and that is not read-ahead for an open handle, is cancelled.
//   - Errors are reported to the readers that waited and then forgotten.
//   - A fetch that delivers another number of bytes than asked is an error.
//
// A [Readahead] per open handle tells sequential from random reading. Random
// reads fetch the blocks they touch and nothing else. Sequential reads are run
// ahead of by as much as has been read so far, and later more, up to a window, in
// several requests at once; so a reader that looks at the first megabyte of a
// file and leaves has caused at most twice what it read.
//
// The package knows nothing about pCloud's links or retries: a [Fetcher] does
// that. It does not write to the disk and does not survive the process.
package content
