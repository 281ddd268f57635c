package cache

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pcloudfs/pcloudfs/cache/journal"
)

// ErrNeeded says that a change can't be dropped because later ones build on it.
var ErrNeeded = errors.New("later changes need it")

// OfflineQueue is the queue in a cache directory that no volume has open. It
// needs no network: nothing is sent. Its methods are not safe for concurrent
// use.
type OfflineQueue struct{ journal *journal.Journal }

// OpenQueue opens the queue in a cache directory, which no volume can use until
// Close. The error is journal.ErrLocked if a volume does, and fs.ErrNotExist if
// the directory holds no queue. Nil log is silent.
func OpenQueue(dir string, log *slog.Logger) (*OfflineQueue, error) {
	// The journal would make one.
	if _, err := os.Stat(filepath.Join(dir, journal.DatabaseName)); err != nil {
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	j, err := journal.Open(dir, journal.Options{Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	return &OfflineQueue{j}, nil
}

// Close releases the directory.
func (q *OfflineQueue) Close() error { return q.journal.Close() }

// Items returns what is not in pCloud, oldest first. Paths are those of the time
// of the change.
func (q *OfflineQueue) Items() ([]QueueItem, error) {
	intents, err := q.journal.Pending()
	if err != nil {
		return nil, err
	}
	items := make([]QueueItem, 0, len(intents))
	for _, in := range intents {
		items = append(items, offlineItem(in))
	}
	return items, nil
}

func offlineItem(in journal.Intent) QueueItem {
	it := QueueItem{ID: in.Seq, Op: string(in.Op), Folder: in.Folder, State: StatePending,
		Path: in.Path, Reason: in.Parked, Tries: in.Tries, Since: in.Issued}
	if it.Path == "" {
		it.Path = unknownPart + "/" + in.Name
	}
	if in.Op == opPut {
		it.Bytes = in.Size
	}
	if in.Upload != nil {
		it.Sent = min(in.Upload.Size, it.Bytes)
	}
	if in.Op == opRename {
		it.To, it.Path = it.Path, in.OldName
		if in.OldParent != in.Parent {
			it.Path = unknownPart + "/" + in.OldName
		} else if dir := path.Dir(it.To); dir != "." {
			it.Path = dir + "/" + in.OldName
		}
	}
	if in.Parked != "" {
		it.State = StateParked
	}
	return it
}

// Retry makes parked items pending again, all of them when no id is given. The
// next volume tries them in any case; this forgets the reason and the attempts.
func (q *OfflineQueue) Retry(ids ...uint64) error {
	intents, err := q.journal.Pending()
	if err != nil {
		return err
	}
	var ch journal.Change
	for _, in := range intents {
		if in.Parked != "" && (len(ids) == 0 || slices.Contains(ids, in.Seq)) {
			in.Parked, in.Tries = "", 0
			ch.Put = append(ch.Put, in)
		}
	}
	if len(ch.Put) < len(ids) {
		return fmt.Errorf("%w, or it is not parked", ErrNoItem)
	}
	if len(ch.Put) == 0 {
		return nil
	}
	return q.journal.Commit(ch)
}

// Save writes the bytes of a put to w.
func (q *OfflineQueue) Save(id uint64, w io.Writer) error {
	in, _, err := q.find(id)
	if err != nil {
		return err
	}
	if in.Op != opPut {
		return fmt.Errorf("%w with bytes", ErrNoItem)
	}
	if in.Size == 0 && in.Spool == "" {
		return nil
	}
	f, err := q.journal.OpenSpool(in.Spool)
	if err != nil {
		return fmt.Errorf("save the bytes: %w", err)
	}
	defer f.Close()
	n, err := io.Copy(w, io.NewSectionReader(f, 0, in.Size))
	if err == nil && n < in.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("save the bytes: %w", err)
	}
	return nil
}

// Drop gives up a change for ever. The bytes of a put are lost unless they were
// saved. What later changes build on is refused with ErrNeeded: the newest are
// to be dropped first.
func (q *OfflineQueue) Drop(id uint64) error {
	in, intents, err := q.find(id)
	if err != nil {
		return err
	}
	shared := false // the spool file is another put's too
	for _, other := range intents {
		if other.Seq == id {
			continue
		}
		shared = shared || (other.Spool == in.Spool)
		if other.Seq > id && needs(other, in) {
			return fmt.Errorf("%w: %s %q (%d)", ErrNeeded, other.Op, other.Name, other.Seq)
		}
	}
	if err := q.journal.Commit(journal.Change{Delete: []uint64{id}}); err != nil {
		return err
	}
	if in.Spool == "" || shared {
		return nil
	}
	return q.journal.RemoveSpool(in.Spool)
}

// needs says whether a later intent builds on an earlier one: it is about the
// same file, something in a folder made by it, or a name that it frees.
func needs(later, in journal.Intent) bool {
	if later.Node == in.Node || later.Replaced == in.Node {
		return true
	}
	if in.Op == opMkdir && (later.Parent == in.Node || later.OldParent == in.Node) {
		return true
	}
	frees := func(dir NodeID, name string) bool {
		return later.Op != opRemove && later.Parent == dir && later.Name == name
	}
	switch in.Op {
	case opRemove:
		return frees(in.Parent, in.Name)
	case opRename:
		return frees(in.OldParent, in.OldName)
	}
	return false
}

// find returns an intent and all there are.
func (q *OfflineQueue) find(id uint64) (journal.Intent, []journal.Intent, error) {
	intents, err := q.journal.Pending()
	if err != nil {
		return journal.Intent{}, nil, err
	}
	for _, in := range intents {
		if in.Seq == id {
			return in, intents, nil
		}
	}
	return journal.Intent{}, nil, ErrNoItem
}

// unknownPart stands for a folder that is not known by name.
const unknownPart = "…"

// displayPath is path as it is kept in the journal: text that JSON can hold.
// Volume.mu is held.
func (v *Volume) displayPath(dir NodeID, name string) string {
	return strings.ToValidUTF8(v.path(dir, name), "\uFFFD")
}

// knownPath is the path of a pending intent: what memory knows, or what was
// known when it was issued. Volume.mu is held.
func (v *Volume) knownPath(p *pending) string {
	now := v.path(p.Parent, p.Name)
	if p.Path != "" && strings.Contains(now, unknownPart+"/") && !strings.Contains(p.Path, unknownPart+"/") {
		return p.Path
	}
	return now
}
