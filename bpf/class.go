package bpf

import "fmt"

// Class is a kind of frames of which a port may send so many; the index of Buckets, and the key of LimitsMap. Numbers are never reused.
type Class = xdpOvClass

// The classes.
const (
	ClassARP      Class = xdpOvClassOV_CLASS_ARP      // ARP that the program does not answer
	ClassND       Class = xdpOvClassOV_CLASS_ND       // neighbour discovery that it does not answer, but for router solicitations
	ClassDHCP4    Class = xdpOvClassOV_CLASS_DHCP4    // DHCP questions
	ClassDHCP6    Class = xdpOvClassOV_CLASS_DHCP6    // DHCPv6 questions
	ClassRA       Class = xdpOvClassOV_CLASS_RA       // router solicitations
	ClassDNS      Class = xdpOvClassOV_CLASS_DNS      // to port 53 of a simulated interface's address
	ClassMetadata Class = xdpOvClassOV_CLASS_METADATA // to TCP port 80 of one
	ClassError    Class = xdpOvClassOV_CLASS_ERROR    // to a simulated interface, with the last hop used up
	ClassEcho     Class = xdpOvClassOV_CLASS_ECHO     // echo requests to a simulated interface's address
)

// classes in the order of their numbers; a test compares it with the enum in the objects.
var classes = [...]string{
	ClassARP: "arp", ClassND: "nd", ClassDHCP4: "dhcp4", ClassDHCP6: "dhcp6", ClassRA: "ra", ClassDNS: "dns", ClassMetadata: "metadata",
	ClassError: "error", ClassEcho: "echo",
}

// Classes lists every class in the order of their numbers.
func Classes() []Class {
	all := make([]Class, len(classes))
	for i := range all {
		all[i] = Class(i)
	}
	return all
}

// ParseClass gives the class of that name; false if there is none.
func ParseClass(name string) (Class, bool) {
	for i, n := range classes {
		if n == name {
			return Class(i), true
		}
	}
	return 0, false
}

// String gives the name, such as "dhcp4"; of an unknown number "class 15".
func (c Class) String() string {
	if int(c) >= len(classes) {
		return fmt.Sprintf("class %d", uint32(c))
	}
	return classes[c]
}

// Dropped gives the reason by which frames are counted that were more than the limit of the class.
func (c Class) Dropped() Reason { return dropLimit + Reason(c) }
