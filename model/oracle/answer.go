package oracle

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
)

// serve is section 3, for a frame that has entered its domain at this host. What is not answered meets the sender's filter and goes on to
// section 5.
//
// Open: the rules hold of frames from devices outside and from hosts too, but where they speak of guests. ARP other than requests counts as
// replies. MLD ends whoever sent it.
func (r *run) serve(d *domain, p packet) {
	h, i, guest := r.from.host, r.from.iface, r.from.guest()
	if guest && r.tell(d, p) {
		return
	}
	switch {
	case p.isARP() && p.arp.op == arpRequest:
		r.asked(d, p, p.arp.to, arpReasons)
		return
	case p.isND() && p.icmp.kind == icmp6Solicit:
		r.asked(d, p, p.icmp.target, ndReasons)
		return
	case p.isARP() && !d.segment && len(d.outside) == 0:
		r.drop(h, reason.ARPReply, i)
		return
	case p.isND() && guest && p.dst == model.ClaimAsker() && i.claims():
		r.punt(PuntClaim, h, i)
		return
	case p.isND() && !d.segment && len(d.outside) == 0:
		r.drop(h, reason.NDUnasked, i)
		return
	case p.isUDP4(dhcpClient, dhcpServer) && d.dhcp:
		r.punt(PuntDHCP, h, i)
		return
	case p.isUDP4(dhcpClient, dhcpServer) && !d.segment:
		r.drop(h, reason.DHCPNone, i)
		return
	case p.isUDP4(dhcpServer, dhcpClient) && !d.segment && guest:
		r.drop(h, reason.DHCPRogue, i)
		return
	case p.isUDP6(dhcp6Client, dhcp6Server) && d.dhcp6:
		r.punt(PuntDHCP6, h, i)
		return
	case p.isUDP6(dhcp6Client, dhcp6Server) && !d.segment:
		r.drop(h, reason.DHCPNone, i)
		return
	case p.isUDP6(dhcp6Server, dhcp6Client) && !d.segment && guest:
		r.drop(h, reason.DHCPRogue, i)
		return
	case p.isICMP6(icmp6RouterSolicit) && d.router && guest:
		r.punt(PuntRA, h, i)
		return
	case p.isICMP6(icmp6RouterSolicit, icmp6RouterAdvert, icmp6Redirect) && !d.segment && guest:
		r.drop(h, reason.NDRouter, i)
		return
	case p.isICMP6(icmp6Query, icmp6Report, icmp6Done, icmp6ReportV2) && !d.segment:
		r.drop(h, reason.MLD, i)
		return
	case p.isDNS() && d.stations[p.dst].named(h, p.to):
		r.punt(PuntDNS, h, i)
		return
	case p.isEchoRequest():
		s := d.stations[p.dst]
		if s != nil && s.iface.Mode == model.InterfaceSimulated && s.iface.at(h) && slices.Contains(s.addresses, p.to) {
			p.own()
			p.setMACs(p.src, s.mac)
			p.answerEcho()
			r.answer(p.frame)
			return
		}
	}
	if r.passes(i, outward, h, d, &p) {
		r.forward(h, d, &r.from, p, 0)
	}
}

// tell is rule 7: what a guest sends to the addresses of metadata, in a domain with a service for it at this host. It reports whether that was such.
func (r *run) tell(d *domain, p packet) bool {
	h := r.from.host
	n := slices.IndexFunc(d.tellers, func(s *station) bool { return s.iface.at(h) })
	if n < 0 || !d.present[h] {
		return false
	}
	mac := d.tellers[n].mac
	isMetadata := func(a netip.Addr) bool { return a == model.MetadataIPv4() || a == model.MetadataIPv6() }
	switch {
	case p.isARP() && p.arp.op == arpRequest && isMetadata(p.arp.to):
		r.answer(p.arpAnswer(mac))
	case p.isND() && p.icmp.kind == icmp6Solicit && isMetadata(p.icmp.target):
		r.answer(p.ndAnswer(mac))
	case p.isARP() || !isMetadata(p.to):
		return false
	case p.proto == protoTCP && p.hasPorts && p.toPort == 80:
		r.punt(PuntMetadata, h, r.from.iface)
	case p.isEchoRequest():
		p.own()
		p.setMACs(p.src, mac)
		p.answerEcho()
		r.answer(p.frame)
	default:
		r.drop(h, reason.Metadata, r.from.iface)
	}
	return true
}

// answerEcho makes an echo request the answer to it. The frame is the packet's own.
func (p *packet) answerEcho() {
	p.begun, p.through = nil, nil
	from, to := p.from, p.to
	p.setFrom(to)
	p.setTo(from)
	p.setTTL(64)
	if p.proto == protoICMP {
		p.setICMPType(0)
	} else {
		p.setICMPType(129)
	}
}

type askReasons struct{ own, unknown reason.Reason }

var (
	arpReasons = askReasons{reason.ARPOwn, reason.ARPUnknown}
	ndReasons  = askReasons{reason.NDOwn, reason.NDUnknown}
)

// asked is ARP and neighbour discovery: who has the target?
//
// Open: what devices outside ask in a physical network is answered for stations at this host only, as the other hosts hear it too.
func (r *run) asked(d *domain, p packet, target netip.Addr, why askReasons) {
	h, i := r.from.host, r.from.iface
	if s := d.addresses[target]; s.known(h) && (!d.physical || r.from.at == nil || s.here(h)) {
		switch {
		case s.here(h) && (s.iface == i && r.from.at == nil || s.iface.behindAttachment() && s.mac == p.src):
			r.drop(h, why.own, i)
		case p.isARP():
			r.answer(p.arpAnswer(s.mac))
		default:
			r.answer(p.ndAnswer(s.mac))
		}
		return
	}
	if !p.dst.IsMulticast() {
		p.own()
		p.setMACs(broadcast, p.src)
	}
	if d.segment {
		if r.passes(i, outward, h, d, &p) {
			r.flood(h, d, &r.from, p)
		}
		return
	}
	outside := d.outsideFrom(h, &r.from)
	if len(outside) == 0 {
		r.drop(h, why.unknown, i)
		return
	}
	if r.passes(i, outward, h, d, &p) {
		for _, a := range outside {
			r.toAttachment(a, p)
		}
	}
}

// arpAnswer gives the reply that the MAC address has the address asked for (RFC 826). What is behind it stays.
func (p *packet) arpAnswer(mac model.MAC) []byte {
	asker, b := p.frame[p.l3+8:p.l3+18], slices.Clone(p.frame)
	copy(b, p.src[:])
	copy(b[6:], mac[:])
	b[p.l3+6], b[p.l3+7] = 0, arpReply
	copy(b[p.l3+8:], mac[:])
	copy(b[p.l3+14:], p.frame[p.l3+24:p.l3+28])
	copy(b[p.l3+18:], asker)
	return b
}

// ndAnswer makes the solicitation an advertisement (RFC 4861, section 4.4), solicited and overriding: its link-layer option, if it has one,
// becomes the target's.
func (p *packet) ndAnswer(mac model.MAC) []byte {
	q := *p
	q.own()
	q.setMACs(p.src, mac)
	q.setFrom(p.icmp.target)
	q.setTo(p.from)
	sums := q.transportSums(nil)
	set(q.frame, q.l4, []byte{icmp6Advert, 0}, sums...)
	set(q.frame, q.l4+4, []byte{0x60, 0, 0, 0}, sums...)
	if at := p.icmp.linkAt; at != 0 {
		set(q.frame, at, append([]byte{2, 1}, mac[:]...), sums...)
	}
	return q.frame
}
