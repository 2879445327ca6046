package span_test

import (
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// A network that lies on a segment is one with it: it goes where the segment is wired, and who has the one has the other.
func TestNetworksOnSegments(t *testing.T) {
	os := []model.Object{
		&model.Topology{Meta: named(model.DefaultTopology)}, &model.Datapath{Meta: named("dp-1")}, &model.Datapath{Meta: named("dp-2")},
		&model.Segment{Meta: named("seg-1"), Mode: model.SegmentVirtual},
		&model.Network{Meta: named("nw-1"), Mode: model.NetworkVirtual, SegmentUUID: "seg-1"}, &model.Network{Meta: named("nw-2"), Mode: model.NetworkVirtual, SegmentUUID: "seg-1"},
		&model.DatapathSegment{Meta: named("dps-1"), DatapathUUID: "dp-1", SegmentUUID: "seg-1"},
		&model.DatapathNetwork{Meta: named("dpn-1"), DatapathUUID: "dp-2", NetworkUUID: "nw-2"},
		&model.Interface{Meta: named("if-r"), Mode: model.InterfaceSimulated}, &model.IPLease{Meta: named("il-r"), InterfaceUUID: "if-r", NetworkUUID: "nw-2"},
	}
	os = append(os, guest("1", "dp-1", "nw-1")...)
	os = append(os, guest("2", "dp-2", "nw-2")...)
	for i, o := range os {
		o.Base().ID = uint32(i + 1)
	}
	x := indexOf(os)
	check := func(when string, want map[span.Pair]bool) {
		t.Helper()
		for p, has := range want {
			if got := x.Has(p); got != has {
				t.Errorf("%s: %s has %s: %v", when, p.Datapath, p.Network, got)
			}
		}
	}
	has := func(host string, is bool) map[span.Pair]bool {
		m := map[span.Pair]bool{}
		for _, n := range []string{"seg-1", "nw-1", "nw-2"} {
			m[span.Pair{Network: n, Datapath: host}] = is
		}
		return m
	}
	check("wired to dp-1", has("dp-1", true))
	check("wired to dp-1", has("dp-2", false))
	if !x.At("if-r", "dp-1") || x.At("if-r", "dp-2") {
		t.Error("what is simulated in a network of the segment is where the segment is")
	}
	row := &model.DatapathSegment{Meta: model.Meta{UUID: "dps-2", ID: 100}, DatapathUUID: "dp-2", SegmentUUID: "seg-1"}
	e := x.Apply([]graph.Change{{UUID: "dps-2", Object: row}})
	check("wired to both", has("dp-2", true))
	for _, n := range []string{"seg-1", "nw-2"} {
		if present, flipped := e.Flips[span.Pair{Network: n, Datapath: "dp-2"}]; !flipped || !present {
			t.Errorf("%s has not come to dp-2", n)
		}
	}
	x.Apply([]graph.Change{{UUID: "nw-2", Object: &model.Network{Meta: model.Meta{UUID: "nw-2", ID: 6}, Mode: model.NetworkVirtual}}})
	if p := (span.Pair{Network: "seg-1", Datapath: "dp-2"}); x.Has(p) {
		t.Error("dp-2 has the segment still, which its network has left")
	}
}
