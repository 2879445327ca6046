package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Probes of the way between hosts: the agent of one sends a frame in register network ProbeVNI to another host, whose pipeline sends it back with the key of an
// answer. So a host answers whether or not its agent runs.

// ProbeVNI gives the key of probes through a kind of tunnel.
func ProbeVNI(e pipeline.Encapsulation) uint32 { return model.ReservedVNI + uint32(e) }

// probeAnswerVNI gives the key with which they come back.
func probeAnswerVNI(e pipeline.Encapsulation) uint32 { return model.ReservedVNI + 16 + uint32(e) }

// reservedName gives what one of these keys is for, "" for others.
func reservedName(vni uint32) string {
	for e := pipeline.EncapGeneve; e < pipeline.EncapMAC2MAC; e++ {
		switch vni {
		case ProbeVNI(e):
			return "probe/" + e.String()
		case probeAnswerVNI(e):
			return "probe-answer/" + e.String()
		}
	}
	return ""
}

// probeFeature is what answers probes (the unit without object), and how they go to each other host.
var probeFeature = feature{
	kind: "probe",
	units: func(in *Input, yield func(state.Unit)) {
		yield(state.Unit{Kind: "probe"})
		for _, o := range in.X.Graph().List(model.Datapaths) {
			yield(state.Unit{Kind: "probe", UUID: o.Base().UUID})
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) {
		if u.UUID == "" {
			return in.probed()
		}
		return in.probes(u.UUID)
	},
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		datapathFeature.dirty(in, e, func(u state.Unit) { add(state.Unit{Kind: "probe", UUID: u.UUID}) })
	},
}

// probed sends probes of other hosts back, and gives the agent its own.
func (in *Input) probed() (state.Items, error) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	for e, port := range in.Bridge.Tunnels {
		if port == 0 {
			continue
		}
		e := pipeline.Encapsulation(e)
		b.Flow(pipeline.TunnelKey, prioFirst, pipeline.Preds{flow.TunID.Is(uint64(ProbeVNI(e)))},
			flow.Move{Src: flow.TunSrc.All(), Dst: flow.TunDst.All()}, flow.Move{Src: flow.TunIPv6Src.All(), Dst: flow.TunIPv6Dst.All()},
			flow.SetField(flow.TunID.Is(uint64(probeAnswerVNI(e)))), flow.Output{Port: flow.PortInPort})
		b.Flow(pipeline.TunnelKey, prioFirst, pipeline.Preds{flow.TunID.Is(uint64(probeAnswerVNI(e)))},
			pipeline.Class.Set(uint32(pipeline.PuntProbe)), flow.GotoTable{Table: pipeline.Punt.ID})
	}
	return result(b, state.Items{})
}

// probes leads probes to another host through each kind of tunnel that the topologies ask for.
func (in *Input) probes(uuid string) (state.Items, error) {
	dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), uuid)
	ends := in.TunnelEnds(uuid)
	if !ok || uuid == in.Self || len(ends) == 0 {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindDatapath, ID: dp.ID})
	for e, asked := range in.Encapsulations() {
		if port := in.Bridge.Tunnels[e]; asked && port != 0 {
			vni := ProbeVNI(pipeline.Encapsulation(e))
			b.Flow(pipeline.Transport, prioFirst, pipeline.Preds{pipeline.Egress.Is(dp.ID), pipeline.Network.Is(vni)}, tunnelled(port, ends[0])...)
		}
	}
	return result(b, state.Items{})
}

// Tunnel is a way to another host that this host uses.
type Tunnel struct {
	Datapath *model.Datapath
	Encap    pipeline.Encapsulation // not EncapMAC2MAC
	MTU      int                    // the largest IP packet that guests may send there
	Underlay int                    // the IP packet that carries it
}

// defaultMTU is taken for the underlay's as long as no host has said one.
const defaultMTU = 1500

// TunnelsInUse gives the tunnels that frames of domains, and packets of route links, take from here to other hosts, in no order.
func (in *Input) TunnelsInUse() []Tunnel {
	g := in.X.Graph()
	mtus := map[string]int{} // by what sendsOf was asked of
	asked := in.Encapsulations()
	least := in.leastUnderlay()
	var out []Tunnel
	for _, o := range g.List(model.Datapaths) {
		dp := o.(*model.Datapath)
		ends := in.TunnelEnds(dp.UUID)
		if dp.UUID == in.Self || len(ends) == 0 {
			continue
		}
		var used [3]bool
		var mtu [3]int
		for n := range in.X.NetworksOn(dp.UUID) {
			size, known := mtus[n]
			if !known {
				size = in.sendsOf(n)
				mtus[n] = size
			}
			news := false // this one may say more than those before
			for e, asked := range asked {
				news = news || asked && (!used[e] || mtu[e] < size)
			}
			if size < 0 || !news {
				continue
			}
			if e := in.encapTo(n, dp.UUID); e < pipeline.EncapMAC2MAC && in.Bridge.Tunnels[e] != 0 {
				used[e], mtu[e] = true, max(mtu[e], size)
			}
		}
		for e, used := range used {
			if !used {
				continue
			}
			t := Tunnel{Datapath: dp, Encap: pipeline.Encapsulation(e), MTU: mtu[e]}
			more := overhead(t.Encap, ends[0].Is6())
			if t.MTU == 0 {
				t.MTU = max(0, least-more)
			}
			t.Underlay = t.MTU + more
			out = append(out, t)
		}
	}
	return out
}

// leastUnderlay gives the least MTU that a host has said.
func (in *Input) leastUnderlay() int {
	least := 0
	for _, o := range in.X.Graph().List(model.Datapaths) {
		if m := int(o.(*model.Datapath).MTU); m != 0 && (least == 0 || m < least) {
			least = m
		}
	}
	if least == 0 {
		return defaultMTU
	}
	return least
}

// sendsOf gives the largest IP packet of a domain that goes from here to other hosts, 0 where nothing says one, as with route links. It is negative if none goes.
func (in *Input) sendsOf(uuid string) int {
	if model.ByUUID(uuid) == model.RouteLinks {
		if _, ok := in.routeLink(uuid); !ok {
			return -1
		}
		return 0
	}
	if d, ok := in.domain(uuid); !ok || !d.carried() {
		return -1
	}
	return in.MTU(uuid)
}
