package conn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/flow/flowtest"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

const nRandom = 1000

// randomState makes groups, meters and flows with keys that differ.
func randomState(seed uint64) (groups []flow.Group, meters []flow.Meter, flows []flow.Flow) {
	g := flowtest.Gen{Source: rand.New(rand.NewPCG(seed, 1))}
	for i := range uint32(flowtest.Groups) {
		groups = append(groups, g.Group(i+1))
	}
	for i := range uint32(flowtest.Meters) {
		meters = append(meters, g.Meter(i+1))
	}
	seen := map[flow.Key]bool{}
	for len(flows) < nRandom {
		if f := g.Flow(); !seen[f.Key()] {
			seen[f.Key()] = true
			flows = append(flows, f)
		}
	}
	return groups, meters, flows
}

func groupMods(groups []flow.Group) (msgs []ofp.Message) {
	for _, g := range groups {
		msgs = append(msgs, &ofp.GroupMod{Group: g})
	}
	return msgs
}

func meterMods(meters []flow.Meter) (msgs []ofp.Message) {
	for _, m := range meters {
		msgs = append(msgs, &ofp.MeterMod{Meter: m})
	}
	return msgs
}

func flowMods(flows []flow.Flow) (msgs []ofp.Message) {
	for _, f := range flows {
		msgs = append(msgs, &ofp.FlowMod{Flow: f})
	}
	return msgs
}

// nameTables gives the bridge the names of flowtest.Names.
func (s *sandbox) nameTables() {
	s.t.Helper()
	names := flowtest.Names()
	var args []string
	for id := range 255 {
		if name, ok := names.Table(uint8(id)); ok {
			if len(args) > 0 {
				args = append(args, "--")
			}
			quoted := `"` + strings.ReplaceAll(name, `"`, `\"`) + `"`
			args = append(args, fmt.Sprintf("--id=@t%d", id), "create", "Flow_Table", "name="+quoted,
				"--", "set", "bridge", "br0", fmt.Sprintf("flow_tables:%d=@t%d", id, id))
		}
	}
	s.vsctl(args...)
}

// lines gives the sorted lines of a dump without its head.
func lines(dump string) []string {
	var l []string
	for _, line := range strings.Split(dump, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "OFPST_") {
			l = append(l, line)
		}
	}
	slices.Sort(l)
	return l
}

func formatted[T any](vs []T, format func(T) string) []string {
	var l []string
	for _, v := range vs {
		l = append(l, format(v))
	}
	slices.Sort(l)
	return l
}

// explain names the messages that failed.
func explain(t *testing.T, err error, msgs []ofp.Message) {
	t.Helper()
	if err == nil {
		return
	}
	var e *ApplyError
	if errors.As(err, &e) {
		for i, f := range e.Failed[:min(len(e.Failed), 10)] {
			text := ""
			if m, ok := msgs[f.Index].(*ofp.FlowMod); ok {
				text = m.Flow.String()
			}
			t.Logf("failure %d: %v: %s", i, f.Err, text)
		}
	}
	t.Fatal(err)
}

// What we write is dumped by ovs-ofctl as we format it.
func TestPrivilegedWrittenByUs(t *testing.T) {
	s := newSandbox(t)
	s.addPorts("p1", "if-v2", "vethabc3", "p.4")
	s.nameTables()
	c := s.dial(Options{})
	groups, meters, flows := randomState(1)
	explain(t, c.Send(t.Context(), meterMods(meters)), nil)
	explain(t, c.Send(t.Context(), groupMods(groups)), nil)
	mods := flowMods(flows)
	explain(t, c.Bundle(t.Context(), mods, BundleOptions{Atomic: true}), mods)

	names := flowtest.Names()
	want := formatted(flows, func(f flow.Flow) string { return f.String() })
	if d := cmp.Diff(want, lines(s.ofctl("dump-flows", "br0", "--no-stats", "--no-names"))); d != "" {
		t.Errorf("flows (-ours +ovs-ofctl):\n%s", d)
	}
	want = formatted(flows, func(f flow.Flow) string { return flow.Format(f, names) })
	if d := cmp.Diff(want, lines(s.ofctl("dump-flows", "br0", "--no-stats", "--names"))); d != "" {
		t.Errorf("flows with names (-ours +ovs-ofctl):\n%s", d)
	}
	want = formatted(groups, func(g flow.Group) string { return flow.FormatGroup(g, names) })
	if d := cmp.Diff(want, lines(s.ofctl("dump-groups", "br0", "--names"))); d != "" {
		t.Errorf("groups (-ours +ovs-ofctl):\n%s", d)
	}
	want = lines(strings.Join(formatted(meters, flow.Meter.String), "\n"))
	if d := cmp.Diff(want, lines(s.ofctl("dump-meters", "br0"))); d != "" {
		t.Errorf("meters (-ours +ovs-ofctl):\n%s", d)
	}

	// And we read back what we wrote.
	got, err := c.DumpFlows(t.Context(), FlowFilter{})
	if err != nil {
		t.Fatal(err)
	}
	diffFlows(t, flows, got)
}

