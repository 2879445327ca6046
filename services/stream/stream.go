// Package stream speaks TCP for simulated addresses: frames of guests in, frames out, and to a service a net.Conn that says which guest is at its
// other end. TCP itself is gVisor's network stack, in user space; the kernel of the host knows nothing of it.
//
// There is one stack for each domain that is asked in, so that the same address in two domains is two guests. A stack comes with the first segment and
// goes when nobody has used it for a while. Who a guest is, its interface and the domain, is what the caller says of the frame: the switch has guarded that
// the addresses in it are the guest's. There is no ARP and no neighbour discovery: an answer goes to the MAC address, with the VLAN tag, and by the way
// that the guest's address was last heard from. If that is another interface than before, the connections of the one before are reset.
//
// Everything is bounded: stacks, guests, connections of an interface, of them those that are half open, and connections in all, each with buffers of fixed size and a time to
// live. What exceeds a bound is dropped and counted by its [Verdict]; TCP asks again. A port without a handler answers with a reset.
//
// The agent's adapters import it. It does not know what is said over a connection, nor OpenFlow.
package stream

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/model"
)

// Frame is what a guest has sent: Ethernet with at most one VLAN tag, and a whole TCP segment.
type Frame struct {
	Domain    uint32 // number of the domain that it is in
	Interface uint32 // id of the interface that sent it
	MTU       int    // of the domain: the most bytes of an IP packet
	Data      []byte // not kept

	// Back sends a frame to where this one came from. It is kept for as long as the guest is, and called by one goroutine.
	Back func(ctx context.Context, frame []byte)
}

// Guest is the other end of a connection.
type Guest struct {
	Domain    uint32
	Interface uint32
	MAC       model.MAC
	Addr      netip.AddrPort
}

// Handler serves a connection, which is closed when it returns. When ctx ends the connection has been reset.
type Handler func(ctx context.Context, c *Conn)

// Options are how a server works. Zero means the default.
type Options struct {
	// Handler gives what serves a port of an address in a domain, nil for nothing: then the guest gets a reset. It is asked for each connection and must not block.
	Handler func(domain uint32, to netip.AddrPort) Handler // required

	Domains      int           // stacks at once; 256
	Connections  int           // in all; 1,024
	PerInterface int           // connections of one interface; 16
	HalfOpen     int           // of them, whose handshake is not complete; 8
	Buffer       int           // bytes of each connection that wait to be sent or acknowledged; of what has come in, half of it; 65,536
	Lifetime     time.Duration // of a connection; a minute
	Hold         time.Duration // for a segment that only acknowledges to wait for the next one, which does so too; 10 ms
	Idle         time.Duration // until a stack that nobody uses goes; half a minute
}

const (
	maxGuests          = 4096 // pairs of a guest's and a simulated address
	maxInterfaceGuests = 64   // of one interface
	maxOut             = 1024 // frames that wait to be sent back
	guestIdle          = 5 * time.Second
	linger             = 2 * time.Second // for a guest to acknowledge the end of a connection
	sweepEvery         = time.Second

	maxHeld = 1024 // segments that wait for the next one of their connection
)

// Server is the TCP of all domains. Its methods are safe for concurrent use.
type Server struct {
	o        Options
	verdicts [NumVerdicts]atomic.Uint64
	out      chan outFrame

	mu          sync.Mutex
	ended       bool
	domains     map[uint32]*domain
	guests      map[pair]*guest
	interfaces  map[uint32]*usage
	connections int
	held        map[flow]held
	letGoSoon   *time.Timer    // runs while there are some
	closing     sync.WaitGroup // stacks that go
}

type outFrame struct {
	back func(ctx context.Context, frame []byte)
	data []byte
}

// pair is who talks to whom in a domain.
type pair struct {
	domain        uint32
	remote, local netip.Addr
}

// guest is where a pair's frames come from.
type guest struct {
	iface       uint32
	mac, local  model.MAC
	tagged      bool
	tci         uint16
	back        func(ctx context.Context, frame []byte)
	heard       time.Time
	connections map[*Conn]struct{}
}

