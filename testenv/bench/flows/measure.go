package flows

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/testenv/proc"
)

// Figures are what one host's data plane costs in a scenario.
type Figures struct {
	Flows   int     `json:"flows"`   // on the host
	Added   int     `json:"added"`   // by what the scenario is about
	Bytes   int     `json:"bytes"`   // of all messages that program the host
	Full    float64 `json:"full"`    // ms to compile everything
	Change  float64 `json:"change"`  // ms to take in, compile and work out one more, median
	Changed int     `json:"changed"` // messages of that
	RSS     float64 `json:"rss"`     // MiB of a process that holds the host's replica and state
}

// Measure builds a scenario and measures host 0. It is meant for a process of its own, whose memory is measured.
func Measure(name string) (Figures, error) { return measureAt(name, 1) }

func measureAt(name string, by scale) (Figures, error) {
	for _, s := range scenarios {
		if s.name == name {
			return measure(s.make(by))
		}
	}
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return Figures{}, fmt.Errorf("there is no scenario %q; there are: %s", name, strings.Join(names, ", "))
}

// changes is how often one more comes and goes.
const changes = 50

func measure(b built) (Figures, error) {
	var f Figures
	objects := share(b.world)
	if len(b.without) > 0 {
		for _, o := range b.without {
			b.g.Delete(o.Base().UUID)
		}
		h := newHost(share(b.world))
		if err := h.compile(h.in.Units(), &state.Changes{}); err != nil {
			return f, err
		}
		f.Added = -h.state.Flows.Len()
	}
	b.world, b.without = nil, nil
	runtime.GC()
	debug.FreeOSMemory()

	h := newHost(objects)
	began := time.Now()
	if err := h.compile(h.in.Units(), &state.Changes{}); err != nil {
		return f, err
	}
	f.Full = ms(time.Since(began))
	f.Flows = h.state.Flows.Len()
	if f.Added != 0 {
		f.Added += f.Flows
	}
	full := h.state.Full()
	for n, m := range ovs.Program(&full) {
		bytes, err := ofp.Append(nil, uint32(n), m)
		if err != nil {
			return f, err
		}
		f.Bytes += len(bytes)
	}
	if err := h.oneMore(b.change, &f); err != nil {
		return f, err
	}
	full = state.Full{}
	runtime.GC()
	debug.FreeOSMemory()
	rss, err := proc.Resident(os.Getpid())
	f.RSS = rss
	runtime.KeepAlive(h)
	return f, err
}

// share gives what host 0 is sent.
func share(w *world) []model.Object { return span.NewView(host(0)).Snapshot(span.New(w.g)) }

type hostState struct {
	in    compile.Input
	state *state.State
}

// newHost gives a host with its share and a port for each of its interfaces.
func newHost(objects []model.Object) *hostState {
	g := graph.New()
	for _, o := range objects {
		g.Put(model.Clone(o))
	}
	h := &hostState{state: state.New(), in: compile.Input{X: span.New(g), Self: host(0), Bridge: compile.NewBridge()}}
	h.in.Bridge.Uplink, h.in.Bridge.Tunnels = 1, compile.Tunnels{2}
	number := flow.Port(10)
	for _, o := range g.List(model.InterfacePorts) {
		if p := o.(*model.InterfacePort); p.DatapathUUID == host(0) && p.PortName != "eth0" {
			h.in.Bridge.SetPort(compile.NewPort(p.PortName, "", uint32(number), 0))
			number++
		}
	}
	return h
}

func (h *hostState) compile(units iter.Seq[state.Unit], c *state.Changes) error {
	for u, err := range h.state.ReplaceAll(units, h.in.Realised, c) {
		return fmt.Errorf("%s: %w", u, err)
	}
	return nil
}

// oneMore makes the change and undoes it, and measures what making takes.
func (h *hostState) oneMore(change []model.Object, f *Figures) error {
	var add, remove []graph.Change
	for _, o := range change {
		add = append(add, graph.Change{UUID: o.Base().UUID, Object: o})
		remove = append(remove, graph.Change{UUID: o.Base().UUID})
	}
	var times []float64
	for range changes {
		var c state.Changes
		began := time.Now()
		if err := h.compile(h.in.Dirty(h.in.X.Apply(add), h.state), &c); err != nil {
			return err
		}
		times = append(times, ms(time.Since(began)))
		f.Changed = len(c.Flows.Set) + len(c.Flows.Del) + len(c.Groups.Set) + len(c.Buckets.Set) + len(c.Buckets.Del) + len(c.Meters.Set)
		if f.Changed == 0 {
			return errors.New("one more changes nothing")
		}
		if err := h.compile(h.in.Dirty(h.in.X.Apply(remove), h.state), &state.Changes{}); err != nil {
			return err
		}
	}
	f.Change = median(times)
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
