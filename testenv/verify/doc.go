// Package verify holds what the data plane does against what it must do. It draws random networks and packets aimed at their edges, and gives each packet to
// three executors: the oracle (model/oracle), the compiled flows in in-memory switches (ofctl/oftest), and the same flows in Open vSwitch (testenv/rig). All must
// agree on what comes out where, byte for byte, and on why the rest does not. What differs is shrunk to a small network and a few packets, and printed.
//
// It also walks from state to state: what incremental compilation gives must be what a full one gives, and the switches must hold exactly that, with a tenth of the
// writes failing on the way. Imported by cmd/vnlab and by tests.
//
// # What is not drawn
//
// What no device sends, or what comes of it is nobody's concern: packets from an address to itself, and ICMP
// errors to the address outside that a translation has for it; ARP that claims a host's address; frames of a tunnel to a host; on a wire
// without encapsulation, frames from a MAC address that is a station's; an answer to a SYN by an end that has sent one itself. What datapaths differ in: SCTP of two
// ports, which Open vSwitch 3.1 in userspace tracks without them. Fragments in worlds where something remembers conversations: one waits there for the others (testenv/rig
// and ofctl/oftest have tests of them). A port at the host that an interface is about to move to.
//
// A world ends with a packet that is looked up more often than Open vSwitch does it: in memory, or, where there are routes of equal cost of which Open vSwitch may have taken
// others, when a packet is lost that no flow has dropped, or that has gone round. That is no case.
package verify
