package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// datapathFeature is what a host has of each other one: that it may send through a tunnel, and how to reach it.
var datapathFeature = feature{
	kind: "datapath",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.Datapaths) {
			yield(state.Unit{Kind: "datapath", UUID: o.Base().UUID})
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.datapath(u.UUID) },
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		datapath := func(uuid string) { add(state.Unit{Kind: "datapath", UUID: uuid}) }
		for _, c := range e.Changed {
			for _, o := range []model.Object{c.Old, c.New} {
				switch o := o.(type) {
				case *model.Datapath:
					datapath(o.UUID)
				case *model.Topology:
					for _, d := range in.X.Graph().List(model.Datapaths) {
						datapath(d.Base().UUID)
					}
				}
			}
		}
		for d := range in.endsMoved(e) {
			datapath(d)
		}
	},
}

func (in *Input) datapath(uuid string) (state.Items, error) {
	d, ok := graph.Lookup[*model.Datapath](in.X.Graph(), uuid)
	if !ok || uuid == in.Self {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindDatapath, ID: d.ID})
	for n, a := range in.TunnelEnds(uuid) {
		src := flow.TunSrc
		if a.Is6() {
			src = flow.TunIPv6Src
		}
		b.Flow(pipeline.TunnelPeer, prioAllow, pipeline.Preds{src.Addr(a)}, flow.GotoTable{Table: pipeline.TunnelKey.ID})
		if n > 0 {
			continue // it may send from any of its addresses; it is sent to at the first
		}
		if tunnel := in.Bridge.Tunnels[in.topology("").kind()]; tunnel != 0 {
			b.Flow(pipeline.Transport, prioAllow, pipeline.Preds{pipeline.Egress.Is(d.ID)}, tunnelled(tunnel, a)...)
		}
	}
	return result(b, state.Items{})
}

// endsMoved gives the datapaths whose host interfaces have changed.
func (in *Input) endsMoved(e *span.Effects) map[string]struct{} {
	hosts := map[string]bool{} // interfaces that are, or were, tunnel ends
	for i := range e.Interfaces {
		o, ok := graph.Lookup[*model.Interface](in.X.Graph(), i)
		hosts[i] = ok && o.Mode == model.InterfaceHost
	}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			if o, ok := o.(*model.Interface); ok {
				hosts[o.UUID] = hosts[o.UUID] || o.Mode == model.InterfaceHost
			}
		}
	}
	datapaths := map[string]struct{}{}
	for i, m := range e.Interfaces {
		if hosts[i] {
			before, after := m.Datapaths()
			datapaths[before], datapaths[after] = struct{}{}, struct{}{}
		}
	}
	delete(datapaths, "")
	return datapaths
}
