package frame

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// repairIPv4 makes the checksums good where there is room for them: the fuzzer would not guess them, and would never see
// what comes after. An odd first byte of the identification leaves them as they are.
func repairIPv4(b []byte) {
	if len(b) < ipv4Len || b[4]&1 != 0 {
		return
	}
	h := int(b[0]&15) * 4
	if h < ipv4Len || h > len(b) {
		return
	}
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b[:h])))
	if len(b) >= h+udpLen {
		binary.BigEndian.PutUint16(b[h+6:], 0)
	}
}

func FuzzDecodeEthernet(f *testing.F) {
	f.Add(datagram("x").Encode())
	f.Add([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x81\x00\xb0\x64\x08\x00rest"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, reason := DecodeEthernet(b)
		if reason != OK {
			if h != (Ethernet{}) || payload != nil {
				t.Fatalf("%s and a value", reason)
			}
			return
		}
		if again := append(h.Append(nil), payload...); !bytes.Equal(again, b) {
			t.Fatalf("re-encoding gives\n%x, was\n%x", again, b)
		}
	})
}

func FuzzDecodeIPv4(f *testing.F) {
	f.Add(datagram("x").Encode()[ethernetLen:])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b) // the fuzzer's own is not ours to change
		repairIPv4(b)
		h, payload, reason := DecodeIPv4(b)
		if reason != OK {
			if h != (IPv4{}) || payload != nil {
				t.Fatalf("%s and a value", reason)
			}
			return
		}
		again, rest, reason := DecodeIPv4(append(h.Append(nil, len(payload)), payload...))
		if reason != OK || again != h || !bytes.Equal(rest, payload) {
			t.Fatalf("re-encoding gives %s %+v %x, was %+v %x", reason, again, rest, h, payload)
		}
	})
}

func FuzzDecodeUDP(f *testing.F) {
	f.Add(datagram("x").Encode()[ethernetLen+ipv4Len:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, reason := DecodeUDP(b, src, dst)
		if reason != OK {
			if h != (UDP{}) || payload != nil {
				t.Fatalf("%s and a value", reason)
			}
			return
		}
		if len(payload) > MaxUDPPayload {
			return
		}
		again, rest, reason := DecodeUDP(h.Append(nil, src, dst, payload), src, dst)
		if reason != OK || again != h || !bytes.Equal(rest, payload) {
			t.Fatalf("re-encoding gives %s %+v %x, was %+v %x", reason, again, rest, h, payload)
		}
	})
}

// FuzzDecodeDatagram also asks gopacket: what we take, it takes, with the same fields. Only IPv4 options, which no service
// looks at, may be such that gopacket refuses them.
func FuzzDecodeDatagram(f *testing.F) {
	f.Add(datagram("payload").Encode())
	tagged := datagram("payload")
	tagged.Ethernet.Tagged, tagged.Ethernet.TCI = true, 1<<13|7
	f.Add(tagged.Encode())
	options := slices.Insert(datagram("x").Encode(), ethernetLen+ipv4Len, 0x44, 1, 0, 0) // a timestamp option of length 1
	options[ethernetLen] = 4<<4 | ipv4Len/4 + 1
	options[ethernetLen+3] += 4
	f.Add(options)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		if eth, rest, reason := DecodeEthernet(b); reason == OK && eth.Type == TypeIPv4 {
			repairIPv4(rest)
		}
		d, reason := DecodeDatagram(b)
		if reason != OK {
			return
		}
		other, ok := second(b)
		_, ip, _ := DecodeEthernet(b)
		if options := ip[0]&15 > ipv4Len/4; !ok && options {
			return
		}
		if !ok {
			t.Fatalf("gopacket refuses %x", b)
		}
		if diff := cmp.Diff(other, d, compare); diff != "" {
			t.Fatalf("gopacket differs (-gopacket +ours):\n%s", diff)
		}
	})
}

// repairIPv6 makes the checksum of a message good where there is room for one, as repairIPv4 does. An odd hop limit leaves it as it is.
func repairIPv6(b []byte) {
	if len(b) < ipv6Len || b[7]&1 == 0 {
		return
	}
	n := min(int(binary.BigEndian.Uint16(b[4:])), len(b)-ipv6Len)
	at := map[uint8]int{ProtocolUDP: 6, protocolICMPv6: 2}[b[6]]
	if at == 0 || n < 8 {
		return
	}
	m := b[ipv6Len : ipv6Len+n]
	m[at], m[at+1] = 0, 0
	sum := ^fold(sum(sum(uint64(b[6])+uint64(n), b[8:40]), m))
	if sum == 0 && at == 6 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(m[at:], sum)
}

// FuzzDecodeIPv6 takes what UDP and ICMPv6 over IPv6 may be: what is taken is the same when it is encoded again and asked of gopacket.
func FuzzDecodeIPv6(f *testing.F) {
	d6, m6 := datagram6("payload"), message6("body")
	f.Add(d6.Encode())
	f.Add(m6.Encode())
	m6.Ethernet.Tagged, m6.Ethernet.TCI = true, 7
	f.Add(m6.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		eth, rest, reason := DecodeEthernet(b)
		if reason == OK && eth.Type == TypeIPv6 {
			repairIPv6(rest)
		}
		d, reason := DecodeDatagram6(b)
		m, other := DecodeICMPv6(b)
		switch {
		case reason == OK && other == OK:
			t.Fatal("both UDP and ICMPv6")
		case reason == OK:
			again, reason := DecodeDatagram6(d.Encode())
			if diff := cmp.Diff(d, again, compare); reason != OK || diff != "" {
				t.Fatalf("%s, encoded again (-want +got):\n%s", reason, diff)
			}
			if diff := cmp.Diff(second6(b), d, compare); diff != "" {
				t.Fatalf("gopacket differs (-gopacket +ours):\n%s", diff)
			}
		case other == OK:
			again, reason := DecodeICMPv6(m.Encode())
			if diff := cmp.Diff(m, again, compare); reason != OK || diff != "" {
				t.Fatalf("%s, encoded again (-want +got):\n%s", reason, diff)
			}
		}
	})
}
