package pipeline

import (
	"fmt"
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

// LocalID gives the id that LocalDomain made the number of; the last bool is false for a VNI.
func LocalID(number uint32) (id uint32, segment, ok bool) {
	return number & MaxLocalID, number>>24 == 2, number>>24 != 0
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
	groupsRoutes  = 0x8000_0000
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
	id := groupsRoutes | route<<2
	if v6 {
		id |= 1
	}
	if here {
		id |= 2
	}
	return id
}

// groups says which ids groups have, and what their buckets are.
var groups = []struct{ id, name, doc string }{
	{"number of the domain * 32 + shard * 2", "flood DOMAIN local", "the domain's interfaces on this host; a bucket for each, with the interface's id. A thousand have room, the next are in another shard"},
	{"the same + 1", "flood DOMAIN remote", "the other hosts where the domain is present; a bucket for each, with the datapath's id"},
	{fmt.Sprint(GroupFromNIC), "flood physical, from the NIC", "broadcast of the wire: the host itself, and the physical networks' interfaces on this host"},
	{fmt.Sprint(GroupFromHost), "flood physical, from the host", "broadcast of the host itself: the wire, and the same interfaces"},
	{fmt.Sprintf("%#x + number of the domain * 2", groupsOutside), "outside DOMAIN local", "the domain's ports here with devices outside that nobody registered"},
	{"the same + 1", "outside DOMAIN remote", "the other hosts that have such ports"},
	{fmt.Sprintf("%#x + number * 2", groupsMembers), "members NUMBER local", "the interfaces here that have joined a multicast group"},
	{"the same + 1", "members NUMBER remote", "the other hosts where some have"},
	{fmt.Sprintf("%#x + id of the route * 4 + 2 if the leg is here + 1 if IPv6", groupsRoutes), "choose ROUTE", "routes of equal cost, of which one gets all packets of a conversation; named by the one with the lowest id"},
}

// Group gives the name of a group: what it floods, or the route that it chooses for.
func (n Names) Group(id uint32) string {
	if id&groupsRoutes != 0 {
		return "choose " + n.object(KindRoute, id&^groupsRoutes>>2)
	}
	switch id {
	case GroupFromNIC:
		return "flood physical, from the NIC"
	case GroupFromHost:
		return "flood physical, from the host"
	}
	where := "local"
	if id&1 != 0 {
		where = "remote"
	}
	switch {
	case id >= groupsMembers:
		return fmt.Sprintf("members %d %s", id&^groupsMembers>>1, where)
	case id >= groupsOutside:
		return fmt.Sprintf("outside %s %s", n.number(id&^groupsOutside>>1), where)
	}
	if shard := id >> 1 & 0xf; shard != 0 {
		where += fmt.Sprintf(" %d", shard)
	}
	return fmt.Sprintf("flood %s %s", n.number(id>>5), where)
}

// Slot is the number that a port has its meters and zones by. Open vSwitch numbers ports up to 65,279, and gives a number again only when it has been through
// all, but has fewer meters and zones.
type Slot uint16

const (
	// HostSlot is no port's: that of the host itself, its NIC, other hosts, and of what has been routed.
	HostSlot Slot = 0
	// MaxSlot is the highest slot.
	MaxSlot Slot = 1<<slotBits - 1

	slotBits = 13
)

// The meters of a slot beside those of the classes of packets for the agent.
const (
	MeterEgress  = 30 // what the port's interface may send, in kbit
	MeterIngress = 31 // what its interface may receive, in kbit

	meterBits = 5
)

// PortMeter gives the id of a meter of a slot. There are at most 1<<18 of them, as many as the userspace datapath has.
func PortMeter(s Slot, kind uint32) uint32 { return uint32(s)<<meterBits | kind }

// Meter gives the name of a meter: "host/log", "PORT/egress".
func (n Names) Meter(id uint32) string {
	name := ""
	switch kind := id & (1<<meterBits - 1); kind {
	case MeterEgress:
		name = "egress"
	case MeterIngress:
		name = "ingress"
	default:
		name = PuntClass(kind).String()
	}
	return n.slot(Slot(id>>meterBits)) + "/" + name //nolint:gosec // 27 bits at most; what is no slot has no name
}

// Zones of connection tracking: an interface has two by the slot of its port, a leg that translates two by its id.
const zonesOfLegs = 0x8000

// PortZones gives the zones of an interface's static filter and of its security groups.
func PortZones(s Slot) (filter, groups uint16) { return uint16(s) << 1, uint16(s)<<1 | 1 }

// LegOfZone gives the lowest id that a leg with the zone may have; others differ from it by a multiple of LegZoneStep.
func LegOfZone(zone uint16) uint32 { return uint32(zone&^zonesOfLegs) >> 1 }

// LegZoneStep is the difference of ids from which on zones of legs repeat.
const LegZoneStep = zonesOfLegs / 2

// LegZones gives the zones of a leg's translations inwards (of destinations) and outwards (of sources). Two legs whose ids differ by a multiple of
// LegZoneStep have the same ones and cannot both translate on one host.
func LegZones(iface uint32) (in, out uint16) {
	z := uint16(zonesOfLegs | iface%LegZoneStep<<1)
	return z, z | 1
}

// The names of zones, in the order in which a port or a leg has them.
var (
	portZones = []struct{ name, doc string }{
		{"filter", "what the interface's static filter has let begin, in either direction"},
		{"groups", "what its security groups have let begin"},
	}
	legZones = []struct{ name, doc string }{
		{"in", "conversations whose destination was translated on the way in"},
		{"out", "conversations whose source was translated on the way out"},
	}
)

// Zone gives the name of a connection tracking zone: "PORT/groups", "LEG/out".
func (n Names) Zone(z uint16) string {
	switch {
	case z == 0:
		return none
	case z >= zonesOfLegs:
		leg := ""
		if n.Leg != nil {
			leg = n.Leg(z)
		}
		if leg == "" {
			leg = fmt.Sprint("leg-", LegOfZone(z))
		}
		return leg + "/" + legZones[z&1].name
	}
	return n.slot(Slot(z>>1)) + "/" + portZones[z&1].name
}
