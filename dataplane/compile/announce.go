package compile

import (
	"bytes"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Announced is a MAC address to which other hosts send frames as they are, and what has it: a network, segment or route link for which it stands, or an interface.
type Announced struct {
	MAC      model.MAC
	Resource *model.Resource
	UUID     string
}

// Announced gives the MAC addresses of this host that switches have to know where they are, as other hosts send to them without encapsulation: those that stand for
// something here first, as nobody else sends from them, then those of interfaces. Not those behind ports with devices outside, which the switches may know elsewhere, nor
// those of legs that are at every host. Nor those of an interface that is announced to move: it may be there already.
func (in *Input) Announced() []Announced {
	as := map[string]struct{}{} // what other hosts send here as it is
	var stand, have []Announced
	for uuid := range in.X.NetworksOn(in.Self) {
		if w := in.wiring(uuid, in.Self); in.takesUnencapsulated(w) && in.unencapsulatedFrom(uuid) {
			as[uuid] = struct{}{}
			stand = append(stand, Announced{w.mac, model.ByUUID(uuid), uuid})
		}
	}
	if len(as) == 0 {
		return nil
	}
	for uuid := range in.X.InterfacesAt(in.Self) {
		i, ok := graph.Lookup[*model.Interface](in.X.Graph(), uuid)
		if !ok || i.Mode != model.InterfaceVIF && i.Mode != model.InterfaceSimulated || in.X.Location(uuid) != in.Self || in.X.Move(uuid).Target != "" {
			continue
		}
		if _, ok := in.PortOf(uuid); !ok && i.Mode == model.InterfaceVIF {
			continue
		}
		for _, s := range in.Stations(uuid) {
			if _, ok := as[s.Domain.UUID]; ok && !slices.ContainsFunc(have, func(a Announced) bool { return a.MAC == s.MAC && a.UUID == uuid }) {
				have = append(have, Announced{s.MAC, model.Interfaces, uuid})
			}
		}
	}
	byMAC := func(a, b Announced) int { return bytes.Compare(a.MAC[:], b.MAC[:]) }
	slices.SortFunc(stand, byMAC)
	slices.SortFunc(have, byMAC)
	return append(stand, have...)
}

// unencapsulatedFrom reports whether any other host may send frames of a network, segment or route link here as they are. It need not have an interface there: it
// may route into it.
func (in *Input) unencapsulatedFrom(uuid string) bool {
	rows := map[*model.Resource]string{
		model.Networks: "datapath_networks.network_uuid", model.Segments: "datapath_segments.segment_uuid", model.RouteLinks: "datapath_route_links.route_link_uuid",
	}[model.ByUUID(uuid)]
	for o := range in.X.Graph().Referrers(uuid, rows) {
		if d := model.Of(o).Field("datapath_uuid").Text(o); d != in.Self && in.unencapsulated(uuid, d) {
			return true
		}
	}
	return false
}