// usage is what an interface has.
type usage struct{ guests, connections, halfOpen int }

// New makes a server, which works while Run does.
func New(o Options) *Server {
	def := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	def(&o.Domains, 256)
	def(&o.Connections, 1024)
	def(&o.PerInterface, 16)
	def(&o.HalfOpen, 8)
	def(&o.Buffer, 1<<16)
	if o.Lifetime == 0 {
		o.Lifetime = time.Minute
	}
	if o.Hold == 0 {
		o.Hold = 10 * time.Millisecond
	}
	if o.Idle == 0 {
		o.Idle = 30 * time.Second
	}
	s := &Server{
		o: o, out: make(chan outFrame, maxOut),
		domains: map[uint32]*domain{}, guests: map[pair]*guest{}, interfaces: map[uint32]*usage{}, held: map[flow]held{},
	}
	s.letGoSoon = time.AfterFunc(o.Hold, s.letGo)
	s.letGoSoon.Stop()
	return s
}

// Run sends what there is to send and lets go of what is not used, until ctx ends. Then all connections are reset, and their handlers have returned when Run does.
func (s *Server) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			s.end()
			return nil
		case f := <-s.out:
			f.back(ctx, f.data)
		case now := <-t.C:
			s.sweep(now)
		}
	}
}

// Take takes a frame of a guest. It never blocks.
func (s *Server) Take(f Frame) Verdict {
	v := s.take(f)
	s.verdicts[v].Add(1)
	return v
}

func (s *Server) take(f Frame) Verdict {
	p, v := decode(f.Data)
	if v != Taken {
		return v
	}
	d, v := s.heard(f, &p)
	if v != Taken {
		return v
	}
	d.deliver(&p, f.MTU)
	return Taken
}

// Counts gives how many frames there were of each verdict.
func (s *Server) Counts() map[Verdict]uint64 {
	m := map[Verdict]uint64{}
	for v := range s.verdicts {
		if n := s.verdicts[v].Load(); n > 0 {
			m[Verdict(v)] = n
		}
	}
	return m
}

// heard takes down where a guest is, and gives the stack of its domain.
func (s *Server) heard(f Frame, p *parsed) (*domain, Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, Ended
	}
	now := time.Now()
	key := pair{f.Domain, p.src, p.dst}
	g := s.guests[key]
	if g != nil && g.iface != f.Interface {
		if len(g.connections) > 0 { // nothing that is for the one before may go to this one
			for c := range g.connections {
				c.cancel()
			}
			return nil, Moved
		}
		s.forget(key, g)
		g = nil
	}
	u := s.interfaces[f.Interface]
	if g == nil {
		if len(s.guests) >= maxGuests || u != nil && u.guests >= maxInterfaceGuests {
			return nil, TooManyGuests
		}
	}
	d := s.domains[f.Domain]
	if d == nil {
		if len(s.domains) >= s.o.Domains {
			return nil, TooManyDomains
		}
		var err error
		if d, err = newDomain(s, f.Domain, f.MTU); err != nil {
			return nil, NoStack
		}
		s.domains[f.Domain] = d
	}
	d.used = now
	if g == nil {
		if u == nil {
			u = &usage{}
			s.interfaces[f.Interface] = u
		}
		u.guests++
		g = &guest{iface: f.Interface, connections: map[*Conn]struct{}{}}
		s.guests[key] = g
	}
	g.mac, g.local, g.tagged, g.tci, g.back, g.heard = p.eth.Src, p.eth.Dst, p.eth.Tagged, p.eth.TCI, f.Back, now
	return d, Taken
}

// forget lets go of a guest. Its connections know it still.
func (s *Server) forget(key pair, g *guest) {
	delete(s.guests, key)
	s.interfaces[g.iface].guests--
	s.tidy(g.iface)
}

func (s *Server) tidy(iface uint32) {
	if *s.interfaces[iface] == (usage{}) {
		delete(s.interfaces, iface)
	}
}

