package agent

import (
	"sync"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/model"
)

// sender is where a question comes from, and of whom.
type sender struct {
	ingress, domain uint32
	mac             model.MAC
}

// maxRecalled bounds what a recall keeps; beyond it, it begins anew.
const maxRecalled = 4096

// recall keeps what was worked out from the replica, until anything there changes. It is safe for concurrent use.
type recall[K comparable, V any] struct {
	mu      sync.Mutex
	version uint64
	known   map[K]V
}

// get gives what is known of k, or works it out; what is not ok is not kept.
func (c *recall[K, V]) get(r *replica, k K, work func(in *compile.Input) (v V, ok bool)) V {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != r.version || c.known == nil || len(c.known) >= maxRecalled {
		c.version, c.known = r.version, map[K]V{}
	}
	if v, ok := c.known[k]; ok {
		return v
	}
	v, ok := work(&r.in)
	if ok {
		c.known[k] = v
	}
	return v
}
