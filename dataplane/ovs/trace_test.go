package ovs_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
)

// Open vSwitch does with layer 2 what was meant: groups that lead to groups, copies, meters of one port among many, tags.
func TestLayer2InOpenVSwitch(t *testing.T) {
	g := graph.New()
	id := uint32(0)
	put := func(os ...model.Object) {
		for _, o := range os {
			id++
			o.Base().ID = id
			if o.Base().UUID == "" {
				o.Base().UUID = model.Of(o).NewUUID()
			}
			g.Put(o)
		}
	}
	put(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology}, Automatic: true}, &model.Datapath{Meta: model.Meta{UUID: "dp-1"}},
		&model.Network{Meta: model.Meta{UUID: "nw-a"}, Mode: model.NetworkVirtual, VNI: 100, IPv4Network: netip.MustParseAddr("10.0.0.0"), IPv4Prefix: 24})
	guest := func(n byte, i *model.Interface) {
		i.UUID, i.Mode = fmt.Sprintf("if-a%d", n), model.InterfaceVIF
		put(i, &model.InterfacePort{InterfaceUUID: i.UUID, DatapathUUID: "dp-1", PortName: fmt.Sprintf("a%d", n)},
			&model.MACLease{InterfaceUUID: i.UUID, MACAddress: model.MAC{2, 0, 0, 0, 0, n}},
			&model.IPLease{InterfaceUUID: i.UUID, NetworkUUID: "nw-a", IPv4Address: netip.AddrFrom4([4]byte{10, 0, 0, n})})
	}
	guest(1, &model.Interface{})
	guest(2, &model.Interface{IngressRate: 1000, EgressRate: 2000, DSCP: 46})
	guest(3, &model.Interface{})
	guest(4, &model.Interface{})
	put(&model.Mirror{InterfaceUUID: "if-a2", TargetInterfaceUUID: "if-a4", Direction: model.MirrorBoth, VNI: 900})
	put(&model.Interface{Meta: model.Meta{UUID: "if-e"}, Mode: model.InterfaceEdge}, &model.InterfacePort{InterfaceUUID: "if-e", DatapathUUID: "dp-1", PortName: "edge"},
		&model.Translation{Meta: model.Meta{UUID: "tr-e"}, Mode: model.TranslationEdge, InterfaceUUID: "if-e"}, &model.VLANTranslation{TranslationUUID: "tr-e", NetworkUUID: "nw-a", VLANID: 7})

	i := ovsenv.StartSandbox(t)
	i.AddBridge("br0")
	in := &compile.Input{X: span.New(g), Self: "dp-1", Bridge: compile.NewBridge()}
	for name, no := range map[string]uint32{"a1": 1, "a2": 2, "a3": 600, "a4": 4, "edge": 5} {
		i.MustVsctl("add-port", "br0", name, "--", "set", "interface", name, "type=dummy", fmt.Sprintf("ofport_request=%d", no))
		in.Bridge.SetPort(compile.NewPort(name, "", no, 0))
	}
	s := state.New()
	for u, err := range s.ReplaceAll(in.Units(), in.Unit, &state.Changes{}) {
		t.Fatalf("%s: %v", u, err)
	}
	full := s.Full()
	if refused, _, err := dial(t, i.Mgmt("br0")).Sync(t.Context(), &full, false); err != nil || len(refused) > 0 {
		t.Fatalf("%v, refused %v", err, refused)
	}
	ports := datapathPorts(t, i)
	for _, tc := range []struct{ name, packet, want string }{
		{"broadcast from a1", "in_port=1,udp,dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff,nw_src=10.0.0.1,nw_dst=255.255.255.255",
			"clone(meter(N),a2,a4),a3,a4,push_vlan(vid=7,pcp=0),edge,pop_vlan"},
		{"unicast to a2", "in_port=1,udp,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2", "meter(N),a2,a4"},
		{"unicast from a2", "in_port=2,udp,dl_src=02:00:00:00:00:02,dl_dst=02:00:00:00:00:01,nw_src=10.0.0.2,nw_dst=10.0.0.1", "meter(N),a4,set(ipv4(tos=0xb8/0xfc)),a1"},
		{"from the VLAN", "in_port=5,dl_vlan=7,dl_type=0x800,dl_src=02:ee:00:00:00:01,dl_dst=02:00:00:00:00:01,nw_src=10.0.0.9,nw_dst=10.0.0.1", "pop_vlan,sample(sample=100.0%,actions(meter(N),userspace)),a1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := i.Trace(t.Context(), "br0", tc.packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := actions(out, ports); got != normal(tc.want) {
				t.Errorf("actions %s, want %s\n%s", got, normal(tc.want), out)
			}
		})
	}
}

// datapathPorts gives the names of ports by their number in the datapath.
func datapathPorts(t *testing.T, i *ovsenv.Sandbox) map[string]string {
	t.Helper()
	out, err := i.Appctl(t.Context(), "dpif/show")
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s*(\S+) \d+/(\d+):`).FindAllStringSubmatch(out, -1) {
		ports[m[2]] = m[1]
	}
	return ports
}

var (
	meterOf   = regexp.MustCompile(`meter\(\d+\)`)
	userspace = regexp.MustCompile(`userspace\([^()]*(\([^()]*\))?[^()]*\)`)
	number    = regexp.MustCompile(`(^|[,(])(\d+)`)
)

// actions gives the datapath actions of a trace, with the names of ports.
func actions(trace string, ports map[string]string) string {
	_, text, _ := strings.Cut(trace, "Datapath actions: ")
	text, _, _ = strings.Cut(text, "\n")
	text = userspace.ReplaceAllString(meterOf.ReplaceAllString(text, "meter(N)"), "userspace")
	return normal(number.ReplaceAllStringFunc(text, func(s string) string {
		digits := strings.TrimLeft(s, ",(")
		return strings.TrimSuffix(s, digits) + ports[digits]
	}))
}

// normal puts the branches of a flood in order: buckets have none.
func normal(text string) string {
	var parts []string
	depth, start := 0, 0
	for n, c := range text + "," {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, text[start:n])
				start = n + 1
			}
		}
	}
	if strings.HasPrefix(text, "clone") {
		slices.Sort(parts)
	}
	return strings.Join(parts, ",")
}
