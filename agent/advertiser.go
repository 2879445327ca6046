package agent

import (
	"context"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/services/nd"
)

// advertiser answers neighbour solicitations where the datapath cannot. Who asks may ask, what is asked for is known, and who has it is the frame's source:
// the flows have seen to that.
type advertiser struct{ *desk }

func (a *advertiser) handle(ctx context.Context, _ time.Time, p ovs.Packet) string {
	if len(p.Data) < p.Length {
		return dropCut
	}
	answer := nd.Answer(p.Data)
	if answer == nil {
		return dropMalformed
	}
	if err := a.inject(ctx, answer, p.Back()); err != nil {
		return dropNoSwitch
	}
	return ""
}

func (*advertiser) tick(context.Context, time.Time) {}
