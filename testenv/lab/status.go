package lab

import (
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// Status is a lab as it is now.
type Status struct {
	Name       string       `json:"name"`
	Whole      bool         `json:"whole"` // false: left by an interrupted up or down
	API        string       `json:"api"`
	Management netip.Prefix `json:"management,omitzero"`
	Nodes      []NodeStatus `json:"nodes,omitempty"`
}

// NodeStatus is a host, guest, router, machine, underlay, or the manager.
type NodeStatus struct {
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	At        string          `json:"at,omitempty"` // the host of a guest, the underlay of a host or machine
	Port      string          `json:"port,omitempty"`
	MAC       model.MAC       `json:"mac,omitzero"`
	Addresses []netip.Prefix  `json:"addresses,omitempty"` // those that the interface has now
	Namespace string          `json:"namespace,omitempty"`
	Processes []ProcessStatus `json:"processes,omitempty"`
}

// ProcessStatus is a process of a node; PID is 0 when it has never run.
type ProcessStatus struct {
	Component Component `json:"component"`
	PID       int       `json:"pid,omitempty"`
	Running   bool      `json:"running"`
	Log       string    `json:"log"`
}

// ReadStatus looks at a lab, whole or half built. What cannot be read is left out.
func ReadStatus(root, name string) (Status, error) {
	l := newLab(root, name)
	if err := l.load(); err != nil {
		return Status{}, err
	}
	s := l.st.Spec
	out := Status{Name: name, Whole: l.st.Phase == phaseUp, API: l.st.API, Management: s.Management}
	add := func(n NodeStatus, link string) {
		if n.Kind != "underlay" {
			n.Processes = l.processes(n.Name)
		}
		if link != "" {
			n.Namespace = l.nsName(n.Name)
			if ns, err := l.open(n.Name); err == nil {
				n.Addresses, _ = addresses(ns, link)
				ns.Close()
			}
		}
		out.Nodes = append(out.Nodes, n)
	}
	for _, u := range s.Underlays {
		add(NodeStatus{Name: u.Name, Kind: "underlay", Addresses: u.Prefixes, Namespace: l.netName()}, "")
	}
	for _, r := range s.Routers {
		n := NodeStatus{Name: r.Name, Kind: "router", Namespace: l.nsName(r.Name)}
		for _, leg := range r.Legs {
			if u := s.underlay(leg.Underlay); u != nil {
				n.Addresses = append(n.Addresses, u.on(leg.Addresses)...)
			}
		}
		add(n, "")
	}
	add(NodeStatus{Name: managerName, Kind: "manager"}, "")
	for _, h := range s.Hosts {
		n := NodeStatus{Name: h.Name, Kind: "host", MAC: h.MAC}
		if u := h.uplink(); u != nil {
			n.At = u.Underlay
		}
		add(n, bridgeName)
	}
	for _, g := range s.Guests {
		add(NodeStatus{Name: g.Name, Kind: "guest", At: l.st.Placement[g.Name], Port: g.Port, MAC: g.MAC}, guestNIC)
	}
	for _, m := range s.Machines {
		add(NodeStatus{Name: m.Name, Kind: "machine", At: m.Underlay, MAC: m.MAC}, guestNIC)
	}
	return out, nil
}

func (l *Lab) processes(node string) []ProcessStatus {
	var out []ProcessStatus
	for _, c := range l.Components(node) {
		p := ProcessStatus{Component: c, Log: l.Log(node, c)}
		if r, err := l.Record(node, c); err == nil {
			p.PID, p.Running = r.PID, r.Alive()
		}
		out = append(out, p)
	}
	return out
}
