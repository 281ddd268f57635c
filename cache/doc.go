// Package cache is the volume: what the mounted folder looks like now.
//
// That is what pCloud has (package metadata), with the changes made here and
// not yet applied there folded over it (package journal), and the bytes of
// files, remote (package content) or local (spool files of the journal). It
// knows pCloud through the interface Remote and nothing of FUSE: package fs
// translates.
//
// # Identity
//
// Everything is addressed by NodeID, the inode number: twice the pCloud file
// id for files, twice the folder id plus one for folders, a number of its own
// from 1<<63 up for what was made here. A number made here stays for life; the
// journal remembers which pCloud object it became. Nothing is keyed by path.
//
// # Mutations
//
// A mutation becomes an intent: it is recorded in the journal, then shows in
// the view, then the caller is answered. The drainer applies intents to pCloud
// in the order in which they were issued (promise P4); the transfer of bytes
// runs ahead of it, and only small new files that are in flight together may
// overtake each other. An intent that pCloud refuses for good is parked with
// its reason and no longer holds up the rest, except what depends on it.
//
// A directory slot, that is a (folder, name) pair, with pending intents is
// answered from the overlay; when the last of them is applied, the slot is
// given back to the metadata cache, which has been told the result.
//
// # Locks
//
// Volume.mu guards the node table, the overlay and the queue. It is never held
// over network or disk waits. A file's own mutex (node.io) serialises changes
// of its spool file and is taken before Volume.mu. Sub-packages have leaf
// locks of their own.
package cache
