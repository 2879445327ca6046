package compile

import (
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// Domain is one broadcast domain: a network that lies on no segment, or a segment with the networks that lie on it.
type Domain struct {
	UUID    string // of the network or segment
	ID      uint32 // of the object
	Number  uint32 // that register Network holds
	VNI     uint32 // 0 where hosts do not carry it
	Mode    string // model.NetworkVirtual, NetworkPhysical or NetworkInternal
	Segment bool   // addresses are free
	Present bool   // an interface of it is on this host. Otherwise it is only routed to from here.

	UnknownUnicast, Multicast string
}

// domain gives the domain of that network or segment (a network that lies on a segment is in the segment's domain). The bool is false if this
// host has nothing to do with it.
func (in *Input) domain(uuid string) (Domain, bool) {
	g := in.X.Graph()
	if n, ok := graph.Lookup[*model.Network](g, uuid); ok && n.SegmentUUID != "" {
		uuid = n.SegmentUUID
	}
	d := Domain{UUID: uuid}
	switch o, _ := g.Get(uuid); o := o.(type) {
	case *model.Network:
		d.ID, d.Number, d.VNI, d.Mode, d.UnknownUnicast, d.Multicast = o.ID, o.VNI, o.VNI, o.Mode, o.UnknownUnicast, o.Multicast
	case *model.Segment:
		d.ID, d.Number, d.VNI, d.Mode, d.UnknownUnicast, d.Multicast = o.ID, o.VNI, o.VNI, o.Mode, o.UnknownUnicast, o.Multicast
		d.Segment = true
	default:
		return d, false
	}
	if d.VNI == 0 {
		if d.ID > pipeline.MaxLocalID {
			return d, false
		}
		d.Number = pipeline.LocalDomain(d.ID, d.Segment)
	}
	p := span.Pair{Network: uuid, Datapath: in.Self}
	d.Present = in.X.Present(p)
	return d, d.Present || in.X.Needs(p)
}

// domainByNumber gives the domain of that number in register Network.
func (in *Input) domainByNumber(number uint32) (Domain, bool) {
	g := in.X.Graph()
	uuid, _ := g.ByUnique(model.Networks, "vni", fmt.Sprint(number)) // of segments as well
	for _, r := range []*model.Resource{model.Networks, model.Segments} {
		if id := number & pipeline.MaxLocalID; number == pipeline.LocalDomain(id, r == model.Segments) {
			if o, ok := g.ByID(r, id); ok {
				uuid = o.Base().UUID
			}
		}
	}
	d, ok := in.domain(uuid)
	return d, ok && d.Number == number
}

// carried reports whether hosts carry the domain between them.
func (d Domain) carried() bool { return d.VNI != 0 }

// owner gives the owner of the domain's own flows.
func (d Domain) owner() pipeline.Owner {
	if d.Segment {
		return pipeline.Owner{Kind: pipeline.KindSegment, ID: d.ID}
	}
	return pipeline.Owner{Kind: pipeline.KindNetwork, ID: d.ID}
}

// physical reports whether the domain is one of the underlay: its hosts are joined by the wire.
func (d Domain) physical() bool { return d.Mode == model.NetworkPhysical }

// internal reports whether each host has a domain of its own.
func (d Domain) internal() bool { return d.Mode == model.NetworkInternal }

// attachment is an interface with devices behind it that nobody registered, in one domain.
type attachment struct {
	*model.Interface
	at   string // its host
	vlan uint16 // that the domain's frames have on the port; 0: none
}

// attachments gives the outside attachments of a domain that are located somewhere, but for the NICs of a physical one.
func (in *Input) attachments(d Domain) []attachment {
	var out []attachment
	add := func(iface string, vlan uint16, modes ...string) {
		i, ok := graph.Lookup[*model.Interface](in.X.Graph(), iface)
		if at := in.X.Location(iface); ok && in.X.Present(span.Pair{Network: d.UUID, Datapath: at}) && slices.Contains(modes, i.Mode) && !slices.ContainsFunc(out, func(a attachment) bool { return a.UUID == iface }) {
			out = append(out, attachment{i, at, vlan})
		}
	}
	g := in.X.Graph()
	networks := []string{d.UUID}
	if d.Segment {
		for _, r := range graph.Children[*model.InterfaceSegment](g, d.UUID, "interface_segments.segment_uuid") {
			if r.Static {
				add(r.InterfaceUUID, 0, model.InterfacePromiscuous, model.InterfacePatch)
			}
		}
		networks = nil
		for _, n := range graph.Children[*model.Network](g, d.UUID, "networks.segment_uuid") {
			networks = append(networks, n.UUID)
		}
	}
	for _, n := range networks {
		for _, r := range graph.Children[*model.InterfaceNetwork](g, n, "interface_networks.network_uuid") {
			if r.Static {
				add(r.InterfaceUUID, 0, model.InterfacePromiscuous, model.InterfacePatch)
			}
		}
		for _, v := range graph.Children[*model.VLANTranslation](g, n, "vlan_translations.network_uuid") {
			if t, ok := graph.Lookup[*model.Translation](g, v.TranslationUUID); ok && t.Mode == model.TranslationEdge {
				add(t.InterfaceUUID, v.VLANID, model.InterfaceEdge)
			}
		}
	}
	return out
}

// attachedTo gives the domains that an interface of mode promiscuous, patch or edge is an outside attachment of where it is, with the VLAN of each on its port. Of a
// promiscuous or patch interface the first one is that of the frames that come in.
func (in *Input) attachedTo(i *model.Interface) []joined {
	g := in.X.Graph()
	at := in.X.Location(i.UUID)
	var out []joined
	add := func(uuid string, vlan uint16) {
		if d, ok := in.domain(uuid); ok && in.X.Present(span.Pair{Network: d.UUID, Datapath: at}) && !slices.Contains(out, joined{d, vlan}) {
			out = append(out, joined{d, vlan})
		}
	}
	switch i.Mode {
	case model.InterfacePromiscuous, model.InterfacePatch:
		for _, r := range graph.Children[*model.InterfaceSegment](g, i.UUID, "interface_segments.interface_uuid") {
			if r.Static {
				add(r.SegmentUUID, 0)
			}
		}
		for _, r := range graph.Children[*model.InterfaceNetwork](g, i.UUID, "interface_networks.interface_uuid") {
			if r.Static {
				add(r.NetworkUUID, 0)
			}
		}
	case model.InterfaceEdge:
		for _, t := range graph.Children[*model.Translation](g, i.UUID, "translations.interface_uuid") {
			if t.Mode != model.TranslationEdge {
				continue
			}
			for _, v := range graph.Children[*model.VLANTranslation](g, t.UUID, "vlan_translations.translation_uuid") {
				add(v.NetworkUUID, v.VLANID)
			}
		}
	}
	return out
}

// joined is a domain with the VLAN that its frames have on a port.
type joined struct {
	Domain
	vlan uint16 // 0: none
}

// outside reports whether an interface of that mode has devices behind it that nobody registered.
func outside(mode string) bool {
	return mode == model.InterfacePromiscuous || mode == model.InterfacePatch || mode == model.InterfaceEdge
}
