package metadata

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/guide"
)

// Instance is what one guest is told.
type Instance struct {
	Interface     string // its uuid
	ID            string // that the guest knows itself by
	Hostname      string // of one label, or with its domain
	Keys          []string
	UserData      []byte // nil for none
	VendorData    []byte
	NetworkConfig []byte // instead of the one that follows from Devices
	Devices       []Device
}

// Device is a MAC address of the guest.
type Device struct {
	MAC      model.MAC
	Networks []Network
	Chosen   []netip.Addr // link-local addresses that the guest has chosen
}

// Network is a network that a device has addresses in.
type Network struct {
	Addrs []netip.Prefix // with the lengths of the subnets
	MTU   int
	Guide map[guide.Family]guide.Guide
}

// Of gives what a guest is told: the leases of its interface by id, and what its networks' guide says. mtu gives the MTU of a network.
func Of(g *graph.Graph, iface *model.Interface, mtu func(network string) int) (*Instance, error) {
	out := &Instance{Interface: iface.UUID, ID: iface.UUID, Hostname: iface.GuestName()}
	leases := graph.Children[*model.IPLease](g, iface.UUID, "ip_leases.interface_uuid")
	networks := map[string]*model.Network{}
	domain := ""
	for n, ml := range graph.Children[*model.MACLease](g, iface.UUID, "mac_leases.interface_uuid") {
		d := Device{MAC: ml.MACAddress}
		at := map[string]int{}
		for _, l := range leases {
			if l.MACLeaseUUID != ml.UUID && (l.MACLeaseUUID != "" || n > 0) || !l.Addr().IsValid() || l.Addr().IsUnspecified() {
				continue
			}
			nw, ok := graph.Lookup[*model.Network](g, l.NetworkUUID)
			if !ok {
				continue
			}
			if l.LinkLocal() {
				d.Chosen = append(d.Chosen, l.Addr())
				continue
			}
			if networks[nw.UUID] == nil && domain == "" {
				domain = nw.DomainName
			}
			networks[nw.UUID] = nw
			k, known := at[nw.UUID]
			if !known {
				k = len(d.Networks)
				at[nw.UUID] = k
				d.Networks = append(d.Networks, Network{MTU: mtu(nw.UUID), Guide: map[guide.Family]guide.Guide{guide.IPv4: guide.Of(g, nw, guide.IPv4), guide.IPv6: guide.Of(g, nw, guide.IPv6)}})
			}
			bits := nw.Prefix4().Bits()
			if l.Addr().Is6() {
				bits = nw.Prefix6().Bits()
			}
			if bits < 0 {
				bits = l.Addr().BitLen()
			}
			d.Networks[k].Addrs = append(d.Networks[k].Addrs, netip.PrefixFrom(l.Addr(), bits))
		}
		out.Devices = append(out.Devices, d)
	}
	if domain != "" {
		out.Hostname += "." + domain
	}
	for _, m := range graph.Children[*model.InterfaceMetadata](g, iface.UUID, "interface_metadata.interface_uuid") {
		if m.InstanceID != "" {
			out.ID = m.InstanceID
		}
		out.Keys = m.PublicKeys.All()
		out.NetworkConfig = []byte(m.NetworkConfig)
		var err error
		if out.UserData, err = m.Decode(m.UserData); err != nil {
			return nil, fmt.Errorf("user_data of %s %w", m.UUID, err)
		}
		if out.VendorData, err = m.Decode(m.VendorData); err != nil {
			return nil, fmt.Errorf("vendor_data of %s %w", m.UUID, err)
		}
	}
	return out, nil
}

// Has reports whether an address is the guest's: a leased one, or a link-local one of one of its MAC addresses.
func (i *Instance) Has(a netip.Addr) bool {
	return slices.ContainsFunc(i.Devices, func(d Device) bool {
		return d.MAC.LinkLocal() == a || slices.Contains(d.Chosen, a) || slices.ContainsFunc(d.Networks, func(n Network) bool {
			return slices.ContainsFunc(n.Addrs, func(p netip.Prefix) bool { return p.Addr() == a })
		})
	})
}

// addrs gives the device's addresses of a family.
func (d *Device) addrs(is func(netip.Addr) bool) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range d.Networks {
		for _, p := range n.Addrs {
			if is(p.Addr()) {
				out = append(out, p)
			}
		}
	}
	return out
}

// first gives the guest's first address of a family.
func (i *Instance) first(is func(netip.Addr) bool) netip.Prefix {
	for k := range i.Devices {
		if ps := i.Devices[k].addrs(is); len(ps) > 0 {
			return ps[0]
		}
	}
	return netip.Prefix{}
}
