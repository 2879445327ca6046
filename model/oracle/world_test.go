package oracle

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// objects reads a world: one object on a line, a resource's plural and fields in their text form; spaces in a value are written ~. Uuids
// are made where there is none. A line of a guest, with its port of the same name, its MAC address and leases in short form:
//
//	guest if-a dp-a 02:00:00:00:00:01 nw-a=10.0.0.1 nw-a=fd00::1 enable_filtering=true
//
// The same for "simulated", which has no port unless a host is named ("-" for none), and others by their mode.
func objects(t testing.TB, text string) *graph.Graph {
	t.Helper()
	g, id := graph.New(), uint32(0)
	put := func(plural string, fields ...string) {
		t.Helper()
		id++
		r := model.ByPlural(plural)
		if r == nil {
			t.Fatalf("no resource %s", plural)
		}
		o := r.New()
		o.Base().ID, o.Base().UUID = id, fmt.Sprintf("%s-x%d", r.Prefix, id)
		set := func(name, value string) {
			f := r.Field(name)
			if f == nil {
				t.Fatalf("%s has no field %s", plural, name)
			}
			v, err := f.ParseText(strings.ReplaceAll(value, "~", " "))
			if err != nil {
				t.Fatalf("%s %s=%s: %v", plural, name, value, err)
			}
			f.Set(o, v)
		}
		for _, f := range r.Fields {
			if f.Default != "" {
				set(f.Name, f.Default)
			}
		}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			set(name, value)
		}
		if err := r.Validate(o); err != nil {
			t.Fatalf("%s %v: %v", plural, fields, err)
		}
		g.Put(o)
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "vif", "simulated", "host", "internal", "patch", "promiscuous", "edge":
			uuid, datapath, mac := words[1], words[2], words[3]
			fields := []string{"uuid=" + uuid, "mode=" + words[0]}
			var leases []string
			segment := ""
			for _, w := range words[4:] {
				if name, value, _ := strings.Cut(w, "="); strings.HasPrefix(name, "nw-") {
					leases = append(leases, name+"="+value)
				} else if name == "segment_uuid" {
					segment = value
				} else {
					fields = append(fields, w)
				}
			}
			put("interfaces", fields...)
			if words[0] != "simulated" || datapath != "-" {
				port := []string{"interface_uuid=" + uuid, "port_name=" + uuid}
				if datapath != "-" {
					port = append(port, "datapath_uuid="+datapath)
				}
				put("interface_ports", port...)
			}
			if mac == "-" {
				continue
			}
			ml := "ml-" + strings.TrimPrefix(uuid, "if-")
			put("mac_leases", "uuid="+ml, "interface_uuid="+uuid, "mac_address="+mac, "segment_uuid="+segment)
			for _, l := range leases {
				network, address, _ := strings.Cut(l, "=")
				address, routing := strings.CutSuffix(address, "/r")
				family := "ipv4_address="
				if strings.Contains(address, ":") {
					family = "ipv6_address="
				}
				put("ip_leases", "interface_uuid="+uuid, "mac_lease_uuid="+ml, "network_uuid="+network, family+address, fmt.Sprintf("enable_routing=%v", routing))
			}
		default:
			put(words[0], words[1:]...)
		}
	}
	return g
}

// lab is a world under test, with what its filters and routers remember. A guest's port is named like its interface; each host has a NIC
// called nic-, and the suffix of the host's uuid.
type lab struct {
	t   testing.TB
	w   *World
	env Environment
	g   *graph.Graph
	c   Conversations
}

func newLab(t testing.TB, text string, change ...func(*Environment)) *lab {
	t.Helper()
	g := objects(t, text)
	env := Environment{Hosts: map[string]Host{}, Neighbors: map[Neighbor]model.MAC{}, Learned: map[LearnedFrom]string{}}
	for _, o := range g.List(model.Datapaths) {
		uuid := o.Base().UUID
		h := Host{Uplink: "nic-" + strings.TrimPrefix(uuid, "dp-")}
		for _, o := range g.List(model.InterfacePorts) {
			p := o.(*model.InterfacePort)
			i, ok := graph.Lookup[*model.Interface](g, p.InterfaceUUID)
			if ok && p.DatapathUUID == uuid && i.Mode != model.InterfaceHost && i.Mode != model.InterfaceInternal {
				h.Ports = append(h.Ports, Port{Name: p.PortName})
			}
		}
		env.Hosts[uuid] = h
	}
	for _, f := range change {
		f(&env)
	}
	return &lab{t: t, g: g, env: env, w: New(g, env)}
}

