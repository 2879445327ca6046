package verify

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// withOutside gives the networks that devices outside are in by a row of their own.
func (w *World) withOutside() []*model.Network {
	outside := map[string]bool{}
	for _, o := range w.Objects {
		switch o := o.(type) {
		case *model.InterfaceNetwork:
			outside[o.NetworkUUID] = true
		case *model.VLANTranslation:
			outside[o.NetworkUUID] = true
		}
	}
	var ns []*model.Network
	for _, o := range w.Objects {
		if n, ok := o.(*model.Network); ok && outside[n.UUID] {
			ns = append(ns, n)
		}
	}
	return ns
}

// strangersOf gives an address of each of a network's subnets that nobody is likely to have been given.
func strangersOf(n *model.Network) []netip.Addr {
	var as []netip.Addr
	for _, p := range []netip.Prefix{n.Prefix4(), n.Prefix6()} {
		if !p.IsValid() {
			continue
		}
		b := p.Addr().AsSlice()
		if b[len(b)-1] |= 6; p.Bits() < p.Addr().BitLen()-4 {
			b[len(b)-1] |= 250
		}
		a, _ := netip.AddrFromSlice(b)
		as = append(as, a)
	}
	return as
}

// neighbor is a device outside that has answered wherever its domain is present.
type neighbor struct {
	domain string
	number uint32 // of the domain
	addr   netip.Addr
	mac    model.MAC
}

// neighbors gives the strangers that have answered: those of every other virtual network.
func (w *World) neighbors() []neighbor {
	segments := map[string]*model.Segment{}
	for _, o := range w.Objects {
		if s, ok := o.(*model.Segment); ok {
			segments[s.UUID] = s
		}
	}
	var out []neighbor
	for _, n := range w.withOutside() {
		if n.Mode != model.NetworkVirtual || n.VNI%2 == 0 {
			continue
		}
		to := neighbor{domain: n.UUID, number: n.VNI, mac: model.MAC{0x02, 0xee, 0, 0, 2, byte(n.VNI)}}
		if s := segments[n.SegmentUUID]; s != nil {
			to.domain, to.number = s.UUID, s.VNI
		}
		for _, a := range strangersOf(n) {
			to.addr = a
			if to.number != 0 && !slices.ContainsFunc(out, func(o neighbor) bool { return o.domain == to.domain && o.addr == a }) {
				out = append(out, to)
			}
		}
	}
	return out
}
