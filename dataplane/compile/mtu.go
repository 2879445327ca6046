package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Bytes of the headers that are put before a guest's IP packet on its way to another host.
const (
	bytesIPv4     = 20 // RFC 791, section 3.1
	bytesIPv6     = 40 // RFC 8200, section 3
	bytesUDP      = 8  // RFC 768
	bytesGeneve   = 8  // RFC 8926, section 3.4, without options
	bytesVXLAN    = 8  // RFC 7348, section 5
	bytesGRE      = 8  // RFC 2784, section 2.1, with the key of RFC 2890, section 2
	bytesEthernet = 14 // the guest's own, which is carried too
)

// overhead gives what an encapsulation takes from the underlay's MTU.
func overhead(kind pipeline.Encapsulation, v6 bool) int {
	ip := bytesIPv4
	if v6 {
		ip = bytesIPv6
	}
	switch kind {
	case pipeline.EncapGeneve:
		return ip + bytesUDP + bytesGeneve + bytesEthernet
	case pipeline.EncapVXLAN:
		return ip + bytesUDP + bytesVXLAN + bytesEthernet
	case pipeline.EncapGRE:
		return ip + bytesGRE + bytesEthernet
	}
	return 0
}

// MTU gives the largest IP packet that guests of a network or segment may send, in bytes: what each host where it is present leaves of its underlay's MTU for
// what the others send there, and at most what the network and its segment say; 0 where nothing says anything.
func (in *Input) MTU(uuid string) int {
	mtu := 0
	bound := func(n int) {
		if n > 0 && (mtu == 0 || n < mtu) {
			mtu = n
		}
	}
	g := in.X.Graph()
	if n, ok := graph.Lookup[*model.Network](g, uuid); ok {
		bound(int(n.MTU))
		if n.SegmentUUID != "" {
			uuid = n.SegmentUUID
		}
	}
	if s, ok := graph.Lookup[*model.Segment](g, uuid); ok {
		bound(int(s.MTU))
	}
	d, ok := in.domain(uuid)
	if !ok || d.internal() { // it never leaves the host
		return mtu
	}
	all := in.datapathsWith(d)
	for _, at := range all {
		dp, ok := graph.Lookup[*model.Datapath](g, at)
		if !ok || dp.MTU == 0 {
			continue
		}
		if !d.carried() {
			bound(int(dp.MTU))
			continue
		}
		bound(int(dp.MTU) - in.overheadTo(d, at, len(all) > 1))
	}
	return mtu
}

// overheadTo gives what is put before a packet of the domain to a host. Alone, this host is reached by nobody as it is: another one that comes may not be.
func (in *Input) overheadTo(d Domain, at string, others bool) int {
	unencapsulated := others
	if at != in.Self {
		unencapsulated = in.unencapsulated(d.UUID, at)
	} else if others {
		for _, other := range in.datapathsWith(d) {
			unencapsulated = unencapsulated && (other == in.Self || in.unencapsulated(d.UUID, other))
		}
	}
	if unencapsulated {
		return 0
	}
	return overhead(in.topology(in.wiring(d.UUID, at).topology).kind(), in.tunnelEnd(d.UUID, at).Is6())
}

// datapathsWith gives the hosts where the domain is present.
func (in *Input) datapathsWith(d Domain) []string {
	var all []string
	for at := range in.X.DatapathsOf(d.UUID) {
		all = append(all, at)
	}
	return all
}