// again makes the world anew after the objects have changed; what was remembered stays.
func (l *lab) again(text string, removed ...string) {
	l.t.Helper()
	for o := range objects(l.t, text).All() {
		o.Base().ID += 1000
		l.g.Put(o)
	}
	for _, uuid := range removed {
		l.g.Delete(uuid)
	}
	l.w = New(l.g, l.env)
}

// judge sends a frame into a port ("dp-a/if-a") and learns; there has to be one outcome.
func (l *lab) judge(entry string, frame []byte) Outcome {
	l.t.Helper()
	before := slices.Clone(frame)
	os := l.w.Judge(at(entry), frame, &l.c)
	if len(os) != 1 {
		l.t.Fatalf("%d outcomes", len(os))
	}
	if !slices.Equal(before, frame) {
		l.t.Fatal("the frame that came in was changed")
	}
	l.c.Learn(os[0])
	return os[0]
}

func at(entry string) Entry {
	datapath, port, _ := strings.Cut(entry, "/")
	return Entry{datapath, port}
}

// expect judges a frame and compares what comes of it, as said by summary: "dp-b/if-b", "drop dp-a arp_own", "told dp-a ttl", "punt dp-a dhcp4".
func (l *lab) expect(entry string, frame []byte, want ...string) Outcome {
	l.t.Helper()
	o := l.judge(entry, frame)
	slices.Sort(want)
	if d := cmp.Diff(want, summary(o)); d != "" {
		l.t.Errorf("at %s: (-want +got)\n%s", entry, d)
	}
	return o
}

// expectFrame is expect of one delivery, with its frame.
func (l *lab) expectFrame(entry string, frame []byte, to string, want []byte) {
	l.t.Helper()
	o := l.expect(entry, frame, to)
	if len(o.Deliveries) == 1 {
		if d := cmp.Diff(hexLines(want), hexLines(o.Deliveries[0].Frame)); d != "" {
			l.t.Errorf("frame at %s: (-want +got)\n%s", to, d)
		}
	}
}

func hexLines(b []byte) []string {
	var lines []string
	for c := range slices.Chunk(b, 16) {
		lines = append(lines, fmt.Sprintf("% x", c))
	}
	return lines
}

func summary(o Outcome) []string {
	var s []string
	for _, d := range o.Deliveries {
		s = append(s, d.Datapath+"/"+d.Port)
	}
	told := map[Drop]bool{}
	for _, p := range o.Punts {
		if p.Class == PuntError {
			told[Drop{p.Datapath, p.Told, p.Interface}] = true
		} else {
			s = append(s, "punt "+p.Datapath+" "+string(p.Class))
		}
	}
	for _, d := range o.Drops {
		if told[d] {
			s = append(s, "told "+d.Datapath+" "+d.Reason.String())
		} else {
			s = append(s, "drop "+d.Datapath+" "+d.Reason.String())
		}
	}
	slices.Sort(s)
	return s
}

// mac gives the MAC address 02:00:00:00:00:n.
func mac(n byte) model.MAC { return model.MAC{2, 0, 0, 0, 0, n} }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// ether builds a frame.
func ether(dst, src model.MAC, kind uint16, payload ...byte) []byte {
	return slices.Concat(dst[:], src[:], []byte{byte(kind >> 8), byte(kind)}, payload)
}

// arpFrame builds an ARP packet with two bytes of padding.
func arpFrame(dst, src model.MAC, op byte, sender model.MAC, from string, target model.MAC, to string) []byte {
	f, t := addr(from).As4(), addr(to).As4()
	return ether(dst, src, etherARP, slices.Concat([]byte{0, 1, 8, 0, 6, 4, 0, op}, sender[:], f[:], target[:], t[:], []byte{0xaa, 0xbb})...)
}

func arpAsk(src model.MAC, from, to string) []byte {
	return arpFrame(broadcast, src, 1, src, from, model.MAC{}, to)
}

// datagram is an IP packet to build. Checksums are made here, by the plain definition, and not by the code under test.
type datagram struct {
	dst, src         model.MAC
	from, to         string
	proto            uint8
	fromPort, toPort uint16
	kind, code       uint8  // of ICMP; the ports are id and sequence number
	rest             []byte // payload
	ttl              uint8  // 64 if 0
	tos              uint8
	fragment         uint16 // flags and offset, of IPv4
	options          []byte // of IPv4, or extension headers with the first's type in front
}

