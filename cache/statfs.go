package cache

import "time"

// spaceAge is how long an answer about the account's space is used.
const spaceAge = 30 * time.Second

// Statfs returns the account's space less what waits to be sent. It never
// waits; an old answer is renewed behind it.
func (v *Volume) Statfs() Statfs {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.asked) > spaceAge && !v.closed {
		v.asked = time.Now()
		v.wg.Go(v.askSpace)
	}
	free := v.space.Quota - v.space.Used
	for _, p := range v.queue {
		free -= p.bytes()
	}
	free = max(free, 0)
	return Statfs{Total: v.space.Quota, Free: free, Avail: free, Files: uint64(v.meta.Len())}
}

func (v *Volume) askSpace() {
	u, err := v.remote.UserInfo(v.ctx)
	if err != nil {
		v.log.Warn("pCloud does not tell the space left", "err", err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.space = u
}
