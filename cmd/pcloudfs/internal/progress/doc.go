// Package progress tells people how far a queue has been sent: how much is left,
// how fast it goes, and how long it will take.
package progress
