package guide

import (
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Options gives the options that a DHCP service has been given for an interface's address in a network, by code: of several for one code the one for the
// interface, else the one for the network. One without bytes takes away what would be said otherwise.
func Options(g *graph.Graph, service, network, iface string, f Family) map[uint16][]byte {
	best := map[uint16]*model.DHCPOption{}
	for _, o := range graph.Children[*model.DHCPOption](g, service, "dhcp_options.network_service_uuid") {
		if o.Family != int(f) || o.NetworkUUID != "" && o.NetworkUUID != network || o.InterfaceUUID != "" && o.InterfaceUUID != iface {
			continue
		}
		if before := best[o.Code]; before == nil || narrowness(before) < narrowness(o) {
			best[o.Code] = o
		}
	}
	if len(best) == 0 {
		return nil
	}
	out := make(map[uint16][]byte, len(best))
	for code, o := range best {
		if data, err := o.Data(); err == nil { // as validation has seen to
			out[code] = data
		}
	}
	return out
}

// narrowness orders options of one code: for one client, then for a network.
func narrowness(o *model.DHCPOption) int {
	n := 0
	if o.InterfaceUUID != "" {
		n += 2
	}
	if o.NetworkUUID != "" {
		n++
	}
	return n
}
