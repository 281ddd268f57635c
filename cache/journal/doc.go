// Package journal keeps the changes that were answered and are not yet in
// pCloud.
//
// A change is an [Intent], a record in a bbolt database; the bytes of a put are
// in a spool file beside it. The package makes them durable, gives them back
// after a crash, and gives out the numbers that must never repeat. It knows
// nothing of pCloud's API, does not apply intents, and does not decide what
// they mean.
//
//	j, err := journal.Open(dir, journal.Options{Log: log})
//	name, f, err := j.NewSpool()       // write the bytes, then:
//	err = j.Commit(journal.Change{Put: []journal.Intent{{
//		Seq: j.NextSeq(), Op: journal.OpPut, Node: j.NextNode(),
//		Parent: parent, Name: "a.txt", Spool: name, Size: n,
//	}}})                               // survives kill -9 from here
//	...                                // upload it
//	err = j.Commit(journal.Change{Delete: []uint64{seq}, Bind: ...})
//	err = j.RemoveSpool(name)
//
// # What is durable when
//
// When [Journal.Commit] returns, the record is on the disk. The bytes of the
// spool file are in the kernel then, which is enough for kill -9 (promise P2);
// the group commit syncs them at most Options.GroupCommit later, many files at
// a time, and sets Intent.Synced in the record. [Journal.SyncSpool] and
// [Journal.Sync] do it at once. A put whose bytes are on the disk is not
// replaced by one whose bytes are not: the commit syncs those first.
//
// # Opening
//
// Open compares the records with the spool files. Whether the system was
// started since the last time tells whether bytes that were not synced can be
// trusted: after the end of the process alone they can. What cannot be used is
// moved to the directory "aside", never deleted, and reported by
// [Journal.Damaged]: puts that were being written to again, puts with bytes
// missing or doubtful, spool files that were never closed, and records that
// cannot be read. A file that a record no longer needed, and that nobody wrote
// to since, is deleted.
//
// bbolt trusts what it reads. Open therefore looks the whole database over
// first; if it is damaged, it is kept in "aside" and another takes its place
// with what could be read: a damaged record costs that record and a damaged page
// the records in it. Only a database without a valid header, or without its
// meta bucket (it could be another account's), is given up; the spool files are
// set aside then.
//
// A database that is nearly all free pages is made anew at Open, since bbolt
// writes the list of them with every commit and never shrinks a file.
//
// When the disk refuses to make a commit durable, nothing more is written
// through that handle (ErrFailed), because the kernel reports such a thing once
// and then takes the pages for clean. A full disk is no such case: the commit
// fails, and the next may succeed.
//
// # Files
//
//	lock            flock(2) of the process that has the journal
//	journal.db      bbolt database
//	journal.db.new  one that is being made
//	spool/NAME      bytes of a put; NAME is 16 hexadecimal digits
//	aside/          what was set aside: NAME.LABEL, record-SEQ, journal.db.damaged
//
// # Format 1
//
// The database can be read with the bbolt tool while no process has the
// journal, for example
//
//	bbolt keys --format=hex journal.db intents
//	bbolt get --parse-format=hex --format=bytes journal.db intents 0000000000000007 | tail -c +5
//
// Numbers in keys are 8 bytes, big endian. Buckets:
//
//	meta      version: decimal; boot: id of the last boot; identity: text;
//	          seq, node: reserved numbers, each with its complement (8 + 8 bytes);
//	          ledger: count of records, xor of the CRC-64/ECMA of key and value
//	intents   sequence number -> CRC-32C of the rest (4 bytes, big endian), JSON:
//	          the fields of Intent; 64-bit ids as strings, times as
//	          "seconds.nanoseconds", names that are not UTF-8 in base64 (name_raw)
//	bindings  node -> CRC-32C of key and rest, 'f' or 'd', id (8 bytes)
//	released  spool name -> size and modification time (ns) when its last record
//	          went
//	damaged   key -> bytes of a record that could not be read
//	reports   number -> Damage as JSON
//
// # Locks
//
// Only the writer goroutine changes the database. Journal.mu, the mutexes of
// counters, syncer and bindings are leaves: none is held while another is taken
// or while the disk is waited for.
package journal
