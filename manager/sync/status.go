package sync

import (
	"fmt"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// Status gives what has become of the object on each host that it concerns, by the hosts' ids; nil if it concerns none. A
// host that is not connected to this manager is unreachable. An interface, or its address, on a host to which the network
// is not wired is an error that no host has to tell; and so is an interface whose port is on a second host, there.
func (h *Hub) Status(o model.Object) []model.HostStatus {
	var out []model.HostStatus
	uuid := o.Base().UUID
	h.store.View(func(x *span.Index, _ int64) {
		reaches := x.Reach(o)
		if reaches == nil {
			return
		}
		unwired, reason := misplaced(x, o)
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, d := range x.Graph().List(model.Datapaths) {
			d := d.(*model.Datapath)
			status := model.HostStatus{DatapathUUID: d.UUID, NodeID: d.NodeID}
			s := h.streams[d.UUID]
			switch {
			case d.UUID == unwired:
				status.State, status.Reason = model.StateError, reason
			case s != nil && s.placing.conflicts[uuid] != "":
				status.State, status.Reason = model.StateError, s.placing.conflicts[uuid]
			case s != nil && s.view.Has(uuid):
				status.State, status.Reason = s.progress.state(uuid)
			case s == nil && reaches(d.UUID):
				status.State, status.Reason = model.StateUnreachable, h.absence(d.UUID)
			default:
				continue
			}
			out = append(out, status)
		}
	})
	return out
}

// state gives the state of an object of the share.
func (p *progress) state(uuid string) (model.HostState, string) {
	if p.pending(uuid) > 0 {
		return model.StatePending, ""
	}
	if reason, ok := p.problems[uuid]; ok {
		return model.StateError, reason
	}
	return model.StateApplied, ""
}

// absence says why a host has no stream.
func (h *Hub) absence(datapath string) string {
	if l, ok := h.lost[datapath]; ok {
		return l.reason
	}
	return "its agent has not connected to this manager"
}

// misplaced gives the datapath where an interface, or an address's interface, is or moves to although the network is not wired to it,
// and the reason in words; "" if all is well.
func misplaced(x *span.Index, o model.Object) (datapath, reason string) {
	var iface string
	var networks []string
	switch o := o.(type) {
	case *model.Interface:
		iface, networks = o.UUID, x.Networks(o.UUID)
	case *model.IPLease:
		iface, networks = o.InterfaceUUID, []string{o.NetworkUUID}
	}
	for _, at := range []string{x.Location(iface), x.Move(iface).Target} {
		if reason := unwired(x, at, networks); reason != "" {
			return at, reason
		}
	}
	return "", ""
}

// unwired says which of the networks is not wired to the datapath, "" if all are.
func unwired(x *span.Index, datapath string, networks []string) string {
	if datapath == "" {
		return ""
	}
	for _, n := range networks {
		if !x.Wired(span.Pair{Network: n, Datapath: datapath}) {
			if nw, ok := graph.Lookup[*model.Network](x.Graph(), n); ok && nw.SegmentUUID != "" {
				return fmt.Sprintf("segment %s, on which network %s lies, is not wired to datapath %s: add it to the datapath's segments", nw.SegmentUUID, n, datapath)
			}
			return fmt.Sprintf("network %s is not wired to datapath %s: add it to the datapath's networks", n, datapath)
		}
	}
	return ""
}
