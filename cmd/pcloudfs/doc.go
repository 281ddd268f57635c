// Command pcloudfs mounts a folder of pCloud.
//
//	pcloudfs mount SOURCE MOUNTPOINT [-o OPTION,...]
//	pcloudfs demo [MOUNTPOINT]
//	pcloudfs emulate --listen ADDR
//	pcloudfs version
//	pcloudfs help
//
// The package parses the command line, calls, and prints. It is the only one
// that reads flags and the environment. SOURCE and the options are read by
// internal/source and internal/config; internal/mounting puts a mount together
// from packages remote, cache and fs.
//
// What a program may want to read goes to standard output, logs and errors go
// to standard error. The exit status is described in exit.go.
package main
