// Package config turns what the user typed (mount options, the environment,
// files named there) into checked values. It reads nothing by itself: the
// environment and the defaults are passed in.
//
// # Where the token comes from
//
// The first of these that gives one: authid in the URL, -o authfile=FILE, the
// environment variable PCLOUDFS_AUTHID. It is sent to the host in the URL, or,
// with -o endpoint=HOST:PORT, to that server and no other.
package config
