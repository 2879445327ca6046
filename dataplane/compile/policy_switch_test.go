package compile_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/unixctl"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/wait"
)

// realSwitch is an Open vSwitch whose datapath has no devices: frames are put into ports, and what comes out is counted.
type realSwitch struct {
	*ovsenv.Sandbox
	control *unixctl.Conn
	sw      *ovs.Switch
}

func startSwitch(t *testing.T) *realSwitch {
	t.Helper()
	s := ovsenv.StartSandbox(t)
	var ports []string
	for n := 1; n <= 10; n++ {
		ports = append(ports, fmt.Sprintf("p%d", n))
	}
	s.AddBridge("br0", append(ports, "a1", "a2", "a3")...)
	c, err := s.Control(t.Context(), ovsenv.Switch)
	if err != nil {
		t.Fatal(err)
	}
	sw, err := ovs.Dial(t.Context(), s.Mgmt("br0"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = sw.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; c.Close() })
	return &realSwitch{s, c, sw}
}

// hold makes the switch hold what is compiled, and forget conversations.
func (s *realSwitch) hold(t *testing.T, st *state.State) {
	t.Helper()
	full := st.Full()
	if refused, _, err := s.sw.Sync(t.Context(), &full, false); err != nil || len(refused) > 0 {
		t.Fatalf("%v, refused %v", err, refused)
	}
	s.call(t, "dpctl/flush-conntrack")
	s.call(t, "revalidator/purge")
}

