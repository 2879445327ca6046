package compile

import (
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// network gives what a network that is present here needs once: its key in the tunnel, its flood groups, the way to
// its services.
func (in *Input) network(uuid string) (state.Items, error) {
	n, ok := in.present(uuid)
	if !ok {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindNetwork, ID: n.ID})
	items := state.Items{Groups: []state.Group{{ID: pipeline.LocalGroup(n.VNI)}, {ID: pipeline.RemoteGroup(n.VNI)}}}
	local, remote := flow.ToGroup{Group: pipeline.LocalGroup(n.VNI)}, flow.ToGroup{Group: pipeline.RemoteGroup(n.VNI)}

	b.Flow(pipeline.TunnelKey, prioAllow, pipeline.Preds{flow.TunID.Is(uint64(n.VNI))}, pipeline.Network.Set(n.VNI), flow.GotoTable{Table: pipeline.L2.ID})
	b.Flow(pipeline.Flood, prioAllow, pipeline.Preds{pipeline.Network.Is(n.VNI), pipeline.Remote.Is(0)}, local, remote)
	b.Flow(pipeline.Flood, prioAllow, pipeline.Preds{pipeline.Network.Is(n.VNI), pipeline.Remote.Is(1)}, local)
	if in.hasService(uuid, model.ServiceDHCP) {
		b.Flow(pipeline.Service, prioAllow, pipeline.Preds{pipeline.Network.Is(n.VNI), isIPv4, isUDP, flow.UDPSrc.Is(68), flow.UDPDst.Is(67)},
			pipeline.Class.Set(uint32(pipeline.PuntDHCP4)), flow.GotoTable{Table: pipeline.Punt.ID})
	}
	return result(b, items)
}

// networkOn gives what a network needs for one other host on which it is present: that broadcast goes there too.
func (in *Input) networkOn(network, datapath string) (state.Items, error) {
	n, ok := in.present(network)
	if !ok || datapath == in.Self || !in.X.Present(span.Pair{Network: network, Datapath: datapath}) {
		return state.Items{}, nil
	}
	d, ok := graph.Lookup[*model.Datapath](in.X.Graph(), datapath)
	if !ok {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindNetwork, ID: n.ID})
	bucket := b.Bucket(d.ID, pipeline.Egress.Set(d.ID), flow.Resubmit{Table: pipeline.Transport.ID})
	return result(b, state.Items{Buckets: []state.Bucket{{Group: pipeline.RemoteGroup(n.VNI), Bucket: bucket}}})
}

// hasService reports whether a simulated interface with a lease in the network has a service of that mode.
func (in *Input) hasService(network, mode string) bool {
	return slices.ContainsFunc(in.X.Graph().List(model.NetworkServices), func(o model.Object) bool {
		s := o.(*model.NetworkService)
		return s.Mode == mode && slices.Contains(in.X.Networks(s.InterfaceUUID), network)
	})
}
