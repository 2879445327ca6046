package agent

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/fastpath"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
)

// fast is the fast path as the agent uses it; without a directory for its pins there is none, and everything goes to Open
// vSwitch.
type fast struct {
	driver *fastpath.Driver // nil: none
	log    *slog.Logger
}

func openFast(dir string, log *slog.Logger) (*fast, error) {
	if dir == "" {
		return &fast{log: log}, nil
	}
	d, err := fastpath.Open(fastpath.Options{Dir: dir, Logger: log})
	if err != nil {
		return nil, err
	}
	return &fast{driver: d, log: log}, nil
}

func (f *fast) close() error {
	if f.driver == nil {
		return nil
	}
	return f.driver.Close()
}

// apply brings what has changed, or with full everything, into the kernel. Until the share is complete nothing is touched: what
// is pinned goes on. The error is fastpath.Errors where single items failed.
func (f *fast) apply(ctx context.Context, w *work) error {
	if f.driver == nil || !w.complete {
		return nil
	}
	if w.full == nil {
		_, err := f.driver.Apply(ctx, &w.changes)
		return err
	}
	// The driver reads a State; this one holds a copy, so that the replica's lock is not held meanwhile.
	s := state.New()
	items := state.Items{
		Ports:     slices.Collect(maps.Values(w.full.Ports)),
		Sources:   slices.Collect(maps.Values(w.full.Sources)),
		Neighbors: slices.Collect(maps.Values(w.full.Neighbors)),
		Limits:    slices.Collect(maps.Values(w.full.Limits)),
		Simulated: slices.Collect(maps.Values(w.full.Simulated)),
	}
	if err := s.Replace(state.Unit{Kind: "host"}, items, &state.Changes{}); err != nil {
		return err
	}
	work, err := f.driver.Sync(ctx, s)
	if work != (fastpath.Work{}) {
		f.log.Info("brought the fast path up to date", "work", fmt.Sprintf("%+v", work))
	}
	return err
}

// owner gives the unit of an item that failed.
func (f *fast) owner(s *state.State, e *fastpath.ItemError) state.Unit {
	var u state.Unit
	switch k := e.Key.(type) {
	case string:
		if e.Kind == fastpath.KindLimit {
			u, _ = s.Limits.Unit(k)
		} else {
			u, _ = s.Ports.Unit(k)
		}
	case state.SourceKey:
		u, _ = s.Sources.Unit(k)
	case state.NeighborKey:
		u, _ = s.Neighbors.Unit(k)
	case state.SimulatedKey:
		u, _ = s.Simulated.Unit(k)
	}
	return u
}

// hooks gives, by port, the hook where its program is.
func (f *fast) hooks() map[string]string {
	hooks := map[string]string{}
	if f.driver == nil {
		return hooks
	}
	d, err := f.driver.Dump()
	if err != nil {
		return hooks
	}
	for _, p := range d.Ports {
		hooks[p.Name] = p.Hook.String()
	}
	return hooks
}

// limited gives what ports have sent of classes that are limited, by the port's name.
func (f *fast) limited() (map[string][]fastpath.Limited, error) {
	if f.driver == nil {
		return nil, nil
	}
	d, err := f.driver.Dump()
	if err != nil {
		return nil, err
	}
	all := map[string][]fastpath.Limited{}
	for _, p := range d.Ports {
		all[p.Name] = p.Limited
	}
	return all, nil
}

// drops gives the counters of frames that the programs dropped.
func (f *fast) drops() []local.Drop {
	if f.driver == nil {
		return nil
	}
	cs, err := f.driver.Counters()
	if err != nil {
		return nil
	}
	var drops []local.Drop
	for _, c := range cs {
		if c.Dropped() {
			drops = append(drops, local.Drop{Where: "fast path", Reason: c.Reason.String(), Packets: c.Frames})
		}
	}
	return drops
}

// maps gives the entries in words.
func (f *fast) maps(n pipeline.Names) (local.Maps, error) {
	m := local.Maps{Ports: []local.MapPort{}, Sources: []local.MapSource{}, Neighbors: []local.MapNeighbor{}, Simulated: []local.MapSimulated{}, Counters: []local.MapCounter{}}
	if f.driver == nil {
		return m, nil
	}
	d, err := f.driver.Dump()
	if err != nil {
		return m, err
	}
	for _, p := range d.Ports {
		m.Ports = append(m.Ports, local.MapPort{Name: p.Name, Ifindex: p.Ifindex, Hook: p.Hook.String(), Interface: n.Interface(p.Interface), Network: n.Domain(p.Network), MAC: p.MAC})
	}
	for _, s := range d.Sources {
		m.Sources = append(m.Sources, local.MapSource{Interface: n.Interface(s.Interface), Addr: s.Addr, MAC: s.MAC, Network: n.Domain(s.Network)})
	}
	for _, x := range d.Neighbors {
		m.Neighbors = append(m.Neighbors, local.MapNeighbor{Network: n.Domain(x.Network), Addr: x.Addr, MAC: x.MAC, Interface: n.Interface(x.Interface)})
	}
	for _, x := range d.Simulated {
		s := local.MapSimulated{MAC: x.MAC, Interface: n.Interface(x.Interface)}
		if x.Addr.IsValid() {
			s.Addr = x.Addr.String()
		}
		m.Simulated = append(m.Simulated, s)
	}
	for _, c := range d.Counters {
		m.Counters = append(m.Counters, local.MapCounter{Name: fmt.Sprintf("%s %s", c.Verdict, c.Reason), Value: c.Frames})
	}
	return m, nil
}
