// Package journal keeps the changes that were answered and are not yet in
// pCloud.
//
// A change is an [Intent], a record in a bbolt database; the bytes of a put are
// in a spool file beside it. The package makes them durable, gives them back
// after a crash, and gives out the numbers that must never repeat. It knows
// nothing of pCloud's API, does not apply intents, and does not decide what
// they mean.
package journal
