package oracle

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
)

// direction is seen from the interface.
type direction uint8

const (
	inward  direction = iota // to the interface
	outward                  // from the interface
)

// verdict is what a filter's rules say of a packet.
type verdict struct {
	action verdictAction
	why    reason.Reason // of refuse
	log    bool
}

type verdictAction uint8

const (
	refuse verdictAction = iota
	pass
	passWithMemory
)

// passes is section 4: whether the packet passes the interface's static filter and then its security groups, in the domain d, at the host h. A
// NIC and the host itself have none. What does not pass is dropped. What the static filter passes with memory it remembers, whatever the groups
// say of it.
//
// Open: fragments that a stateful filter tracks wait for their packet's first, which does not wait for them.
func (r *run) passes(i *iface, dir direction, h *host, d *domain, p *packet) bool {
	switch {
	case i == nil || i.Mode == model.InterfaceHost:
		return true
	case i.port == Local:
		return r.isOpen(i, h)
	}
	if i.EnableFiltering {
		f := i.filter
		if f == nil {
			f = &static{} // without rules
		}
		if v := f.judge(dir, p); !r.stateful(i, staticFilter, v, p) {
			r.drop(h, v.why, i)
			return false
		}
	}
	v := i.judgeByGroups(dir, d, p)
	if p.fragment && v.action != pass {
		if whole, ok := r.together(p); !ok {
			return false
		} else if t, ok := whole.tuple(); ok && v.why == reason.SecurityGroup && r.c.answers[allowance{i.UUID, groupFilter, t}] != unanswered {
			return true // no rule decides, and the conversation has been answered
		}
	}
	if v.log {
		r.punt(PuntLog, h, i)
	}
	if !r.stateful(i, groupFilter, v, p) {
		r.drop(h, v.why, i)
		if v.why == reason.Reject {
			r.punt(PuntReject, h, i)
		}
		return false
	}
	return true
}

// isOpen reports whether an interface of mode internal without a port of its own, for which there are no filters, asks for none.
//
// Open: one that does is closed at the place of the filter, for ARP too; the reason is that of the filter asked for.
func (r *run) isOpen(i *iface, h *host) bool {
	switch {
	case i.EnableFiltering:
		r.drop(h, reason.Filter, i)
	case i.judgesGroups():
		r.drop(h, reason.SecurityGroup, i)
	default:
		return true
	}
	return false
}

// stateful applies a verdict and the filter's memory: what is passed with memory makes a conversation, if it is in none; what is refused passes
// if it is an answer in a conversation, or an ICMP error about one of its packets, of either side.
func (r *run) stateful(i *iface, f statefulFilter, v verdict, p *packet) bool {
	if v.action == pass {
		return true
	}
	knows := func(t tuple) bool { return r.knows(allowance{i.UUID, f, t}) }
	whole, seen := r.together(p)
	t, ok := whole.tuple()
	ok = ok && seen
	asked := allowance{i.UUID, f, t.answer()}
	isAnswer := ok && t != t.answer() && knows(t.answer()) && (!whole.syn || r.c.answers[asked] == acknowledged)
	switch own := (allowance{i.UUID, f, t}); {
	case isAnswer && r.c.answers[asked] == unanswered:
		r.out.memos = append(r.out.memos, progressed{asked, answered})
	case ok && whole.ack && r.c.answers[own] == answered:
		r.out.memos = append(r.out.memos, progressed{own, acknowledged})
	}
	isKnown := isAnswer || ok && knows(t)
	if about, isError := p.embedded(); isError {
		t, ok := about.tuple()
		isKnown = ok && (knows(t) || knows(t.answer()))
		isAnswer = isKnown
	}
	was := r.untracked
	if r.untracked = (allowance{}); !isKnown && !(ok && whole.begins(t)) {
		r.untracked = allowance{iface: i.UUID, filter: f}
	}
	switch {
	case v.action == passWithMemory && ok && !isKnown && whole.begins(t):
		r.out.memos = append(r.out.memos, allowance{i.UUID, f, t})
		return true
	case v.action == passWithMemory:
		return true
	}
	return isAnswer && was != allowance{iface: i.UUID, filter: f}
}

