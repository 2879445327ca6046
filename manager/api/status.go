package api

import (
	"context"
	"slices"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// status gives what has become of an object on each host that it concerns. Its state on a host is the worst of its parts'.
func (h *handler) status(o model.Object) []model.HostStatus {
	if h.Status == nil {
		return nil
	}
	hosts := h.Status.Status(o)
	for _, part := range h.parts(o) {
		for _, s := range h.Status.Status(part) {
			at := slices.IndexFunc(hosts, func(h model.HostStatus) bool { return h.DatapathUUID == s.DatapathUUID })
			switch {
			case at < 0:
				hosts = append(hosts, s)
			case slices.Index(worst, s.State) < slices.Index(worst, hosts[at].State):
				hosts[at] = s
			}
		}
	}
	return hosts
}

// parts gives the objects without which another one is not realised: an interface's ports and leases, and where its port was found,
// which is also what a port is for.
func (h *handler) parts(o model.Object) (parts []model.Object) {
	iface, refs := o.Base().UUID, []string{refPortInterface, refMACInterface, refIPLeaseInterface, refActiveInterface}
	switch o := o.(type) {
	case *model.Interface:
	case *model.InterfacePort:
		iface, refs = o.InterfaceUUID, []string{refActiveInterface}
	default:
		return nil
	}
	h.Reader.View(func(x *span.Index, _ int64) {
		for _, ref := range refs {
			parts = append(parts, graph.Children[model.Object](x.Graph(), iface, ref)...)
		}
	})
	return parts
}

// worst are the states of an object on a host, the worst first.
var worst = []model.HostState{model.StateError, model.StatePending, model.StateUnreachable, model.StateApplied}

// statusList gives the realised state per host as responses hold it.
func statusList(hosts []model.HostStatus) []any {
	list := make([]any, len(hosts))
	for i, h := range hosts {
		rec := record{{"datapath_uuid", h.DatapathUUID}, {"node_id", h.NodeID}, {"state", string(h.State)}}
		if h.Reason != "" {
			rec.add("reason", h.Reason)
		}
		list[i] = rec
	}
	return list
}

// wait reports whether all connected hosts concerned have the change; true without wait=applied. What follows from the change while it
// waits, such as that a host finds an interface's port, is waited for too.
func (h *handler) wait(ctx context.Context, ctl control, res *app.Result, objects ...model.Object) bool {
	if !ctl.wait || ctl.dryRun || h.Status == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, ctl.timeout)
	defer cancel()
	for {
		uuids := slices.Clone(res.Deleted)
		for _, o := range objects {
			uuids = append(uuids, o.Base().UUID)
			for _, part := range h.parts(o) {
				uuids = append(uuids, part.Base().UUID)
			}
		}
		if h.Status.Wait(ctx, res.Revision, uuids) != nil || ctx.Err() != nil {
			return false
		}
		switch h.worst(objects) {
		case model.StateError:
			return false
		case model.StatePending:
		default:
			return true
		}
	}
}

// worst gives the worst state of the objects on any host.
func (h *handler) worst(objects []model.Object) model.HostState {
	at := len(worst) - 1
	for _, o := range objects {
		for _, s := range h.status(o) {
			at = min(at, slices.Index(worst, s.State))
		}
	}
	return worst[at]
}
