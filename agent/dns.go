package agent

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/agent/forward"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/services/dns"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/services/stream"
)

// dnsService answers questions for names, over UDP and over TCP.
type dnsService struct {
	*desk
	names    *names
	forward  *forward.Forwarder
	streams  *stream.Server
	verdicts verdicts[dns.Verdict]
	turn     atomic.Uint32
}

const (
	portDNS     = 53
	protocolTCP = 6
)

func newDNSService(d *desk) *dnsService {
	s := &dnsService{desk: d, names: newNames(d.replica), forward: forward.New(forward.Options{})}
	s.streams = stream.New(stream.Options{Handler: s.listens})
	return s
}

func (s *dnsService) handle(ctx context.Context, _ time.Time, p ovs.Packet) string {
	if len(p.Data) < p.Length {
		return dropCut
	}
	heard, b := heardIn(&p), p.Data
	p.Data = nil // what is kept to answer by needs no frame
	h, _ := frame.Summarize(b)
	at, ok := s.names.at(p.Network, h.Dst)
	if !ok {
		s.verdicts.hear(s.desk, heard, dns.OtherAddress)
		return ""
	}
	from := senderOf(p, h.Src)
	if h.Protocol == protocolTCP {
		s.streams.Take(stream.Frame{Domain: p.Network, Interface: from, MTU: at.mtu, Data: b, Back: func(ctx context.Context, frame []byte) { s.back(ctx, p, frame) }})
		return ""
	}
	d, v := dns.ReadDatagram(b)
	if v != 0 {
		s.verdicts.hear(s.desk, heard, v)
		return ""
	}
	s.answer(at, from, d.Payload, dns.Options{Size: d.Room(at.mtu)}, func(answer []byte) {
		if answer != nil {
			s.back(ctx, p, d.Answer(answer))
		}
	})
	return ""
}

func (s *dnsService) tick(context.Context, time.Time) {
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	s.names.follow()
}

// answer calls done with the answer to a question, nil for none: at once, or when servers elsewhere have answered.
func (s *dnsService) answer(at view, from uint32, question []byte, o dns.Options, done func(answer []byte)) {
	o.Turn = s.turn.Add(1)
	heard := Heard{Class: pipeline.PuntDNS, Ingress: from}
	if s.heard != nil {
		heard.Asked = dns.Asked(question)
	}
	answer, e, v := dns.Respond(question, at.zone, o)
	if e == nil {
		s.verdicts.hear(s.desk, heard, v)
		done(answer)
		return
	}
	s.forward.Ask(from, e, at.upstreams, func(answer []byte, v dns.Verdict) {
		s.verdicts.hear(s.desk, heard, v)
		done(answer)
	})
}

// senderOf gives a number for who has sent a packet: its interface, or one of an address that a router or the NIC has brought.
func senderOf(p ovs.Packet, src netip.Addr) uint32 {
	if p.Ingress != 0 {
		return p.Ingress
	}
	h := fnv.New32a()
	_, _ = h.Write(binary.BigEndian.AppendUint32(src.AsSlice(), p.Network))
	return h.Sum32() | 1<<31
}

// back brings an answer to where a packet came from: to the interface as anything that it gets, or, through the domain, to the router.
func (s *dnsService) back(ctx context.Context, p ovs.Packet, frame []byte) {
	way := p.Back()
	if p.Routed() {
		way = ovs.Through(pipeline.L2, pipeline.Network.Set(p.Network))
	}
	s.send(ctx, frame, way)
}

// listens says what serves a port of an address.
func (s *dnsService) listens(domain uint32, to netip.AddrPort) stream.Handler {
	if _, ok := s.names.at(domain, to.Addr()); !ok || to.Port() != portDNS {
		return nil
	}
	return func(ctx context.Context, c *stream.Conn) {
		err := forward.Serve(ctx, c, func(question []byte, done func([]byte)) {
			at, ok := s.names.at(domain, to.Addr())
			if !ok { // not any more
				done(nil)
				return
			}
			s.answer(at, c.Guest().Interface, question, dns.Options{TCP: true}, done)
		})
		if err != nil {
			s.log.Debug("a connection of DNS has ended", "error", err)
		}
	}
}
