package pipeline

import "fmt"

// PuntClass says what a packet that goes to the agent is for; it stands in register Class.
type PuntClass uint8

// The classes. They are the numbers of meters, too: below MeterEgress.
const (
	PuntDHCP4    PuntClass = 1
	PuntNeighbor PuntClass = 2 // a packet whose next hop's MAC address is not known, or an answer that says one
	PuntLearn    PuntClass = 3 // a frame from outside with a source MAC address that is not known
	PuntMembers  PuntClass = 4 // a report of IGMP or MLD
	PuntReject   PuntClass = 5 // a packet that a rule rejects
	PuntLog      PuntClass = 6 // a copy of a packet that a rule has decided
	PuntProbe    PuntClass = 7 // a probe of the underlay's MTU that has come back
	PuntActivate PuntClass = 8 // what an interface sends that is about to move here
	PuntND       PuntClass = 9 // a neighbour solicitation that the datapath cannot make an advertisement
	PuntDHCP6    PuntClass = 10
	PuntRA       PuntClass = 11 // a router solicitation
	PuntDNS      PuntClass = 12
	PuntMetadata PuntClass = 13
	PuntError    PuntClass = 14 // a packet that a router or simulated interface does not pass on, whose sender is to be told
	PuntClaim    PuntClass = 15 // a guest asks whether an IPv6 address is free, to take it
)

// Limit is how much of a class goes to the agent.
type Limit struct {
	Rate  uint32 // packets per second
	Burst uint32 // packets
}

// PuntClasses declares each class once.
var PuntClasses = []struct {
	Class     PuntClass
	Name, Doc string
	Port      Limit  // of what comes from one port; none if ports send nothing of it
	Host      Limit  // of what comes from the host itself, its NIC, other hosts and routers together; none if they send nothing of it
	Captured  uint16 // bytes of a packet that the agent needs; 0 for all
}{
	{Class: PuntDHCP4, Name: "dhcp4", Doc: "answers DHCP", Port: Limit{50, 50}, Host: Limit{50, 50}},
	{Class: PuntNeighbor, Name: "neighbor", Doc: "asks for the MAC address of a next hop, or hears an answer that says one", Port: Limit{200, 200}, Host: Limit{200, 200}},
	{Class: PuntLearn, Name: "learn", Doc: "learns the MAC address of a device outside", Port: Limit{50, 50}},
	{Class: PuntMembers, Name: "members", Doc: "notes who has joined a multicast group (IGMP, MLD)", Port: Limit{50, 50}, Host: Limit{100, 100}},
	{Class: PuntReject, Name: "reject", Doc: "tells the sender that a rule rejects the packet", Port: Limit{50, 50}, Host: Limit{100, 100}},
	{Class: PuntLog, Name: "log", Doc: "logs that a rule has decided the packet, of which this is a copy", Host: Limit{10, 10}},
	{Class: PuntProbe, Name: "probe", Doc: "hears a probe of the underlay's MTU that has come back", Host: Limit{500, 500}, Captured: 64},
	{Class: PuntActivate, Name: "activate", Doc: "tells the manager that a guest which was to move here has come", Port: Limit{50, 50}},
	{Class: PuntND, Name: "nd", Doc: "answers a neighbour solicitation, where the datapath cannot", Port: Limit{200, 200}, Host: Limit{200, 200}},
	{Class: PuntDHCP6, Name: "dhcp6", Doc: "answers DHCPv6", Port: Limit{50, 50}, Host: Limit{50, 50}},
	{Class: PuntRA, Name: "ra", Doc: "answers a router solicitation", Port: Limit{20, 20}, Host: Limit{20, 20}},
	{Class: PuntDNS, Name: "dns", Doc: "answers DNS", Port: Limit{1000, 1000}, Host: Limit{1000, 1000}},
	{Class: PuntMetadata, Name: "metadata", Doc: "serves a guest's metadata", Port: Limit{1000, 1000}, Host: Limit{1000, 1000}},
	{Class: PuntError, Name: "error", Doc: "tells the sender why a router does not pass the packet on, or that nothing listens there; what is too big and may be cut is cut", Port: Limit{50, 50}, Host: Limit{200, 200}},
	{Class: PuntClaim, Name: "claim", Doc: "tells the manager that a guest wants an address of its own choice", Port: Limit{20, 20}},
}

// String gives the class's name.
func (c PuntClass) String() string {
	for _, d := range PuntClasses {
		if d.Class == c {
			return d.Name
		}
	}
	return fmt.Sprintf("class_%d", uint8(c))
}

// Meter gives the id of the meter of what comes from a port, or with HostSlot from elsewhere.
func (c PuntClass) Meter(s Slot) uint32 { return PortMeter(s, uint32(c)) }
