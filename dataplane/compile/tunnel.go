package compile

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// TunnelEnds gives the addresses of a datapath's host interfaces, in the order of their leases: the first is where tunnelled
// packets are sent to.
func (in *Input) TunnelEnds(datapath string) []netip.Addr {
	g := in.X.Graph()
	var leases []*model.IPLease
	for i := range in.X.InterfacesAt(datapath) {
		if o, ok := graph.Lookup[*model.Interface](g, i); ok && o.Mode == model.InterfaceHost {
			leases = append(leases, graph.Children[*model.IPLease](g, i, "ip_leases.interface_uuid")...)
		}
	}
	slices.SortFunc(leases, func(a, b *model.IPLease) int { return int(a.ID) - int(b.ID) })
	var ends []netip.Addr
	for _, l := range leases {
		if a := l.Addr(); !slices.Contains(ends, a) {
			ends = append(ends, a)
		}
	}
	return ends
}
