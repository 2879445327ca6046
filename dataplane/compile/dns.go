package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// named leads questions for names to the agent, if the interface, which is here, has a service for them: those of the domain, and those that routers bring.
func (in *Input) named(b *pipeline.Builder, i *model.Interface, s Station) {
	if !in.Serves(i.UUID, model.ServiceDNS) {
		return
	}
	for _, a := range s.Addrs {
		f := familyOf(a.Addr)
		for _, transport := range []pipeline.Preds{{isUDP, flow.UDPDst.Is(portDNS)}, {isTCP, flow.TCPDst.Is(portDNS)}} {
			question := append(pipeline.Preds{pipeline.Network.Is(s.Domain.Number), flow.EthDst.MAC(s.MAC), f.is, f.dst.Addr(a.Addr)}, transport...)
			b.Flow(pipeline.Service, prioAllow, question, pipeline.Class.Set(uint32(pipeline.PuntDNS)), flow.GotoTable{Table: pipeline.Punt.ID})
			routed := append(question[:len(question):len(question)], pipeline.Ingress.Is(0), pipeline.Remote.Is(0), pipeline.FromOut.Is(0))
			b.Flow(pipeline.L2, prioOwn, routed, pipeline.Class.Set(uint32(pipeline.PuntDNS)), flow.Resubmit{Table: pipeline.Punt.ID})
		}
	}
}

const portDNS = 53

// Serves reports whether an interface has a service of that mode.
func (in *Input) Serves(iface, mode string) bool {
	for o := range in.X.Graph().Referrers(iface, "network_services.interface_uuid") {
		if o.(*model.NetworkService).Mode == mode {
			return true
		}
	}
	return false
}
