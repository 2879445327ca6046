package state

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// FastHook says where the fast path's program sits at a port.
type FastHook uint8

// The hooks.
const (
	HookAuto       FastHook = iota // chosen by the kind of link
	HookNone                       // no program
	HookXDPGeneric                 // XDP on the socket buffer: veth
	HookXDPNative                  // XDP in the driver: tap
	HookTC                         // tc ingress (tcx; clsact before Linux 6.6): ports of the kernel datapath
)

// String gives the name that operators read.
func (h FastHook) String() string {
	switch h {
	case HookAuto:
		return "auto"
	case HookNone:
		return "none"
	case HookXDPGeneric:
		return "xdp-generic"
	case HookXDPNative:
		return "xdp-native"
	case HookTC:
		return "tc"
	}
	return fmt.Sprintf("hook %d", uint8(h))
}

// MarshalText gives the form of String.
func (h FastHook) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// FastPort is a port at which the fast path limits what is asked, and, with Guard, answers and guards.
type FastPort struct {
	Name      string // of the link
	Ifindex   int
	Interface uint32    // id
	Network   uint32    // VNI for frames that have no address yet; 0: none
	MAC       model.MAC // of such frames
	Hook      FastHook
	Guard     bool
}

// FastLimit is how much of a class each port may send.
type FastLimit struct {
	Class string
	Rate  uint32 // packets per second
	Burst uint32 // packets
}

// Simulated says that a simulated interface at this host has a MAC address and, unless Addr is the zero Addr, an address. With the MAC address zero, and without an
// interface, it is an address that is served whatever MAC address packets for it have.
type Simulated struct {
	MAC       model.MAC
	Addr      netip.Addr
	Interface uint32
}

// FastSource says that an interface may send from an address, with that MAC address, and which network it is then in.
type FastSource struct {
	Interface uint32
	Addr      netip.Addr
	MAC       model.MAC
	Network   uint32 // VNI
}

// Neighbor says who has an address in a network.
type Neighbor struct {
	Network   uint32 // VNI
	Addr      netip.Addr
	MAC       model.MAC
	Interface uint32 // the owner's id: it is not answered itself
}
