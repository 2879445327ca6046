package services

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/netns"
)

const (
	dnsPort = 53
	// upstream is where servers ask for what they do not know, an address of their own network namespaces.
	upstream = "192.0.2.53"
	// upstreamName and upstreamAddress are what is known there.
	upstreamName    = "www.example.com."
	upstreamAddress = "192.0.2.80"
)

// name is what is asked for: a guest's own name, or its own address, or a name that a server knows of another.
type name func(guest int) (ask string, qtype uint16, want string)

func ownName(guest int) (string, uint16, string) {
	return guestName(guest) + "." + domain + ".", dns.TypeA, guest4(guest).String()
}

func ownAddress(guest int) (string, uint16, string) {
	a := guest4(guest).As4()
	return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", a[3], a[2], a[1], a[0]), dns.TypePTR, guestName(guest) + "." + domain + "."
}

func elsewhere(int) (string, uint16, string) { return upstreamName, dns.TypeA, upstreamAddress }

func dnsMessage(n name, guest int) ([]byte, error) {
	ask, qtype, _ := n(guest)
	b, err := new(dns.Msg).SetQuestion(ask, qtype).Pack()
	if err != nil {
		return nil, fmt.Errorf("make a question for %s: %w", ask, err)
	}
	return b, nil
}

// readDNS gives the number of an answer, and what is wrong with it.
func readDNS(b []byte, n name, guest int) (uint16, error) {
	ask, _, want := n(guest)
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		return 0, fmt.Errorf("read the answer for %s: %w", ask, err)
	}
	if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		return m.Id, fmt.Errorf("the answer for %s is %s with %d records", ask, dns.RcodeToString[m.Rcode], len(m.Answer))
	}
	got := ""
	switch r := m.Answer[0].(type) {
	case *dns.A:
		got = r.A.String()
	case *dns.PTR:
		got = r.Ptr
	}
	if got != want {
		return m.Id, fmt.Errorf("the answer for %s is %s", ask, m.Answer[0])
	}
	return m.Id, nil
}

// openDNS asks over UDP.
func openDNS(n name) func(guest, outstanding int) ([]line, error) {
	return func(guest, outstanding int) ([]line, error) {
		text, err := dnsMessage(n, guest)
		if err != nil {
			return nil, err
		}
		fd, err := udpSocket(unix.AF_INET, &unix.SockaddrInet4{Addr: guest4(guest).As4()}, &unix.SockaddrInet4{Port: dnsPort, Addr: server4.As4()})
		if err != nil {
			return nil, err
		}
		return []line{newDatagrams(fd, question{
			text:   text,
			number: func(text []byte, id uint16) { binary.BigEndian.PutUint16(text, id) },
			read: func(b []byte) (uint16, bool, error) {
				id, err := readDNS(b, n, guest)
				return id, true, err
			},
		}, outstanding)}, nil
	}
}

// openDNSOverTCP asks over TCP, with a connection for each question.
func openDNSOverTCP(n name) func(guest, outstanding int) ([]line, error) {
	return func(guest, outstanding int) ([]line, error) {
		text, err := dnsMessage(n, guest)
		if err != nil {
			return nil, err
		}
		return newConnections(exchange{
			to:   &unix.SockaddrInet4{Port: dnsPort, Addr: server4.As4()},
			text: append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...),
			whole: func(b []byte) (bool, error) {
				if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
					return false, nil
				}
				_, err := readDNS(b[2:], n, guest)
				return true, err
			},
		}, outstanding)
	}
}

// serveUpstream answers the one name that is known elsewhere, in a network namespace, until ctx ends.
func serveUpstream(ctx context.Context, ns *netns.NS) (end func(), err error) {
	err = ns.Link(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return setAddresses(h, lo, netip.PrefixFrom(netip.MustParseAddr(upstream), 32))
	})
	if err != nil {
		return nil, err
	}
	var c net.PacketConn
	err = ns.Do(func() (err error) {
		c, err = (&net.ListenConfig{}).ListenPacket(ctx, "udp4", net.JoinHostPort(upstream, fmt.Sprint(dnsPort)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start a DNS server: %w", err)
	}
	answer, err := dns.NewRR(upstreamName + " 3600 A " + upstreamAddress)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	mux := dns.NewServeMux()
	mux.HandleFunc(".", func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if len(q.Question) == 1 && dns.CanonicalName(q.Question[0].Name) == upstreamName && q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{answer}
		}
		_ = w.WriteMsg(m) // who does not get it asks again
	})
	s := &dns.Server{PacketConn: c, Handler: mux}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.ActivateAndServe() // ends when it is closed
	}()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	return func() {
		if stop() {
			_ = c.Close()
		}
		<-ended
	}, nil
}
