// Package fault decides which requests of a simulated pCloud go wrong, and how.
//
// A [Rule] says which method is hit, how often and what happens to it; an
// [Engine] holds the list of rules in force and answers, for every request,
// which of them fire. Carrying them out is the server's part. The choice is a
// function of the seed and of the order of requests.
package fault
