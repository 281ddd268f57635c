package cache

import (
	"errors"
	"io/fs"
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
// until the volume ends. Without the feed, listings expire by age. known says
// that there is a feed and since is where it stood before anything was listed.
func (v *Volume) follow(since remote.DiffID, known bool) {
	pause := followPause
	aged := time.Now()
	for v.ctx.Err() == nil {
		var ch remote.Changes
		var err error
		if known {
			ch, err = v.remote.WaitDiff(v.ctx, since, diffLimit)
		} else if since, err = v.remote.LastDiff(v.ctx); err == nil {
			known = true
			v.meta.Expire() // what was listed before may miss something
			continue
		}
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
			v.applyEvent(c.Entry, c.Time)
		case "deletefolder", "deletefile":
			c.Entry.Deleted = true
			v.applyEvent(c.Entry, c.Time)
		}
	}
}

// ownChange is the state that a file or folder has after the last change made
// here, while events about it are still to come. They may be older than that.
type ownChange struct {
	entry  remote.Entry
	events int // still expected
	at     time.Time
}

// fedState is what the change feed said last about a file or folder.
type fedState struct {
	entry remote.Entry
	count uint64 // Volume.events by then
}

// fedLimit bounds how many of them are remembered.
const fedLimit = 8192

// feed notes what an event says. Volume.mu is held.
func (v *Volume) feed(e remote.Entry) {
	if len(v.fed) >= fedLimit {
		clear(v.fed)
	}
	v.events++
	v.fed[pcloudNode(e)] = fedState{e, v.events}
	if e.Replaced != 0 && !e.Folder && e.Replaced != e.FileID {
		v.fed[fileNode(e.Replaced)] = fedState{remote.Entry{FileID: e.Replaced, Deleted: true}, v.events}
	}
}

// learn makes the result of a change made here known to the metadata cache.
// asked is Volume.events when the change was asked for: the feed may have told
// of later ones meanwhile. Volume.mu is held, so that no event gets in between.
func (v *Volume) learn(e remote.Entry, asked uint64) {
	now := time.Now()
	if f, ok := v.fed[pcloudNode(e)]; ok && f.count > asked && !e.Deleted && !sameState(f.entry, e) {
		v.meta.Drop(e.ParentID) // to be listed when it is used
		return
	}
	v.tell(e, now)
	if len(v.owned) >= ownedLimit { // the feed is far behind: better an old view for a moment than no bound
		clear(v.owned)
	}
	own := v.owned[pcloudNode(e)]
	v.owned[pcloudNode(e)] = ownChange{entry: e, events: own.events + 1, at: now}
}

// tell brings one state into the metadata cache.
func (v *Volume) tell(e remote.Entry, at time.Time) {
	switch {
	case !e.Deleted:
		v.meta.Upsert(e, at)
	case e.Folder:
		v.meta.RemoveFolder(e.FolderID, at)
	default:
		v.meta.RemoveFile(e.FileID, at)
	}
}

// pcloudNode numbers a pCloud object, whatever its identity here is.
func pcloudNode(e remote.Entry) NodeID {
	if e.Folder {
		return folderNode(e.FolderID)
	}
	return fileNode(e.FileID)
}

// applyEvent brings one event into the metadata cache. An event about
// something that was changed here a moment ago may be older than what is known
// already, or newer: then pCloud is asked.
func (v *Volume) applyEvent(e remote.Entry, at time.Time) {
	v.mu.Lock()
	v.feed(e)
	mine, guarded := v.expect(e)
	same := sameState(mine.entry, e)
	if e.Replaced != 0 && !e.Folder && e.Replaced != e.FileID {
		v.meta.RemoveFile(e.Replaced, at) // whatever became of its successor
	}
	if !guarded || same {
		// Also when it is known: an older event about another file of the name
		// may have taken its place.
		v.tell(e, at)
	}
	v.mu.Unlock()
	if !guarded || same {
		return
	}
	now, err := v.look(v.ctx, e)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.meta.Drop(e.ParentID) // to be listed when it is used
		return
	}
	if err != nil {
		now, now.Deleted = e, true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.owned[pcloudNode(e)].at.After(mine.at) {
		return // changed here again meanwhile
	}
	v.tell(now, at)
}

// expect says whether events about e may be outdated, and counts this one.
// Volume.mu is held.
func (v *Volume) expect(e remote.Entry) (mine ownChange, guarded bool) {
	key := pcloudNode(e)
	mine, guarded = v.owned[key]
	if !guarded {
		return mine, false
	}
	if time.Since(mine.at) > ownedAge {
		delete(v.owned, key)
		return mine, false
	}
	left := mine
	if left.events--; left.events > 0 {
		v.owned[key] = left
	} else {
		delete(v.owned, key)
	}
	return mine, true
}

func sameState(a, b remote.Entry) bool {
	return a.Deleted == b.Deleted && a.Hash == b.Hash && a.Name == b.Name && a.ParentID == b.ParentID &&
		(a.Folder || a.Modified.Equal(b.Modified))
}
