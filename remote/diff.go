package remote

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// Names of events that a mirror of the tree has to know (pCloud API 11.2).
// Create and modify mean the same: this is how the object is now.
const (
	EventReset        = "reset" // forget everything; a full state follows
	EventCreateFolder = "createfolder"
	EventModifyFolder = "modifyfolder"
	EventDeleteFolder = "deletefolder"
	EventCreateFile   = "createfile"
	EventModifyFile   = "modifyfile"
	EventDeleteFile   = "deletefile"
	EventUserInfo     = "modifyuserinfo" // quota and the like
)

// Change is one event of the change feed.
type Change struct {
	Event  string
	Time   time.Time // also the new modification time of the parent folder
	DiffID DiffID

	// Entry is set for the events of files and folders.
	Entry Entry
	// User is set for EventUserInfo; quota and usage of 0 are not known.
	User *UserInfo
}

// Changes are events in order, and the position after the last of them. A
// position smaller than the one asked for means that the feed was reset.
type Changes struct {
	DiffID  DiffID
	Entries []Change
}

// defaultDiffLimit is the number of events in one reply if the caller does not
// say, maxDiffLimit the most that is ever asked for, for the sake of memory.
const (
	defaultDiffLimit = 5000
	maxDiffLimit     = 50_000
)

// Diff returns the events after a position (pCloud API 11.1), at most limit of
// them (0: some thousands; never more than 50,000). There may be more until Entries is empty. From
// position 0, the complete state comes as events.
func (c *Client) Diff(ctx context.Context, since DiffID, limit int) (Changes, error) {
	return c.diff(ctx, &call{params: diffParams(since, limit)}, limit)
}

// WaitDiff is Diff that waits for an event if there is none. The server ends
// the wait after about a minute, with no entries.
func (c *Client) WaitDiff(ctx context.Context, since DiffID, limit int) (Changes, error) {
	k := &call{params: diffParams(since, limit), poll: true}
	k.params.flag("block")
	return c.diff(ctx, k, limit)
}

// LastDiff returns the current position without any events.
func (c *Client) LastDiff(ctx context.Context) (DiffID, error) {
	p := params{}
	p.num("last", 0)
	ch, err := c.diff(ctx, &call{params: p}, 0)
	return ch.DiffID, err
}

func diffParams(since DiffID, limit int) params {
	p := params{}
	p.num("diffid", uint64(since))
	p.num("limit", uint64(diffLimit(limit)))
	return p
}

func diffLimit(limit int) int {
	if limit <= 0 {
		return defaultDiffLimit
	}
	return min(limit, maxDiffLimit)
}

func (c *Client) diff(ctx context.Context, k *call, limit int) (Changes, error) {
	var reply struct {
		DiffID  *uint64      `json:"diffid"`
		Entries []wireChange `json:"entries"`
	}
	k.method, k.how, k.out = "diff", reader, &reply
	// An event has half a kilobyte, unless names are very long.
	k.limit = replyLimit + int64(diffLimit(limit))<<10
	var ch Changes
	k.after = func() *Error {
		if reply.DiffID == nil || *reply.DiffID > MaxID {
			return &Error{Err: protocolErrorf("diffid missing or out of range")}
		}
		ch = Changes{DiffID: DiffID(*reply.DiffID)}
		for i := range reply.Entries {
			change, use, err := reply.Entries[i].change()
			if err != nil {
				return &Error{Err: err}
			}
			if use {
				ch.Entries = append(ch.Entries, change)
			}
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return Changes{}, err
	}
	return ch, nil
}

// wireChange is an event as it is sent. What it carries depends on its name,
// so it is decoded when that is known: events that do not matter here may
// carry anything.
type wireChange struct {
	Event    string          `json:"event"`
	Time     wireTime        `json:"time"`
	DiffID   uint64          `json:"diffid"`
	Metadata json.RawMessage `json:"metadata"`
	UserInfo json.RawMessage `json:"userinfo"`
}

// change converts an event; use is false for one about the root, which is not
// part of any folder.
func (w *wireChange) change() (ch Change, use bool, err error) {
	ch = Change{Event: w.Event, Time: w.Time.t, DiffID: DiffID(w.DiffID)}
	if w.Event == "" || w.DiffID > MaxID {
		return ch, false, protocolErrorf("event %.40q with id %d", w.Event, w.DiffID)
	}
	switch w.Event {
	case EventCreateFolder, EventModifyFolder, EventDeleteFolder, EventCreateFile, EventModifyFile, EventDeleteFile:
	case EventUserInfo:
		if len(w.UserInfo) > 0 {
			var u object[wireUser]
			if err := json.Unmarshal(w.UserInfo, &u); err != nil {
				return ch, false, jsonError(err)
			}
			info, err := u.v.info()
			ch.User = &info
			return ch, true, err
		}
		return ch, true, nil
	default:
		return ch, true, nil
	}
	var m meta
	if len(w.Metadata) > 0 {
		if err := json.Unmarshal(w.Metadata, &m); err != nil {
			return ch, false, jsonError(err)
		}
	}
	folder := strings.HasSuffix(w.Event, "folder")
	if folder && m.v.folder() && m.v.FolderID != nil && *m.v.FolderID == uint64(RootFolder) {
		return ch, false, nil
	}
	m.v.IsDeleted = m.v.IsDeleted || strings.HasPrefix(w.Event, "delete")
	ch.Entry, err = m.v.entry()
	if err == nil && ch.Entry.Folder != folder {
		err = protocolErrorf("event %q about something else", w.Event)
	}
	return ch, true, err
}