func (d datagram) frame() []byte {
	from, to := addr(d.from), addr(d.to)
	var l4 []byte
	ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, d.fromPort), d.toPort)
	sumAt := -1
	switch d.proto {
	case protoTCP:
		l4, sumAt = slices.Concat(ports, []byte{0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0}, d.rest), 16
	case protoUDP:
		l4, sumAt = slices.Concat(ports, binary.BigEndian.AppendUint16(nil, uint16(8+len(d.rest))), []byte{0, 0}, d.rest), 6
	case protoSCTP:
		l4 = slices.Concat(ports, make([]byte, 8), d.rest)
		binary.LittleEndian.PutUint32(l4[8:], crc32.Checksum(l4, crc32.MakeTable(crc32.Castagnoli)))
	case protoICMP, protoICMPv6:
		l4, sumAt = slices.Concat([]byte{d.kind, d.code, 0, 0}, ports, d.rest), 2
	default:
		l4 = d.rest
	}
	if sumAt >= 0 {
		var pseudo []byte
		if d.proto != protoICMP {
			pseudo = slices.Concat(from.AsSlice(), to.AsSlice(), []byte{0, d.proto}, binary.BigEndian.AppendUint16(nil, uint16(len(l4))))
		}
		s := checksum(slices.Concat(pseudo, l4))
		if d.proto == protoUDP && s == 0 {
			s = 0xffff
		}
		binary.BigEndian.PutUint16(l4[sumAt:], s)
	}
	ttl := d.ttl
	if ttl == 0 {
		ttl = 64
	}
	if from.Is4() {
		h := make([]byte, 20, 60)
		h[0], h[1], h[8], h[9] = byte(0x45+len(d.options)/4), d.tos, ttl, d.proto
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(d.options)+len(l4)))
		binary.BigEndian.PutUint16(h[4:], 77)
		binary.BigEndian.PutUint16(h[6:], d.fragment)
		copy(h[12:], from.AsSlice())
		copy(h[16:], to.AsSlice())
		h = append(h, d.options...)
		binary.BigEndian.PutUint16(h[10:], checksum(h))
		return ether(d.dst, d.src, etherIPv4, append(h, l4...)...)
	}
	h := make([]byte, 40)
	h[0], h[1], h[6], h[7] = 0x60|d.tos>>4, d.tos<<4, d.proto, ttl
	if len(d.options) > 0 {
		h[6] = d.options[0]
		l4 = append(slices.Clone(d.options[1:]), l4...)
	}
	binary.BigEndian.PutUint16(h[4:], uint16(len(l4)))
	copy(h[8:], from.AsSlice())
	copy(h[24:], to.AsSlice())
	return ether(d.dst, d.src, etherIPv6, append(h, l4...)...)
}

func checksum(b []byte) uint16 {
	n := 0
	for i := 0; i+1 < len(b); i += 2 {
		n += int(b[i])<<8 | int(b[i+1])
	}
	if len(b)%2 == 1 {
		n += int(b[len(b)-1]) << 8
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return ^uint16(n)
}

// packetOf gives the IP packet of a frame, as ICMP errors quote it.
func packetOf(frame []byte) []byte { return frame[14:] }

// udp and udp6 are plain datagrams of ports 1000 to 2000.
func udp(dst, src model.MAC, from, to string) datagram {
	return datagram{dst: dst, src: src, from: from, to: to, proto: protoUDP, fromPort: 1000, toPort: 2000, rest: []byte("hello")}
}

func ping(dst, src model.MAC, from, to string) datagram {
	d := datagram{dst: dst, src: src, from: from, to: to, proto: protoICMP, kind: 8, fromPort: 7, toPort: 1, rest: []byte("ping")}
	if strings.Contains(from, ":") {
		d.proto, d.kind = protoICMPv6, 128
	}
	return d
}

// nd is a neighbour solicitation or advertisement; option is the link-layer address, zero for none.
func nd(dst, src model.MAC, from, to string, kind uint8, target string, option model.MAC) []byte {
	rest := addr(target).AsSlice()
	if option != (model.MAC{}) {
		rest = slices.Concat(rest, []byte{kind - 134, 1}, option[:])
	}
	return datagram{dst: dst, src: src, from: from, to: to, proto: protoICMPv6, kind: kind, rest: rest, ttl: 255}.frame()
}

// back gives the datagram of an answer, between the MAC addresses given.
func (d datagram) back(dst, src model.MAC) datagram {
	d.dst, d.src = dst, src
	d.from, d.to, d.fromPort, d.toPort = d.to, d.from, d.toPort, d.fromPort
	switch {
	case d.proto == protoICMP:
		d.kind = 0
		d.fromPort, d.toPort = d.toPort, d.fromPort
	case d.proto == protoICMPv6:
		d.kind = 129
		d.fromPort, d.toPort = d.toPort, d.fromPort
	}
	return d
}
