package cache

import (
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

const (
	diffLimit    = 10_000
	followPause  = 2 * time.Second
	followPauses = 30 * time.Second
	ownedLimit   = 10_000
	ownedAge     = time.Minute
)

// follow keeps the metadata current by pCloud's change feed (pCloud API 11.4)
// until the volume ends. Without the feed, listings expire by age.
func (v *Volume) follow(since remote.DiffID) {
	pause := followPause
	aged := time.Now()
	for v.ctx.Err() == nil {
		ch, err := v.remote.WaitDiff(v.ctx, since, diffLimit)
		if err == nil {
			v.applyChanges(ch)
			since = ch.DiffID
			pause = followPause
			continue
		}
		if v.ctx.Err() != nil {
			return
		}
		v.log.Warn("change feed interrupted, folders are listed again when they are used", "err", err)
		if time.Since(aged) >= v.ttl {
			v.meta.Expire()
			aged = time.Now()
		}
		select {
		case <-time.After(min(pause, v.ttl)):
		case <-v.ctx.Done():
		}
		pause = min(2*pause, followPauses)
	}
}

// applyChanges brings events into the metadata cache, in order.
func (v *Volume) applyChanges(ch remote.Changes) {
	for _, c := range ch.Entries {
		switch c.Event {
		case "reset":
			v.meta.Reset()
		case "createfolder", "modifyfolder", "createfile", "modifyfile":
			v.meta.Upsert(v.truth(c.Entry), c.Time)
		case "deletefolder":
			v.meta.RemoveFolder(c.Entry.FolderID, c.Time)
		case "deletefile":
			v.meta.RemoveFile(c.Entry.FileID, c.Time)
		}
	}
}

// ownChange is the result of a change made here whose event is still to come.
type ownChange struct {
	entry remote.Entry
	at    time.Time
}

// own notes the result of a change made here. Volume.mu is held.
func (v *Volume) own(e remote.Entry) {
	if e.Folder {
		return
	}
	if len(v.owned) >= ownedLimit { // the feed is far behind: better an old view for a moment than no bound
		clear(v.owned)
	}
	v.owned[e.FileID] = ownChange{e, time.Now()}
}

// truth returns what is to be believed about the entry of an event. An event
// about a file that was changed here a moment ago may be older than what is
// known already, or newer: then pCloud is asked.
func (v *Volume) truth(e remote.Entry) remote.Entry {
	if e.Folder {
		return e
	}
	v.mu.Lock()
	mine, ok := v.owned[e.FileID]
	same := sameState(mine.entry, e)
	if ok && (same || time.Since(mine.at) > ownedAge) {
		delete(v.owned, e.FileID)
	}
	v.mu.Unlock()
	if !ok || same {
		return e
	}
	if now, err := v.remote.Stat(v.ctx, e.FileID); err == nil {
		return now
	}
	return e
}

func sameState(a, b remote.Entry) bool {
	return a.Hash == b.Hash && a.Name == b.Name && a.ParentID == b.ParentID && a.Modified.Equal(b.Modified)
}
