package agent

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp"
)

// BenchmarkDHCP answers a guest among 200.
func BenchmarkDHCP(b *testing.B) {
	objects := slices.Concat(base(), dhcpServer(), guest(1, "dp-0", "p1"))
	for n := range uint32(200) {
		m := model.MAC{2, 1, 0, 0, 0, byte(n)}
		uuid := fmt.Sprintf("n%d", n)
		objects = append(objects, &model.Interface{Meta: model.Meta{UUID: "if-" + uuid, ID: 1000 + n}, Mode: model.InterfaceVIF},
			&model.MACLease{Meta: model.Meta{UUID: "ml-" + uuid, ID: 1000 + n}, InterfaceUUID: "if-" + uuid, MACAddress: m},
			&model.IPLease{Meta: model.Meta{UUID: "il-" + uuid, ID: 1000 + n}, InterfaceUUID: "if-" + uuid, NetworkUUID: "nw-a", MACLeaseUUID: "ml-" + uuid, IPv4Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 20)})})
	}
	r := newReplica()
	r.load("store", "dp-0", 1, objects, true)
	r.setPorts(bridge(port("p1", "", 11)))
	s := newDHCPService(&desk{replica: r, log: slog.New(slog.DiscardHandler)})
	f := dhcpFrame(b, mac(1), 0)
	b.ReportAllocs()
	for b.Loop() {
		if s.answer(ovs.Packet{Ingress: 1, Network: 100, Data: f}, start) == nil {
			b.Fatal("no answer")
		}
	}
	if s.verdicts.of(dhcp.Offer) == 0 {
		b.Fatal("no offer")
	}
}
