package model

import "net/netip"

// FilterStatic is one rule of a filter, written in the direction to the interface: src is the peer, dst the interface. What the
// interface sends is matched the other way round.
type FilterStatic struct {
	Meta
	FilterUUID string       `json:"filter_uuid" vn:"required,ref=filters,cascade,unique=rule" doc:"The filter."`
	Protocol   string       `json:"protocol" vn:"required,enum=tcp|udp|icmp|arp|ip,mutable,unique=rule" doc:"icmp is ICMPv6 with IPv6 addresses; ip is everything else than ARP; both families where no address says which."`
	SrcAddress netip.Prefix `json:"src_address" vn:"mutable,uniquezero=rule" doc:"Addresses of the peer, IPv4 or IPv6; any when absent."`
	DstAddress netip.Prefix `json:"dst_address" vn:"mutable,uniquezero=rule" doc:"Addresses of the interface, of the same family; any when absent."`
	SrcPort    uint16       `json:"src_port" vn:"min=0,max=65535,mutable,uniquezero=rule" doc:"TCP or UDP port of the peer; 0 for any."`
	DstPort    uint16       `json:"dst_port" vn:"min=0,max=65535,mutable,uniquezero=rule" doc:"TCP or UDP port of the interface; 0 for any."`
	Action     string       `json:"action" vn:"required,enum=pass|drop|conn,mutable" doc:"pass or drop, in both directions; conn: the interface may begin a conversation, and gets the answers."`
}

// FilterStatics declares the resource.
var FilterStatics = declare(spec[FilterStatic]{
	name: "filter_static", plural: "filter_statics", prefix: "fils",
	parent: "filter_uuid", path: "static",
	doc:   "A rule of a filter. The longest prefixes and the rules with ports decide first.",
	reach: Reach{With: []string{"filter_uuid"}},
	validate: func(s *FilterStatic) error {
		for i, p := range []netip.Prefix{s.SrcAddress, s.DstAddress} {
			field := [...]string{"src_address", "dst_address"}[i]
			switch {
			case p.IsValid() && p.Addr().IsUnspecified() && p.Bits() != 0:
				return Errorf(ArgumentError, field, "%s: the prefix length of %s must be 0, which means every address", p, p.Addr())
			case p.IsValid() && p.Addr().Is6() && s.Protocol == "arp":
				return Errorf(ArgumentError, field, "%s is of IPv6, which has no ARP", p)
			}
		}
		switch {
		case s.SrcAddress.IsValid() && s.DstAddress.IsValid() && s.SrcAddress.Addr().Is4() != s.DstAddress.Addr().Is4():
			return Errorf(ArgumentError, "dst_address", "%s and %s are of different families", s.SrcAddress, s.DstAddress)
		case (s.SrcPort != 0 || s.DstPort != 0) && s.Protocol != "tcp" && s.Protocol != "udp":
			return Errorf(ArgumentError, "dst_port", "%s has no ports", s.Protocol)
		}
		return nil
	},
})
