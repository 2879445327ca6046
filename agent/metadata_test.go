package agent

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
)

// metadataOf gives a service of metadata in nw-a, and what guest n is told.
func metadataOf(n int, userData string) []model.Object {
	uuid := "if-" + string(rune('a'+n))
	return []model.Object{
		&model.Interface{Meta: model.Meta{UUID: "if-meta", ID: 90}, Mode: model.InterfaceSimulated},
		&model.MACLease{Meta: model.Meta{UUID: "ml-meta", ID: 90}, InterfaceUUID: "if-meta", MACAddress: mac(90)},
		&model.IPLease{Meta: model.Meta{UUID: "il-meta", ID: 90}, InterfaceUUID: "if-meta", NetworkUUID: "nw-a", MACLeaseUUID: "ml-meta", IPv4Address: netip.MustParseAddr("10.0.0.90")},
		&model.NetworkService{Meta: model.Meta{UUID: "ns-meta", ID: 90}, Mode: model.ServiceMetadata, InterfaceUUID: "if-meta"},
		&model.InterfaceMetadata{Meta: model.Meta{UUID: "im-" + uuid[3:], ID: uint32(n)}, InterfaceUUID: uuid, Encoding: model.EncodingText, UserData: model.GuestData(userData)},
	}
}

// tcpTo gives a segment of a guest to the metadata service, sent to a MAC address.
func tcpTo(n byte, to model.MAC, t *layers.TCP, payload string) []byte {
	src, dst := mac(n), model.MetadataIPv4()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{10, 0, 0, n}, DstIP: dst.AsSlice()}
	t.DstPort, t.Window = 80, 65535
	if err := t.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: src[:], DstMAC: to[:], EthernetType: layers.EthernetTypeIPv4}, ip, t, gopacket.Payload(payload)); err != nil {
		panic(err)
	}
	return slices.Clone(buf.Bytes())
}

// get asks the metadata service for a path from guest n at a port, and gives the answer.
func (b *bench) get(n byte, port uint32, from layers.TCPPort, path string) string {
	b.t.Helper()
	gateway := mac(90)
	var seen *layers.TCP
	send := func(t *layers.TCP, payload string) {
		t.SrcPort = from
		b.sw.Receive(b.t, ovstest.Frame{Port: port, Data: tcpTo(n, gateway, t, payload)})
	}
	next := func(what string) string {
		b.sent(what, func(f ovstest.Frame) bool {
			p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
			t, ok := p.TransportLayer().(*layers.TCP)
			if !ok || f.Port != port || t.DstPort != from {
				return false
			}
			seen = t
			eth := p.LinkLayer().(*layers.Ethernet)
			if model.MAC(eth.DstMAC) != mac(n) || model.MAC(eth.SrcMAC) != gateway {
				b.t.Errorf("an answer from %s to %s", eth.SrcMAC, eth.DstMAC)
			}
			return true
		})
		return string(seen.Payload)
	}
	send(&layers.TCP{Seq: 100, SYN: true}, "")
	next("SYN and ACK")
	if seen.RST {
		return "reset"
	}
	at := seen.Seq + 1
	send(&layers.TCP{Seq: 101, Ack: at, ACK: true}, "")
	request := "GET " + path + " HTTP/1.0\r\n\r\n"
	send(&layers.TCP{Seq: 101, Ack: at, ACK: true, PSH: true}, request)
	var answer strings.Builder
	for {
		data := next("the answer")
		if seen.Seq == at {
			answer.WriteString(data)
			at += uint32(len(data))
			if seen.FIN {
				break
			}
		}
	}
	send(&layers.TCP{Seq: 101 + uint32(len(request)), Ack: at + 1, ACK: true, FIN: true}, "")
	_, body, _ := strings.Cut(answer.String(), "\r\n\r\n")
	status, _, _ := strings.Cut(answer.String(), "\r\n")
	if !strings.HasSuffix(status, "200 OK") {
		return status
	}
	return body
}

// A guest is told what the replica has at the time of the request, and another guest nothing of it.
func TestMetadata(t *testing.T) {
	b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1"), guest(2, "dp-0", "p2"), metadataOf(1, "first")), port("p1", "", 11), port("p2", "", 12))
	for from, c := range []struct {
		n          byte
		path, want string
	}{
		{1, "/latest/meta-data/instance-id", "if-b"},
		{1, "/latest/meta-data/local-ipv4", "10.0.0.1"},
		{1, "/latest/user-data", "first"},
		{2, "/latest/meta-data/instance-id", "if-c"},
		{2, "/latest/user-data", "HTTP/1.0 404 Not Found"},
	} {
		if got := b.get(c.n, 10+uint32(c.n), layers.TCPPort(2000+from), c.path); got != c.want {
			t.Errorf("%s of guest %d: %q instead of %q", c.path, c.n, got, c.want)
		}
	}
	change := func(rev int64, put []model.Object, del ...string) {
		b.replica.change(rev, put, del)
		signal(b.wakes)
	}
	change(2, metadataOf(1, "second")[4:])
	if got := b.get(1, 11, 3000, "/latest/user-data"); got != "second" {
		t.Errorf("after the change: %q", got)
	}
	change(3, nil, "im-b")
	if got := b.get(1, 11, 3001, "/latest/user-data"); got != "HTTP/1.0 404 Not Found" {
		t.Errorf("without any: %q", got)
	}
	change(4, nil, "ns-meta")
	b.until("without the service the flows go", func() bool { return !strings.Contains(b.flows(), "169.254.169.254") })
}
