// Package control lets commands speak to a running mount, through a unix socket
// that the mounting process serves: the queue, its status, and unmounting.
//
//	s, err := control.Serve(dir, info, target, log)    // in the mounting process
//	c, err := control.Connect(ctx, mountpoint, search) // in a command
//	left, err := c.Unmount(ctx, control.UnmountRequest{}, show)
//
// # Place
//
// The socket of a mount is HASH.sock in the runtime directory of the user who
// mounted (see Dir), where HASH comes from the absolute path of the mount point
// without symbolic links. Beside it, HASH.json says which process and cache
// directory belong to it; it outlives the process when something is left in the
// queue, so that commands find the cache directory of a mount that is gone. The
// directory has mode 0700, and whoever connects must be the same user or root.
//
// The socket stays while a mount that is already taken out of the tree sends
// what is left. A later mount in the same place takes over the name.
//
// # Protocol
//
// HTTP/1.1 with JSON. An error is a status of 400 or more with
// {"error":TEXT,"code":CODE}; the codes are busy, no_item and active.
//
//	GET    /v1/status                    State
//	GET    /v1/queue?sample=DUR          []Item; DUR is spent on measuring rates
//	POST   /v1/retry {"ids":[N]}         without ids: all that are parked
//	GET    /v1/items/N/content           the bytes of a put
//	DELETE /v1/items/N                   drop it
//	POST   /v1/flush                     stream of Event until all is in pCloud
//	POST   /v1/unmount UnmountRequest    stream of Event until the mount ended
//
// A stream is a line of JSON each second; the last has "end". A client that goes
// away stops nothing. No reply contains the access token: the process does not
// give it to this package.
package control
