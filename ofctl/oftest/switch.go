// Package oftest is an OpenFlow switch in memory: it takes the messages of ofctl/ofp, and does with a packet what Open
// vSwitch 3.1 with its userspace datapath does, to the byte: tables, groups, conntrack with NAT, recirculation, checksums. It
// refuses what Open vSwitch refuses, and on request more (Options.Fault). It is for tests: of what is compiled to flows
// (Process), and of what talks to a switch (Serve).
//
// How it works: a packet is parsed into a key (key.go, parse.go); the tables are looked up (lookup.go) and their actions
// translated (translate.go) to operations on the packet, which are then carried out (execute.go), as the two halves of Open
// vSwitch do it, with recirculation between them. So an error in the translation, such as too many resubmits, costs all the
// outputs of that pass and nothing before it.
//
// What it does not model: NORMAL as other than flooding without learning, ports in the state of a spanning tree, MPLS push and
// pop, tunnel options (Open vSwitch refuses them, too, without an option table), paused packets (a controller action with Pause
// is refused), reassembly of fragments in conntrack (a fragment given to ct is held for ever), protocol helpers, delete_learned,
// time but for Options.Now: flows and connections never age. Where Open vSwitch chooses by a random seed (the bucket of a select
// group, the first address and port of a range of NAT), the choice here is another, always the same.
package oftest

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Options describe a switch. The zero value is a switch without ports.
type Options struct {
	DatapathID uint64
	Ports      []Port
	// Fault is asked about every message that would change the switch (flow, group, meter and port modifications and
	// packet-outs, also in bundles, when these are committed). If it returns an error, the switch refuses the message
	// with it. It must not call the switch. See TenthFails.
	Fault func(ofp.Message) *ofp.Error
	// Sent is told about every packet-out and what became of it. It must not call the switch.
	Sent func(*ofp.PacketOut, Result)
	// Bucket chooses the bucket of a select group: the index in live, which are the indices of the live buckets in
	// the group. nil: by a hash of addresses, protocol and ports, and the weights.
	Bucket func(g *flow.Group, live []int) int
	// MeterDrops tells whether the meter drops the packet. nil: never.
	MeterDrops func(meter uint32, frame []byte) bool
	// Now is the clock for ages of flows. nil: time.Now.
	Now func() time.Time
	// Trace makes Process record which flows were hit, for Result.Trace.
	Trace bool
	// Names are the names of tables and ports in traces.
	Names flow.Names
	// Connections is the most connections that conntrack keeps in all. 0: 3,000,000.
	Connections int
	// NoND: the datapath has no extensions of neighbour discovery, as the kernel's has none: flows that set them are refused.
	NoND bool
	// Depth is how many recirculations a packet gets before it is dropped, one of them where it comes in through a tunnel. 0: 6, as dpif-netdev.
	Depth int
}

// PortKind says what is behind a port.
type PortKind uint8

// Kinds of ports.
const (
	PortPlain  PortKind = iota
	PortTunnel          // remote_ip=flow, key=flow: sends by the tunnel fields of the packet
)

// Port is a port of the switch.
type Port struct {
	No   flow.Port // required
	Name string    // required for Serve
	Kind PortKind
	MAC  [6]byte
	Down bool   // its link is down: buckets that watch it are not live
	Cfg  uint32 // bits of ofp.Port.Config
}

// Switch is one bridge. Its methods may be called from several goroutines at once; they are carried out one after the other.
type Switch struct {
	opt Options

	mu       sync.Mutex
	ports    map[flow.Port]*Port
	tables   [255]*table
	groups   map[uint32]*group
	meters   map[uint32]*meterEntry
	ct       *tracker
	undo     *[]func() // of a bundle that is being committed
	sessions map[*session]struct{}
	own      bundles // of Apply
}

// meterEntry is a meter with what it has counted.
type meterEntry struct {
	flow.Meter
	packets, bytes uint64
	since          time.Time
}

// New makes a switch without flows, groups and meters.
func New(opt Options) *Switch {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Depth == 0 {
		opt.Depth = 6
	}
	if opt.Connections == 0 {
		opt.Connections = 3_000_000
	}
	s := &Switch{
		opt: opt, ports: map[flow.Port]*Port{}, groups: map[uint32]*group{}, meters: map[uint32]*meterEntry{},
		ct: newTracker(opt.Connections), sessions: map[*session]struct{}{}, own: bundles{},
	}
	for _, p := range opt.Ports {
		s.ports[p.No] = &p
	}
	return s
}

// SetPort adds a port or replaces the one with its number.
func (s *Switch) SetPort(p Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := ofp.PortModify
	if s.ports[p.No] == nil {
		reason = ofp.PortAdd
	}
	s.ports[p.No] = &p
	s.tell(&ofp.PortStatus{Reason: reason, Port: p.describe()})
}

// RemovePort takes a port away.
func (s *Switch) RemovePort(no flow.Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.ports[no]; p != nil {
		delete(s.ports, no)
		s.tell(&ofp.PortStatus{Reason: ofp.PortDelete, Port: p.describe()})
	}
}

// Flows gives all flows in the order of table, falling priority and match.
func (s *Switch) Flows() []flow.Flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []flow.Flow
	for _, r := range s.sortedRules() {
		out = append(out, r.Flow)
	}
	return out
}

func (s *Switch) sortedRules() []*rule {
	var out []*rule
	for _, t := range s.tables {
		if t == nil {
			continue
		}
		first := len(out)
		for _, r := range t.rules {
			out = append(out, r)
		}
		slices.SortFunc(out[first:], func(a, b *rule) int {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Match.Encoded(), b.Match.Encoded()))
		})
	}
	return out
}

// Groups gives all groups by id.
func (s *Switch) Groups() []flow.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []flow.Group
	for _, g := range s.sortedGroups() {
		out = append(out, g.copy())
	}
	return out
}

func (s *Switch) sortedGroups() []*group {
	out := make([]*group, 0, len(s.groups))
	for _, g := range s.groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Meters gives all meters by id.
func (s *Switch) Meters() []flow.Meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []flow.Meter
	for _, m := range s.sortedMeters() {
		c := m.Meter
		c.Bands = slices.Clone(c.Bands)
		out = append(out, c)
	}
	return out
}

func (s *Switch) sortedMeters() []*meterEntry {
	out := make([]*meterEntry, 0, len(s.meters))
	for _, m := range s.meters {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *meterEntry) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// table gives a table, nil if it is empty.
func (s *Switch) table(id uint8) *table {
	if id == ofp.TableAll {
		return nil
	}
	return s.tables[id]
}

func (p *Port) describe() ofp.Port {
	d := ofp.Port{No: p.No, HWAddr: p.MAC, Name: p.Name, Config: p.Cfg, State: ofp.PortLive}
	if p.Down {
		d.State = ofp.LinkDown
	}
	return d
}
