package agent

import (
	"context"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// arrivals tells the manager of guests that send from here whose interfaces are to move here: that is how they have come. Each frame says so again, as the port's
// meter lets it, until the share says that the interface is here; what the manager has missed it hears with the next one.
type arrivals struct {
	*desk
	tell func(wire.Arrival)
}

func (s *arrivals) handle(_ context.Context, _ time.Time, p ovs.Packet) string {
	a, ok := s.replica.arrival(p.Ingress)
	if !ok {
		return dropSender
	}
	s.tell(a)
	return ""
}

func (*arrivals) tick(context.Context, time.Time) {}

// arrival gives the interface of that id if it is to move here and is not here yet, and the name of its port, which it has.
func (r *replica) arrival(id uint32) (wire.Arrival, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	o, ok := r.in.X.Graph().ByID(model.Interfaces, id)
	if !ok {
		return wire.Arrival{}, false
	}
	uuid := o.Base().UUID
	port, ok := r.in.PortOf(uuid)
	if !ok || r.in.X.Location(uuid) == r.in.Self {
		return wire.Arrival{}, false
	}
	return wire.Arrival{UUID: uuid, Port: port.IDs()[0]}, true
}
