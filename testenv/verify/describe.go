package verify

import (
	"fmt"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// describe gives a frame in one line: its headers in words, and its bytes.
func describe(frame []byte) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	var words []string
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Ethernet:
			words = append(words, fmt.Sprintf("%s > %s", l.SrcMAC, l.DstMAC))
		case *layers.Dot1Q:
			words = append(words, fmt.Sprintf("vlan %d", l.VLANIdentifier))
		case *layers.ARP:
			words = append(words, fmt.Sprintf("arp %d %x/%d.%d.%d.%d > %x/%d.%d.%d.%d", l.Operation, l.SourceHwAddress, l.SourceProtAddress[0], l.SourceProtAddress[1],
				l.SourceProtAddress[2], l.SourceProtAddress[3], l.DstHwAddress, l.DstProtAddress[0], l.DstProtAddress[1], l.DstProtAddress[2], l.DstProtAddress[3]))
		case *layers.IPv4:
			words = append(words, fmt.Sprintf("%s > %s ttl %d proto %d", l.SrcIP, l.DstIP, l.TTL, l.Protocol))
			if l.FragOffset != 0 || l.Flags&layers.IPv4MoreFragments != 0 {
				words = append(words, fmt.Sprintf("fragment %d", l.FragOffset))
			}
		case *layers.IPv6:
			words = append(words, fmt.Sprintf("%s > %s ttl %d proto %d", l.SrcIP, l.DstIP, l.HopLimit, l.NextHeader))
		case *layers.TCP:
			words = append(words, fmt.Sprintf("tcp %d > %d syn %t ack %t", l.SrcPort, l.DstPort, l.SYN, l.ACK))
		case *layers.UDP:
			words = append(words, fmt.Sprintf("udp %d > %d", l.SrcPort, l.DstPort))
		case *layers.ICMPv4:
			words = append(words, fmt.Sprintf("icmp %s id %d", l.TypeCode, l.Id))
		case *layers.ICMPv6:
			words = append(words, fmt.Sprintf("icmp6 %s", l.TypeCode))
		}
	}
	return fmt.Sprintf("%s [%x]", strings.Join(words, ", "), frame)
}
