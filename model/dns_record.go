package model

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// The types of a DNS record.
const (
	RecordAddress = "address" // A and AAAA, and PTR back
	RecordCNAME   = "cname"
	RecordPTR     = "ptr"
	RecordSRV     = "srv"
	RecordTXT     = "txt"
)

// DNSRecord is a name that a DNS service knows.
type DNSRecord struct {
	Meta
	DNSServiceUUID string     `json:"dns_service_uuid" vn:"required,ref=dns_services,cascade,index=name" doc:"The DNS service."`
	Name           RecordName `json:"name" vn:"required,mutable,index=name" doc:"The whole name, with or without the last dot; with *. before it all names below it that there are no others of (RFC 4592). An address stands for its name in in-addr.arpa or ip6.arpa."`
	Type           string     `json:"type" vn:"default=address,enum=address|cname|ptr|srv|txt,mutable" doc:"address: ipv4_address, ipv6_address or both, by which their names are found too. cname: the name is another one for target. ptr: the name of an address, instead of what would be answered without. srv: target, port, priority and weight of a service (RFC 2782). txt: text."`
	IPv4Address    netip.Addr `json:"ipv4_address" vn:"ip=4,mutable" doc:"Answer to A. At least one of ipv4_address and ipv6_address is required with type address."`
	IPv6Address    netip.Addr `json:"ipv6_address" vn:"ip=6,mutable" doc:"Answer to AAAA."`
	Target         string     `json:"target" vn:"domain,mutable" doc:"The whole name that cname, ptr and srv lead to."`
	Priority       uint16     `json:"priority" vn:"min=0,max=65535,mutable" doc:"Of srv: lower ones are tried first."`
	Weight         uint16     `json:"weight" vn:"min=0,max=65535,mutable" doc:"Of srv: the share among those of one priority."`
	Port           uint16     `json:"port" vn:"min=0,max=65535,mutable" doc:"Of srv: the service's port."`
	Text           RecordText `json:"text" vn:"mutable" doc:"Of txt: the text, which is sent in strings of 255 bytes."`
	TTL            uint32     `json:"ttl" vn:"default=300,min=0,max=2147483647,mutable" doc:"Seconds for which an answer may be kept."`
}

// DNSRecords declares the resource.
var DNSRecords = declare(spec[DNSRecord]{
	name: "dns_record", plural: "dns_records", prefix: "dnsr",
	parent: "dns_service_uuid", path: "dns_records",
	doc:      "A name and what is answered to it. Several records of one name are answered together.",
	reach:    Reach{With: []string{"dns_service_uuid"}},
	validate: (*DNSRecord).validate,
	check:    (*DNSRecord).checkAlone,
})

// recordFields says which fields the records of a type have, beyond those that all have.
var recordFields = map[string][]string{
	RecordAddress: {"ipv4_address", "ipv6_address"},
	RecordCNAME:   {"target"},
	RecordPTR:     {"target"},
	RecordSRV:     {"target", "priority", "weight", "port"},
	RecordTXT:     {"text"},
}

func (r *DNSRecord) validate() error {
	fields := recordFields[r.Type]
	for _, name := range []string{"ipv4_address", "ipv6_address", "target", "priority", "weight", "port", "text"} {
		if f := Of(r).Field(name); f.IsSet(r) && !slices.Contains(fields, name) {
			return Errorf(ArgumentError, name, "cannot be given with type %s, which takes %s", r.Type, strings.Join(fields, ", "))
		}
	}
	switch r.Type {
	case RecordAddress:
		if !r.IPv4Address.IsValid() && !r.IPv6Address.IsValid() {
			return Errorf(MissingArgument, "ipv4_address", "is required (or ipv6_address)")
		}
	case RecordTXT:
		if r.Text == "" {
			return Errorf(MissingArgument, "text", "is required with type txt")
		}
	default:
		if r.Target == "" {
			return Errorf(MissingArgument, "target", "is required with type %s", r.Type)
		}
		if r.Type == RecordSRV && r.Port == 0 {
			return Errorf(MissingArgument, "port", "is required with type srv")
		}
		if r.Type == RecordCNAME && r.Target == string(r.Name) {
			return Errorf(ArgumentError, "target", "is the name itself")
		}
	}
	switch reverse := r.Name.reverse(); {
	case r.Type == RecordPTR && !reverse:
		return Errorf(ArgumentError, "name", "%s is not the name of an address: type ptr needs an address, or a name in in-addr.arpa or ip6.arpa", r.Name)
	case r.Type == RecordPTR && strings.HasPrefix(string(r.Name), "*."):
		return Errorf(ArgumentError, "name", "%s: type ptr is of one address", r.Name)
	case r.Type == RecordAddress && reverse:
		return Errorf(ArgumentError, "name", "%s is the name of an address; what an address is called says type ptr", r.Name)
	}
	return nil
}

// checkAlone refuses a name that has a CNAME and anything else (RFC 1034, section 3.6.2).
func (r *DNSRecord) checkAlone(rd Reader) error {
	for o := range rd.Alike(r, "name") {
		other := o.(*DNSRecord)
		switch {
		case other.UUID == r.UUID:
		case r.Type == RecordCNAME:
			return Errorf(ArgumentError, "type", "cname must be the only record of %s, which has %s of type %s", r.Name, other.UUID, other.Type)
		case other.Type == RecordCNAME:
			return Errorf(ArgumentError, "name", "%s has %s of type cname, which must be its only record", r.Name, other.UUID)
		}
	}
	return nil
}

// RecordName is the name of a DNS record in its canonical form, that of a domain name; perhaps with *. before it.
type RecordName string

func (n *RecordName) parse(text string) error {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" && !a.Is4In6() {
		*n = RecordName(ReverseName(a))
		return nil
	}
	rest, wild := strings.CutPrefix(text, "*.")
	name, err := canonicalName(rest)
	switch {
	case err != nil:
		return err
	case wild && name == "":
		return fmt.Errorf("%q is no name: after *. follows a domain name", clip(text))
	case wild && len(name) > 251:
		return fmt.Errorf("is longer than 253 characters, the limit of a domain name")
	case wild:
		name = "*." + name
	}
	*n = RecordName(name)
	return nil
}

// reverse reports whether the name is one of those that addresses have.
func (n RecordName) reverse() bool {
	return strings.HasSuffix(string(n), ".in-addr.arpa") || strings.HasSuffix(string(n), ".ip6.arpa")
}

// ReverseName gives the name of an address, by which its PTR records are found (RFC 1035, section 3.5; RFC 3596, section 2.5).
func ReverseName(a netip.Addr) string {
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	const digits = "0123456789abcdef"
	b := a.As16()
	name := make([]byte, 0, 72)
	for i := 15; i >= 0; i-- {
		name = append(name, digits[b[i]&15], '.', digits[b[i]>>4], '.')
	}
	return string(append(name, "ip6.arpa"...))
}

// RecordText is the text of a TXT record.
type RecordText string

func (t *RecordText) parse(text string) error { *t = RecordText(text); return nil }

func (*RecordText) limits() (maxBytes int, lines bool) { return 4000, false }
