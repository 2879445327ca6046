package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// mirrored reports whether somebody mirrors what the interface sends (model.MirrorEgress) or gets (model.MirrorIngress).
func (in *Input) mirrored(i *model.Interface, direction string) bool {
	for o := range in.X.Graph().Referrers(i.UUID, "mirrors.interface_uuid") {
		if of(o.(*model.Mirror), direction) {
			return true
		}
	}
	return false
}

func of(m *model.Mirror, direction string) bool {
	return m.Direction == direction || m.Direction == model.MirrorBoth
}

// copies gives the copies of what an interface with a port here sends and gets. One for an interface here is looked up once more, so that this flow knows no
// port of another interface. A copy is no frame of the port that the packet came in on: it may go out there.
func (in *Input) copies(own *pipeline.Builder, i *model.Interface) {
	mirrors := graph.Children[*model.Mirror](in.X.Graph(), i.UUID, "mirrors.interface_uuid")
	for _, direction := range []string{model.MirrorEgress, model.MirrorIngress} {
		var actions []flow.Action
		var b *pipeline.Builder
		for _, m := range mirrors {
			if !of(m, direction) {
				continue
			}
			if b == nil {
				b = own.For(pipeline.Owner{Kind: pipeline.KindMirror, ID: m.ID})
			}
			actions = append(actions, in.copyTo(m)...)
		}
		if b == nil {
			continue
		}
		if direction == model.MirrorEgress {
			b.Flow(pipeline.Mirror, prioAllow, pipeline.Preds{pipeline.Ingress.Is(i.ID), pipeline.Egress.Is(0)}, actions...)
		} else {
			b.Flow(pipeline.Mirror, prioOwn, pipeline.Preds{pipeline.Egress.Is(i.ID)}, actions...)
		}
	}
}

// copyTo gives the actions that make a copy for one mirror, none if its target is nowhere.
func (in *Input) copyTo(m *model.Mirror) []flow.Action {
	g := in.X.Graph()
	target, ok := graph.Lookup[*model.Interface](g, m.TargetInterfaceUUID)
	if !ok {
		return nil
	}
	at := in.X.Location(target.UUID)
	off := flow.SetField(flow.InPort16.Is(0))
	if at == in.Self {
		return []flow.Action{flow.Clone{Actions: []flow.Action{
			off, pipeline.Ingress.Set(pipeline.IngressCopy), pipeline.Egress.Set(target.ID), flow.Resubmit{Table: pipeline.Mirror.ID},
		}}}
	}
	dp, ok := graph.Lookup[*model.Datapath](g, at)
	if !ok || m.VNI == 0 {
		return nil
	}
	return []flow.Action{flow.Clone{Actions: []flow.Action{off, pipeline.Network.Set(m.VNI), pipeline.Egress.Set(dp.ID), flow.Resubmit{Table: pipeline.Transport.ID}}}}
}

// copied gives an interface of this host the copies that mirrors make for it, here and on other hosts. Without a port they are not missed.
func (in *Input) copied(own *pipeline.Builder, i *model.Interface) {
	var here, arrived []flow.Action
	if p, ok := in.portOf(i); ok {
		here = []flow.Action{flow.Output{Port: p.OFPort}}
		arrived = []flow.Action{pipeline.Ingress.Set(pipeline.IngressCopy), pipeline.Egress.Set(i.ID), flow.Resubmit{Table: pipeline.Mirror.ID}}
	}
	for n, m := range graph.Children[*model.Mirror](in.X.Graph(), i.UUID, "mirrors.target_interface_uuid") {
		b := own.For(pipeline.Owner{Kind: pipeline.KindMirror, ID: m.ID})
		if n == 0 {
			b.Flow(pipeline.Mirror, prioFirst, pipeline.Preds{pipeline.Ingress.Is(pipeline.IngressCopy), pipeline.Egress.Is(i.ID)}, here...)
		}
		if m.VNI != 0 {
			b.Flow(pipeline.TunnelKey, prioAllow, pipeline.Preds{flow.TunID.Is(uint64(m.VNI))}, arrived...)
		}
	}
}
