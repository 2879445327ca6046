package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/testenv/wait"
)

// status gives an object's status as lines.
func (w *world) status(t *testing.T, uuid string) []string {
	t.Helper()
	var o model.Object
	w.View(func(x *span.Index, _ int64) { o, _ = x.Graph().Get(uuid) })
	if o == nil {
		t.Fatalf("there is no %s", uuid)
	}
	out := []string{}
	for _, s := range w.hub.Status(o) {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", s.DatapathUUID, s.NodeID, s.State, s.Reason)))
	}
	return out
}

func (w *world) expect(t *testing.T, uuid string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.status(t, uuid)); diff != "" {
		t.Errorf("status of %s (-want +got):\n%s", uuid, diff)
	}
}

func (w *world) expectSoon(t *testing.T, uuid string, want ...string) {
	t.Helper()
	wait.For(t, limit, "status of "+uuid, func() error {
		if diff := cmp.Diff(want, w.status(t, uuid)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

func TestStatus(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1), network(2))
	w.commit(guest(1, "dp-0", "nw-1")...)
	w.commit(guest(2, "dp-1", "nw-1")...)
	w.commit(guest(3, "dp-2", "nw-2")...)
	never := "unreachable its agent has not connected to this manager"
	w.expect(t, "if-1", "dp-0 node0 "+never, "dp-1 node1 "+never)

	a, b := w.dial(t, 1, "a"), w.dial(t, 2, "b")
	_, rev := a.snapshot()
	b.snapshot()
	w.expect(t, "if-1", "dp-0 node0 pending", "dp-1 node1 pending")
	a.ack(rev)
	w.expectSoon(t, "if-1", "dp-0 node0 applied", "dp-1 node1 pending")
	b.ack(rev, wire.Problem{UUID: "if-1", Reason: "no such port"})
	w.expectSoon(t, "if-1", "dp-0 node0 applied", "dp-1 node1 error no such port")
	w.expect(t, "if-2", "dp-0 node0 applied", "dp-1 node1 applied")
	w.expect(t, "if-3", "dp-2 node2 "+never)

	// A change of one object makes that one pending, and nothing else.
	rev = w.commit(write(&model.MACLease{Meta: model.Meta{UUID: "ml-1", ID: 1}, InterfaceUUID: "if-1", MACAddress: model.MAC{2}}))
	a.delta()
	b.delta()
	w.expect(t, "ml-1", "dp-0 node0 pending", "dp-1 node1 pending")
	w.expect(t, "if-1", "dp-0 node0 applied", "dp-1 node1 error no such port")
	// The list of problems is complete each time: what it does not name is over.
	b.ack(rev)
	w.expectSoon(t, "ml-1", "dp-0 node0 pending", "dp-1 node1 applied")
	w.expect(t, "if-1", "dp-0 node0 applied", "dp-1 node1 applied")

	b.hangUp()
	w.expectSoon(t, "if-1", "dp-0 node0 applied", "dp-1 node1 unreachable the connection was lost")
	hosts := w.hub.Hosts()
	if h := hosts[0]; !h.Connected || h.Objects != len(w.share("dp-0")) || h.Pending != 1 || h.Revision != rev || h.Acknowledged != rev-1 || h.Lag <= 0 || h.Software != "test" {
		t.Errorf("%+v", h)
	}
	if h := hosts[1]; h.Connected || h.Reason != "the connection was lost" || h.Since == nil {
		t.Errorf("%+v", h)
	}
	if h := hosts[2]; h.Connected || h.Since != nil {
		t.Errorf("%+v", h)
	}
}

// An interface on a host to which its network is not wired is an error, whether the host is connected or not.
func TestStatusOfUnwired(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1), network(2))
	w.commit(write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}}))
	w.commit(write(&model.DatapathNetwork{Meta: model.Meta{UUID: "dpn-1", ID: 1}, DatapathUUID: "dp-0", NetworkUUID: "nw-1"}))
	w.commit(guest(1, "dp-0", "nw-1")...)
	w.commit(guest(2, "dp-0", "nw-2")...)
	reason := "error network nw-2 is not wired to datapath dp-0: add it to the datapath's networks"
	w.expect(t, "if-2", "dp-0 node0 "+reason)
	w.expect(t, "il-2", "dp-0 node0 "+reason)
	a := w.dial(t, 1, "a")
	_, rev := a.snapshot()
	a.ack(rev)
	w.expectSoon(t, "if-1", "dp-0 node0 applied")
	w.expect(t, "if-2", "dp-0 node0 "+reason)
	w.expect(t, "il-2", "dp-0 node0 "+reason)
	w.expect(t, "ml-2", "dp-0 node0 applied")
}

