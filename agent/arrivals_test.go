package agent

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// A guest that was to move here is told of with what it sends, which goes on, until it is here; another one is not, nor one whose move is cancelled.
func TestArrival(t *testing.T) {
	p1, p2 := port("p1", "web", 11), port("p2", "", 12)
	others := []model.Object{&model.Datapath{Meta: model.Meta{UUID: "dp-9", ID: 9}, DPID: 9}}
	row := func(at, to, from string) model.Object {
		return &model.ActiveInterface{Meta: model.Meta{UUID: "aif-b", ID: 1}, InterfaceUUID: "if-b", DatapathUUID: at, TargetDatapathUUID: to, PreviousDatapathUUID: from}
	}
	b := newBench(t, slices.Concat(base(), others, guest(1, "", "web"), guest(2, "dp-0", "p2"), []model.Object{row("dp-9", "dp-0", "")}), p1, p2)
	var mu sync.Mutex
	var told []wire.Arrival
	b.arrivals.tell = func(a wire.Arrival) { mu.Lock(); defer mu.Unlock(); told = append(told, a) }
	heard := func() []wire.Arrival {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(told)
	}
	sends := func(from, to byte, in uint32) int {
		t.Helper()
		return len(b.sw.Receive(t, ovstest.Frame{Port: in, Data: udp(mac(from), mac(to), "10.0.0."+string('0'+from), "10.0.0."+string('0'+to))}))
	}
	if n := sends(1, 2, 11); n != 1 {
		t.Errorf("the guest's first frame comes %d times", n)
	}
	b.until("the manager is told", func() bool { return len(heard()) == 1 })
	if diff := cmp.Diff([]wire.Arrival{{UUID: "if-b", Port: "web"}}, heard()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if sends(2, 1, 12); len(heard()) != 1 {
		t.Errorf("told of another guest: %v", heard())
	}
	if w := b.replica.report(); !slices.Equal(w.Placed, []string{"if-b"}) || len(w.Unplaced) > 0 {
		t.Errorf("ports %+v", w)
	}
	b.replica.change(2, []model.Object{row("dp-0", "", "dp-9")}, nil)
	b.wake()
	b.until("the switch has heard", func() bool { return sends(2, 1, 12) == 1 })
	sends(1, 2, 11)
	if n := b.count("activate", ""); n != 1 || len(heard()) != 1 {
		t.Errorf("told of one that is here: %d packets, %v", n, heard())
	}
	b.replica.change(3, []model.Object{row("dp-9", "", "")}, nil)
	if w := b.replica.report(); len(w.Placed) > 0 || !slices.Equal(w.Unplaced, []string{"p1", "web"}) {
		t.Errorf("ports of an interface that is elsewhere: %+v", w)
	}
	b.wake()
	b.until("the port is closed", func() bool { return sends(1, 2, 11) == 0 })
}
