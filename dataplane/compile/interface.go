package compile

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Station is one MAC address of an interface in one network that is present here, with the addresses used with it there.
type Station struct {
	MAC     model.MAC
	Network *model.Network
	Addrs   []netip.Addr // leased, by id; then the link-local one if there is an IPv6 lease
}

// iface gives what an interface needs on this host: towards it, and, where it has its port here, from it.
func (in *Input) iface(uuid string) (state.Items, error) {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), uuid)
	if !ok || i.Mode == model.InterfaceHost {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: i.ID})
	items := state.Items{}
	if i.Mode != model.InterfaceVIF && i.Mode != model.InterfaceSimulated {
		return items, fmt.Errorf("%w: there is no feature for an interface of mode %s", ErrUnrealised, i.Mode)
	}
	stations := in.Stations(uuid)
	for _, s := range stations {
		answer(b, i, s, in.X.Location(uuid) == in.Self)
		items.Neighbors = append(items.Neighbors, neighbors(i, s)...)
		if i.Mode == model.InterfaceSimulated {
			echo(b, s)
		} else {
			in.towards(b, i, s)
		}
	}
	if p, ok := in.PortOf(uuid); ok && i.Mode == model.InterfaceVIF {
		if err := in.closed(i); err != nil {
			items, _ = result(b, items)
			return items, err
		}
		in.attach(b, &items, i, p, stations)
	}
	return result(b, items)
}

// Stations gives the interface's MAC addresses with their addresses, for each network that is present here.
func (in *Input) Stations(uuid string) []Station {
	g := in.X.Graph()
	leases := graph.Children[*model.IPLease](g, uuid, "ip_leases.interface_uuid")
	var out []Station
	for n, ml := range graph.Children[*model.MACLease](g, uuid, "mac_leases.interface_uuid") {
		first := len(out)
		for _, l := range leases {
			if l.MACLeaseUUID != ml.UUID && (l.MACLeaseUUID != "" || n > 0) {
				continue
			}
			nw, ok := in.present(l.NetworkUUID)
			if !ok || l.Addr().IsUnspecified() { // 0.0.0.0 says that it has none
				continue
			}
			k := first
			for k < len(out) && out[k].Network != nw {
				k++
			}
			if k == len(out) {
				out = append(out, Station{MAC: ml.MACAddress, Network: nw})
			}
			out[k].Addrs = append(out[k].Addrs, l.Addr())
		}
		// The link-local address belongs to the first network with IPv6: it cannot tell networks apart.
		for k := first; k < len(out); k++ {
			if out[k].has6() {
				out[k].Addrs = append(out[k].Addrs, linkLocal(ml.MACAddress))
				break
			}
		}
	}
	return out
}

// IPv4 gives the first IPv4 address, the zero Addr if there is none.
func (s *Station) IPv4() netip.Addr {
	for _, a := range s.Addrs {
		if a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

func (s *Station) has6() bool {
	for _, a := range s.Addrs {
		if a.Is6() {
			return true
		}
	}
	return false
}

// linkLocal gives the link-local address that a host derives from its MAC address (RFC 4291, appendix A).
func linkLocal(m model.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// towards leads frames for the interface's MAC address to its host, and on that host to its port.
func (in *Input) towards(b *pipeline.Builder, i *model.Interface, s Station) {
	at := in.X.Location(i.UUID)
	preds := pipeline.Preds{pipeline.Network.Is(s.Network.VNI), flow.EthDst.MAC(s.MAC)}
	if at == in.Self {
		b.Flow(pipeline.L2, prioAllow, preds, pipeline.Egress.Set(i.ID), flow.GotoTable{Table: pipeline.Output.ID})
		return
	}
	if d, ok := graph.Lookup[*model.Datapath](in.X.Graph(), at); ok {
		b.Flow(pipeline.L2, prioAllow, append(preds, pipeline.Remote.Is(0)), pipeline.Egress.Set(d.ID), flow.GotoTable{Table: pipeline.Transport.ID})
	}
}

// Limits of what one port may send to the agent's services.
const (
	puntRate  = 50 // packets per second
	puntBurst = 50 // packets
)

// attach gives what an interface with a port here needs: its way in with port security, its way out, its place in the
// flood groups, its meter, and its entry in the fast path.
func (in *Input) attach(b *pipeline.Builder, items *state.Items, i *model.Interface, p Port, stations []Station) {
	meter := uint32(p.OFPort)
	b.Flow(pipeline.Classify, prioAllow, pipeline.Preds{flow.InPort.Is(uint64(p.OFPort))}, pipeline.Ingress.Set(i.ID), flow.GotoTable{Table: pipeline.GuardMAC.ID})
	b.Flow(pipeline.Output, prioAllow, pipeline.Preds{pipeline.Egress.Is(i.ID)}, flow.Output{Port: p.OFPort})
	b.Flow(pipeline.Punt, prioAllow, pipeline.Preds{pipeline.Ingress.Is(i.ID)}, flow.ToMeter{Meter: meter}, flow.Controller{})
	items.Meters = append(items.Meters, state.Meter{ID: meter, Rate: puntRate, Burst: puntBurst})

	fast := state.FastPort{Name: p.Name, Ifindex: p.Ifindex, Interface: i.ID, Hook: state.HookAuto}
	for n, s := range stations {
		in.guard(b, i, s, n == 0 || stations[n-1].MAC != s.MAC)
		items.Buckets = append(items.Buckets, state.Bucket{
			Group:  pipeline.LocalGroup(s.Network.VNI),
			Bucket: b.Bucket(i.ID, pipeline.Egress.Set(i.ID), flow.Resubmit{Table: pipeline.Output.ID}),
		})
		for _, a := range s.Addrs {
			if !a.Is4() {
				continue
			}
			if fast.Network == 0 {
				fast.Network, fast.MAC = s.Network.VNI, s.MAC
			}
			items.Sources = append(items.Sources, state.FastSource{Interface: i.ID, Addr: a, MAC: s.MAC, Network: s.Network.VNI})
		}
	}
	for _, ml := range graph.Children[*model.MACLease](in.X.Graph(), i.UUID, "mac_leases.interface_uuid") {
		guarded, has4 := false, false
		for _, s := range stations {
			if s.MAC == ml.MACAddress {
				guarded, has4 = true, has4 || s.IPv4().IsValid()
			}
		}
		if !has4 {
			unleased(b, i, ml.MACAddress, guarded)
		}
	}
	if p.Ifindex != 0 && fast.Network != 0 {
		items.Ports = append(items.Ports, fast)
	}
}