// An interface that is about to move to a host to which its network is not wired would be cut off there.
func TestStatusOfMoveToUnwired(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1))
	w.commit(write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}}))
	w.commit(write(&model.DatapathNetwork{Meta: model.Meta{UUID: "dpn-1", ID: 1}, DatapathUUID: "dp-0", NetworkUUID: "nw-1"}))
	objects := guest(1, "", "nw-1")
	w.commit(append(objects, write(&model.ActiveInterface{Meta: model.Meta{UUID: "aif-1", ID: 1}, InterfaceUUID: "if-1", DatapathUUID: "dp-0", TargetDatapathUUID: "dp-1"}))...)
	o, _ := w.x.Graph().Get("if-1")
	at := slices.IndexFunc(w.hub.Status(o), func(s model.HostStatus) bool { return s.DatapathUUID == "dp-1" })
	if at < 0 || w.hub.Status(o)[at].State != model.StateError || w.hub.Status(o)[at].Reason != "network nw-1 is not wired to datapath dp-1: add it to the datapath's networks" {
		t.Errorf("%+v", w.hub.Status(o))
	}
}

// A network on a segment goes where the segment is wired.
func TestStatusOfUnwiredSegment(t *testing.T) {
	w := newWorld(t, calm)
	lying := network(1)
	lying.Object.(*model.Network).SegmentUUID = "seg-1"
	w.commit(write(&model.Segment{Meta: model.Meta{UUID: "seg-1", ID: 1}, Mode: model.SegmentVirtual}), lying)
	w.commit(write(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}}))
	w.commit(write(&model.DatapathNetwork{Meta: model.Meta{UUID: "dpn-1", ID: 1}, DatapathUUID: "dp-0", NetworkUUID: "nw-1"}))
	w.commit(guest(1, "dp-0", "nw-1")...)
	w.expect(t, "if-1", "dp-0 node0 error segment seg-1, on which network nw-1 lies, is not wired to datapath dp-0: add it to the datapath's segments")
	w.commit(write(&model.DatapathSegment{Meta: model.Meta{UUID: "dps-1", ID: 1}, DatapathUUID: "dp-0", SegmentUUID: "seg-1"}))
	a := w.dial(t, 1, "a")
	_, rev := a.snapshot()
	a.ack(rev)
	w.expectSoon(t, "if-1", "dp-0 node0 applied")
}

// waits starts a Wait and gives its end.
func (w *world) waits(t *testing.T, revision int64, uuids ...string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	go func() { done <- w.hub.Wait(ctx, revision, uuids) }()
	return done
}

func ended(t *testing.T, done <-chan error) {
	t.Helper()
	if err := <-done; err != nil {
		t.Errorf("Wait: %v", err)
	}
}

// still waits until Wait has registered, and sees that it goes on.
func (w *world) still(t *testing.T, waiting int, done ...<-chan error) {
	t.Helper()
	wait.For(t, limit, "calls of Wait", func() error {
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		n := 0
		for _, s := range w.hub.streams {
			n += len(s.progress.waiters) + len(s.placing.waiters)
		}
		if n != waiting {
			return fmt.Errorf("%d of %d", n, waiting)
		}
		return nil
	})
	for i, d := range done {
		select {
		case err := <-d:
			t.Errorf("Wait %d has returned %v", i, err)
		default:
		}
	}
}