func (s *realSwitch) call(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := s.control.Call(t.Context(), command, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var sentFrames = regexp.MustCompile(`(?m)port +"?(\w+)"?:.*\n +tx pkts=(\d+)`)

// sent gives how many frames each port has sent.
func (s *realSwitch) sent() map[string]int {
	n := map[string]int{}
	for _, m := range sentFrames.FindAllStringSubmatch(s.MustOfctl("--names", "dump-ports", "br0"), -1) {
		n[m[1]], _ = strconv.Atoi(m[2])
	}
	return n
}

// arrive gives how many frames come out of port to when frames are put into port from. An ARP request behind them, which is answered, says
// when they have been seen to.
func (s *realSwitch) arrive(t *testing.T, from, to string, frames ...[]byte) int {
	t.Helper()
	before := s.sent()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, from[1] - '0'}
	b := gopacket.NewSerializeBuffer()
	_ = gopacket.SerializeLayers(b, gopacket.SerializeOptions{}, &layers.Ethernet{SrcMAC: mac, DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
			SourceHwAddress: mac, SourceProtAddress: []byte{10, 0, 0, from[1] - '0'}, DstHwAddress: make([]byte, 6), DstProtAddress: []byte{10, 0, 0, to[1] - '0'}})
	for _, f := range append(frames, b.Bytes()) {
		s.call(t, "netdev-dummy/receive", from, hex.EncodeToString(f))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var now map[string]int
	if err := wait.Until(ctx, time.Millisecond, func() error {
		if now = s.sent(); now[from] == before[from] {
			return fmt.Errorf("the ARP request of %s is not answered", from)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return now[to] - before[to]
}

// Open vSwitch itself decides as the switch in memory: conjunctions that overlap, that share peers, of several priorities.
func TestPrivilegedFilters(t *testing.T) {
	s := startSwitch(t)
	for _, tc := range filterCases() {
		t.Run(tc.name, func(t *testing.T) {
			w := guests()
			tc.world(w)
			s.hold(t, host(t, w))
			for n, step := range tc.steps {
				port, frame := packet(t, step[0])
				want := 0
				if step[1] == pass {
					want = 1
				}
				to := "a" + step[0][strings.Index(step[0], "> a")+3:][:1]
				if got := s.arrive(t, fmt.Sprintf("a%d", port-10), to, frame); got != want {
					t.Errorf("%d. %s: %d frames arrive, not %d (%s)", n+1, step[0], got, want, step[1])
				}
			}
		})
	}
}

// fragments cuts the IPv4 or IPv6 packet of a frame into pieces of so many bytes.
func fragments(t *testing.T, frame []byte, size int) [][]byte {
	t.Helper()
	v6 := frame[12] == 0x86
	head := 34
	if v6 {
		head = 54
	}
	var out [][]byte
	for ofs := 0; ofs < len(frame)-head; ofs += size {
		part := frame[head+ofs:]
		more := len(part) > size
		if more {
			part = part[:size]
		}
		b := gopacket.NewSerializeBuffer()
		eth := &layers.Ethernet{SrcMAC: frame[6:12], DstMAC: frame[:6], EthernetType: layers.EthernetType(uint16(frame[12])<<8 | uint16(frame[13]))}
		ls := []gopacket.SerializableLayer{eth}
		if v6 {
			hdr := []byte{frame[20], 0, byte(ofs >> 8), byte(ofs), 0, 0, 0, 9}
			if more {
				hdr[3] |= 1
			}
			ls = append(ls, &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolIPv6Fragment, SrcIP: frame[22:38], DstIP: frame[38:54]}, gopacket.Payload(append(hdr, part...)))
		} else {
			ip := &layers.IPv4{Version: 4, TTL: 64, Id: 9, Protocol: layers.IPProtocol(frame[23]), SrcIP: frame[26:30], DstIP: frame[30:34], FragOffset: uint16(ofs / 8)}
			if more {
				ip.Flags = layers.IPv4MoreFragments
			}
			ls = append(ls, ip, gopacket.Payload(part))
		}
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
			t.Fatal(err)
		}
		out = append(out, append([]byte{}, b.Bytes()...))
	}
	return out
}

// datagram gives a UDP datagram with so many bytes of payload from one guest to another.
func datagram(t *testing.T, src, dst byte, v6 bool, from, to uint16, size int) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, src}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, dst}, EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
	var l gopacket.SerializableLayer
	if v6 {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: net.ParseIP(fmt.Sprintf("fd00:a::%d", src)), DstIP: net.ParseIP(fmt.Sprintf("fd00:a::%d", dst))}
		eth.EthernetType = layers.EthernetTypeIPv6
		_ = udp.SetNetworkLayerForChecksum(ip)
		l = ip
	} else {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(10, 0, 0, src), DstIP: net.IPv4(10, 0, 0, dst)}
		_ = udp.SetNetworkLayerForChecksum(ip)
		l = ip
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, l, udp, gopacket.Payload(make([]byte, size))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// All fragments of a packet pass or none. Ports of fragments are not known: what rules with ports allow passes if it is of a conversation that was answered, and what they drop
// is dropped.
func TestPrivilegedFragments(t *testing.T) {
	s := startSwitch(t)
	w := guests()
	w.group("sg-1", "udp:53:0.0.0.0/0,udp:53:::/0", model.SecurityGroup{}, "a2")
	w.group("sg-3", "", model.SecurityGroup{}, "a3")
	w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-3", Protocol: "udp"})
	w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-3", Protocol: "udp", PortFirst: 70, RemoteAddresses: "10.0.0.2/32,fd00:a::2/128", Action: model.RuleDrop})
	s.hold(t, host(t, w))
	for _, v6 := range []bool{false, true} {
		for n, tc := range []struct {
			src, dst   byte
			from, port uint16
			cut        bool
			want       int
		}{
			{1, 2, 9, 53, true, 0}, {1, 2, 9, 53, false, 1}, {1, 2, 9, 53, true, 0}, {2, 1, 53, 9, true, 3}, {1, 2, 9, 53, true, 3}, {1, 2, 9, 54, true, 0},
			{2, 1, 7, 8, true, 3}, {1, 2, 8, 7, true, 3}, {1, 2, 8, 6, true, 0},
			{1, 3, 9, 60, true, 3}, {1, 3, 9, 70, true, 3}, {2, 3, 9, 60, true, 0}, {2, 3, 9, 60, false, 1}, {2, 3, 9, 60, true, 0}, {3, 2, 60, 9, true, 3},
		} {
			frames := [][]byte{datagram(t, tc.src, tc.dst, v6, tc.from, tc.port, 100)}
			if tc.cut {
				frames = fragments(t, datagram(t, tc.src, tc.dst, v6, tc.from, tc.port, 3000), 1400)
			}
			from, to := fmt.Sprintf("a%d", tc.src), fmt.Sprintf("a%d", tc.dst)
			if got := s.arrive(t, from, to, frames...); got != tc.want {
				t.Errorf("%d. IPv6 %v, %s to %s, port %d to %d: %d of %d arrive, not %d", n+1, v6, from, to, tc.from, tc.port, got, len(frames), tc.want)
			}
		}
	}
	// A filter drops fragments of what it drops by port.
	w = guests()
	w.filter("a2", model.Filter{IngressPassthrough: true}, model.FilterStatic{Protocol: "udp", DstPort: 53, Action: "drop"})
	s.hold(t, host(t, w))
	for _, v6 := range []bool{false, true} {
		frames := fragments(t, datagram(t, 1, 2, v6, 9, 53, 3000), 1400)
		if got := s.arrive(t, "a1", "a2", frames[0]); got != 0 {
			t.Errorf("IPv6 %v: the first fragment passes the filter", v6)
		}
	}
}
