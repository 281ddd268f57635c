//go:build linux && race

package integration

// raceDetector tells whether the tests, and so the program, have it.
const raceDetector = true
