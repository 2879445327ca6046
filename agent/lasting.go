package agent

import (
	"cmp"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/services/dhcp"
)

// lasting gives for how long a guest may use an address of a network: as the network says, and no longer than the lease lives when its time has just begun.
func lasting(in *compile.Input, a compile.Address) time.Duration {
	lasts := leaseTime(a.Network)
	g := in.X.Graph()
	l, ok := leaseByID(g, a.Lease)
	if !ok {
		return lasts
	}
	for _, r := range graph.Children[*model.IPRetention](g, l.UUID, "ip_retentions.ip_lease_uuid") {
		c, ok := graph.Lookup[*model.IPRetentionContainer](g, r.IPRetentionContainerUUID)
		if !ok || c.LeaseTime == nil {
			continue
		}
		lasts = min(lasts, time.Duration(max(*c.LeaseTime, shortest))*time.Second)
	}
	return lasts
}

// leaseTime gives for how long guests of a network may use an address.
func leaseTime(n *model.Network) time.Duration {
	return cmp.Or(time.Duration(n.DHCPLeaseTime)*time.Second, dhcp.DefaultLease)
}

// shortest is the shortest time, in seconds, that DHCP and DHCPv6 can halve often enough.
const shortest = 8
