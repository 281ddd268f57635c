// Package fs presents a volume as a FUSE file system: requests of the kernel
// in, attributes and errno out. It has no network, no database and no paths:
// a node holds the NodeID of the volume and asks the volume everything else.
//
//	m, err := fs.Mount("/mnt", volume, fs.Options{UID: 1000, GID: 1000, Umask: 0o022})
//	if err != nil {
//		return err
//	}
//	defer m.Wait() // until somebody unmounts, or m.Unmount is called
//
// # Semantics
//
//   - Attributes, names and bytes come from the volume. Modes and owners, which
//     pCloud cannot hold, are kept in memory for as long as the mount lives
//     (type owners); set-user-ID and set-group-ID bits are never kept.
//   - Inode numbers are the volume's NodeIDs. They stay the same through rename,
//     upload, and the kernel forgetting and looking up again.
//   - close(2) and fsync(2) are the volume's Flush and Sync. Closing a handle
//     that was not opened for writing never fails and never reaches the volume.
//   - A directory handle lists one consistent snapshot, taken when it is first
//     read; rewinddir(3) takes a new one.
//   - Link, symlink and mknod answer EPERM, extended attributes ENOSYS (the
//     kernel then stops asking and tells programs EOPNOTSUPP), RENAME_EXCHANGE
//     and unknown rename flags EINVAL, hole punching EOPNOTSUPP. These are the
//     answers that tools take for "not here" instead of failing.
//   - A signal to the calling process cancels the request's context. That ends
//     the wait with EINTR; what the volume does for others goes on. Only a close,
//     which cannot be repeated, goes on for closeGrace.
//   - A panic in a handler is logged and counted, and answered with EIO.
//
// # Page cache
//
// The kernel is told not to drop pages by itself (ExplicitDataCacheControl):
// its guesses from size and times lose data that is being written when a file
// is opened and written by several processes at once. Type pages therefore
// notes per inode the Attr.Version whose bytes the kernel may hold. An open
// keeps the pages (FOPEN_KEEP_CACHE) only under the same version, or while a
// handle of this mount is open for writing, because then every change came
// through the kernel. When attributes show another version of an open file, a
// goroutine of its own tells the kernel to drop the pages (type invalidator).
// A file opened while handles of another version are still open is read past
// the page cache (FOPEN_DIRECT_IO): the two must not mix.
//
// # Kernel capabilities
//
//   - HANDLE_KILLPRIV_V2 (Linux): without it the kernel asks for the attribute
//     security.capability before every write. Its price, clearing set-ID bits on
//     write, is nothing, as there never are any.
//   - ATOMIC_O_TRUNC: truncation comes with the open, so an overwritten file is
//     never fetched and there is no moment between the two.
//   - DIRECT_IO_ALLOW_MMAP (Linux): a file that is read past the page cache (see
//     above) can be mapped all the same.
//   - READDIRPLUS_AUTO: attributes come with the listing when they are wanted.
//   - default_permissions: the kernel checks modes.
//   - Splice is off: copying is as fast, and splice fails at 1 MiB.
//   - The writeback cache is off: it would move write errors to fsync and close
//     and rule out passthrough.
//
// # Locks
//
// In this order:
//
//  1. mountState.mu: the table of nodes
//  2. the locks inside go-fuse (inodes, then its identity table)
//
// pages.mu, owners.mu and invalidator.mu are leaves: nothing is locked under
// them. No lock is held across a call of the volume, and notifications go to
// the kernel from the invalidator's goroutine only, without any lock.
package fs
