package compile_test

//go:generate go test -count=1 -run ^TestDocumentIsCurrent$ . -update

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/oftest"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
)

// The second part of docs/pipeline.md: what one host of a small network has, and what becomes of packets there.

const exampleIntro = `
## An example

Two hosts, dp-node1 and dp-node2, with one port to the underlay and one Geneve port each. What follows is what dp-node1 has.

| network | VNI | subnet | on dp-node1 | on dp-node2 | router's leg |
|---|---|---|---|---|---|
| nw-front | 100 | 10.0.0.0/24 | if-web1 10.0.0.1, port tap-web1 | if-web2 10.0.0.2, port tap-web2 | if-gwfront 10.0.0.254 |
| nw-back | 200 | 10.0.1.0/24 | | if-db1 10.0.1.1, port tap-db1 | if-gwback 10.0.1.254 |
| nw-out | 300 | 203.0.113.0/24 | | if-ext 203.0.113.9, port tap-ext | if-gwout 203.0.113.1, on dp-node1 only |

The legs are joined by route link rl-1 (VNI 400): the routes r-front and r-back lead to the networks, r-out everywhere else (0.0.0.0/0). Translation tr-out at if-gwout masquerades:
who goes out has its address. In nw-front if-dhcp, 10.0.0.253, answers DHCP. if-web1 is in the security group sg-web, whose text lets TCP port 443 from anywhere and all ICMP of
10.0.0.0/8 begin; rule sgr-ssh rejects what comes to TCP port 22. if-web1 may send 100 Mbit/s.

### How to read a flow

Open vSwitch shows a flow of table guard_mac so (` + "`ovs-ofctl dump-flows`" + `, without counters):

`

// example is the network of the document.
func example() *world {
	w := newWorld()
	w.network("nw-under", 0, "172.16.90.0/24", "")
	w.datapath("dp-node1", "172.16.90.1")
	w.datapath("dp-node2", "172.16.90.2")
	w.network("nw-front", 100, "10.0.0.0/24", "")
	w.network("nw-back", 200, "10.0.1.0/24", "")
	w.network("nw-out", 300, "203.0.113.0/24", "")
	w.iface("if-web1", model.InterfaceVIF, "dp-node1", "tap-web1", "02:00:00:00:0a:01", "nw-front", "10.0.0.1")
	w.iface("if-web2", model.InterfaceVIF, "dp-node2", "tap-web2", "02:00:00:00:0a:02", "nw-front", "10.0.0.2")
	w.iface("if-db1", model.InterfaceVIF, "dp-node2", "tap-db1", "02:00:00:00:0b:01", "nw-back", "10.0.1.1")
	w.iface("if-ext", model.InterfaceVIF, "dp-node2", "tap-ext", "02:00:00:00:0c:09", "nw-out", "203.0.113.9")
	w.edit("if-web1", func(i *model.Interface) { i.EgressRate, i.EgressBurst = 100_000, 10_000 })
	w.iface("if-dhcp", model.InterfaceSimulated, "", "", "02:00:00:00:0a:fd", "nw-front", "10.0.0.253")
	w.put(&model.NetworkService{Mode: model.ServiceDHCP, InterfaceUUID: "if-dhcp"})
	w.put(&model.NetworkService{Mode: model.ServiceMetadata, InterfaceUUID: "if-dhcp"})
	w.put(&model.RouteLink{Meta: model.Meta{UUID: "rl-1"}, VNI: 400, MACAddress: model.MAC{2, 0, 0, 0, 4, 0}})
	w.leg("if-gwfront", "", "02:00:00:00:0a:fe", "nw-front", "10.0.0.254")
	w.leg("if-gwback", "", "02:00:00:00:0b:fe", "nw-back", "10.0.1.254")
	w.leg("if-gwout", "dp-node1", "02:00:00:00:0c:fe", "nw-out", "203.0.113.1")
	w.edit("if-gwout", func(i *model.Interface) { i.EnableRouteTranslation = true })
	w.routing("if-gwout")
	w.route("r-front", "if-gwfront", "nw-front", "rl-1", "10.0.0.0/24")
	w.route("r-back", "if-gwback", "nw-back", "rl-1", "10.0.1.0/24")
	w.route("r-out", "if-gwout", "nw-out", "rl-1", "0.0.0.0/0")
	w.put(&model.Translation{Meta: model.Meta{UUID: "tr-out"}, Mode: model.TranslationMasquerade, InterfaceUUID: "if-gwout"})
	w.group("sg-web", "tcp:443:0.0.0.0/0\nicmp:-1:10.0.0.0/8", model.SecurityGroup{}, "web1")
	w.rule(model.SecurityGroupRule{Meta: model.Meta{UUID: "sgr-ssh"}, SecurityGroupUUID: "sg-web", Action: model.RuleReject, Protocol: "tcp", PortFirst: 22, PortLast: 22})
	return w
}

