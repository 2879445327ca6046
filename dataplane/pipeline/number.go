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

// The meters of a port. Their ids are dense, as some datapaths have few.
const (
	MeterPunt    = 0 // what the port may send to the agent, in packets
	MeterEgress  = 1 // what its interface may send, in kbit
	MeterIngress = 2 // what its interface may receive, in kbit
	MeterND      = 3 // solicitations that the agent answers, in packets

	firstPortMeter = 16
)

// PortMeter gives the id of a meter of a port. Ids below 16 are the host's own.
func PortMeter(p flow.Port, kind uint32) uint32 { return firstPortMeter + uint32(p)<<2 | kind }

// The host's own meters.
const (
	MeterLog      = 1 // copies of packets for the log
	MeterReject   = 2 // packets whose senders are told that they were rejected
	MeterMembers  = 3 // reports of IGMP and MLD from other hosts
	MeterNeighbor = 4 // packets whose next hop the agent has to ask for
	MeterHost     = 5 // packets of the host itself and of its NIC, for the agent
	MeterProbe    = 6 // probes of the way to other hosts that have come back
	MeterHostND   = 7 // solicitations of devices behind the NIC that the agent answers
)

// meter says what a meter limits.
type meter struct {
	id        uint32
	name, doc string
}

var (
	portMeters = []meter{
		{MeterPunt, "punt", "what the port sends to the agent, in packets per second"},
		{MeterEgress, "egress", "what its interface sends, in kbit/s; where it has a rate"},
		{MeterIngress, "ingress", "what its interface gets, in kbit/s; where it has a rate"},
	}
	hostMeters = []meter{
		{MeterLog, "log", "copies for the log of packets that rules have decided"},
		{MeterReject, "reject", "rejected packets, whose senders the agent tells"},
		{MeterMembers, "members", "reports of IGMP and MLD from other hosts"},
		{MeterNeighbor, "neighbor", "packets whose next hop the agent has to ask for"},
		{MeterHost, "host", "packets of the host itself and of its NIC for the agent"},
		{MeterProbe, "probe", "probes of the way to other hosts that have come back"},
	}
)

// Meter gives the name of a meter: "log" of one of the host's own, "PORT/egress" of one of a port.
func (n Names) Meter(id uint32) string {
	prefix, known := "", hostMeters
	if id >= firstPortMeter {
		prefix, known = n.port(flow.Port((id-firstPortMeter)>>2))+"/", portMeters
		id = (id - firstPortMeter) & 3
	}
	for _, m := range known {
		if m.id == id {
			return prefix + m.name
		}
	}
	return fmt.Sprint(prefix, id)
}

// Zones of connection tracking: an interface has two by the number of its port, a leg that translates two by its id.
const (
	zonesOfLegs = 0x8000
	// MaxZonePort is the highest port number that has zones.
	MaxZonePort = zonesOfLegs/2 - 1
)

// PortZones gives the zones of an interface's static filter and of its security groups. The port's number is up to MaxZonePort.
func PortZones(p flow.Port) (filter, groups uint16) { return uint16(p) << 1, uint16(p)<<1 | 1 }

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
	return n.port(flow.Port(z>>1)) + "/" + portZones[z&1].name
}
