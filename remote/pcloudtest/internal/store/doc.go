// Package store holds the state of one pCloud account: the tree of files and
// folders, their contents and revisions, the trash, the event log and the
// upload sessions. It follows pcloud-api.md (sections 5 to 8, 11 and 13), cited
// here as "(pCloud API 7.8)". It knows nothing of HTTP, tokens or JSON: the
// server in remote/pcloudtest puts those in front of it.
//
// An [Account] is opened with [Open], in memory or in a directory. What a token
// may see is a [View]: the whole account, or one folder that appears as folder
// 0 and beyond which nothing can be reached (pCloud API 4.3).
//
// # Invariants
//
//   - Records are immutable. A mutation replaces the record, so listings and
//     events may hold on to what they saw without copying it.
//   - Account.mu guards the whole state and is never held while content is
//     read, written or hashed, nor while waiting for anything but the metadata
//     file's page cache. A session's own lock is taken before Account.mu.
//   - Every mutation is one transaction: change the maps, write the same
//     change to the metadata file, wake those who wait for events.
//   - The number of references to a content is derived: one for each live or
//     deleted file and each revision that has it, and one for each [Blob] or
//     [Content] in somebody's hands. At zero the bytes go.
//
// # Durability
//
// With a directory, a call that has returned has reached the kernel: a killed
// process loses nothing that it acknowledged, and Open finds the same ids,
// events, sessions, trash and settings again. A power cut is out of scope: no
// file is synced.
package store