func TestDocumentIsCurrent(t *testing.T) {
	const path = "../../docs/pipeline.md"
	var b bytes.Buffer
	if err := pipeline.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	writeExample(&b, newFabric(t, example()))
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(have), b.String()); diff != "" {
		t.Errorf("%s is not what the declaration and the compiler say; make docs (-file +now):\n%s", path, diff)
	}
}

// The dump in the document is that of Open vSwitch.
func TestDocumentedDump(t *testing.T) {
	s := ovsenv.StartSandbox(t)
	s.AddBridge("br0")
	full := compileAll(t, newFabric(t, example()).inputs["dp-node1"]).Full()
	sw, err := ovs.Dial(t.Context(), s.Mgmt("br0"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- sw.Run(ctx) }()
	refused, _, err := sw.Sync(t.Context(), &full, false)
	cancel()
	<-done
	if err != nil || len(refused) > 0 {
		t.Fatalf("%v, refused %v", err, refused)
	}
	var want, got []string
	for _, f := range full.Flows {
		want = append(want, f.String())
	}
	for line := range strings.Lines(s.MustOfctl("dump-flows", "--no-stats", "br0")) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "OFPST") {
			got = append(got, line)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("what is documented, and what Open vSwitch shows (-want +got):\n%s", diff)
	}
}

// writeExample writes what dp-node1 has, and the ways of some packets.
func writeExample(b *bytes.Buffer, f *fabric) {
	in := f.inputs["dp-node1"]
	full := compileAll(f.t, in).Full()
	names := in.Names()
	flows := slices.SortedFunc(maps.Values(full.Flows), func(a, b flow.Flow) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority), cmp.Compare(pipeline.Describe(a, names).Match, pipeline.Describe(b, names).Match), cmp.Compare(a.String(), b.String()))
	})
	b.WriteString(exampleIntro)
	writeReading(b, flows, names)
	for _, t := range pipeline.Tables() {
		fmt.Fprintf(b, "\n#### %d %s\n\n%s\n\n| priority | owner | match | actions |\n|---|---|---|---|\n", t.ID, t.Name, t.Doc)
		var dump []string
		for _, f := range flows {
			if f.Table == t.ID {
				d := pipeline.Describe(f, names)
				fmt.Fprintf(b, "| %d | %s | %s | %s |\n", f.Priority, d.Owner, code(cmp.Or(d.Match, "*")), code(d.Actions))
				dump = append(dump, f.String())
			}
		}
		fmt.Fprintf(b, "\n<details><summary>as Open vSwitch shows them</summary>\n\n```\n%s\n```\n\n</details>\n", strings.Join(dump, "\n"))
	}
	writeNumbers(b, &full, names)
	writeWalks(b, f)
}

func code(s string) string { return "`" + strings.ReplaceAll(s, "|", "\\|") + "`" }

// writeReading explains one flow.
func writeReading(b *bytes.Buffer, flows []flow.Flow, names pipeline.Names) {
	for _, f := range flows {
		if f.Table != pipeline.GuardMAC.ID || pipeline.Cookie(f.Cookie).Owner().Kind != pipeline.KindInterface {
			continue
		}
		d, o := pipeline.Describe(f, names), pipeline.Cookie(f.Cookie).Owner()
		fmt.Fprintf(b, "```\n%s\n```\n\nThe cookie's first digit is the kind of the owner, %d (%s); the next seven are its id, %d, which is that of %s; the other eight are the hash of what the flow does. "+
			"In words:\n\n| table | priority | owner | match | actions |\n|---|---|---|---|---|\n| %d %s | %d | %s | %s | %s |\n", f, o.Kind, o.Kind, o.ID, strings.TrimPrefix(d.Owner, o.Kind.String()+" "), f.Table, d.Table, f.Priority, d.Owner, code(d.Match), code(d.Actions))
		break
	}
	b.WriteString(`
Of the flows of one table that match a packet the one with the highest priority decides. In a match, numbers in registers, zones, tunnel keys and conjunctions have names: *ingress=if-web1* is
reg1=0x3, the id of that interface. Fields of OpenFlow are written as ovs-ofctl does. In actions := sets a register or field, *goto* goes on in another table, *resubmit* looks the packet up
there as well, *agent* sends it to vna. Where several rules look at the same thing, their dimensions are *conjunction(RULE, 2/3)*: a packet that meets all of them meets the flow with *conj_id=RULE*.
A rule of a group's text is named by the group and its place in the text, that of trust GROUP.trust; an interface that is judged without any group has the rule set *no-group*.

### Its flows

`)
	fmt.Fprintf(b, "These are all %d flows of dp-node1.\n", len(flows))
}

