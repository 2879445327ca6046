package modeltest

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

func (d draw) group() model.Object {
	g := &model.SecurityGroup{Meta: numbered("sg", d.n("group", 3)), TrustMembers: d.flag("trust"), EgressFilteringEnabled: d.flag("egress")}
	switch d.n("text rules", 3) {
	case 0:
		g.Rules = model.SecurityRules("tcp:22:" + d.groupUUID())
	case 1:
		g.Rules = "udp:53:10.0.0.0/24,icmp:-1:0.0.0.0/0"
	}
	return g
}

func (d draw) member() model.Object {
	g, i := d.groupUUID(), d.ifaceUUID()
	if d.mostly("guest") {
		i = d.guestUUID()
	}
	return &model.SecurityGroupInterface{Meta: pair("sgi", g, i), SecurityGroupUUID: g, InterfaceUUID: i}
}

// rule draws a security group rule with one of the kinds of peers.
func (d draw) rule() model.Object {
	r := &model.SecurityGroupRule{
		Meta: numbered("sgr", d.n("rule", 5)), SecurityGroupUUID: d.groupUUID(), Direction: d.of("direction", model.RuleIngress, model.RuleEgress),
		Protocol: d.of("protocol", "any", "tcp", "udp", "sctp", "icmp"), ICMPType: -1, ICMPCode: -1,
		Action: d.of("action", model.RuleAllow, model.RuleAllow, model.RuleDrop, model.RuleReject), Priority: uint16(d.n("priority", 3)), Log: d.n("log", 4) == 0,
	}
	switch r.Protocol {
	case "icmp":
		if d.flag("echo") {
			r.ICMPType = 8
		}
	case "tcp", "udp", "sctp":
		r.PortFirst = uint16(20 * d.n("port", 3))
		if r.PortFirst != 0 && d.flag("range") {
			r.PortLast = r.PortFirst + 5
		}
	}
	switch d.n("peer", 5) {
	case 0:
		r.RemoteAddresses = "10.0.0.0/24,fd00::/64"
		if d.flag("except") {
			r.ExcludedAddresses = "10.0.0.4/30"
		}
	case 1:
		r.RemoteGroupUUID = d.groupUUID()
	case 2:
		r.RemoteAddressGroupUUID = fmt.Sprintf("ag-%d", d.n("address group", 2))
	case 3:
		r.ExcludedAddresses = "10.0.1.0/24"
	}
	r.Stateless = r.Action == model.RuleAllow && d.n("stateless", 3) == 0
	return r
}

func (d draw) addressGroup() model.Object {
	return &model.AddressGroup{
		Meta:      numbered("ag", d.n("address group", 2)),
		Addresses: model.PrefixList(d.of("addresses", "", "10.0.0.1/32", "10.0.0.0/28,10.0.1.0/24,fd00::/64")),
	}
}

// filter draws one of the filters, which each belong to an interface of their own.
func (d draw) filter() model.Object {
	k := d.n("filter", 5)
	return &model.Filter{
		Meta: numbered("fil", k), InterfaceUUID: fmt.Sprintf("if-%d", k), Mode: "static", IngressPassthrough: d.flag("ingress"), EgressPassthrough: d.flag("egress"),
	}
}

// filterRule draws a rule of a filter. No two of a filter are for the same packets, as the number says which.
func (d draw) filterRule() model.Object {
	k, f := d.n("rule", 5), d.n("filter", 5)
	s := &model.FilterStatic{
		Meta: numbered("fils", 5*f+k), FilterUUID: fmt.Sprintf("fil-%d", f), Protocol: [...]string{"tcp", "udp", "icmp", "ip", "arp"}[k], Action: d.of("action", "pass", "drop", "conn"),
	}
	if d.flag("peer") {
		s.SrcAddress = netip.MustParsePrefix("10.0.0.0/24")
	}
	if k < 2 {
		s.DstPort = uint16(22 * d.n("port", 2))
	}
	return s
}
