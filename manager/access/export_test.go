package access

import (
	"strconv"
	"time"
)

// AuditFile gives the path of the audit log.
func (g *Gate) AuditFile() string { return g.Audit.opts.Path }

// MaxKeys bounds the clients that are remembered.
const MaxKeys = maxKeys

// Remembered takes from n buckets and gives how many are remembered.
func Remembered(n int) int {
	b := newBuckets(1, 1)
	for i := range n {
		b.take(strconv.Itoa(i), time.Unix(0, 0))
	}
	if len(b.byKey) != b.order.Len() {
		return -1
	}
	return len(b.byKey)
}

// Host gives whom a connection is from.
func Host(remote string) string { return host(remote) }
