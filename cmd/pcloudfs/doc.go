// Command pcloudfs mounts a folder of pCloud.
//
//	pcloudfs mount SOURCE MOUNTPOINT [-o OPTION,...]
//	pcloudfs umount MOUNTPOINT [--timeout DUR] [--now] [--lazy]
//	pcloudfs queue [retry|save|drop] MOUNTPOINT|--cachedir DIR ...
//	pcloudfs demo [MOUNTPOINT]
//	pcloudfs emulate --listen ADDR
//	pcloudfs version
//	pcloudfs help
//
// The package parses the command line, calls, and prints. It is the only one
// that reads flags and the environment. SOURCE and the options are read by
// internal/source and internal/config; internal/mounting puts a mount together
// from packages remote, cache and fs; internal/control is how commands reach one
// that is running. Started as umount.fuse.pcloudfs it is the helper of umount(8).
//
// What a program may want to read goes to standard output, logs and errors go
// to standard error. The exit status is described in exit.go.
package main
