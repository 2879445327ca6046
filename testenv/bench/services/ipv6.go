package services

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// DHCPv6 (RFC 8415, sections 7.2 and 21) and neighbour discovery (RFC 4861, sections 4.1, 4.2 and 4.6.2).
const (
	dhcp6ClientPort = 546
	dhcp6ServerPort = 547

	solicit   = 1
	advertise = 2
	reply     = 7

	optClientID    = 1
	optIANA        = 3
	optIAAddress   = 5
	optElapsed     = 8
	optRapidCommit = 14

	routerSolicitation  = 133
	routerAdvertisement = 134
	optSourceLink       = 1
	optPrefix           = 3
)

var (
	allServers = netip.MustParseAddr("ff02::1:2")
	allRouters = netip.MustParseAddr("ff02::2")
)

// duid is a guest's DUID-LL (RFC 8415, section 11.4).
func duid(guest int) []byte {
	m := guestMAC(guest)
	return append([]byte{0, 3, 0, 1}, m[:]...)
}

// openSolicit asks by SOLICIT, with or without rapid commit, from the link-local address.
func openSolicit(rapid bool) func(guest, outstanding int) ([]line, error) {
	return func(guest, outstanding int) ([]line, error) {
		nic, err := net.InterfaceByName(guestNIC)
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", guestNIC, err)
		}
		from := &unix.SockaddrInet6{Port: dhcp6ClientPort, ZoneId: uint32(nic.Index), Addr: linkLocal(guestMAC(guest)).As16()}
		fd, err := udpSocket(unix.AF_INET6, from, nil)
		if err != nil {
			return nil, err
		}
		l := newDatagrams(fd, solicitation(guest, rapid), outstanding)
		l.to = &unix.SockaddrInet6{Port: dhcp6ServerPort, ZoneId: uint32(nic.Index), Addr: allServers.As16()}
		return []line{l}, nil
	}
}

func option6(b []byte, code uint16, data ...byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

func solicitation(guest int, rapid bool) question {
	b := []byte{solicit, xidHigh >> 8, 0, 0}
	b = option6(b, optClientID, duid(guest)...)
	b = option6(b, optIANA, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	b = option6(b, optElapsed, 0, 0)
	want := byte(advertise)
	if rapid {
		b = option6(b, optRapidCommit)
		want = reply
	}
	return question{
		text:   b,
		number: func(text []byte, id uint16) { binary.BigEndian.PutUint16(text[2:], id) },
		read:   func(b []byte) (uint16, bool, error) { return readDHCP6(b, guest, want) },
	}
}

func readDHCP6(b []byte, guest int, want byte) (uint16, bool, error) {
	if len(b) < 4 || b[1] != xidHigh>>8 {
		return 0, false, nil
	}
	id := binary.BigEndian.Uint16(b[2:])
	if b[0] != want {
		return id, true, fmt.Errorf("DHCPv6 answers guest %d by a message of type %d instead of %d", guest, b[0], want)
	}
	// Both headers before the address are of fixed length: IAID and two times.
	if ia, ok := find6(b[4:], optIANA); ok && len(ia) >= 12 {
		if a, ok := find6(ia[12:], optIAAddress); ok && len(a) >= 16 {
			if got := netip.AddrFrom16([16]byte(a)); got != guest6(guest) {
				return id, true, fmt.Errorf("DHCPv6 gives guest %d the address %s", guest, got)
			}
			return id, true, nil
		}
	}
	return id, true, fmt.Errorf("DHCPv6 gives guest %d no address", guest)
}

// find6 looks for an option.
func find6(options []byte, code uint16) ([]byte, bool) {
	for len(options) >= 4 {
		n := int(binary.BigEndian.Uint16(options[2:]))
		if n > len(options)-4 {
			return nil, false
		}
		if binary.BigEndian.Uint16(options) == code {
			return options[4 : 4+n], true
		}
		options = options[4+n:]
	}
	return nil, false
}

// openRA asks by a router solicitation, through a raw socket, which takes advertisements only.
func openRA(guest, outstanding int) ([]line, error) {
	nic, err := net.InterfaceByName(guestNIC)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", guestNIC, err)
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket: %w", err)
	}
	var filter unix.ICMPv6Filter // a bit says that a type is not taken
	for n := range filter.Data {
		filter.Data[n] = ^uint32(0)
	}
	filter.Data[routerAdvertisement/32] &^= 1 << (routerAdvertisement % 32)
	err = errors.Join(
		unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255), // a router takes nothing else
		unix.Bind(fd, &unix.SockaddrInet6{ZoneId: uint32(nic.Index), Addr: linkLocal(guestMAC(guest)).As16()}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up a raw socket: %w", err), unix.Close(fd))
	}
	mac := guestMAC(guest)
	l := newDatagrams(fd, question{
		text:   append([]byte{routerSolicitation, 0, 0, 0, 0, 0, 0, 0, optSourceLink, 1}, mac[:]...),
		number: func([]byte, uint16) {},
		read:   readRA,
	}, outstanding)
	l.to = &unix.SockaddrInet6{ZoneId: uint32(nic.Index), Addr: allRouters.As16()}
	return []line{l}, nil
}

// readRA looks for the network's prefix.
func readRA(b []byte) (uint16, bool, error) {
	if len(b) < 16 || b[0] != routerAdvertisement {
		return noNumber, false, nil
	}
	for options := b[16:]; len(options) >= 2 && options[1] > 0 && len(options) >= int(options[1])*8; options = options[int(options[1])*8:] {
		if options[0] == optPrefix && options[1] == 4 && netip.PrefixFrom(netip.AddrFrom16([16]byte(options[16:])), int(options[2])) == subnet6 {
			return noNumber, true, nil
		}
	}
	return noNumber, true, fmt.Errorf("a router advertisement does not have the prefix %s", subnet6)
}
