// Package metadata holds what pCloud has: listings of folders, complete or not
// at all, in memory, the least recently used ones leaving first.
package metadata
