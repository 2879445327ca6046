package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/services/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 20 * time.Second

var (
	guestMAC = model.MAC{2, 0, 0, 0, 0, 1}
	ourMAC   = model.MAC{2, 0, 0, 0, 0, 0xfe}
	ours4    = netip.MustParseAddr("169.254.169.254")
	ours6    = netip.MustParseAddr("fd00:ec2::254")
	guest4   = netip.MustParseAddr("10.1.0.10")
	guest6   = netip.MustParseAddr("fd00:1::10")
	megabyte = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
)

// run makes a server that runs until the test ends.
func run(t testing.TB, o Options) *Server {
	s := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// on serves port 80 of every address.
func on(h Handler) func(uint32, netip.AddrPort) Handler {
	return func(_ uint32, to netip.AddrPort) Handler {
		if to.Port() != 80 {
			return nil
		}
		return h
	}
}

// client is a guest with a TCP of its own.
type client struct {
	t      testing.TB
	frame  Frame
	addr   netip.Addr
	tagged bool
	lose   uint64 // every that many frames, in both directions together; 0 for none
	count  atomic.Uint64
	link   *channel.Endpoint
	stack  *stack.Stack

	mu   sync.Mutex
	seen []frame.Ethernet // of what it got
	max  int              // the longest IP packet of them
}

func newClient(t testing.TB, s *Server, c *client) *client {
	c.t = t
	if c.frame.MTU == 0 {
		c.frame.MTU = 1500
	}
	c.link = channel.New(1024, 1500, "")
	c.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	protocol := ipv4.ProtocolNumber
	if c.addr.Is6() {
		protocol = ipv6.ProtocolNumber
	}
	for _, err := range []tcpip.Error{
		c.stack.CreateNIC(nic, c.link),
		c.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: protocol, AddressWithPrefix: tcpip.AddrFromSlice(c.addr.AsSlice()).WithPrefix()}, stack.AddressProperties{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			pkt := c.link.ReadContext(ctx)
			if pkt == nil {
				return
			}
			if pkt.TransportProtocolNumber == tcp.ProtocolNumber && !c.lost() {
				eth := frame.Ethernet{Dst: ourMAC, Src: guestMAC, Tagged: c.tagged, TCI: 7, Type: uint16(pkt.NetworkProtocolNumber)}
				b := eth.Append(nil)
				for _, part := range pkt.AsSlices() {
					b = append(b, part...)
				}
				f := c.frame
				f.Data, f.Back = b, c.back
				s.Take(f)
				clear(b) // it is not kept
			}
			pkt.DecRef()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		c.stack.Destroy()
	})
	return c
}

func (c *client) lost() bool { return c.lose > 0 && c.count.Add(1)%c.lose == 0 }

// back takes a frame of the server.
func (c *client) back(_ context.Context, b []byte) {
	eth, rest, reason := frame.DecodeEthernet(b)
	if reason != frame.OK {
		c.t.Errorf("got a frame that is %s", reason)
		return
	}
	c.mu.Lock()
	c.seen, c.max = append(c.seen, eth), max(c.max, len(rest))
	c.mu.Unlock()
	if c.lost() {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(rest)})
	c.link.InjectInbound(tcpip.NetworkProtocolNumber(eth.Type), pkt)
	pkt.DecRef()
}

func (c *client) dial(to netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	protocol := ipv4.ProtocolNumber
	if to.Is6() {
		protocol = ipv6.ProtocolNumber
	}
	conn, err := gonet.DialContextTCP(ctx, c.stack, tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(to.AsSlice()), Port: port}, protocol)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(deadline))
}

