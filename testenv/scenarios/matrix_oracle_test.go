package scenarios

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/oracle"
	"github.com/openvnet/openvnet/testenv/reach"
)

// nic is the uplink of every host, and outer the second NIC of the host edge.
const (
	nic      = "eth0"
	outer    = "eth1"
	edgeHost = "edge"
)

// objects reads all that is configured, as the Web API exports it, and adds where the lab has the ports of interfaces.
func (m *matrix) objects(t *testing.T) *graph.Graph {
	t.Helper()
	docs, err := m.api.Export(t.Context(), client.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := graph.New()
	id := uint32(0)
	for _, r := range model.All() {
		for _, d := range docs[r.Plural] {
			o := r.New()
			if r == model.Interfaces && (d["port_name"] != nil || d["owner_datapath_uuid"] != nil) { // as a creation has them
				docs["interface_ports"] = append(docs["interface_ports"], client.Params{
					"uuid": model.InterfacePorts.NewUUID(), "interface_uuid": d["uuid"], "port_name": d["port_name"], "datapath_uuid": d["owner_datapath_uuid"],
				})
				delete(d, "port_name")
				delete(d, "owner_datapath_uuid")
			}
			for name, value := range d {
				f := r.Field(name)
				if f == nil {
					t.Fatalf("%s has no field %s: %v", r.Plural, name, d)
				}
				v, err := f.Parse(value)
				if err != nil {
					t.Fatalf("%s %v: %v", r.Plural, d, err)
				}
				f.Set(o, v)
			}
			id++
			o.Base().ID = id // in the order of creation, which an export keeps
			g.Put(o)
		}
	}
	m.wiring(t, g, func(o model.Object) {
		id++
		o.Base().UUID, o.Base().ID = model.Of(o).NewUUID(), id
		g.Put(o)
	})
	for _, o := range g.List(model.InterfacePorts) {
		p := o.(*model.InterfacePort)
		for _, guest := range m.lab.Spec().Guests {
			if p.PortName == guest.Port {
				id++
				at := &model.ActiveInterface{InterfaceUUID: p.InterfaceUUID, DatapathUUID: datapathOf(guest.Host)}
				at.UUID, at.ID = model.ActiveInterfaces.NewUUID(), id
				g.Put(at)
			}
		}
	}
	return g
}

// wiring reads what topologies wire to the hosts, which an export leaves out since it follows from the rest.
func (m *matrix) wiring(t *testing.T, g *graph.Graph, put func(model.Object)) {
	t.Helper()
	for _, dp := range g.List(model.Datapaths) {
		uuid := dp.Base().UUID
		for path, row := range map[string]func(wired string) model.Object{
			"networks":    func(n string) model.Object { return &model.DatapathNetwork{DatapathUUID: uuid, NetworkUUID: n} },
			"segments":    func(s string) model.Object { return &model.DatapathSegment{DatapathUUID: uuid, SegmentUUID: s} },
			"route_links": func(l string) model.Object { return &model.DatapathRouteLink{DatapathUUID: uuid, RouteLinkUUID: l} },
		} {
			for page, err := range m.api.Pages(t.Context(), "datapaths/"+uuid+"/"+path, nil, 0) {
				if err != nil {
					t.Fatal(err)
				}
				for _, raw := range page.Items {
					var other struct{ UUID string }
					if err := json.Unmarshal(raw, &other); err != nil {
						t.Fatal(err)
					}
					put(row(other.UUID))
				}
			}
		}
	}
}

// world is what the oracle is told: the objects, the ports of the lab, and who the machines outside are.
func (m *matrix) world(t *testing.T, net *reach.Net) *oracle.World {
	t.Helper()
	g := m.objects(t)
	env := oracle.Environment{Hosts: map[string]oracle.Host{}, Neighbors: map[oracle.Neighbor]model.MAC{}, Learned: map[oracle.LearnedFrom]string{}}
	spec := m.lab.Spec()
	for _, h := range spec.Hosts {
		there := oracle.Host{Uplink: nic}
		for _, guest := range spec.Guests {
			if guest.Host == h.Name {
				there.Ports = append(there.Ports, oracle.Port{Name: guest.Port, IfaceID: guest.IfaceID})
			}
		}
		if h.Name == edgeHost {
			there.Ports = append(there.Ports, oracle.Port{Name: outer})
		}
		env.Hosts[datapathOf(h.Name)] = there
	}
	for _, r := range []*model.Resource{model.Networks, model.Segments} {
		for _, o := range g.List(r) {
			for _, n := range net.Nodes {
				for _, a := range n.Addresses {
					if n.Wire != "" {
						env.Neighbors[oracle.Neighbor{Domain: o.Base().UUID, Address: a.Addr()}] = n.MAC
					}
				}
			}
		}
	}
	return oracle.New(g, env)
}

func datapathOf(host string) string { return "dp-" + host }

// net gives the nodes that are configured to have addresses, where they are in the lab.
func (m *matrix) net() *reach.Net {
	spec := m.lab.Spec()
	net := &reach.Net{Wires: map[string][]oracle.Entry{}}
	for _, h := range spec.Hosts {
		for _, n := range h.NICs {
			net.Wires[n.Underlay] = append(net.Wires[n.Underlay], oracle.Entry{Datapath: datapathOf(h.Name), Port: n.Name})
		}
		m.addNode(net, reach.Node{Name: h.Name, MAC: h.MAC, At: oracle.Entry{Datapath: datapathOf(h.Name), Port: oracle.Local}})
	}
	for _, g := range spec.Guests {
		m.addNode(net, reach.Node{Name: g.Name, MAC: g.MAC, At: oracle.Entry{Datapath: datapathOf(g.Host), Port: g.Port}})
	}
	for _, x := range spec.Machines {
		m.addNode(net, reach.Node{Name: x.Name, MAC: x.MAC, Wire: x.Underlay, VLAN: uint16(x.VLAN)})
	}
	return net
}

func (m *matrix) addNode(net *reach.Net, n reach.Node) {
	if a := m.now.nodes[n.Name]; a != nil {
		n.Addresses, n.Gateways = a.addresses, a.gateways
		net.Nodes = append(net.Nodes, n)
	}
}

// encapsulate changes how the overlay carries frames.
func (m *matrix) encapsulate(t *testing.T, how carrier) {
	t.Helper()
	change := client.Params{"encapsulation": how.encapsulation, "mac2mac": how.unencapsulated}
	i, err := client.Update[model.Topology](t.Context(), m.api, overlay, change)
	if err != nil {
		t.Fatal(err)
	}
	if err := realised(i.Status); err != nil || !i.Applied {
		t.Errorf("%v: applied %t, %v", how, i.Applied, err)
	}
}

// carrier is a transport between hosts.
type carrier struct {
	encapsulation  string
	unencapsulated bool // where two hosts are on one network
}

func (c carrier) String() string {
	if c.unencapsulated {
		return fmt.Sprintf("mac2mac and %s", c.encapsulation)
	}
	return c.encapsulation
}

// carriers are all of them, the one that is in force when a class begins first.
var carriers = []carrier{{model.Geneve, false}, {model.VXLAN, false}, {model.GRE, false}, {model.VXLAN, true}}
