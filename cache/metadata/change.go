package metadata

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/pcloudfs/pcloudfs/remote"
)

// change names what changed: an entry, or the set of children of a folder.
type change struct {
	key      key
	children bool
}

// maxChanges are remembered. A listing that was begun before more than so many
// changes is refused.
const maxChanges = 8192

// changes remembers when what changed, to tell listings that were under way
// at the time: what they say may be older.
type changes struct {
	last  *simplelru.LRU[change, uint64]
	floor uint64 // changes up to here may be forgotten
}

func newChanges(floor uint64) changes {
	last, _ := simplelru.NewLRU[change, uint64](maxChanges, nil) // fails for sizes below 1 only
	return changes{last: last, floor: floor}
}

func (c *changes) record(x change, clock uint64) {
	if c.last.Len() == maxChanges && !c.last.Contains(x) {
		if _, oldest, ok := c.last.RemoveOldest(); ok {
			c.floor = max(c.floor, oldest)
		}
	}
	c.last.Add(x, clock)
}

func (c *changes) since(x change, clock uint64) bool {
	at, ok := c.last.Peek(x)
	return ok && at > clock
}

// outdated reports whether something that the listing tells changed after it
// was begun.
func (c *Cache) outdated(t Token, f remote.Folder) bool {
	if t.clock < c.changes.floor || c.changes.since(change{folderKey(t.id), true}, t.clock) {
		return true
	}
	for i := range f.Contents {
		k := keyOf(f.Contents[i])
		if c.changes.since(change{k, false}, t.clock) {
			return true
		}
		if n, ok := c.nodes[k]; ok && n.parent != t.id {
			// Two listings claim it and no change told which one is right: the
			// one that was begun later.
			if l, ok := c.listings.Peek(n.parent); ok && l.clock > t.clock {
				return true
			}
		}
	}
	return false
}

func (c *Cache) fresh(l *listing) bool {
	return l.clock > c.expired && (c.ttl == 0 || time.Since(l.at) < c.ttl)
}
