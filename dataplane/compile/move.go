package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// An interface that moves has everything on both hosts, but others send to one only. The host that it moves to tells the agent of what it sends, and takes
// what comes from other hosts for it. The host that it has left, because its port is gone there or because it is elsewhere by now, sends on what still comes:
// through the tunnel, with a key that says so, which the other host takes for that interface alone. What has been sent on is never sent on again, however
// long hosts have heard different things.

// moving reports whether the interface is on its way from one host to another, or has just been.
func (in *Input) moving(i *model.Interface) bool { return in.X.Move(i.UUID) != span.Move{} }

// arriving reports whether the interface moves here and has not come yet.
func (in *Input) arriving(i *model.Interface) bool {
	return in.X.Location(i.UUID) != in.Self && in.X.Move(i.UUID).Target == in.Self
}

// arrived reports whether the interface moves here, or has just come.
func (in *Input) arrived(i *model.Interface) bool {
	return in.arriving(i) || in.X.Location(i.UUID) == in.Self && in.X.Move(i.UUID).Previous != ""
}

// leaving reports whether the interface has left this host for another, that has not said so yet: its port is gone.
func (in *Input) leaving(i *model.Interface, d Domain) bool {
	to := in.X.Move(i.UUID).Target
	return to != "" && in.sendable(d, to) && !in.hasPort(i)
}

// left reports whether the interface has just left this host, for one that frames can be sent on to, and is not on its way back.
func (in *Input) left(i *model.Interface, d Domain) bool {
	return in.X.Move(i.UUID).Previous == in.Self && !(in.arriving(i) && in.hasPort(i)) && in.sendable(d, in.X.Location(i.UUID))
}

func (in *Input) hasPort(i *model.Interface) bool {
	_, ok := in.portOf(i)
	return ok
}

// sendable reports whether frames of a domain that come here can be sent on to another host.
func (in *Input) sendable(d Domain, to string) bool {
	_, known := graph.Lookup[*model.Datapath](in.X.Graph(), to)
	return known && d.carried() && d.Present && d.VNI < model.SentOnVNI && in.X.Present(span.Pair{Network: d.UUID, Datapath: to})
}

// sendOn sends frames for a station on to the host that it has left for: out of the port that they came in on, if it must be.
func (in *Input) sendOn(b *pipeline.Builder, s Station, to string, preds pipeline.Preds) {
	if dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), to); ok {
		b.Flow(pipeline.L2, prioAllow, preds, flow.SetField(flow.InPort16.Is(0)), pipeline.Network.Set(s.Domain.VNI|model.SentOnVNI), pipeline.Egress.Set(dp.ID),
			flow.GotoTable{Table: pipeline.Transport.ID})
	}
}

// passing is what other hosts still or already send here for an interface that is on another host: preds are of frames that came from a host.
func (in *Input) passing(b *pipeline.Builder, i *model.Interface, s Station, preds pipeline.Preds) {
	switch {
	case in.left(i, s.Domain):
		in.sendOn(b, s, in.X.Location(i.UUID), preds)
	case in.arriving(i) && in.hasPort(i):
		b.Flow(pipeline.L2, prioAllow, preds, pipeline.Egress.Set(i.ID), flow.GotoTable{Table: pipeline.Deliver.ID})
	case in.arriving(i):
		b.Drop(pipeline.L2, prioAllow, reason.NoPort, preds...)
	}
}

// sentOn takes what the interface's former host sends on.
func (in *Input) sentOn(b *pipeline.Builder, i *model.Interface, s Station) {
	if !in.moving(i) || !in.X.Attached(i.UUID, in.Self) || !s.Domain.carried() || !s.Domain.Present || s.Domain.VNI >= model.SentOnVNI {
		return
	}
	preds := pipeline.Preds{flow.TunID.Is(uint64(s.Domain.VNI | model.SentOnVNI)), flow.EthDst.MAC(s.MAC)}
	if !in.hasPort(i) {
		b.Drop(pipeline.TunnelKey, prioAllow, reason.NoPort, preds...)
		return
	}
	b.Flow(pipeline.TunnelKey, prioAllow, preds, pipeline.Network.Set(s.Domain.Number), pipeline.Egress.Set(i.ID), flow.GotoTable{Table: pipeline.Deliver.ID})
}

// TCP flags.
const (
	tcpSYN = 1 << 1
	tcpACK = 1 << 4
)

// midStream lets the security groups' refusals by no rule pass what only the middle of a TCP conversation can be: what they remember of the interface's
// conversations is on the host that it came from. It makes no conversation, neither here nor at the guest: the answer to it does, if it may.
func (in *Input) midStream(b *pipeline.Builder, i *model.Interface, pol policy) {
	if pol.groupZone == 0 || !in.arrived(i) {
		return
	}
	for _, s := range []side{outwards, inwards} {
		for _, p := range midStream(s, i) {
			b.Flow(s.answer, prioPass, append(p, pipeline.Verdict.Is(0)), flow.GotoTable{Table: s.next.ID})
		}
	}
}

// midStream matches such packets of an interface.
func midStream(s side, i *model.Interface) []pipeline.Preds {
	var out []pipeline.Preds
	for _, v := range ipVersions {
		out = append(out, pipeline.Preds{s.self.Is(i.ID), v, isTCP, flow.TCPFlags.Masked(tcpACK, tcpACK|tcpSYN)})
	}
	return out
}