// writeNumbers writes groups with their buckets, meters and zones.
func writeNumbers(b *bytes.Buffer, full *state.Full, names pipeline.Names) {
	b.WriteString("\n### Its groups, meters and zones\n\n| group | name | bucket | actions |\n|---|---|---|---|\n")
	for _, id := range slices.Sorted(maps.Keys(full.Groups)) {
		name := names.Group(id)
		buckets := map[uint32]flow.Bucket{}
		for k, x := range full.Buckets {
			if k.Group == id {
				buckets[k.ID] = x.Bucket
			}
		}
		if len(buckets) == 0 {
			fmt.Fprintf(b, "| %d | %s | none | |\n", id, name)
		}
		for _, n := range slices.Sorted(maps.Keys(buckets)) {
			fmt.Fprintf(b, "| %d | %s | %#x | %s |\n", id, name, n, code(names.Actions(pipeline.Flood.ID, buckets[n].Actions.List())))
		}
	}
	b.WriteString("\n| meter | name | rate | burst |\n|---|---|---|---|\n")
	for _, id := range slices.Sorted(maps.Keys(full.Meters)) {
		m, unit := full.Meters[id], "packets"
		if m.Bits {
			unit = "kbit"
		}
		fmt.Fprintf(b, "| %d | %s | %d %s/s | %d %s |\n", id, names.Meter(id), m.Rate, unit, m.Burst, unit)
	}
	b.WriteString("\n| zone | name | conversations at most |\n|---|---|---|\n")
	for _, z := range slices.Sorted(maps.Keys(full.Zones)) {
		fmt.Fprintf(b, "| %d | %s | %d |\n", z, names.Zone(z), full.Zones[z].Limit)
	}
}

// writeWalks writes the flows that packets meet one after the other.
func writeWalks(b *bytes.Buffer, f *fabric) {
	b.WriteString("\n### Ways of packets\n\nThe flows that a packet meets, one after the other, in a switch in memory. Of MAC addresses the last two bytes are shown.\n")
	for _, w := range []struct {
		title, port string
		p           probe
		note        string
	}{
		{
			"To a guest of the same network on another host", "tap-web1", probe{ethSrc: "0a:01", ethDst: "0a:02", src: "10.0.0.1", dst: "10.0.0.2", sport: 40000, dport: 53},
			"The network travels as the tunnel's key. if-web1 is in a security group, which does not judge what it sends, but remembers it: table out_rules.",
		},
		{
			"Its answer", "tap-web2", probe{ethSrc: "0a:02", ethDst: "0a:01", src: "10.0.0.2", dst: "10.0.0.1", sport: 53, dport: 40000},
			"No rule of sg-web is for it. So table in_rules asks the connection tracker, in the zone of if-web1, and table in_rules_answer sees the answer to what if-web1 has sent.",
		},
		{
			"What no rule lets begin", "tap-web2", probe{ethSrc: "0a:02", ethDst: "0a:01", src: "10.0.0.2", dst: "10.0.0.1", sport: 40000, dport: 53},
			"The same way, but the connection tracker does not know it.",
		},
		{
			"The first packet of a conversation that a rule lets begin", "tap-web2", probe{ethSrc: "0a:02", ethDst: "0a:01", src: "10.0.0.2", dst: "10.0.0.1"},
			"The second line of sg-web's text is met in each of its dimensions (rule set, protocol, peer), and the conversation is remembered: what if-web1 answers is let out whatever the group says.",
		},
		{
			"To a guest of another network, routed", "tap-web1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "10.0.1.1", sport: 40000, dport: 53},
			"It is routed where it begins: in by if-gwfront, through rl-1, out by if-gwback, and to the other host as a packet of nw-back.",
		},
		{
			"Outside, with the router's address", "tap-web1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "203.0.113.9", sport: 40000, dport: 53},
			"if-gwout remembers conversations: zone if-gwout/in is asked whether this is an answer to one that came in, and tr-out begins one in zone if-gwout/out.",
		},
		{
			"Its answer", "tap-ext", probe{ethSrc: "0c:09", ethDst: "0c:fe", src: "203.0.113.9", dst: "203.0.113.1", sport: 53, dport: 40000},
			"The leg is on dp-node1 only. There the connection tracker gives the answer its own destination back, before it is routed.",
		},
	} {
		fmt.Fprintf(b, "\n#### %s\n\n%s\n\n| host | table | owner | match | actions |\n|---|---|---|---|---|\n", w.title, w.note)
		f.met = func(host string, l oftest.Lookup) {
			d := pipeline.Describe(l.Flow, f.inputs[host].Names())
			fmt.Fprintf(b, "| %s | %d %s | %s | %s | %s |\n", host, l.Table, d.Table, d.Owner, code(cmp.Or(d.Match, "*")), code(d.Actions))
		}
		frame := w.p.frame()
		out := f.send(w.port, frame)
		f.met = nil
		fmt.Fprintf(b, "\n%s sends %s. %s\n", w.port, code(summary(frame)), result(out))
	}
}

// result puts what comes out into a sentence.
func result(out []string) string {
	if why, ok := strings.CutPrefix(out[0], "dropped: "); ok {
		return "It is dropped: " + why + "."
	}
	port, what, _ := strings.Cut(out[0], ": ")
	return fmt.Sprintf("%s gets %s.", port, code(what))
}