// What ovs-ofctl writes from our text we read as the same values, and what it dumps we parse as the same values.
func TestPrivilegedWrittenByOfctl(t *testing.T) {
	s := newSandbox(t)
	s.addPorts("p1", "if-v2", "vethabc3", "p.4")
	s.nameTables()
	names := flowtest.Names()
	groups, meters, flows := randomState(2)
	for _, m := range meters {
		text := strings.NewReplacer("bands=\n", "band=", "\n", " ").Replace(m.String())
		s.ofctl("add-meter", "br0", strings.ReplaceAll(text, " ", ","))
	}
	for _, g := range groups {
		s.ofctl("add-group", "br0", g.String())
	}
	file := filepath.Join(s.dir, "flows")
	text := strings.Join(formatted(flows, func(f flow.Flow) string { return f.String() }), "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.try("", "ovs-ofctl", "-O", "OpenFlow15", "add-flows", "br0", file); err != nil {
		for i, line := range strings.Split(text, "\n")[:12] {
			t.Log(i+1, line)
		}
		t.Fatal(out, err)
	}

	c := s.dial(Options{})
	got, err := c.DumpFlows(t.Context(), FlowFilter{})
	if err != nil {
		t.Fatal(err)
	}
	diffFlows(t, flows, got)
	gotGroups, err := c.DumpGroups(t.Context())
	if d := cmp.Diff(formatted(groups, flow.Group.String), formatted(gotGroups, flow.Group.String)); d != "" || err != nil {
		t.Errorf("groups (-want +got): %v\n%s", err, d)
	}
	byID := func(g []flow.Group) map[uint32]flow.Group {
		m := map[uint32]flow.Group{}
		for _, g := range g {
			m[g.ID] = g
		}
		return m
	}
	if d := cmp.Diff(byID(groups), byID(gotGroups)); d != "" {
		t.Errorf("groups (-want +got):\n%s", d)
	}
	gotMeters, err := c.DumpMeters(t.Context())
	slices.SortFunc(gotMeters, func(a, b flow.Meter) int { return int(a.ID) - int(b.ID) })
	if d := cmp.Diff(meters, gotMeters); d != "" || err != nil {
		t.Errorf("meters (-want +got): %v\n%s", err, d)
	}

	for _, args := range [][]string{{"--no-stats", "--names"}, {"--no-stats", "--no-names"}, {"--names"}} {
		var parsed []flow.Flow
		for _, line := range lines(s.ofctl(append([]string{"dump-flows", "br0"}, args...)...)) {
			f, err := flow.Parse(line, names)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		diffFlows(t, flows, parsed)
	}
	for _, line := range lines(s.ofctl("dump-groups", "br0", "--names")) {
		g, err := flow.ParseGroup(line, names)
		if d := cmp.Diff(byID(groups)[g.ID], g); d != "" || err != nil {
			t.Errorf("parsed group (-want +got): %v\n%s", err, d)
		}
	}
	for _, text := range strings.Split(s.ofctl("dump-meters", "br0"), "meter=")[1:] {
		m, err := flow.ParseMeter("meter=" + text)
		if err != nil || !m.Equal(meters[m.ID-1]) {
			t.Errorf("parsed meter %+v, want %+v: %v", m, meters[m.ID-1], err)
		}
	}
}

func diffFlows(t *testing.T, want, got []flow.Flow) {
	t.Helper()
	byKey := map[flow.Key]flow.Flow{}
	for _, f := range got {
		byKey[f.Key()] = f
	}
	if len(byKey) != len(want) || len(got) != len(want) {
		t.Errorf("%d flows, %d keys, want %d", len(got), len(byKey), len(want))
	}
	n := 0
	for _, f := range want {
		if g, ok := byKey[f.Key()]; g != f {
			if n++; n > 5 {
				t.Fatal("and more")
			}
			t.Errorf("flow %v\n got %v (%v)\n%x\n%x", f, g, ok, f.Actions.Encoded(), g.Actions.Encoded())
		}
	}
}
