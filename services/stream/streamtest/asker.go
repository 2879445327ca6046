// Package streamtest is a guest that asks over TCP, one connection for a question, as a Linux guest does, with nothing lost: for benchmarks, which shall not
// measure the guest's TCP. It takes and gives frames over IPv4. Imported by tests only.
package streamtest

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

// Asker is a guest's address and what it asks.
type Asker struct {
	MAC, Server model.MAC
	From        netip.Addr
	To          netip.AddrPort
	Question    []byte

	open map[uint16]struct{} // ports
}

const (
	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16

	firstSeq  = 1000
	timestamp = "\x01\x01\x08\x0a\x00\x00\x00\x01"
)

// Open gives the first segment of a connection from a port.
func (a *Asker) Open(port uint16) []byte {
	if a.open == nil {
		a.open = map[uint16]struct{}{}
	}
	a.open[port] = struct{}{}
	return a.segment(port, syn, firstSeq, 0, 0, nil)
}

// Take takes a frame of the server, and gives the frames that follow. over says that a connection is closed on both sides now; it is an error if the server has reset one that was not.
func (a *Asker) Take(b []byte) (frames [][]byte, over bool, err error) {
	_, rest, reason := frame.DecodeEthernet(b)
	if reason != frame.OK {
		return nil, false, fmt.Errorf("the server's frame: %s", reason)
	}
	_, t, reason := frame.DecodeIPv4(rest)
	if reason != frame.OK || len(t) < 20 {
		return nil, false, fmt.Errorf("the server's packet: %s", reason)
	}
	port, seq, flags := binary.BigEndian.Uint16(t[2:]), binary.BigEndian.Uint32(t[4:]), t[13]
	_, open := a.open[port]
	if flags&rst != 0 {
		if open {
			err = fmt.Errorf("the server has reset the connection from port %d", port)
		}
		return nil, false, err
	}
	options := t[20 : t[12]>>4*4]
	data := uint32(len(t)) - 20 - uint32(len(options))
	echo := uint32(0)
	for len(options) > 1 && echo == 0 {
		switch {
		case options[0] == 1:
			options = options[1:]
			continue
		case options[0] == 8 && len(options) >= 10:
			echo = binary.BigEndian.Uint32(options[2:])
		}
		options = options[min(max(int(options[1]), 1), len(options)):]
	}
	asked := firstSeq + 1 + uint32(len(a.Question))
	if flags&syn != 0 {
		return [][]byte{a.segment(port, ack, firstSeq+1, seq+1, echo, nil), a.segment(port, ack|psh, firstSeq+1, seq+1, echo, a.Question)}, false, nil
	}
	next := seq + data
	if data > 0 {
		frames = append(frames, a.segment(port, ack, asked, next, echo, nil), a.segment(port, ack|fin, asked, next, echo, nil))
	}
	if flags&fin != 0 {
		frames = append(frames, a.segment(port, ack, asked+1, next+1, echo, nil))
		over = open
		delete(a.open, port)
	}
	return frames, over, nil
}

func (a *Asker) segment(port uint16, flags byte, seq, acked, echo uint32, data []byte) []byte {
	options := make([]byte, 0, 20)
	if flags&syn != 0 {
		options = append(options, 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7)
	} else {
		options = binary.BigEndian.AppendUint32(append(options, timestamp...), echo)
	}
	n := 20 + len(options) + len(data)
	b := frame.Ethernet{Dst: a.Server, Src: a.MAC, Type: frame.TypeIPv4}.Append(make([]byte, 0, 34+n))
	b = frame.IPv4{TTL: 64, DontFragment: true, Protocol: 6, Src: a.From, Dst: a.To.Addr()}.Append(b, n)
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, a.To.Port())
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, acked)
	b = append(b, byte(20+len(options))<<2, flags, 0xfa, 0xf0, 0, 0, 0, 0)
	b = append(append(b, options...), data...)
	src, dst := a.From.As4(), a.To.Addr().As4()
	sum := uint32(6) + uint32(n)
	for _, part := range [][]byte{src[:], dst[:], b[at:]} {
		for ; len(part) > 1; part = part[2:] {
			sum += uint32(binary.BigEndian.Uint16(part))
		}
		if len(part) == 1 {
			sum += uint32(part[0]) << 8
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[at+16:], ^uint16(sum))
	return b
}