// static is an interface's static filter.
type static struct {
	model.Filter
	rules []*model.FilterStatic // what decides first in front
}

func (w *World) addFilters() {
	for f := range each[*model.Filter](w.g, model.Filters) {
		i := w.interfaces[f.InterfaceUUID]
		if i == nil || i.filter != nil {
			continue
		}
		i.filter = &static{*f, graph.Children[*model.FilterStatic](w.g, f.UUID, "filter_statics.filter_uuid")}
		slices.SortStableFunc(i.filter.rules, compareStatics)
	}
}

// compareStatics is negative if a decides before b: longer dst prefix; with dst port before without; longer src prefix; with src port before
// without; tcp, udp, icmp before ip. Open: of equals the older one.
func compareStatics(a, b *model.FilterStatic) int {
	return cmp.Or(
		-cmp.Compare(max(a.DstAddress.Bits(), 0), max(b.DstAddress.Bits(), 0)),
		first(a.DstPort != 0, b.DstPort != 0),
		-cmp.Compare(max(a.SrcAddress.Bits(), 0), max(b.SrcAddress.Bits(), 0)),
		first(a.SrcPort != 0, b.SrcPort != 0),
		first(a.Protocol != "ip", b.Protocol != "ip"),
	)
}

// first orders what is so before what is not.
func first(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

// judge gives the static filter's verdict.
func (f *static) judge(dir direction, p *packet) verdict {
	if p.isND() {
		return verdict{action: pass}
	}
	at := slices.IndexFunc(f.rules, func(s *model.FilterStatic) bool { return matchesStatic(s, dir, p) })
	switch {
	case at < 0 && (p.isARP() || dir == inward && f.IngressPassthrough || dir == outward && f.EgressPassthrough):
		return verdict{action: pass}
	case at < 0 || f.rules[at].Action == "drop":
		return verdict{why: reason.Filter}
	case f.rules[at].Action == "conn" && !p.isARP():
		if dir == outward {
			return verdict{action: passWithMemory}
		}
		return verdict{why: reason.Filter}
	}
	return verdict{action: pass}
}

// matchesStatic reports whether a rule, which is written towards the interface, matches: src is the peer. To fragments rules that refuse apply
// whatever ports they name, others if they name none.
func matchesStatic(s *model.FilterStatic, dir direction, p *packet) bool {
	src, dst := p.from, p.to
	if p.isARP() {
		src, dst = p.arp.from, p.arp.to
	}
	srcPort, dstPort := p.fromPort, p.toPort
	if dir == outward {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	in := func(prefix netip.Prefix, a netip.Addr) bool { return !prefix.IsValid() || prefix.Contains(a) }
	refuses := s.Action == "drop" || s.Action == "conn" && dir == inward
	on := func(port, n uint16) bool { return port == 0 || p.hasPorts && port == n || p.fragment && refuses }
	return matchesProtocol(s.Protocol, p) && in(s.SrcAddress, src) && in(s.DstAddress, dst) && on(s.SrcPort, srcPort) && on(s.DstPort, dstPort)
}

func matchesProtocol(name string, p *packet) bool {
	switch name {
	case "arp":
		return p.isARP()
	case "ip", "any":
		return p.isIP()
	case "tcp":
		return p.isIP() && p.proto == protoTCP
	case "udp":
		return p.isIP() && p.proto == protoUDP
	case "sctp":
		return p.isIP() && p.proto == protoSCTP
	case "icmp":
		return p.ether == etherIPv4 && p.proto == protoICMP || p.ether == etherIPv6 && p.proto == protoICMPv6
	}
	return false
}
