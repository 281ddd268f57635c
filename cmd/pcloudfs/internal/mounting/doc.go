// Package mounting puts a mount together: it checks the mount point and FUSE,
// logs in to pCloud, finds the folder, opens the volume and mounts it, and
// takes all of that down again in the right order. Its errors are meant for
// people: they say what to do next.
package mounting