// admit gives a connection that has been asked for a place, and the context of its life; nil if there is none.
func (s *Server) admit(d *domain, remote, local netip.AddrPort) (context.Context, *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guests[pair{d.number, remote.Addr(), local.Addr()}]
	if g == nil || d.closing {
		return nil, nil
	}
	u := s.interfaces[g.iface]
	if s.connections >= s.o.Connections || u.connections >= s.o.PerInterface || u.halfOpen >= s.o.HalfOpen {
		s.verdicts[TooManyConnections].Add(1)
		return nil, nil
	}
	s.connections++
	u.connections++
	u.halfOpen++
	d.connections++
	c := &Conn{guest: Guest{d.number, g.iface, g.mac, remote}, local: local, of: g}
	var ctx context.Context
	ctx, c.cancel = context.WithTimeout(context.Background(), s.o.Lifetime)
	g.connections[c] = struct{}{}
	return ctx, c
}

// opened says that a connection's handshake is complete, or never will be.
func (s *Server) opened(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interfaces[c.of.iface].halfOpen--
}

// release gives a connection's place free.
func (s *Server) release(d *domain, c *Conn) {
	c.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections--
	s.interfaces[c.of.iface].connections--
	d.connections--
	d.used = time.Now()
	delete(c.of.connections, c)
	s.tidy(c.of.iface)
	if d.closing && d.connections == 0 {
		close(d.quiet)
	}
}

// sweep lets go of guests and stacks that are not used.
func (s *Server) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, g := range s.guests {
		if len(g.connections) == 0 && now.Sub(g.heard) > guestIdle {
			s.forget(key, g)
		}
	}
	for _, d := range s.domains {
		if d.connections == 0 && now.Sub(d.used) > s.o.Idle {
			s.drop(d)
		}
	}
}

// drop ends a stack and its connections. It goes in a goroutine of its own, as there is something to wait for.
func (s *Server) drop(d *domain) {
	delete(s.domains, d.number)
	d.closing = true
	for key, g := range s.guests {
		if key.domain == d.number {
			for c := range g.connections {
				c.cancel()
			}
		}
	}
	if d.connections == 0 {
		close(d.quiet)
	}
	s.closing.Go(d.close)
}

func (s *Server) end() {
	s.mu.Lock()
	s.ended = true
	for _, d := range s.domains {
		s.drop(d)
	}
	s.mu.Unlock()
	s.closing.Wait()
	s.letGoSoon.Stop()
}

// flow is the segments of a connection to the guest.
type flow struct {
	pair
	ports [2]uint16 // the guest's, ours
}

// outgoing is what a stack has for a guest.
type outgoing struct {
	flow
	acknowledges bool // and nothing else
	acked        uint32
	etherType    uint16
}

// held is a segment that waits for the next one of its connection.
type held struct {
	outFrame
	acked uint32
}

// send sends what a stack has for a guest, or drops it: then TCP sends it again. A segment that only acknowledges is held back for a while, as the next one does
// so too, and is forgotten then; but every second one goes (RFC 1122, section 4.2.3.2).
func (s *Server) send(of outgoing, packet [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guests[of.pair]
	if g == nil {
		s.verdicts[NoGuest].Add(1)
		return
	}
	f := outFrame{g.back, g.frame(of.etherType, packet)}
	before, waits := s.held[of.flow]
	switch {
	case of.acknowledges && !waits && len(s.held) < maxHeld:
		s.held[of.flow] = held{f, of.acked}
		if len(s.held) == 1 {
			s.letGoSoon.Reset(s.o.Hold)
		}
		return
	case waits:
		delete(s.held, of.flow)
		if of.acknowledges && before.acked == of.acked { // that something is missing is said each time
			s.put(before.outFrame)
		}
	}
	s.put(f)
}

// put lets a frame wait to be sent.
func (s *Server) put(f outFrame) {
	select {
	case s.out <- f:
		s.verdicts[Sent].Add(1)
	default:
		s.verdicts[QueueFull].Add(1)
	}
}

// letGo sends what is held back.
func (s *Server) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for to, h := range s.held {
		delete(s.held, to)
		s.put(h.outFrame)
	}
}
