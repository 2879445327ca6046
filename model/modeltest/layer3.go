package modeltest

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

func (d draw) routeLink() model.Object {
	k := d.n("link", 2)
	return &model.RouteLink{Meta: numbered("rl", k), VNI: uint32(300 + k), MACAddress: model.MAC{2, 0, 0, 1, 0, byte(k)}}
}

// route draws a route to a network's subnet, or to everything, by a gateway or not.
func (d draw) route() model.Object {
	n := d.n("network", networks)
	r := &model.Route{
		Meta: numbered("r", d.n("route", 6)), Mode: model.RouteGateway, RouteLinkUUID: d.linkUUID(), IPv4Network: subnet4(n), IPv4Prefix: 24, IPv6Network: subnet6(n), IPv6Prefix: 64,
		Ingress: d.mostly("ingress"), Egress: d.mostly("egress"),
	}
	if d.n("blackhole", 6) == 0 {
		r.Mode = model.RouteBlackhole
		return r
	}
	r.NetworkUUID, r.InterfaceUUID = fmt.Sprintf("nw-%d", n), d.mostlyLeg()
	if d.n("default", 4) == 0 {
		r.IPv4Network, r.IPv4Prefix, r.IPv6Network, r.IPv6Prefix = netip.IPv4Unspecified(), 0, netip.IPv6Unspecified(), 0
	}
	if d.n("gateway", 4) == 0 {
		r.IPv4Gateway, r.IPv6Gateway = address4(n, byte(1+d.n("next hop", 10))), address6(n, 3)
	}
	return r
}

// translation draws one of two at legs and one at the interface that may be an edge.
func (d draw) translation() model.Object {
	k := d.n("translation", 3)
	t := &model.Translation{Meta: numbered("tr", k), Mode: model.TranslationStatic, InterfaceUUID: d.mostlyLeg(), Passthrough: d.flag("passthrough")}
	switch {
	case k == 2:
		t.Mode, t.InterfaceUUID = model.TranslationEdge, "if-7"
	case d.n("masquerade", 3) == 0:
		t.Mode, t.NetworkUUID = model.TranslationMasquerade, d.sometimes(d.networkUUID)
	}
	return t
}

// translationRow draws an address, or a port of one, for another, or a VLAN for a network.
func (d draw) translationRow() model.Object {
	tr := d.n("translation", 3)
	uuid := fmt.Sprintf("tr-%d", tr)
	if tr == 2 {
		n := d.n("network", networks)
		return &model.VLANTranslation{Meta: pair("vt", uuid, fmt.Sprintf("nw-%d", n)), TranslationUUID: uuid, NetworkUUID: fmt.Sprintf("nw-%d", n), VLANID: uint16(n + 1)}
	}
	k := d.n("row", 3)
	row := &model.TranslationStaticAddress{
		Meta: numbered("trs", 3*tr+k), TranslationUUID: uuid, RouteLinkUUID: d.sometimes(d.linkUUID),
		IngressIPv4Address: address4(0, byte(100+k)), EgressIPv4Address: address4(1, byte(1+d.n("inside", 10))),
	}
	if k == 2 {
		row.IngressPortNumber, row.EgressPortNumber = 80, 8080
	}
	return row
}
