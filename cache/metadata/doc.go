// Package metadata holds what pCloud has: the listings of folders, in memory,
// the least recently used ones leaving first.
//
// A listing is held completely or not at all, so a name that is not in it does
// not exist. Own changes and the events of the change feed (pCloud API 11.1)
// are folded into the listings that are held; a folder that is not held is
// listed when it is needed. The package does no I/O, knows nothing of pending
// local changes, and shows names as pCloud has them.
//
// # Listings and changes at the same time
//
// A listing takes a round trip, and changes may become known in the meantime
// that the server had not applied when it answered. [Cache.Begin] therefore
// marks the start, and [Cache.Put] refuses what may be older than a change:
//
//	for {
//		t := c.Begin(id)
//		f, err := client.List(ctx, id)
//		if err != nil {
//			return err
//		}
//		if c.Put(t, f) {
//			return nil
//		}
//	}
//
// If every change is told, in order and once it has happened, then what a fresh
// listing says is what pCloud has, but for changes still to be told. Where two
// listings claim one entry, the one that was begun later is believed.
//
// Times are kept in seconds, as pCloud has them.
package metadata
