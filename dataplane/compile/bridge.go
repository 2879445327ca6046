package compile

import (
	"fmt"
	"iter"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Port is a port of the bridge.
type Port struct {
	Name    string
	IfaceID string // external_ids:iface-id of its Open vSwitch interface
	OFPort  flow.Port
	Ifindex int // of the link; 0 where there is none
}

// NewPort gives a port; ofport is its OpenFlow number.
func NewPort(name, ifaceID string, ofport uint32, ifindex int) Port {
	return Port{Name: name, IfaceID: ifaceID, OFPort: flow.Port(ofport), Ifindex: ifindex}
}

// IDs gives what an interface may know the port by: its iface-id if it has one, and its name.
func (p Port) IDs() []string {
	if p.IfaceID != "" && p.IfaceID != p.Name {
		return []string{p.IfaceID, p.Name}
	}
	return []string{p.Name}
}

// Tunnels are the flow-based tunnel ports, by pipeline.EncapGeneve, EncapVXLAN, EncapGRE; 0: not there yet.
type Tunnels [3]flow.Port

// Bridge is what there is on this host, whatever the replica says. It is changed between compilations only.
type Bridge struct {
	Name    string    // of the bridge, and of its own port
	Uplink  flow.Port // the NIC's port; 0: none
	Tunnels Tunnels
	NoND    bool // its datapath refuses Advertisement; see SetNoND
	Limits  pipeline.Limits

	known
	ports   map[string]Port // by name
	slots   map[string]pipeline.Slot
	taken   map[pipeline.Slot]string
	byIface map[string]string
}

// NewBridge gives a bridge without ports.
func NewBridge() *Bridge {
	return &Bridge{known: newKnown(), ports: map[string]Port{}, byIface: map[string]string{}, slots: map[string]pipeline.Slot{}, taken: map[pipeline.Slot]string{}}
}

// SetPort adds a port, or replaces the one of that name.
func (b *Bridge) SetPort(p Port) {
	b.RemovePort(p.Name)
	b.ports[p.Name] = p
	b.giveSlot(p)
	if p.IfaceID != "" {
		b.byIface[p.IfaceID] = p.Name
	}
}

// RemovePort removes the port of that name, if there is one.
func (b *Bridge) RemovePort(name string) {
	if old, ok := b.ports[name]; ok {
		delete(b.ports, name)
		delete(b.taken, b.slots[name])
		delete(b.slots, name)
		if b.byIface[old.IfaceID] == name {
			delete(b.byIface, old.IfaceID)
		}
	}
}

// giveSlot gives a port the slot of its number, or the next that is free. There may be none.
func (b *Bridge) giveSlot(p Port) {
	const slots = int(pipeline.MaxSlot) + 1
	for n := range slots {
		s := pipeline.Slot((int(p.OFPort) + n) % slots) //nolint:gosec // below slots
		if _, taken := b.taken[s]; s != pipeline.HostSlot && !taken {
			b.slots[p.Name], b.taken[s] = s, p.Name
			return
		}
	}
}

// slot gives the slot of a port, which is the host's for the bridge's own. The error says that there is none left.
func (b *Bridge) slot(p Port) (pipeline.Slot, error) {
	if p.OFPort == flow.PortLocal {
		return pipeline.HostSlot, nil
	}
	if s, ok := b.slots[p.Name]; ok {
		return s, nil
	}
	return 0, fmt.Errorf("port %s is one too many: a host has room for %d, and the interface is closed", p.Name, pipeline.MaxSlot)
}

// Port gives the port of that name.
func (b *Bridge) Port(name string) (Port, bool) {
	p, ok := b.ports[name]
	return p, ok
}

// Ports gives all ports, in no order.
func (b *Bridge) Ports() iter.Seq[Port] {
	return func(yield func(Port) bool) {
		for _, p := range b.ports {
			if !yield(p) {
				return
			}
		}
	}
}

// Find gives the port whose iface-id is id, or else whose name is.
func (b *Bridge) Find(id string) (Port, bool) {
	if name, ok := b.byIface[id]; ok {
		return b.ports[name], true
	}
	p, ok := b.ports[id]
	return p, ok
}

// PortOf gives the port of an interface that is on this host, or moves here: the one whose iface-id is the interface's uuid, or whose
// iface-id or name is the port_name of one of the interface's ports.
func (in *Input) PortOf(iface string) (Port, bool) {
	if !in.X.Attached(iface, in.Self) {
		return Port{}, false
	}
	if p, ok := in.Bridge.Find(iface); ok {
		return p, true
	}
	for _, r := range graph.Children[*model.InterfacePort](in.X.Graph(), iface, "interface_ports.interface_uuid") {
		if r.PortName == "" || r.DatapathUUID != "" && r.DatapathUUID != in.Self {
			continue
		}
		if p, ok := in.Bridge.Find(r.PortName); ok {
			return p, true
		}
	}
	return Port{}, false
}

// portOf is PortOf, but that an interface of mode internal which names no port, or the bridge itself, has the bridge's own.
func (in *Input) portOf(i *model.Interface) (Port, bool) {
	p, ok := in.PortOf(i.UUID)
	if ok || i.Mode != model.InterfaceInternal || in.X.Location(i.UUID) != in.Self {
		return p, ok
	}
	for _, r := range graph.Children[*model.InterfacePort](in.X.Graph(), i.UUID, "interface_ports.interface_uuid") {
		if r.PortName != "" && r.PortName != in.Bridge.Name {
			return Port{}, false
		}
	}
	return Port{Name: in.Bridge.Name, OFPort: flow.PortLocal}, true
}

// InterfacesOfPort gives the interfaces of the replica that the port may belong to, whether they are on this host or not: those that
// have to be compiled again when the port comes, goes or changes.
func (in *Input) InterfacesOfPort(p Port) []string {
	var ids []string
	add := func(uuid string) {
		if uuid != "" {
			ids = append(ids, uuid)
		}
	}
	g := in.X.Graph()
	for _, name := range []string{p.Name, p.IfaceID} {
		if name == "" {
			continue
		}
		if i, ok := graph.Lookup[*model.Interface](g, name); ok {
			add(i.UUID)
		}
		for _, dp := range []string{in.Self, ""} {
			if uuid, ok := g.ByUnique(model.InterfacePorts, "port", dp, name); ok {
				if r, ok := graph.Lookup[*model.InterfacePort](g, uuid); ok {
					add(r.InterfaceUUID)
				}
			}
		}
	}
	return ids
}
