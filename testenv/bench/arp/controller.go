package arp

import (
	"context"
	"fmt"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// controller answers ARP as a controller without responder flows does: the switch sends every request up, and the answer goes back
// as a packet-out.
type controller struct {
	mac  model.MAC
	conn *conn.Conn
	end  context.CancelFunc
	done chan struct{}
}

// controllerID is the session's, in the actions that send packets to it.
const controllerID = 1

// startController takes charge of a bridge; mac is in all answers.
func startController(ctx context.Context, target string, mac model.MAC) (*controller, error) {
	c, err := conn.Dial(ctx, target, conn.Options{})
	if err != nil {
		return nil, fmt.Errorf("connect to the switch at %s: %w", target, err)
	}
	session, end := context.WithCancel(context.WithoutCancel(ctx))
	k := &controller{mac: mac, conn: c, end: end, done: make(chan struct{})}
	go func() { _ = c.Run(session) }() // returns when the session is ended; what is pending then fails
	go k.serve(session)
	if err := k.install(ctx); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (k *controller) install(ctx context.Context) error {
	match, err := flow.NewMatch(flow.EthType.Is(etherARP), flow.ARPOp.Is(opRequest))
	if err != nil {
		return fmt.Errorf("match ARP requests: %w", err)
	}
	up, err := flow.NewActions(flow.Controller{ID: controllerID})
	if err != nil {
		return fmt.Errorf("send ARP requests up: %w", err)
	}
	if err := k.conn.Listen(ctx, controllerID); err != nil {
		return fmt.Errorf("ask for packet-ins: %w", err)
	}
	add := &ofp.FlowMod{Command: ofp.FlowAdd, Flow: flow.Flow{Priority: 100, Match: match, Actions: up}}
	if err := k.conn.Send(ctx, []ofp.Message{add}); err != nil {
		return fmt.Errorf("install the flow of the controller: %w", err)
	}
	return nil
}

// serve answers until the session ends.
func (k *controller) serve(ctx context.Context) {
	defer close(k.done)
	for p := range k.conn.PacketIns() {
		data := reply(p.Data, k.mac)
		if data == nil {
			continue
		}
		back, err := flow.NewActions(flow.Output{Port: p.InPort()})
		if err != nil {
			continue
		}
		// In the name of the controller: a switch sends nothing back out of the port that it came in.
		if k.conn.PacketOut(ctx, &ofp.PacketOut{InPort: flow.PortController, Actions: back, Data: data}) != nil {
			return
		}
	}
}

func (k *controller) close() {
	k.end()
	<-k.done
}
