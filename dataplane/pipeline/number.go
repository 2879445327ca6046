package pipeline

import (
	"fmt"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// Numbers of groups, meters and connection tracking zones.

// MaxLocalID is the largest id of a network or segment without a VNI that a number has room for.
const MaxLocalID = 1<<24 - 1

// LocalDomain gives the number, in register Network, of a physical or internal network, or of a physical segment, which have no VNI. The id is up to
// MaxLocalID.
func LocalDomain(id uint32, segment bool) uint32 {
	if segment {
		return 2<<24 | id&MaxLocalID
	}
	return 1<<24 | id&MaxLocalID
}

// FloodGroup gives the id of a group that floods a domain: to the interfaces on this host, or to other hosts. A group message has room for a
// thousand buckets only, so a domain has a group for each shard of interfaces (by the number of their port) or hosts (by id).
func FloodGroup(domain uint32, shard uint8, remote bool) uint32 {
	id := domain<<5 | uint32(shard&0xf)<<1
	if remote {
		id |= 1
	}
	return id
}

// OutsideGroup gives the id of the group of a domain's ports with devices outside: those of this host, or the other hosts that have any.
func OutsideGroup(domain uint32, remote bool) uint32 {
	id := groupsOutside | domain<<1
	if remote {
		id |= 1
	}
	return id
}

// MembersGroup gives the id of a group of those that have joined a multicast group of a domain: interfaces of this host, or other hosts. The number is below 1<<24.
func MembersGroup(number uint32, remote bool) uint32 {
	id := groupsMembers | number<<1
	if remote {
		id |= 1
	}
	return id
}

// Ranges of group ids. Those of floods are below.
const (
	groupsOutside = 0x6000_0000
	groupsMembers = 0x7000_0000
)

// Groups of the host: to the physical networks' interfaces on this host, of broadcast that came from the NIC or from the host itself. No domain has
// the number 0, whose ids these are.
const (
	GroupFromNIC  = 2
	GroupFromHost = 3
)

// Buckets that are not of an interface or a datapath, whose ids are up to MaxOwnerID.
const (
	BucketNIC    = 0xe000_0000 // the NIC
	BucketShards = 0xf000_0000 // and the number of a shard: the group of the domain's next ones
)

// RouteGroup gives the id of the group that chooses among routes of equal cost: by the lowest id of them, up to MaxOwnerID, and by family; for packets from here,
// or, of those whose leg is here, for packets that another host has brought into the route link.
func RouteGroup(route uint32, v6, here bool) uint32 {
	id := 0x8000_0000 | route<<2
	if v6 {
		id |= 1
	}
	if here {
		id |= 2
	}
	return id
}

// describeGroup says what a group id stands for: what it floods, or the route that it chooses for.
func describeGroup(id uint32, domain func(uint32) string) string {
	if id&0x8000_0000 != 0 {
		return fmt.Sprintf("choose(route %d)", id&0x7fff_ffff>>2)
	}
	switch id {
	case GroupFromNIC:
		return "flood(physical networks, from the NIC)"
	case GroupFromHost:
		return "flood(physical networks, from the host)"
	}
	where := "local"
	if id&1 != 0 {
		where = "remote"
	}
	switch {
	case id >= groupsMembers:
		return fmt.Sprintf("members(%d,%s)", id&^groupsMembers>>1, where)
	case id >= groupsOutside:
		return fmt.Sprintf("outside(%s,%s)", domain(id&^groupsOutside>>1), where)
	}
	if shard := id >> 1 & 0xf; shard != 0 {
		where += fmt.Sprintf(",%d", shard)
	}
	return fmt.Sprintf("flood(%s,%s)", domain(id>>5), where)
}

// The meters of a port. Their ids are dense, as some datapaths have few.
const (
	MeterPunt    = 0 // what the port may send to the agent, in packets
	MeterEgress  = 1 // what its interface may send, in kbit
	MeterIngress = 2 // what its interface may receive, in kbit
)

// PortMeter gives the id of a meter of a port. Ids below 16 are the host's own.
func PortMeter(p flow.Port, kind uint32) uint32 { return 16 + uint32(p)<<2 | kind }

// The host's own meters.
const (
	MeterLog      = 1 // copies of packets for the log
	MeterReject   = 2 // packets whose senders are told that they were rejected
	MeterMembers  = 3 // reports of IGMP and MLD from other hosts
	MeterNeighbor = 4 // packets whose next hop the agent has to ask for
	MeterHost     = 5 // packets of the host itself and of its NIC, for the agent
	MeterProbe    = 6 // probes of the way to other hosts that have come back
)

// Zones of connection tracking: an interface has two by the number of its port, a leg that translates two by its id.
const (
	zonesOfLegs = 0x8000
	// MaxZonePort is the highest port number that has zones.
	MaxZonePort = zonesOfLegs/2 - 1
)

// PortZones gives the zones of an interface's static filter and of its security groups. The port's number is up to MaxZonePort.
func PortZones(p flow.Port) (filter, groups uint16) { return uint16(p) << 1, uint16(p)<<1 | 1 }

// LegZoneStep is the difference of ids from which on zones of legs repeat.
const LegZoneStep = zonesOfLegs / 2

// LegZones gives the zones of a leg's translations inwards (of destinations) and outwards (of sources). Two legs whose ids differ by a multiple of
// LegZoneStep have the same ones and cannot both translate on one host.
func LegZones(iface uint32) (in, out uint16) {
	z := uint16(zonesOfLegs | iface%LegZoneStep<<1)
	return z, z | 1
}
