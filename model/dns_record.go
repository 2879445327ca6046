package model

import "net/netip"

// DNSRecord is a name that a DNS service knows.
type DNSRecord struct {
	Meta
	DNSServiceUUID string     `json:"dns_service_uuid" vn:"required,ref=dns_services,cascade" doc:"The DNS service."`
	Name           string     `json:"name" vn:"required,domain,mutable" doc:"The whole name, with or without the last dot."`
	IPv4Address    netip.Addr `json:"ipv4_address" vn:"ip=4,mutable" doc:"Answer to A. At least one of ipv4_address and ipv6_address is required."`
	IPv6Address    netip.Addr `json:"ipv6_address" vn:"ip=6,mutable" doc:"Answer to AAAA."`
	TTL            uint32     `json:"ttl" vn:"default=300,min=0,max=2147483647,mutable" doc:"Seconds for which an answer may be kept."`
}

// DNSRecords declares the resource.
var DNSRecords = declare(spec[DNSRecord]{
	name: "dns_record", plural: "dns_records", prefix: "dnsr",
	parent: "dns_service_uuid", path: "dns_records",
	doc:   "A name and its addresses. Several records of one name are answered together.",
	reach: Reach{With: []string{"dns_service_uuid"}},
	validate: func(r *DNSRecord) error {
		if !r.IPv4Address.IsValid() && !r.IPv6Address.IsValid() {
			return Errorf(MissingArgument, "ipv4_address", "is required (or ipv6_address)")
		}
		return nil
	},
})
