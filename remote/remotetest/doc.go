// Package remotetest is a conformance suite for a pCloud service: it says in
// tests what the reference of the service (pCloud API) says in words, through
// the client of package remote.
//
// The suite runs on the server of package pcloudtest always, and on the real
// service when PCLOUDFS_TEST_HOST and PCLOUDFS_TEST_TOKEN are set; that the
// same checks pass on both is what makes the former a stand-in for the latter.
// What the reference only infers is checked too, but a service that answers
// otherwise there is reported as different instead of failing: see
// [Service.Inferred].
//
// The package does not test the client's own machinery (that is done in
// package remote), except for one thing that needs a whole server: its own
// tests run every method of the client into every fault of pcloudtest.
package remotetest
