package pipeline

// The groups: per network one that floods on this host, and one that floods to other hosts.

// LocalGroup gives the id of the group with a bucket for each interface of the network on this host.
func LocalGroup(vni uint32) uint32 { return vni << 1 }

// RemoteGroup gives the id of the group with a bucket for each other host where the network is present.
func RemoteGroup(vni uint32) uint32 { return vni<<1 | 1 }

// GroupNetwork gives the network of a group id, and whether it is the remote group.
func GroupNetwork(id uint32) (vni uint32, remote bool) { return id >> 1, id&1 != 0 }
