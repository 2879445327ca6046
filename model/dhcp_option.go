package model

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The formats of a DHCP option's value.
const (
	DHCPOptionIP     = "ip"
	DHCPOptionUint8  = "uint8"
	DHCPOptionUint16 = "uint16"
	DHCPOptionUint32 = "uint32"
	DHCPOptionText   = "text"
	DHCPOptionDomain = "domain"
	DHCPOptionHex    = "hex"
)

// Options of DHCP that others than the protocol itself have to know of (RFC 2132 unless said).
const (
	DHCPRouters    = 3
	DHCPDNS        = 6
	DHCPHostname   = 12
	DHCPDomain     = 15
	DHCPTFTPServer = 66
	DHCPBootFile   = 67
	DHCPSearch     = 119 // RFC 3397
	DHCPRoutes     = 121 // RFC 3442
	DHCPTFTPList   = 150 // RFC 5859
)

// DHCPOption is an option that a DHCP service tells its clients.
type DHCPOption struct {
	Meta
	NetworkServiceUUID string          `json:"network_service_uuid" vn:"required,ref=network_services,cascade,unique=option" doc:"The network service, of mode dhcp."`
	NetworkUUID        string          `json:"network_uuid" vn:"ref=networks,cascade,uniquezero=option" doc:"Only for clients with an address of this network."`
	InterfaceUUID      string          `json:"interface_uuid" vn:"ref=interfaces,cascade,uniquezero=option" doc:"Only for this client."`
	Family             int             `json:"family" vn:"default=4,min=4,max=6,uniquezero=option" doc:"4 for DHCP, 6 for DHCPv6."`
	Code               uint16          `json:"code" vn:"required,min=1,max=65535,unique=option" doc:"The option's number, up to 254 for DHCP. Not one of those that the protocol sets itself."`
	Format             string          `json:"format" vn:"required,enum=ip|uint8|uint16|uint32|text|domain|hex,mutable" doc:"What value is: ip, addresses of the family; uint8, uint16, uint32, numbers; text; domain, domain names; hex, the bytes. Of lists the items are separated by commas."`
	Value              DHCPOptionValue `json:"value" vn:"mutable" doc:"The value. An empty one takes away what OpenVNet would say by itself."`
}

// DHCPOptionValue is a value in the text form of its format.
type DHCPOptionValue string

func (*DHCPOptionValue) limits() (maxBytes int, lines bool) { return 1024, false }

func (v *DHCPOptionValue) parse(text string) error {
	*v = DHCPOptionValue(strings.TrimSpace(text))
	return nil
}

// DHCPOptions declares the resource.
var DHCPOptions = declare(spec[DHCPOption]{
	name: "dhcp_option", plural: "dhcp_options", prefix: "dhco",
	doc: "An option that a network service of mode dhcp tells its clients: instead of what OpenVNet derives for the same code, or besides. Of several for one " +
		"code that for the interface counts before that for the network, and either before that for the service.",
	reach:    Reach{With: []string{"network_service_uuid"}},
	validate: (*DHCPOption).validate,
	check: func(o *DHCPOption, rd Reader) error {
		return checkMode(rd, "network_service_uuid", o.NetworkServiceUUID, ServiceDHCP)
	},
})

// dhcpRefused says by family and code why an option cannot be configured.
var dhcpRefused = map[int]map[uint16]string{
	4: {
		1: "the subnet mask follows from the network's ipv4_prefix", 26: "the MTU follows from the network; give it a mtu", 28: "the broadcast address follows from the network's subnet",
		50: "the requested address is the client's", 51: "the lease time is the network's dhcp_lease_time", 52: "option overload is the protocol's own",
		53: "the message type is the protocol's own", 54: "the server identifier is the address of the service's interface", 55: "the parameter request list is the client's",
		56: "the message is the protocol's own", 57: "the maximum message size is the client's", 58: "the renewal time follows from the network's dhcp_lease_time",
		59: "the rebinding time follows from the network's dhcp_lease_time", 61: "the client identifier is the client's", 82: "relay agent information is a relay's",
	},
	6: {
		1: "the client identifier is the client's", 2: "the server identifier is the protocol's own", 3: "addresses are given by leases", 4: "addresses are given by leases",
		5: "addresses are given by leases", 6: "the option request is the client's", 7: "the preference is the protocol's own", 8: "the elapsed time is the client's",
		9: "relayed messages are the protocol's own", 11: "authentication is not supported", 12: "unicast is the protocol's own", 13: "the status is the protocol's own",
		14: "rapid commit is the protocol's own", 18: "the interface id is a relay's", 19: "reconfiguration is not supported", 20: "reconfiguration is not supported",
		25: "prefixes are not delegated", 26: "prefixes are not delegated", 37: "the remote id is a relay's",
	},
}