func TestWait(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1), network(2))
	w.commit(guest(1, "dp-0", "nw-1")...)
	w.commit(guest(2, "dp-1", "nw-1")...)
	w.commit(guest(3, "dp-2", "nw-2")...)
	a, b, c := w.dial(t, 1, "a"), w.dial(t, 2, "b"), w.dial(t, 3, "c")
	for _, x := range []*agent{a, b, c} {
		_, rev := x.snapshot()
		x.ack(rev)
	}
	w.connected(t, 3)

	// Both hosts of the network are waited for, and not the third.
	r1 := w.commit(guest(4, "dp-0", "nw-1")...)
	first := w.waits(t, r1, "if-4")
	w.still(t, 2, first)
	a.ack(a.delta().Revision)
	w.still(t, 1, first)
	b.ack(b.delta().Revision)
	ended(t, first)
	ended(t, w.waits(t, r1, "if-4"))

	// A deletion: the object is nowhere any more, but the revision is still to be acknowledged.
	r2 := w.commit(remove("if-3"), remove("ifp-3"), remove("ml-3"), remove("il-3"))
	second := w.waits(t, r2, "if-3")
	w.still(t, 1, second)
	// The acknowledgement of a later revision covers it; an earlier one does not.
	r3 := w.commit(guest(5, "dp-2", "nw-2")...)
	third := w.waits(t, r3, "if-5")
	w.still(t, 2, second, third)
	at := c.delta().Revision
	if at == r2 { // else both came as one
		c.ack(at)
		ended(t, second)
		w.still(t, 1, third)
		at = c.delta().Revision
	}
	c.ack(at)
	ended(t, third)
	if at == r3 {
		ended(t, w.waits(t, r2, "if-3"))
	}

	// An object that was changed before and is not acknowledged is waited for, though this revision did nothing to it.
	r4 := w.commit(write(&model.Interface{Meta: model.Meta{UUID: "if-5", ID: 5}, Mode: model.InterfaceVIF, DisplayName: "x"}))
	r5 := w.commit(network(9))
	fourth := w.waits(t, r5, "if-5")
	w.still(t, 1, fourth)
	ended(t, w.waits(t, r5, "nw-9")) // it is on no host
	if at := c.delta().Revision; at != r4 {
		t.Errorf("delta of revision %d, want %d", at, r4)
	}
	c.ack(r4)
	ended(t, fourth)

	// Who hangs up is not waited for.
	r6 := w.commit(write(&model.Interface{Meta: model.Meta{UUID: "if-5", ID: 5}, Mode: model.InterfaceVIF}))
	fifth := w.waits(t, r6, "if-5")
	w.still(t, 1, fifth)
	c.hangUp()
	ended(t, fifth)

	// The context ends it, and leaves nothing.
	r7 := w.commit(write(&model.Interface{Meta: model.Meta{UUID: "if-1", ID: 1}, Mode: model.InterfaceVIF, DisplayName: "y"}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.hub.Wait(ctx, r7, []string{"if-1"}) }()
	w.still(t, 2)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	w.still(t, 0)
}

// After a reconnection the objects of the snapshot are waited for.
func TestWaitForSnapshot(t *testing.T) {
	w := newWorld(t, calm)
	w.commit(network(1))
	r1 := w.commit(guest(1, "dp-0", "nw-1")...)
	a := w.dial(t, 1, "a")
	_, rev := a.snapshot()
	done := w.waits(t, r1, "if-1")
	w.still(t, 1, done)
	ended(t, w.waits(t, r1, "if-9")) // what is not in the share is not
	a.ack(rev)
	ended(t, done)
}

func TestRevisions(t *testing.T) {
	var r revisions
	now := time.Now()
	for i := range int64(3 * maxTouched) {
		r.add(2*i+2, now.Add(time.Duration(i)))
	}
	if len(r.list) > maxTouched {
		t.Errorf("%d are kept", len(r.list))
	}
	last := int64(6 * maxTouched)
	for revision, want := range map[int64]bool{1: true, 2: true, last: true, last - 1: false, last - 2: true, last + 1: false} {
		if r.has(revision) != want {
			t.Errorf("has(%d) is %v", revision, !want)
		}
	}
	if at, ok := r.oldest(); !ok || !at.Equal(now) {
		t.Errorf("oldest is %v, %v", at.Sub(now), ok)
	}
	r.drop(last - 2)
	if r.has(2) || r.has(last-2) || !r.has(last) {
		t.Error("dropped wrongly")
	}
	r.drop(last)
	if _, ok := r.oldest(); ok {
		t.Error("one is left")
	}
}

