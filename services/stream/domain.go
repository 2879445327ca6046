package stream

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	nic = 1

	// lowestMTU and highestMTU are what a domain's MTU is taken to be at least and at most.
	lowestMTU, highestMTU = 576, 65535

	handshakes = 256                   // that a domain has under way
	handshake  = 8 * time.Second       // for a guest to complete one
	timeWait   = 10 * time.Millisecond // in which the end of a connection is acknowledged again
	abortEvery = 10 * time.Millisecond
)

// domain is the stack of one domain.
type domain struct {
	server *Server
	number uint32
	stack  *stack.Stack
	link   *link

	// of the server's lock
	used        time.Time
	connections int
	closing     bool
	quiet       chan struct{} // closed when closing, and there are no connections
}

func newDomain(s *Server, number uint32, mtu int) (*domain, error) {
	d := &domain{server: s, number: number, quiet: make(chan struct{})}
	d.link = &link{domain: d}
	d.link.setMTU(mtu)
	d.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	out, in := s.o.Buffer, s.o.Buffer/2
	lingerFor, timeWaitFor := tcpip.TCPLingerTimeoutOption(linger), tcpip.TCPTimeWaitTimeoutOption(timeWait)
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(false)
	errs := []tcpip.Error{d.stack.CreateNIC(nic, d.link), d.stack.SetPromiscuousMode(nic, true), d.stack.SetSpoofing(nic, true)} // every address is one of ours
	for _, o := range []tcpip.SettableTransportProtocolOption{
		&tcpip.TCPSendBufferSizeRangeOption{Min: 1, Default: out, Max: out}, &tcpip.TCPReceiveBufferSizeRangeOption{Min: 1, Default: in, Max: in},
		&lingerFor, &timeWaitFor, &sack, &moderate,
	} {
		errs = append(errs, d.stack.SetTransportProtocolOption(tcp.ProtocolNumber, o))
	}
	for _, err := range errs {
		if err != nil {
			d.stack.Destroy()
			return nil, fmt.Errorf("set up a stack: %s", err)
		}
	}
	d.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	d.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(d.stack, in, handshakes, d.serve).HandlePacket)
	return d, nil
}

// deliver gives a packet to the stack.
func (d *domain) deliver(p *parsed, mtu int) {
	d.link.setMTU(mtu)
	to := d.link.dispatcher.Load()
	if to == nil {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(p.data)})
	defer pkt.DecRef()
	(*to).DeliverNetworkPacket(tcpip.NetworkProtocolNumber(p.eth.Type), pkt)
}

// serve is called in a goroutine of its own for each connection that is asked for.
func (d *domain) serve(r *tcp.ForwarderRequest) {
	id := r.ID()
	remote, local := netip.AddrPortFrom(addr(id.RemoteAddress), id.RemotePort), netip.AddrPortFrom(addr(id.LocalAddress), id.LocalPort)
	handler := d.server.o.Handler(d.number, local)
	if handler == nil {
		r.Complete(true)
		return
	}
	ctx, c := d.server.admit(d, remote, local)
	if c == nil {
		r.Complete(false)
		return
	}
	defer d.server.release(d, c)
	// The guest has until then to complete the handshake. When the context ends, the connection is aborted.
	late := time.AfterFunc(handshake, c.cancel)
	var queue waiter.Queue
	opened, aborted := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		d.abort(id, opened)
	})
	ep, err := r.CreateEndpoint(&queue)
	late.Stop()
	close(opened)
	d.server.opened(c)
	r.Complete(false)
	if err == nil {
		c.TCPConn = gonet.NewTCPConn(&queue, ep)
		handler(ctx, c)
		finish(ctx, &queue, ep)
	}
	if !stop() {
		<-aborted
	}
	if err == nil {
		ep.Abort()
	}
}