// get gives all that comes from port 80.
func (c *client) get(to netip.Addr) []byte {
	c.t.Helper()
	conn, err := c.dial(to, 80)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	b, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// await waits for a condition.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestMegabyteWithLoss(t *testing.T) {
	for _, c := range []struct {
		name       string
		from, to   netip.Addr
		tagged     bool
		mtu        int
		lose       uint64
		domain, id uint32
	}{
		{name: "IPv4", from: guest4, to: ours4, mtu: 1500, domain: 1, id: 2},
		{name: "IPv4, every fifth frame lost", from: guest4, to: ours4, mtu: 1500, lose: 5, domain: 1, id: 2},
		{name: "IPv6, tagged, small MTU, every fifth frame lost", from: guest6, to: ours6, mtu: 1300, tagged: true, lose: 5, domain: 3, id: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			guests := make(chan Guest, 1)
			s := run(t, Options{Handler: on(func(_ context.Context, conn *Conn) {
				guests <- conn.Guest()
				if _, err := conn.Write(megabyte); err != nil {
					t.Error(err)
				}
			})})
			cl := newClient(t, s, &client{frame: Frame{Domain: c.domain, Interface: c.id, MTU: c.mtu}, addr: c.from, tagged: c.tagged, lose: c.lose})
			if got := cl.get(c.to); sha256.Sum256(got) != sha256.Sum256(megabyte) {
				t.Errorf("got %d bytes, not what was sent", len(got))
			}
			g := <-guests
			if g.Domain != c.domain || g.Interface != c.id || g.MAC != guestMAC || g.Addr.Addr() != c.from {
				t.Errorf("the guest is %+v", g)
			}
			cl.mu.Lock()
			defer cl.mu.Unlock()
			for _, eth := range cl.seen {
				if eth.Dst != guestMAC || eth.Src != ourMAC || eth.Tagged != c.tagged || c.tagged && eth.TCI != 7 {
					t.Fatalf("an answer goes by %+v", eth)
				}
			}
			if cl.max > c.mtu || cl.max < c.mtu-40 {
				t.Errorf("the longest packet has %d bytes, of %d", cl.max, c.mtu)
			}
		})
	}
}

