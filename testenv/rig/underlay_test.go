package rig

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
)

func mac(n byte) model.MAC { return model.MAC{2, 0, 0, 0, 0, n} }

// node is a host with the MAC address mac(n).
func node(name string, n byte, addresses ...string) HostOptions {
	o := HostOptions{Name: name, MAC: mac(n), NIC: Port{"nic", 1}}.withDefaults()
	for _, a := range addresses {
		o.Addresses = append(o.Addresses, netip.MustParsePrefix(a))
	}
	return o
}

func TestGateway(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1/24": "192.0.2.254", "192.0.2.65/26": "192.0.2.126", "192.0.2.0/31": "192.0.2.1", "10.0.0.1/8": "10.255.255.254",
		"2001:db8::1/64": "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::1/126": "2001:db8::3",
	} {
		if got := gateway(netip.MustParsePrefix(in)); got != netip.MustParseAddr(want) {
			t.Errorf("gateway of %s is %s, want %s", in, got, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	u, err := newUnderlay(Options{Router: mac(99), Hosts: []HostOptions{
		node("a", 1, "192.0.2.1/26", "2001:db8:1::1/64"), node("b", 2, "192.0.2.2/26"), node("c", 3, "192.0.2.65/26", "2001:db8:2::1/64"), node("d", 4),
	}})
	if err != nil {
		t.Fatal(err)
	}
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	want := routes{
		subnets: []netip.Prefix{prefix("192.0.2.0/26"), prefix("2001:db8:1::/64")},
		via: map[netip.Prefix]netip.Addr{
			prefix("192.0.2.64/26"): addr("192.0.2.62"), prefix("2001:db8:2::/64"): addr("2001:db8:1:0:ffff:ffff:ffff:ffff"),
		},
		neighbours: map[netip.Addr]model.MAC{
			addr("192.0.2.2"): mac(2), addr("192.0.2.62"): mac(99), addr("2001:db8:1:0:ffff:ffff:ffff:ffff"): mac(99),
		},
	}
	equal := []cmp.Option{cmp.AllowUnexported(routes{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if d := cmp.Diff(want, u.routes(0), equal...); d != "" {
		t.Errorf("routes of a (-want +got):\n%s", d)
	}
}

func TestCarry(t *testing.T) {
	b := node("b", 2, "192.0.2.2/26")
	b.MACs = []model.MAC{mac(22)}
	u, err := newUnderlay(Options{Router: mac(99), Hosts: []HostOptions{
		node("a", 1, "192.0.2.1/26", "2001:db8:1::1/64"), b, node("c", 3, "192.0.2.65/26", "2001:db8:2::1/64"), node("d", 4, "192.0.2.4/26"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	frame := func(dst model.MAC, etherType uint16, packet []byte) []byte {
		f := append(dst[:], 2, 0, 0, 0, 0, 1)
		return append(binary.BigEndian.AppendUint16(f, etherType), packet...)
	}
	v4 := func(dst string, ttl byte) []byte {
		p := make([]byte, 20)
		p[0], p[8] = 0x45, ttl
		a := netip.MustParseAddr(dst).As4()
		copy(p[16:], a[:])
		binary.BigEndian.PutUint16(p[10:], checksum(p))
		return frame(mac(99), 0x0800, p)
	}
	v6 := func(dst string, hops byte) []byte {
		p := make([]byte, 40)
		p[0], p[7] = 0x60, hops
		a := netip.MustParseAddr(dst).As16()
		copy(p[24:], a[:])
		return frame(mac(99), 0x86dd, p)
	}
	for _, c := range []struct {
		name  string
		from  int
		frame []byte
		want  []int
	}{
		{"to a MAC address", 0, frame(mac(2), 0x0800, nil), []int{1}},
		{"to a further MAC address", 0, frame(mac(22), 0x0800, nil), []int{1}},
		{"to oneself", 0, frame(mac(1), 0x0800, nil), nil},
		{"to an unknown one", 0, frame(mac(50), 0x0800, nil), []int{1, 3}},
		{"to one of another segment", 0, frame(mac(3), 0x0800, nil), []int{1, 3}},
		{"broadcast", 1, frame(model.MAC{255, 255, 255, 255, 255, 255}, 0x0800, nil), []int{0, 3}},
		{"too short", 0, make([]byte, 13), nil},
		{"routed", 0, v4("192.0.2.65", 64), []int{2}},
		{"routed back", 2, v4("192.0.2.4", 2), []int{3}},
		{"TTL at its end", 0, v4("192.0.2.65", 1), nil},
		{"to nobody", 0, v4("192.0.2.66", 64), nil},
		{"IPv6", 0, v6("2001:db8:2::1", 64), []int{2}},
		{"IPv6 at its end", 0, v6("2001:db8:2::1", 1), nil},
		{"half a header", 0, v4("192.0.2.65", 64)[:30], nil},
		{"half a header of IPv6", 0, v6("2001:db8:2::1", 64)[:50], nil},
		{"not IP", 0, frame(mac(99), 0x0806, make([]byte, 46)), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := string(c.frame)
			var got []int
			for _, a := range u.carry(c.from, c.frame) {
				got = append(got, a.host)
				if a.port != "nic" {
					t.Errorf("arrives at port %s", a.port)
				}
				if strings.HasPrefix(c.name, "routed") {
					if model.MAC(a.frame[:6]) != u.nodes[a.host].MAC || model.MAC(a.frame[6:12]) != mac(99) || a.frame[22] != c.frame[22]-1 || checksum(a.frame[14:34]) != 0 {
						t.Errorf("routed to %x", a.frame)
					}
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("hosts (-want +got):\n%s", d)
			}
			if string(c.frame) != before {
				t.Error("the frame was changed")
			}
		})
	}
}

// checksum is that of RFC 1071; over a header that holds its own it is 0.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// The router's checksum is right for every header, also where it is carried over.
func TestRouteChecksum(t *testing.T) {
	u, err := newUnderlay(Options{Router: mac(99), Hosts: []HostOptions{node("a", 1, "192.0.2.1/26"), node("b", 2, "198.51.100.1/24")}})
	if err != nil {
		t.Fatal(err)
	}
	f := make([]byte, 34)
	copy(f, u.router[:])
	f[12], f[14], f[22] = 0x08, 0x45, 64
	copy(f[30:], []byte{198, 51, 100, 1})
	for id := range 1 << 16 {
		binary.BigEndian.PutUint16(f[18:], uint16(id))
		binary.BigEndian.PutUint16(f[24:], 0)
		binary.BigEndian.PutUint16(f[24:], checksum(f[14:]))
		out := u.carry(0, f)
		if len(out) != 1 || checksum(out[0].frame[14:]) != 0 {
			t.Fatalf("%x is routed to %x", f, out[0].frame)
		}
	}
}

func TestUnderlayRefuses(t *testing.T) {
	change := func(do func(*HostOptions)) HostOptions {
		o := node("b", 2, "192.0.2.2/26")
		do(&o)
		return o
	}
	for name, b := range map[string]HostOptions{
		"no name":              change(func(o *HostOptions) { o.Name = "" }),
		"no MAC address":       change(func(o *HostOptions) { o.MAC = model.MAC{} }),
		"no NIC":               change(func(o *HostOptions) { o.NIC = Port{} }),
		"no number":            change(func(o *HostOptions) { o.Ports = []Port{{Name: "p"}} }),
		"name twice":           change(func(o *HostOptions) { o.Ports = []Port{{"nic", 2}} }),
		"number twice":         change(func(o *HostOptions) { o.Ports = []Port{{"p", 1}} }),
		"the bridge's name":    change(func(o *HostOptions) { o.Ports = []Port{{"br0", 2}} }),
		"host's name twice":    change(func(o *HostOptions) { o.Name = "a" }),
		"MAC address twice":    change(func(o *HostOptions) { o.MACs = []model.MAC{mac(1)} }),
		"the router's MAC":     change(func(o *HostOptions) { o.MAC = mac(99) }),
		"address twice":        node("b", 2, "192.0.2.1/26"),
		"the router's address": node("b", 2, "192.0.2.62/26"),
		"two of a family":      node("b", 2, "192.0.2.2/26", "192.0.2.3/26"),
		"no address":           change(func(o *HostOptions) { o.Addresses = append(o.Addresses, netip.Prefix{}) }),
	} {
		if _, err := newUnderlay(Options{Router: mac(99), Hosts: []HostOptions{node("a", 1, "192.0.2.1/26"), b}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzCarry(f *testing.F) {
	u, err := newUnderlay(Options{Router: mac(99), Hosts: []HostOptions{node("a", 1, "192.0.2.1/26", "2001:db8::1/64"), node("b", 2, "198.51.100.1/24")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{2, 0, 0, 0, 0, 99, 2, 0, 0, 0, 0, 1, 8, 0, 0x45})
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		for _, a := range u.carry(0, b) {
			if len(a.frame) != len(b) {
				t.Errorf("%d bytes became %d", len(b), len(a.frame))
			}
		}
		if string(b) != before {
			t.Error("the frame was changed")
		}
	})
}
