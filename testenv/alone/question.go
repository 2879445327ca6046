package alone

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dns"
	"github.com/openvnet/openvnet/services/frame"
)

// Service is a kind of question.
type Service struct{ Name, Doc string }

// Services are the kinds of questions.
var Services = []Service{
	{"arp", "ARP"},
	{"nd", "neighbour discovery, and guests that claim addresses"},
	{"icmp", "echo requests, and other ICMP"},
	{"dhcp4", "DHCP"},
	{"dhcp6", "DHCPv6"},
	{"ra", "router solicitations and advertisements"},
	{"dns", "names, over UDP and TCP"},
	{"metadata", "guests' metadata, over HTTP"},
	{"other", "everything else: what routers and filters do, multicast"},
}

// judges reports whether a service has verdicts of its own.
func judges(service string) bool {
	return slices.Contains([]string{"dhcp4", "dhcp6", "ra", "dns", "metadata"}, service)
}

const (
	typeARP = 0x0806

	tcp    = 6
	icmp   = 1
	icmpv6 = 58
)

// serviceOf gives the service that a frame is of, question or answer.
func serviceOf(b []byte) string {
	if eth, _, reason := frame.DecodeEthernet(b); reason == frame.OK && eth.Type == typeARP {
		return "arp"
	}
	s, reason := frame.Summarize(b)
	if reason != frame.OK {
		return "other"
	}
	for _, a := range []netip.Addr{s.Src, s.Dst} {
		if a == model.MetadataIPv4() || a == model.MetadataIPv6() {
			return "metadata"
		}
	}
	from, to := s.SrcPort, s.DstPort
	switch {
	case s.Protocol == icmp:
		return "icmp"
	case s.Protocol == icmpv6 && (s.Type == 133 || s.Type == 134):
		return "ra"
	case s.Protocol == icmpv6 && (s.Type == 135 || s.Type == 136):
		return "nd"
	case s.Protocol == icmpv6 && (s.Type < 130 || s.Type > 132) && s.Type != 143: // but MLD
		return "icmp"
	case s.Protocol != frame.ProtocolUDP && s.Protocol != tcp:
		return "other"
	case from == 53 || to == 53:
		return "dns"
	case s.Protocol == tcp:
		return "other"
	case from == 68 && to == 67 || from == 67 && to == 68:
		return "dhcp4"
	case to == 547 || to == 546:
		return "dhcp6"
	}
	return "other"
}

// describe says in words what a frame asks.
func describe(b []byte) string {
	switch serviceOf(b) {
	case "arp":
		if _, a, reason := frame.DecodeARP(b); reason == frame.OK && a.Op == frame.ARPRequest {
			return fmt.Sprintf("who has %s, asks %s", a.TargetAddr, a.SenderAddr)
		} else if reason == frame.OK {
			return fmt.Sprintf("%s is at %s", a.SenderAddr, a.SenderMAC)
		}
	case "nd":
		if _, m, reason := frame.DecodeND(b); reason == frame.OK && !m.Advertisement {
			return fmt.Sprintf("who has %s, asks %s", m.Target, m.Src)
		} else if reason == frame.OK {
			return fmt.Sprintf("%s is here, says %s", m.Target, m.Src)
		}
	case "dhcp4":
		if d, reason := frame.DecodeDatagram(b); reason == frame.OK {
			if m, err := dhcpv4.FromBytes(d.Payload); err == nil {
				return fmt.Sprintf("%s of %s", m.MessageType(), m.ClientHWAddr)
			}
		}
	case "dhcp6":
		if d, reason := frame.DecodeDatagram6(b); reason == frame.OK {
			if m, err := dhcpv6.FromBytes(d.Payload); err == nil {
				return fmt.Sprintf("%s of %s", m.Type(), d.Ethernet.Src)
			}
		}
	case "dns":
		if d, v := dns.ReadDatagram(b); v == 0 {
			return dns.Asked(d.Payload)
		}
	case "ra":
		if s, reason := frame.Summarize(b); reason == frame.OK {
			return map[uint8]string{133: "solicitation of ", 134: "advertisement of "}[s.Type] + s.Src.String()
		}
	}
	s, reason := frame.Summarize(b)
	switch {
	case reason == frame.NotIP:
		eth, _, _ := frame.DecodeEthernet(b)
		return fmt.Sprintf("ethertype 0x%04x from %s to %s", eth.Type, eth.Src, eth.Dst)
	case reason != frame.OK:
		return reason.String()
	case s.Protocol == icmp && s.Type == 8 || s.Protocol == icmpv6 && s.Type == 128:
		return fmt.Sprintf("echo request from %s to %s", s.Src, s.Dst)
	case s.Protocol == icmp || s.Protocol == icmpv6:
		return fmt.Sprintf("icmp %d/%d from %s to %s", s.Type, s.Code, s.Src, s.Dst)
	case s.Ports:
		return fmt.Sprintf("%s %s port %d to %s port %d", s.ProtocolName(), s.Src, s.SrcPort, s.Dst, s.DstPort)
	}
	return fmt.Sprintf("protocol %s from %s to %s", s.ProtocolName(), s.Src, s.Dst)
}