func TestDomainsDoNotMix(t *testing.T) {
	s := run(t, Options{Handler: on(func(_ context.Context, c *Conn) { fmt.Fprintf(c, "%d/%d", c.Guest().Domain, c.Guest().Interface) })})
	var all []*client
	for n := range uint32(4) {
		all = append(all, newClient(t, s, &client{frame: Frame{Domain: n, Interface: 10 + n}, addr: guest4}))
	}
	var wg sync.WaitGroup
	for n, c := range all {
		wg.Go(func() {
			for range 20 {
				if got, want := string(c.get(ours4)), fmt.Sprintf("%d/%d", n, 10+n); got != want {
					t.Errorf("got %s instead of %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestClosedPort(t *testing.T) {
	s := run(t, Options{Handler: on(func(context.Context, *Conn) {})})
	c := newClient(t, s, &client{frame: Frame{Domain: 1, Interface: 1}, addr: guest4})
	start := time.Now()
	if _, err := c.dial(ours4, 81); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("a closed port: %v after %s", err, time.Since(start))
	}
}

// hold keeps connections until the test ends or they do.
func hold() (Handler, *atomic.Int64) {
	var n atomic.Int64
	return func(ctx context.Context, _ *Conn) {
		n.Add(1)
		<-ctx.Done()
		n.Add(-1)
	}, &n
}

func TestLimits(t *testing.T) {
	h, n := hold()
	s := run(t, Options{Handler: on(h), PerInterface: 3, Connections: 5, Domains: 2, HalfOpen: 2})
	one := newClient(t, s, &client{frame: Frame{Domain: 1, Interface: 1}, addr: guest4})
	for i := range int64(3) {
		if _, err := one.dial(ours4, 80); err != nil {
			t.Fatal(err)
		}
		await(t, "it is served", func() bool { return n.Load() == i+1 })
	}
	if v := s.Take(Frame{Domain: 1, Interface: 1, MTU: 1500, Data: segment(guest4, ours4, 999, 80, header.TCPFlagSyn), Back: one.back}); v != Taken {
		t.Fatal(v)
	}
	await(t, "the fourth is refused", func() bool { return s.Counts()[TooManyConnections] == 1 })

	t.Run("half open", func(t *testing.T) {
		answers := make(chan []byte, 100)
		for port := range uint16(4) {
			s.Take(Frame{Domain: 2, Interface: 2, MTU: 1500, Data: segment(guest4, ours4, 1000+port, 80, header.TCPFlagSyn), Back: func(_ context.Context, b []byte) { answers <- b }})
		}
		await(t, "two of four are refused", func() bool { return s.Counts()[TooManyConnections] == 3 })
		<-answers
		<-answers
	})
	t.Run("domains", func(t *testing.T) {
		if v := s.Take(Frame{Domain: 3, Interface: 3, MTU: 1500, Data: segment(guest4, ours4, 1, 80, header.TCPFlagSyn), Back: one.back}); v != TooManyDomains {
			t.Error(v)
		}
	})
	t.Run("guests", func(t *testing.T) {
		src, taken := guest4, 0
		for range 2 * maxInterfaceGuests {
			src = src.Next()
			if s.Take(Frame{Domain: 1, Interface: 1, MTU: 1500, Data: segment(src, ours4, 1, 81, header.TCPFlagSyn), Back: func(context.Context, []byte) {}}) == Taken {
				taken++
			}
		}
		if taken != maxInterfaceGuests-1 || s.Counts()[TooManyGuests] == 0 {
			t.Errorf("%d guests of one interface", taken)
		}
	})
	await(t, "handshakes that nobody completes end", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.interfaces[2] == nil || s.interfaces[2].halfOpen == 0
	})
}

func TestSmallMTU(t *testing.T) {
	for _, c := range []struct {
		from, to netip.Addr
		mtu, mss int
	}{{guest4, ours4, 1450, 1410}, {guest6, ours6, 1450, 1390}, {guest4, ours4, 9000, 8960}, {guest4, ours4, 68, lowestMTU - 40}} {
		h, _ := hold()
		s := run(t, Options{Handler: on(h)})
		answers := make(chan []byte, 100)
		s.Take(Frame{Domain: 2, Interface: 2, MTU: c.mtu, Data: segment(c.from, c.to, 5, 80, header.TCPFlagSyn), Back: func(_ context.Context, b []byte) { answers <- b }})
		p, v := decode(<-answers)
		if v != Taken {
			t.Fatal(v)
		}
		ip := 20
		if c.to.Is6() {
			ip = 40
		}
		got := header.TCP(p.data[ip:])
		if mss := header.ParseSynOptions(got.Options(), true).MSS; int(mss) != c.mss {
			t.Errorf("MTU %d: MSS %d instead of %d", c.mtu, mss, c.mss)
		}
	}
}

// TestMoved: an address that another interface has now gets nothing that was for the one before.
func TestMoved(t *testing.T) {
	h, n := hold()
	s := run(t, Options{Handler: on(h)})
	c := newClient(t, s, &client{frame: Frame{Domain: 1, Interface: 1}, addr: guest4})
	conn, err := c.dial(ours4, 80)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "it is served", func() bool { return n.Load() == 1 })
	other := make(chan []byte, 100)
	take := func() Verdict {
		return s.Take(Frame{Domain: 1, Interface: 9, MTU: 1500, Data: segment(guest4, ours4, 999, 80, header.TCPFlagSyn), Back: func(_ context.Context, b []byte) { other <- b }})
	}
	if v := take(); v != Moved {
		t.Fatal(v)
	}
	await(t, "the connection is reset", func() bool { return n.Load() == 0 })
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
	await(t, "the other one is served", func() bool { return take() == Taken })
	if p, v := decode(<-other); v != Taken || !header.TCP(p.data[20:]).Flags().Contains(header.TCPFlagSyn|header.TCPFlagAck) {
		t.Errorf("the other one got %x: %s", p.data, v)
	}
}

func TestLifetime(t *testing.T) {
	h, n := hold()
	s := run(t, Options{Handler: on(h), Lifetime: 300 * time.Millisecond, Idle: time.Millisecond})
	c := newClient(t, s, &client{frame: Frame{Domain: 1, Interface: 1}, addr: guest4})
	conn, err := c.dial(ours4, 80)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
	await(t, "its handler ends", func() bool { return n.Load() == 0 })
	await(t, "the stack and the guest go", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.domains) == 0 && len(s.guests) == 0 && len(s.interfaces) == 0 && s.connections == 0
	})
	await(t, "a new stack works", func() bool {
		conn, err := c.dial(ours4, 80)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// TestEnd: everything ends with the server, connections and handshakes too.
func TestEnd(t *testing.T) {
	h, n := hold()
	s := New(Options{Handler: on(h)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	c := newClient(t, s, &client{frame: Frame{Domain: 1, Interface: 1}, addr: guest4})
	if _, err := c.dial(ours4, 80); err != nil {
		t.Fatal(err)
	}
	for port := range uint16(8) {
		s.Take(Frame{Domain: uint32(port), Interface: 2, MTU: 1500, Data: segment(guest6, ours6, 1000+port, 80, header.TCPFlagSyn), Back: c.back})
	}
	cancel()
	<-done
	if n.Load() != 0 {
		t.Error("a handler still runs")
	}
	if v := s.Take(Frame{Domain: 1, Interface: 1, Data: segment(guest4, ours4, 1, 80, header.TCPFlagSyn), Back: c.back}); v != Ended {
		t.Error(v)
	}
}

// TestHTTP: what listens is an http.Server, and many short connections find a place one after the other.
func TestHTTP(t *testing.T) {
	l := NewListener()
	type key struct{}
	hs := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g := r.Context().Value(key{}).(Guest)
			fmt.Fprintf(w, "%d %s", g.Interface, r.RemoteAddr)
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			g, _ := GuestOf(c)
			return context.WithValue(ctx, key{}, g)
		},
	}
	done := make(chan error, 1)
	go func() { done <- hs.Serve(l) }()
	s := run(t, Options{Handler: on(l.Handle), PerInterface: 4})
	c := newClient(t, s, &client{frame: Frame{Domain: 1, Interface: 77}, addr: guest4})
	for _, together := range []bool{true, false} {
		tr := &http.Transport{DisableKeepAlives: !together, DialContext: func(context.Context, string, string) (net.Conn, error) { return c.dial(ours4, 80) }}
		for range 50 {
			r, err := (&http.Client{Transport: tr}).Get("http://169.254.169.254/")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || !bytes.HasPrefix(b, []byte("77 10.1.0.10:")) {
				t.Fatalf("got %q, %v", b, err)
			}
		}
		tr.CloseIdleConnections()
	}
	hs.Close()
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// segment makes a TCP segment without data.
func segment(src, dst netip.Addr, from, to uint16, flags header.TCPFlags) []byte {
	n := header.TCPMinimumSize
	s, d := tcpip.AddrFromSlice(src.AsSlice()), tcpip.AddrFromSlice(dst.AsSlice())
	var b []byte
	if src.Is4() {
		eth := frame.Ethernet{Dst: ourMAC, Src: guestMAC, Type: uint16(header.IPv4ProtocolNumber)}
		b = frame.IPv4{TTL: 64, Protocol: uint8(header.TCPProtocolNumber), Src: src, Dst: dst}.Append(eth.Append(nil), n)
	} else {
		eth := frame.Ethernet{Dst: ourMAC, Src: guestMAC, Type: uint16(header.IPv6ProtocolNumber)}
		ip := header.IPv6(make([]byte, header.IPv6MinimumSize))
		ip.Encode(&header.IPv6Fields{PayloadLength: uint16(n), TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: s, DstAddr: d})
		b = append(eth.Append(nil), ip...)
	}
	h := header.TCP(make([]byte, n))
	h.Encode(&header.TCPFields{SrcPort: from, DstPort: to, SeqNum: 1, DataOffset: uint8(n), Flags: flags, WindowSize: 65535})
	h.SetChecksum(^h.CalculateChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, s, d, uint16(n))))
	return append(b, h...)
}

func TestRefused(t *testing.T) {
	with := func(b []byte, change func([]byte)) []byte {
		b = bytes.Clone(b)
		change(b)
		return b
	}
	good, good6 := segment(guest4, ours4, 1, 80, header.TCPFlagSyn), segment(guest6, ours6, 1, 80, header.TCPFlagSyn)
	fix := func(b []byte) { // the sum of the IPv4 header
		ip := header.IPv4(b[14:])
		ip.SetChecksum(0)
		ip.SetChecksum(^checksum.Checksum(ip[:20], 0))
	}
	for _, c := range []struct {
		name string
		data []byte
		want Verdict
	}{
		{"good", good, Taken},
		{"good, padded", append(bytes.Clone(good), 0, 0, 0, 0, 0, 0), Taken},
		{"good, IPv6", good6, Taken},
		{"short", good[:13], firstFrame + Verdict(frame.EthernetShort)},
		{"ARP", with(good, func(b []byte) { b[12], b[13] = 8, 6 }), firstFrame + Verdict(frame.NotIP)},
		{"IP checksum", with(good, func(b []byte) { b[24]++ }), firstFrame + Verdict(frame.IPv4Checksum)},
		{"fragment", with(good, func(b []byte) { b[20] |= 0x20; fix(b) }), firstFrame + Verdict(frame.IPv4Fragment)},
		{"UDP", with(good, func(b []byte) { b[23] = 17; fix(b) }), NotTCP},
		{"from multicast", with(good, func(b []byte) { b[26] = 224; fix(b) }), BadAddress},
		{"broadcast", with(good, func(b []byte) { copy(b, "\xff\xff\xff\xff\xff\xff") }), BadAddress},
		{"TCP checksum", with(good, func(b []byte) { b[50]++ }), TCPChecksum},
		{"data offset", with(good, func(b []byte) { b[46] = 0xf0 }), TCPShort},
		{"IPv6 short", good6[:50], firstFrame + Verdict(frame.IPv6Header)},
		{"IPv6 longer than the frame", with(good6, func(b []byte) { b[18] = 1 }), firstFrame + Verdict(frame.IPv6Header)},
		{"IPv6 fragment header", with(good6, func(b []byte) { b[20] = 44 }), NotTCP},
		{"IPv6 TCP checksum", with(good6, func(b []byte) { b[len(b)-1]++ }), TCPChecksum},
	} {
		if _, got := decode(c.data); got != c.want {
			t.Errorf("%s: %s instead of %s", c.name, got, c.want)
		}
	}
	for v := range Verdict(NumVerdicts) {
		if v.String() == "" || v.String() == "unknown verdict" && v != firstFrame {
			t.Errorf("verdict %d has no text", v)
		}
	}
}

// FuzzTake takes any frame, and with it any options of TCP in a segment whose sums are right.
func FuzzTake(f *testing.F) {
	for _, src := range []netip.Addr{guest4, guest6} {
		dst := ours4
		if src.Is6() {
			dst = ours6
		}
		for _, flags := range []header.TCPFlags{header.TCPFlagSyn, header.TCPFlagAck, header.TCPFlagRst, header.TCPFlagFin, header.TCPFlagSyn | header.TCPFlagAck, 0xff} {
			f.Add(segment(src, dst, 5, 80, flags), true)
			f.Add(segment(src, dst, 5, 80, flags), false)
		}
	}
	s := run(f, Options{Handler: on(func(_ context.Context, c *Conn) {
		c.SetDeadline(time.Now().Add(100 * time.Millisecond))
		io.Copy(c, c)
	})})
	f.Fuzz(func(t *testing.T, b []byte, sums bool) {
		if sums {
			repair(b)
		}
		s.Take(Frame{Domain: 1, Interface: 1, MTU: 1500, Data: b, Back: func(_ context.Context, answer []byte) {
			if _, v := decode(answer); v != Taken {
				t.Errorf("answered with %x: %s", answer, v)
			}
		}})
	})
}

// repair makes the checksums of a frame right, as far as it has any.
func repair(b []byte) {
	if len(b) < 14+20+20 {
		return
	}
	switch ip := b[14:]; ip[0] >> 4 {
	case 4:
		h := header.IPv4(ip)
		hl := int(h.HeaderLength())
		if hl < 20 || hl+20 > len(ip) {
			return
		}
		h.SetTotalLength(uint16(len(ip)))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
		sumTCP(ip[hl:], h.SourceAddress(), h.DestinationAddress())
	case 6:
		if len(ip) < 60 {
			return
		}
		h := header.IPv6(ip)
		h.SetPayloadLength(uint16(len(ip) - 40))
		sumTCP(ip[40:], h.SourceAddress(), h.DestinationAddress())
	}
}

func sumTCP(b []byte, src, dst tcpip.Address) {
	h := header.TCP(b)
	h.SetChecksum(0)
	h.SetChecksum(^checksum.Checksum(b, header.PseudoHeaderChecksum(header.TCPProtocolNumber, src, dst, uint16(len(b)))))
}

// BenchmarkDomain is a stack that comes and goes.
func BenchmarkDomain(b *testing.B) {
	s := New(Options{Handler: on(nil)})
	b.ReportAllocs()
	for range b.N {
		d, err := newDomain(s, 1, 1500)
		if err != nil {
			b.Fatal(err)
		}
		d.stack.Destroy()
	}
}

// A segment that only acknowledges waits for the next one; every second one goes, and all that say that something is missing.
func TestAcknowledgementsWait(t *testing.T) {
	s := New(Options{Handler: on(nil), Hold: time.Hour})
	p := pair{1, guest4, ours4}
	s.guests[p] = &guest{}
	f := flow{p, [2]uint16{1000, 80}}
	for _, c := range []struct {
		name string
		of   outgoing
		want string
	}{
		{"a", outgoing{f, true, 10, frame.TypeIPv4}, ""},
		{"b", outgoing{f, false, 10, frame.TypeIPv4}, "b"}, // with data, so that the one before is of no use
		{"c", outgoing{f, true, 20, frame.TypeIPv4}, ""},
		{"d", outgoing{flow{p, [2]uint16{1001, 80}}, false, 10, frame.TypeIPv4}, "d"}, // of another connection
		{"e", outgoing{f, true, 30, frame.TypeIPv4}, "e"},                             // the second
		{"f", outgoing{f, true, 40, frame.TypeIPv4}, ""},
		{"g", outgoing{f, true, 40, frame.TypeIPv4}, "fg"}, // what comes after is missing
		{"h", outgoing{f, true, 50, frame.TypeIPv4}, ""},
	} {
		s.send(c.of, [][]byte{[]byte(c.name)})
		if got := sent(s); got != c.want {
			t.Errorf("after %s: %q instead of %q", c.name, got, c.want)
		}
	}
	s.letGo()
	if got := sent(s); got != "h" {
		t.Errorf("in the end: %q", got)
	}
}

// sent gives the last byte of each frame that is to be sent.
func sent(s *Server) (all string) {
	for len(s.out) > 0 {
		f := <-s.out
		all += string(f.data[len(f.data)-1:])
	}
	return all
}

// echo says what it is told.
func echo(_ context.Context, c *Conn) {
	b := make([]byte, 512)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

// asking is a guest of a server that asks by itself.
func asking(s *Server) (open func(port uint16), over func() error) {
	a := &streamtest.Asker{MAC: guestMAC, Server: ourMAC, From: guest4, To: netip.AddrPortFrom(ours4, 80), Question: []byte("hello")}
	back := make(chan []byte, 64)
	take := func(b []byte) {
		s.Take(Frame{Domain: 1, Interface: 2, MTU: 1500, Data: b, Back: func(_ context.Context, b []byte) { back <- b }})
	}
	return func(port uint16) { take(a.Open(port)) }, func() error {
		for {
			next, over, err := a.Take(<-back)
			for _, f := range next {
				take(f)
			}
			if err != nil || over {
				return err
			}
		}
	}
}

// A question that is answered takes three frames: one opens the connection, one answers, one closes.
func TestFramesOfAQuestion(t *testing.T) {
	s := run(t, Options{Handler: on(echo), Hold: time.Hour})
	open, over := asking(s)
	open(1000)
	if err := over(); err != nil {
		t.Fatal(err)
	}
	if n := s.Counts()[Sent]; n != 3 {
		t.Errorf("%d frames", n)
	}
}

// BenchmarkConnection is a connection with a question and its answer, as a guest of Linux has it.
func BenchmarkConnection(b *testing.B) {
	open, over := asking(run(b, Options{Handler: on(echo), PerInterface: 1000, HalfOpen: 1000}))
	b.ReportAllocs()
	for n := range b.N {
		open(uint16(1024 + n%60_000))
		if err := over(); err != nil {
			b.Fatal(err)
		}
	}
}