// dhcpFormats gives by family and code the format of options whose value OpenVNet has to understand.
var dhcpFormats = map[int]map[uint16]string{
	4: {
		DHCPRouters: DHCPOptionIP, DHCPDNS: DHCPOptionIP, 42: DHCPOptionIP, DHCPHostname: DHCPOptionText, DHCPDomain: DHCPOptionText, DHCPTFTPServer: DHCPOptionText,
		DHCPBootFile: DHCPOptionText, DHCPSearch: DHCPOptionDomain, 138: DHCPOptionIP, DHCPTFTPList: DHCPOptionIP,
	},
	6: {23: DHCPOptionIP, 24: DHCPOptionDomain, 31: DHCPOptionIP, 59: DHCPOptionText},
}

// Sizes of what a client takes (RFC 2131, section 2): the fields sname and file with the zero byte that ends them.
const (
	maxServerName = 63
	maxBootFile   = 127
)

func (o *DHCPOption) validate() error {
	switch {
	case o.Family == 5:
		return Errorf(ArgumentError, "family", "5 is neither 4 nor 6")
	case o.Family == 4 && o.Code > 254:
		return Errorf(ArgumentError, "code", "%d is outside 1 to 254, the options of DHCP", o.Code)
	}
	if why := dhcpRefused[o.Family][o.Code]; why != "" {
		return Errorf(ArgumentError, "code", "%d cannot be given: %s", o.Code, why)
	}
	if want := dhcpFormats[o.Family][o.Code]; want != "" && o.Format != want {
		return Errorf(ArgumentError, "format", "option %d takes format %s, not %s", o.Code, want, o.Format)
	}
	if _, err := o.Data(); err != nil {
		return Errorf(ArgumentError, "value", "%v", err)
	}
	if o.Family == 6 || o.Value == "" {
		return nil
	}
	limit := 0
	switch o.Code {
	case DHCPHostname, DHCPDomain:
		if _, err := canonicalName(string(o.Value)); err != nil {
			return Errorf(ArgumentError, "value", "%v", err)
		}
	case DHCPTFTPServer:
		limit = maxServerName
	case DHCPBootFile:
		limit = maxBootFile
	}
	if limit > 0 && len(o.Value) > limit {
		return Errorf(ArgumentError, "value", "is longer than %d bytes, the limit of option %d", limit, o.Code)
	}
	return nil
}

// Data gives the value as it is in a message, nil if it is empty. What it refuses is an error whose text does not name the field.
func (o *DHCPOption) Data() ([]byte, error) {
	if o.Value == "" {
		return nil, nil
	}
	switch o.Format {
	case DHCPOptionText:
		for i := range len(o.Value) {
			if c := o.Value[i]; c < ' ' || c > '~' {
				return nil, fmt.Errorf("holds a character at byte %d that is not printable ASCII", i)
			}
		}
		return []byte(o.Value), nil
	case DHCPOptionHex:
		b, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(strings.TrimPrefix(string(o.Value), "0x")))
		if err != nil {
			return nil, fmt.Errorf("%q is not a row of bytes in hexadecimal digits", clip(string(o.Value)))
		}
		return b, nil
	}
	var out []byte
	for item := range strings.SplitSeq(string(o.Value), ",") {
		b, err := o.item(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// item gives one item of a list.
func (o *DHCPOption) item(text string) ([]byte, error) {
	switch o.Format {
	case DHCPOptionIP:
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" || a.Is4() != (o.Family == 4) || a.Is4In6() {
			return nil, fmt.Errorf("%q is not an IPv%d address", clip(text), o.Family)
		}
		if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return nil, fmt.Errorf("%s is not the address of a station", a)
		}
		return a.AsSlice(), nil
	case DHCPOptionDomain:
		return wireName(text)
	}
	bits, err := strconv.Atoi(strings.TrimPrefix(o.Format, "uint"))
	if err != nil {
		return nil, fmt.Errorf("there is no format %q", o.Format)
	}
	n, err := strconv.ParseUint(text, 0, bits)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number of 0 to %d", clip(text), uint64(1)<<bits-1)
	}
	return binary.BigEndian.AppendUint64(nil, n)[8-bits/8:], nil
}

// wireName gives a domain name in the form of RFC 1035, section 3.1.
func wireName(text string) ([]byte, error) {
	name, err := canonicalName(text)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, fmt.Errorf("an empty name is among the domain names")
	}
	var out []byte
	for label := range strings.SplitSeq(name, ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0), nil
}