// placer makes the world's use case place ports of interfaces without a host of their own.
func (w *world) placer() (placed chan string) {
	placed = make(chan string, 100)
	w.place = func(datapath string, p wire.Ports) ([]wire.Problem, error) {
		var conflicts []wire.Problem
		var batch []graph.Change
		w.View(func(x *span.Index, _ int64) {
			for _, o := range x.Graph().List(model.InterfacePorts) {
				port := o.(*model.InterfacePort)
				if port.DatapathUUID != "" || !slices.Contains(p.Unplaced, port.PortName) {
					continue
				}
				switch at := x.Location(port.InterfaceUUID); at {
				case "":
					batch = append(batch, write(&model.ActiveInterface{Meta: model.Meta{UUID: "aif-" + port.InterfaceUUID[3:], ID: port.ID}, InterfaceUUID: port.InterfaceUUID, DatapathUUID: datapath}))
				case datapath:
				default:
					conflicts = append(conflicts, wire.Problem{UUID: port.InterfaceUUID, Reason: "it is on " + at})
				}
			}
		})
		if batch != nil {
			w.commit(batch...)
		}
		placed <- fmt.Sprint(datapath, " ", p.Unplaced, len(batch), len(conflicts))
		return conflicts, nil
	}
	return placed
}

// Ports that an agent has reported are placed when their interface is made, and Wait covers that.
func TestPlacement(t *testing.T) {
	w := newWorld(t, calm)
	placed := w.placer()
	w.commit(network(1))
	a, b := w.dial(t, 1, "a"), w.dial(t, 2, "b")
	for _, x := range []*agent{a, b} {
		_, rev := x.snapshot()
		x.ack(rev)
	}
	w.connected(t, 2)
	a.say(wire.FromAgent{Ports: &wire.Ports{Unplaced: []string{"tap0", "tap1"}}})
	if got := <-placed; got != "dp-0 [tap0 tap1] 0 0" {
		t.Errorf("placed %q", got)
	}
	rev := w.commit(guest(1, "", "nw-1")...)
	done := w.waits(t, rev, "if-1")
	if got := <-placed; got != "dp-0 [tap0 tap1] 1 0" {
		t.Errorf("placed %q", got)
	}
	d := a.delta()
	if d.Revision != rev+1 || len(d.Upserts) != 6 { // network, interface, port, leases, place
		t.Errorf("got %+v", d)
	}
	w.still(t, 1, done)
	w.expect(t, "if-1", "dp-0 node0 pending")
	a.ack(d.Revision)
	ended(t, done)
	w.expect(t, "if-1", "dp-0 node0 applied")

	// The same port on a second host is an error there.
	b.say(wire.FromAgent{Ports: &wire.Ports{Unplaced: []string{"tap1"}}})
	if got := <-placed; got != "dp-1 [tap1] 0 1" {
		t.Errorf("placed %q", got)
	}
	w.expectSoon(t, "if-1", "dp-0 node0 applied", "dp-1 node1 error it is on dp-0")
	w.log.saysSoon(t, "two hosts have a port of one interface")
	if h := w.hub.Hosts()[1]; !slices.Equal(h.Problems, []wire.Problem{{UUID: "if-1", Reason: "it is on dp-0"}}) {
		t.Errorf("%+v", h)
	}
	// When the first one loses it, the second one has it.
	a.say(wire.FromAgent{Ports: &wire.Ports{Unplaced: []string{"tap0"}}})
	<-placed
	rev = w.commit(remove("aif-1"))
	done = w.waits(t, rev, "if-1")
	if got := <-placed; got != "dp-1 [tap1] 1 0" {
		t.Errorf("placed %q", got)
	}
	a.ack(a.delta().Revision)
	b.ack(b.delta().Revision)
	ended(t, done)
	w.expectSoon(t, "if-1", "dp-1 node1 applied")
}

// A placement that fails is tried again.
func TestPlacementRetries(t *testing.T) {
	w := newWorld(t, 20*time.Millisecond)
	calls := make(chan bool, 100)
	w.place = func(string, wire.Ports) ([]wire.Problem, error) {
		calls <- true
		if len(calls) < 3 {
			return nil, errors.New("the store is away")
		}
		return nil, nil
	}
	a := w.dial(t, 1, "a")
	a.snapshot()
	a.say(wire.FromAgent{Ports: &wire.Ports{Unplaced: []string{"tap0"}}})
	wait.For(t, limit, "three calls", func() error {
		a.say(wire.FromAgent{})
		if len(calls) < 3 {
			return fmt.Errorf("%d", len(calls))
		}
		return nil
	})
	w.log.saysSoon(t, "the store is away")
}
