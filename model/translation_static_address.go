package model

import "net/netip"

// TranslationStaticAddress is one row of a translation: what comes for the ingress address goes on to the egress address, and back.
type TranslationStaticAddress struct {
	Meta
	TranslationUUID    string     `json:"translation_uuid" vn:"required,ref=translations,cascade,unique=row" doc:"The translation, of mode static_address."`
	RouteLinkUUID      string     `json:"route_link_uuid" vn:"ref=route_links,cascade,mutable" doc:"Route link that translated packets enter, and from which alone packets are translated back. Any when absent."`
	IngressIPv4Address netip.Addr `json:"ingress_ipv4_address" vn:"ip=4,uniquezero=row,mutable" doc:"The address that is known outside."`
	EgressIPv4Address  netip.Addr `json:"egress_ipv4_address" vn:"ip=4,uniquezero=row,mutable" doc:"The address inside that it stands for."`
	IngressIPv6Address netip.Addr `json:"ingress_ipv6_address" vn:"ip=6,uniquezero=row,mutable" doc:"The IPv6 address that is known outside. Addresses are given in one family."`
	EgressIPv6Address  netip.Addr `json:"egress_ipv6_address" vn:"ip=6,uniquezero=row,mutable" doc:"The IPv6 address inside that it stands for."`
	IngressPortNumber  uint16     `json:"ingress_port_number" vn:"min=0,max=65535,uniquezero=row,mutable" doc:"TCP and UDP port outside; 0, with egress_port_number, for all of the address."`
	EgressPortNumber   uint16     `json:"egress_port_number" vn:"min=0,max=65535,uniquezero=row,mutable" doc:"TCP and UDP port inside; given if, and only if, ingress_port_number is."`
}

// TranslationStaticAddresses declares the resource.
var TranslationStaticAddresses = declare(spec[TranslationStaticAddress]{
	name: "translation_static_address", plural: "translation_static_addresses", prefix: "trs",
	parent: "translation_uuid", path: "static_address",
	doc:      "An address, or a port of it, that stands for another at a translation's interface.",
	reach:    Reach{With: []string{"translation_uuid"}},
	validate: (*TranslationStaticAddress).validate,
	check: func(a *TranslationStaticAddress, rd Reader) error {
		return checkMode(rd, "translation_uuid", a.TranslationUUID, TranslationStatic)
	},
})

func (a *TranslationStaticAddress) validate() error {
	if err := onePair("ingress_ipv4_address", "egress_ipv4_address", a.IngressIPv4Address, a.EgressIPv4Address, a.IngressIPv6Address, a.EgressIPv6Address); err != nil {
		return err
	}
	if (a.IngressPortNumber == 0) != (a.EgressPortNumber == 0) {
		return Errorf(ArgumentError, "egress_port_number", "ingress_port_number and egress_port_number are given both, or neither")
	}
	return nil
}
