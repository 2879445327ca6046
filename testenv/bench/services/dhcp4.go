package services

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

// openDHCP4 asks by DISCOVER or REQUEST in whole frames, as clients do that have no address yet.
func openDHCP4(kind, want dhcpv4.MessageType) func(guest, outstanding int) ([]line, error) {
	return func(guest, outstanding int) ([]line, error) {
		q, err := dhcp4Question(guest, kind, want)
		if err != nil {
			return nil, err
		}
		fd, err := packetSocket(frame.TypeIPv4)
		if err != nil {
			return nil, err
		}
		l := newDatagrams(fd, q, outstanding)
		// Without a listener the guest's kernel would answer answers: its interface has the address.
		if l.idle, err = udpSocket(unix.AF_INET, &unix.SockaddrInet4{Port: dhcpv4.ClientPort}, nil); err == nil {
			err = unix.SetsockoptInt(l.idle, unix.SOL_SOCKET, unix.SO_RCVBUF, 0)
		}
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		return []line{l}, nil
	}
}

// Offsets in a frame with IPv4 without options.
const (
	offUDP     = 14 + 20
	offBOOTP   = offUDP + 8
	offXID     = offBOOTP + 4
	offYIAddr  = offBOOTP + 16
	offCHAddr  = offBOOTP + 28
	offOptions = offBOOTP + 240
	optionType = 53
	optionPad  = 0
	optionEnd  = 255
	bootReply  = 2
	xidHigh    = 0xbe9c
)

func dhcp4Question(guest int, kind, want dhcpv4.MessageType) (question, error) {
	mac := guestMAC(guest)
	m, err := dhcpv4.New(
		dhcpv4.WithHwAddr(net.HardwareAddr(mac[:])), dhcpv4.WithMessageType(kind),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName, dhcpv4.OptionInterfaceMTU),
	)
	if err != nil {
		return question{}, fmt.Errorf("make a DHCP message: %w", err)
	}
	if kind == dhcpv4.MessageTypeRequest {
		m.UpdateOption(dhcpv4.OptServerIdentifier(net.IP(server4.AsSlice())))
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(net.IP(guest4(guest).AsSlice())))
	}
	text := frame.Datagram{
		Ethernet: frame.Ethernet{Dst: frame.Broadcast(), Src: mac},
		IP:       frame.IPv4{TTL: 64, Src: netip.IPv4Unspecified(), Dst: netip.AddrFrom4([4]byte{255, 255, 255, 255})},
		UDP:      frame.UDP{SrcPort: dhcpv4.ClientPort, DstPort: dhcpv4.ServerPort},
		Payload:  m.ToBytes(),
	}.Encode()
	binary.BigEndian.PutUint16(text[offUDP+6:], 0) // no check sum, so that the number can change
	return question{
		text: text,
		number: func(text []byte, id uint16) {
			binary.BigEndian.PutUint32(text[offXID:], xidHigh<<16|uint32(id))
		},
		read: func(b []byte) (uint16, bool, error) { return readDHCP4(b, guest, mac, want) },
	}, nil
}

func readDHCP4(b []byte, guest int, mac model.MAC, want dhcpv4.MessageType) (uint16, bool, error) {
	if len(b) < offOptions || b[14] != 0x45 || b[23] != frame.ProtocolUDP || binary.BigEndian.Uint16(b[offUDP+2:]) != dhcpv4.ClientPort || b[offBOOTP] != bootReply ||
		binary.BigEndian.Uint16(b[offXID:]) != xidHigh || model.MAC(b[offCHAddr:offCHAddr+6]) != mac {
		return 0, false, nil
	}
	id := binary.BigEndian.Uint16(b[offXID+2:])
	if got := netip.AddrFrom4([4]byte(b[offYIAddr:])); got != guest4(guest) {
		return id, true, fmt.Errorf("DHCP gives %s the address %s", mac, got)
	}
	if got := messageType(b[offOptions:]); got != want {
		return id, true, fmt.Errorf("DHCP answers %s by %s instead of %s", mac, got, want)
	}
	return id, true, nil
}

// messageType looks for option 53.
func messageType(options []byte) dhcpv4.MessageType {
	for len(options) > 2 {
		switch code, n := options[0], int(options[1]); {
		case code == optionType && n == 1:
			return dhcpv4.MessageType(options[2])
		case code == optionEnd:
			return dhcpv4.MessageTypeNone
		case code == optionPad:
			options = options[1:]
		default:
			options = options[min(len(options), 2+n):]
		}
	}
	return dhcpv4.MessageTypeNone
}
