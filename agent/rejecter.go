package agent

import (
	"context"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/services/icmp"
)

// rejecter tells senders that a rule has rejected their packets.
type rejecter struct{ *desk }

func (r *rejecter) handle(ctx context.Context, _ time.Time, p ovs.Packet) string {
	answer := icmp.Answer(p.Data, icmp.Error{Kind: icmp.Prohibited})
	if answer == nil {
		return dropNotAnswered
	}
	// A packet that its sender may not send goes back to it as it would get any other. One that the receiver does not get is answered by the receiver, as it were: through
	// the domain, to wherever the sender is.
	back := ovs.Through(pipeline.L2, pipeline.Network.Set(p.Network))
	if p.Egress == 0 && p.Ingress != 0 {
		back = p.Back()
	}
	if err := r.inject(ctx, answer, back); err != nil {
		return dropNoSwitch
	}
	return ""
}

func (*rejecter) tick(context.Context, time.Time) {}
