package scenarios

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/reach"
	"github.com/openvnet/openvnet/testenv/wait"
)

// The ports at which every node of a matrix answers, by TCP and UDP.
const (
	firstPort  = 7007
	secondPort = 7008
)

// Deadlines of a measurement. Whoever must not be reached has silence to answer nevertheless; whoever must be, a multiple of it, and is asked again.
const (
	silence = 350 * time.Millisecond
	again   = 300 * time.Millisecond
)

// answer lets a node say its name to whoever comes, by both families, until the test ends. A datagram is answered from the address that it came to.
func (m *matrix) answer(t *testing.T, node string) {
	t.Helper()
	pktinfo := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
		var err error
		set := func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1) }
		if network == "udp6" {
			set = func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) }
		}
		failed := c.Control(set)
		return errors.Join(failed, err)
	}}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	err := m.lab.Do(node, func() error {
		for _, family := range []string{"4", "6"} {
			for _, port := range []int{firstPort, secondPort} {
				l, err := net.Listen("tcp"+family, fmt.Sprintf(":%d", port))
				if err != nil {
					return err
				}
				t.Cleanup(func() { l.Close() }) // before wg.Wait
				u, err := pktinfo.ListenPacket(context.Background(), "udp"+family, fmt.Sprintf(":%d", port))
				if err != nil {
					return err
				}
				t.Cleanup(func() { u.Close() })
				wg.Go(func() { greet(l, node) })
				wg.Go(func() { reply(u.(*net.UDPConn), node) })
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func greet(l net.Listener, name string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte(name + "\n"))
		c.Close()
	}
}

func reply(u *net.UDPConn, name string) {
	b, oob := make([]byte, 2048), make([]byte, 256)
	for {
		n, k, _, from, err := u.ReadMsgUDPAddrPort(b, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _, _ = u.WriteMsgUDPAddrPort([]byte(name+"\n"+string(b[:n])), oob[:k], from)
		}
	}
}

// asker measures the probes of one node.
type asker struct {
	probes  []reach.Probe
	want    reach.Answers
	answers []string
	late    int // answers that came only when asked again
	id      uint16
	socks   []sock
}

// sock is a socket: a connection of one probe, or what carries all datagrams or echoes of a family.
type sock struct {
	fd        int
	proto     reach.Protocol
	six       bool
	probe     int // of TCP
	connected bool
	done      bool
}

// measure asks all probes at once, and gives who has answered: to a ping whoever it was meant for, since the answer does not tell.
func (m *matrix) measure(t *testing.T, probes []reach.Probe, want reach.Answers) (got reach.Answers, late int) {
	t.Helper()
	by := map[string]*asker{}
	for _, p := range probes {
		a := by[p.From]
		if a == nil {
			a = &asker{want: want, id: uint16(rand.Uint32())}
			by[p.From] = a
		}
		a.probes = append(a.probes, p)
	}
	var wg sync.WaitGroup
	errs := make(chan error, len(by))
	for node, a := range by {
		wg.Go(func() { errs <- a.run(func(open func() error) error { return m.lab.Do(node, open) }) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	got = reach.Answers{}
	for _, a := range by {
		late += a.late
		for k, p := range a.probes {
			got[p] = a.answers[k]
		}
	}
	return got, late
}

func (a *asker) run(at func(func() error) error) error {
	a.answers = make([]string, len(a.probes))
	defer func() {
		for _, s := range a.socks {
			unix.Close(s.fd)
		}
	}()
	if err := at(a.open); err != nil {
		return err
	}
	begin := time.Now()
	limit, asked := wait.Scaled(10*silence), begin
	a.ask()
	for {
		now := time.Now()
		if elapsed := now.Sub(begin); elapsed > limit || elapsed > wait.Scaled(silence) && a.content() {
			return nil
		}
		if now.Sub(asked) > wait.Scaled(again) {
			asked = now
			a.ask()
			if err := at(a.reconnect); err != nil {
				return err
			}
		}
		if err := a.poll(asked != begin); err != nil {
			return err
		}
	}
}

// content reports whether everybody has answered who should.
func (a *asker) content() bool {
	for k, p := range a.probes {
		if a.answers[k] == "" && a.want[p] != "" {
			return false
		}
	}
	return true
}

// open makes the sockets, and begins the connections.
func (a *asker) open() error {
	add := func(s sock, domain, kind, proto int) error {
		fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			return fmt.Errorf("open a socket: %w", err)
		}
		s.fd, s.six = fd, domain == unix.AF_INET6
		a.socks = append(a.socks, s)
		return nil
	}
	err := errors.Join(
		add(sock{proto: reach.UDP}, unix.AF_INET, unix.SOCK_DGRAM, 0), add(sock{proto: reach.UDP}, unix.AF_INET6, unix.SOCK_DGRAM, 0),
		add(sock{proto: reach.Ping}, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		add(sock{proto: reach.Ping}, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6),
	)
	for k, p := range a.probes {
		if p.Proto != reach.TCP {
			continue
		}
		domain := unix.AF_INET
		if p.To.Is6() {
			domain = unix.AF_INET6
		}
		if err := errors.Join(err, add(sock{proto: reach.TCP, probe: k}, domain, unix.SOCK_STREAM, 0)); err != nil {
			return err
		}
		a.connect(&a.socks[len(a.socks)-1])
	}
	return err
}

// connect begins a connection, with the socket's namespace whatever the thread's.
func (a *asker) connect(s *sock) {
	_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	err := unix.Connect(s.fd, sockaddr(a.probes[s.probe]))
	s.connected, s.done = false, err != nil && !errors.Is(err, unix.EINPROGRESS) // done: there is no way, nobody answers
}

func sockaddr(p reach.Probe) unix.Sockaddr {
	if p.To.Is4() {
		return &unix.SockaddrInet4{Port: int(p.Port), Addr: p.To.As4()}
	}
	return &unix.SockaddrInet6{Port: int(p.Port), Addr: p.To.As16()}
}

// reconnect begins again the connections that are under way and ought to be there by now.
func (a *asker) reconnect() error {
	for k := range a.socks {
		s := &a.socks[k]
		if s.proto != reach.TCP || s.connected || a.want[a.probes[s.probe]] == "" {
			continue
		}
		domain := unix.AF_INET
		if s.six {
			domain = unix.AF_INET6
		}
		fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a socket: %w", err)
		}
		unix.Close(s.fd)
		s.fd = fd
		a.connect(s)
	}
	return nil
}

// ask sends what has no answer yet. Connections ask again by themselves, but only after a second.
func (a *asker) ask() {
	for k, p := range a.probes {
		if a.answers[k] != "" {
			continue
		}
		for _, s := range a.socks[:4] {
			if s.proto != p.Proto || s.six != p.To.Is6() {
				continue
			}
			b := binary.BigEndian.AppendUint16(nil, uint16(k))
			if p.Proto == reach.Ping {
				b = echoRequest(s.six, a.id, uint16(k))
				p.Port = 0
			}
			_ = unix.Sendto(s.fd, b, 0, sockaddr(p)) // no way: nobody answers
		}
	}
}

// echoRequest is the message of RFC 792, or RFC 4443, section 4.1, where the kernel fills in the checksum.
func echoRequest(six bool, id, seq uint16) []byte {
	m := make([]byte, 16)
	m[0] = 8
	if six {
		m[0] = 128
	}
	binary.BigEndian.PutUint16(m[4:], id)
	binary.BigEndian.PutUint16(m[6:], seq)
	if !six {
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	return m
}

// poll waits a moment for answers and takes them.
func (a *asker) poll(isLate bool) error {
	var fds []unix.PollFd
	var of []int
	for k, s := range a.socks {
		if s.done {
			continue
		}
		events := int16(unix.POLLIN)
		if s.proto == reach.TCP && !s.connected {
			events = unix.POLLOUT
		}
		fds, of = append(fds, unix.PollFd{Fd: int32(s.fd), Events: events}), append(of, k)
	}
	if _, err := unix.Poll(fds, 20); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("poll: %w", err)
	}
	for k, fd := range fds {
		if fd.Revents == 0 {
			continue
		}
		s := &a.socks[of[k]]
		if s.proto == reach.TCP {
			a.takeTCP(s, isLate)
		} else {
			a.takeDatagrams(s, isLate)
		}
	}
	return nil
}

func (a *asker) takeTCP(s *sock, isLate bool) {
	if !s.connected {
		if code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			s.done = true
			if syscall.Errno(code) == unix.ECONNREFUSED {
				a.answered(s.probe, reach.Refused, isLate)
			}
			return
		}
		s.connected = true
		return
	}
	b := make([]byte, 64)
	n, err := unix.Read(s.fd, b)
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	s.done = true
	if name, _, ok := bytes.Cut(b[:max(n, 0)], []byte("\n")); ok {
		a.answered(s.probe, string(name), isLate)
	}
}

func (a *asker) answered(probe int, who string, isLate bool) {
	if a.answers[probe] == "" && isLate {
		a.late++
	}
	a.answers[probe] = who
}

func (a *asker) takeDatagrams(s *sock, isLate bool) {
	for {
		b := make([]byte, 256)
		n, from, err := unix.Recvfrom(s.fd, b, 0)
		if err != nil {
			return
		}
		var who netip.AddrPort
		switch from := from.(type) {
		case *unix.SockaddrInet4:
			who = netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
		case *unix.SockaddrInet6:
			who = netip.AddrPortFrom(netip.AddrFrom16(from.Addr), uint16(from.Port))
		}
		b = b[:n]
		if s.proto == reach.UDP {
			name, rest, _ := bytes.Cut(b, []byte("\n"))
			if len(rest) == 2 {
				if k := int(binary.BigEndian.Uint16(rest)); k < len(a.probes) && a.probes[k].To == who.Addr() && a.probes[k].Port == who.Port() {
					a.answered(k, string(name), isLate)
				}
			}
			continue
		}
		kind := byte(129)
		if !s.six {
			kind = 0
			b = b[min(len(b), int(b[0]&15)*4):] // a raw socket gives the header too
		}
		if len(b) < 8 || b[0] != kind || binary.BigEndian.Uint16(b[4:]) != a.id {
			continue
		}
		if k := int(binary.BigEndian.Uint16(b[6:])); k < len(a.probes) && a.probes[k].To == who.Addr() {
			a.answered(k, pinged, isLate)
		}
	}
}

// pinged is who has answered a ping.
const pinged = "somebody"
