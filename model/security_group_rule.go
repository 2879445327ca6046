package model

import (
	"net/netip"

	"github.com/openvnet/openvnet/internal/cover"
)

// The directions of a security group's rule, seen from the member.
const (
	RuleIngress = "ingress"
	RuleEgress  = "egress"
)

// The actions of a security group's rule.
const (
	RuleAllow  = "allow"
	RuleDrop   = "drop"
	RuleReject = "reject" // and tell the sender
)

// SecurityGroupRule says what members of a group may receive or send.
type SecurityGroupRule struct {
	Meta
	SecurityGroupUUID      string     `json:"security_group_uuid" vn:"required,ref=security_groups,cascade" doc:"The group."`
	Direction              string     `json:"direction" vn:"default=ingress,enum=ingress|egress,mutable" doc:"ingress: what members receive. egress: what they send."`
	Protocol               string     `json:"protocol" vn:"default=any,enum=any|tcp|udp|sctp|icmp,mutable" doc:"icmp is ICMPv6 for IPv6."`
	PortFirst              uint16     `json:"port_first" vn:"min=0,max=65535,mutable" doc:"First destination port of tcp, udp or sctp; 0 with port_last 0 for all."`
	PortLast               uint16     `json:"port_last" vn:"min=0,max=65535,mutable" doc:"Last destination port; port_first when 0."`
	ICMPType               int        `json:"icmp_type" vn:"default=-1,min=-1,max=255,mutable" doc:"Type of icmp; -1 for all."`
	ICMPCode               int        `json:"icmp_code" vn:"default=-1,min=-1,max=255,mutable" doc:"Code of icmp; -1 for all."`
	RemoteAddresses        PrefixList `json:"remote_addresses" vn:"mutable" doc:"Addresses and prefixes of the peer, separated by commas. Without these, a group and an address group the peer may be anybody."`
	ExcludedAddresses      PrefixList `json:"excluded_addresses" vn:"mutable" doc:"Addresses and prefixes that are not meant, of remote_addresses or of all."`
	RemoteGroupUUID        string     `json:"remote_group_uuid" vn:"ref=security_groups,mutable" doc:"Security group that the peer is a member of."`
	RemoteAddressGroupUUID string     `json:"remote_address_group_uuid" vn:"ref=address_groups,mutable" doc:"Address group that the peer's address is in."`
	Action                 string     `json:"action" vn:"default=allow,enum=allow|drop|reject,mutable" doc:"allow; drop; reject, and tell the sender."`
	Priority               uint16     `json:"priority" vn:"min=0,max=1000,mutable" doc:"Higher ones decide first; of equal ones drop before reject before stateless allow before allow."`
	Stateless              bool       `json:"stateless" vn:"mutable" doc:"Of allow: whether no conversation is remembered, so that answers need a rule as well."`
	Log                    bool       `json:"log" vn:"mutable" doc:"Whether hosts log packets that the rule decides; a few per second at most."`
}

// SecurityGroupRules declares the resource.
var SecurityGroupRules = declare(spec[SecurityGroupRule]{
	name: "security_group_rule", plural: "security_group_rules", prefix: "sgr",
	parent: "security_group_uuid", path: "security_group_rules",
	doc:      "A rule of a security group: what its members may receive or send.",
	reach:    Reach{Rule: "present", With: []string{"security_group_uuid"}},
	validate: (*SecurityGroupRule).validate,
})

func (r *SecurityGroupRule) validate() error {
	ports := r.Protocol == "tcp" || r.Protocol == "udp" || r.Protocol == "sctp"
	peers := 0
	for _, given := range []bool{r.RemoteAddresses != "", r.RemoteGroupUUID != "", r.RemoteAddressGroupUUID != ""} {
		if given {
			peers++
		}
	}
	switch {
	case (r.PortFirst != 0 || r.PortLast != 0) && !ports:
		return Errorf(ArgumentError, "port_first", "%s has no ports", r.Protocol)
	case r.PortLast != 0 && r.PortLast < r.PortFirst:
		return Errorf(ArgumentError, "port_last", "%d is less than port_first, %d", r.PortLast, r.PortFirst)
	case (r.ICMPType >= 0 || r.ICMPCode >= 0) && r.Protocol != "icmp":
		return Errorf(ArgumentError, "icmp_type", "%s has no ICMP type or code", r.Protocol)
	case r.ICMPCode >= 0 && r.ICMPType < 0:
		return Errorf(ArgumentError, "icmp_code", "is of an icmp_type, which is not given")
	case peers > 1:
		return Errorf(ArgumentError, "remote_group_uuid", "one of remote_addresses, remote_group_uuid and remote_address_group_uuid is given, not several")
	case r.ExcludedAddresses != "" && peers > 0 && r.RemoteAddresses == "":
		return Errorf(ArgumentError, "excluded_addresses", "are of remote_addresses or of all, not of a group")
	case r.Stateless && r.Action != RuleAllow:
		return Errorf(ArgumentError, "stateless", "is of action %s", RuleAllow)
	case r.ExcludedAddresses != "" && len(r.RemotePrefixes()) == 0:
		return Errorf(ArgumentError, "excluded_addresses", "leave no address of the peer")
	case len(r.RemotePrefixes()) > maxRulePrefixes:
		return Errorf(ArgumentError, "excluded_addresses", "what they leave is more than %d prefixes", maxRulePrefixes)
	}
	return nil
}

// maxRulePrefixes bounds what a rule costs a host: a flow for each prefix.
const maxRulePrefixes = 4096

// RemotePrefixes gives the addresses of the peer as the fewest prefixes, without those that are excluded. It is nil if the rule names no
// addresses: the peer is anybody, or of a group.
func (r *SecurityGroupRule) RemotePrefixes() []netip.Prefix {
	from := r.RemoteAddresses.Prefixes()
	if from == nil {
		if r.ExcludedAddresses == "" {
			return nil
		}
		from = cover.All()
	}
	return cover.Subtract(from, r.ExcludedAddresses.Prefixes(), maxRulePrefixes)
}