// abort resets a connection, also one whose handshake is not complete: nobody else has that yet, and it may not be there yet either.
func (d *domain) abort(id stack.TransportEndpointID, opened <-chan struct{}) {
	protocol := ipv4.ProtocolNumber
	if id.LocalAddress.Len() == 16 {
		protocol = ipv6.ProtocolNumber
	}
	t := time.NewTicker(abortEvery)
	defer t.Stop()
	for {
		if e := d.stack.FindTransportEndpoint(protocol, tcp.ProtocolNumber, id, nic); e != nil {
			e.Abort()
		}
		select {
		case <-opened:
			return
		case <-t.C:
		}
	}
}

// finish closes a connection and waits until the guest has got everything, or for as long as it may take.
func finish(ctx context.Context, queue *waiter.Queue, ep tcpip.Endpoint) {
	e, gone := waiter.NewChannelEntry(waiter.EventHUp)
	queue.EventRegister(&e)
	defer queue.EventUnregister(&e)
	ep.Close()
	switch tcp.EndpointState(ep.State()) {
	case tcp.StateClose, tcp.StateError, tcp.StateTimeWait:
		return
	}
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-gone:
	case <-t.C:
	case <-ctx.Done():
	}
}

// close waits for the handlers of connections that have been cancelled, and ends the stack.
func (d *domain) close() {
	t := time.NewTicker(abortEvery)
	defer t.Stop()
	for quiet := false; !quiet; {
		for _, e := range d.stack.RegisteredEndpoints() { // those in a handshake, too
			e.Abort()
		}
		select {
		case <-d.quiet:
			quiet = true
		case <-t.C:
		}
	}
	d.stack.Destroy()
}

// link is the stack's only device.
type link struct {
	domain     *domain
	mtu        atomic.Uint32
	dispatcher atomic.Pointer[stack.NetworkDispatcher]
}

func (l *link) setMTU(mtu int) { l.mtu.Store(uint32(min(max(mtu, lowestMTU), highestMTU))) }

// WritePackets implements [stack.LinkWriter]: what is no TCP is of no use to anybody.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, p := range pkts.AsSlice() {
		if p.TransportProtocolNumber != tcp.ProtocolNumber {
			continue
		}
		n, h := p.Network(), header.TCP(p.TransportHeader().Slice())
		s := outgoing{etherType: uint16(p.NetworkProtocolNumber)}
		s.pair = pair{l.domain.number, addr(n.DestinationAddress()), addr(n.SourceAddress())}
		if len(h) >= header.TCPMinimumSize { // otherwise a fragment, of a segment from before the MTU became less
			s.ports, s.acked, s.acknowledges = [2]uint16{h.DestinationPort(), h.SourcePort()}, h.AckNumber(), acknowledges(h, p.Data().Size())
		}
		l.domain.server.send(s, p.AsSlices())
	}
	return pkts.Len(), nil
}

func (l *link) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		l.dispatcher.Store(nil)
		return
	}
	l.dispatcher.Store(&d)
}

func (l *link) IsAttached() bool { return l.dispatcher.Load() != nil }
func (l *link) MTU() uint32      { return l.mtu.Load() }
func (l *link) SetMTU(m uint32)  { l.setMTU(int(m)) }

// Capabilities says that checksums of what comes in have been verified.
func (*link) Capabilities() stack.LinkEndpointCapabilities { return stack.CapabilityRXChecksumOffload }
func (*link) ARPHardwareType() header.ARPHardwareType      { return header.ARPHardwareNone }
func (*link) MaxHeaderLength() uint16                      { return 0 }
func (*link) LinkAddress() tcpip.LinkAddress               { return "" }
func (*link) SetLinkAddress(tcpip.LinkAddress)             {}
func (*link) AddHeader(*stack.PacketBuffer)                {}
func (*link) ParseHeader(*stack.PacketBuffer) bool         { return true }
func (*link) SetOnCloseAction(func())                      {}
func (*link) Close()                                       {}
func (*link) Wait()                                        {}
