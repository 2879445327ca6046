package agent

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/openvnet/openvnet/dataplane/link"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
)

// solicitations are the pauses before each time that the neighbours of new tunnel ends are asked for: a question may be lost.
var solicitations = []time.Duration{0, 100 * time.Millisecond, time.Second}

// tunnelEnds gives the addresses that tunnelled packets are sent to.
func (r *replica) tunnelEnds() []netip.Addr {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var ends []netip.Addr
	for _, o := range r.in.X.Graph().List(model.Datapaths) {
		if d := o.Base().UUID; d != r.in.Self {
			if own := r.in.TunnelEnds(d); len(own) > 0 {
				ends = append(ends, own[0])
			}
		}
	}
	return ends
}

// concernsTunnels reports whether the work changes where packets are tunnelled to.
func (w *work) concernsTunnels() bool {
	for k := range w.changes.Flows.Set {
		if k.Table == pipeline.Transport.ID {
			return true
		}
	}
	return w.full != nil
}

// solicit keeps the switch knowing the neighbours that its tunnels need: asked for whenever tunnel ends may have changed, and again
// with each comparison of everything.
func (a *Agent) solicit(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.tunnels:
		}
		ends := a.replica.tunnelEnds()
		if a.opts.Uplink == "" || len(ends) == 0 {
			continue
		}
		for _, pause := range solicitations {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			if err := link.Solicit(a.opts.Bridge, ends); err != nil && pause == slices.Max(solicitations) {
				a.opts.Logger.Warn("neighbours of tunnel ends could not be asked for", "error", err)
			}
		}
	}
}
