package flood

import (
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
)

func station(n byte) Station {
	return Station{model.MAC{2, 0, 0, 0, 0, n}, netip.AddrFrom4([4]byte{10, 77, 0, n}), netip.AddrFrom16([16]byte{0xfd, 0x77, 15: n})}
}

// Every class that programs limit has a kind, and every frame of it can be read.
func TestKinds(t *testing.T) {
	has := map[string]bool{}
	for _, k := range Kinds(station(1), station(2), station(254), netip.MustParseAddr("10.77.0.100")) {
		has[k.Class] = true
		if len(k.Frames) != variants {
			t.Errorf("%s: %d frames", k.Name, len(k.Frames))
		}
		for _, f := range k.Frames {
			p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
			if len(f) < 42 || p.ErrorLayer() != nil {
				t.Fatalf("%s: %x: %v", k.Name, f, p.ErrorLayer())
			}
		}
	}
	for _, l := range (pipeline.Limits{}).Ports() {
		if l.Program && !has[l.Name] {
			t.Errorf("nothing floods class %s", l.Name)
		}
	}
}

// A question is no answer to itself, nor is the answer to another.
func TestQuestions(t *testing.T) {
	a, b := station(1), station(2)
	for name, q := range map[string]Question{"arp": AskARP(a, b), "echo": AskEcho(a, b, 7), "dhcp": AskDHCP(a, 9), "dns": AskDNS(a, b, 3)} {
		for other, f := range map[string][]byte{"itself": q.Frame, "nothing": nil, "echo": AskEcho(b, a, 7).Frame, "another's": AskARP(b, a).Frame} {
			if q.Answers(f) {
				t.Errorf("%s is answered by %s", name, other)
			}
		}
	}
	reply := AskEcho(b, a, 7).Frame
	reply[34] = 0
	if !AskEcho(a, b, 7).Answers(reply) || AskEcho(a, b, 8).Answers(reply) {
		t.Error("an echo reply is not known by its number")
	}
}
