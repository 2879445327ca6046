// Package alone is one host in one process, for development: frames of guests in, frames out, and what became of each question in words. Nothing is written twice for it:
// documents become objects by the manager's use cases, on a store in memory; objects become flows by the compiler, in an OpenFlow switch in memory (ofctl/oftest); what these
// do not answer, the agent's services do. So what a guest is answered is what it would be answered on a real host, to the byte, without Open vSwitch, manager and etcd.
//
// It has no NIC, and no limits of what a port may ask. It opens no link: testenv/netns does that for cmd/vnlab, which imports it.
package alone

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/agent"
	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/ofctl/oftest"
	"github.com/openvnet/openvnet/store"
)

// Options of a host.
type Options struct {
	Documents []app.Document     // required: what there is
	Datapath  string             // optional: uuid of the host; the only one of the documents, or one that is made if they have none
	Services  []string           // optional: names of Services; frames of others are ignored
	Send      func(frame []byte) // required: sends a frame to the guests. It is called by several goroutines, and may not call the host
	Said      func(Event)        // required: is told what became of each question, by several goroutines
	Logger    *slog.Logger       // required
}

// Event is what became of a question.
type Event struct {
	Time      time.Time `json:"time"`
	Interface string    `json:"interface,omitempty"` // uuid of the guest's, if it is known
	Service   string    `json:"service"`
	Question  string    `json:"question"`
	Verdict   string    `json:"verdict"`
	Answered  bool      `json:"answered"`
}

// Guest is an interface that the host answers.
type Guest struct {
	UUID      string
	MACs      []string
	Addresses []string
}

// Host is a host; New makes it, Run does the work.
type Host struct {
	opts  Options
	app   *app.App
	store *store.Store
	self  string // uuid of the datapath
	agent *agent.Alone
	sw    *oftest.Switch
	ports ovs.Ports
	todo  chan func(context.Context) // for the use cases
	ready chan struct{}
	once  sync.Once // of ready

	mu     sync.RWMutex
	guests map[model.MAC]flow.Port
	names  map[uint32]string // uuids of interfaces, by id
}

// New makes a host of documents. What is wrong with one is an *app.DocumentError.
func New(ctx context.Context, o Options) (*Host, error) {
	for _, name := range o.Services {
		if !slices.ContainsFunc(Services, func(s Service) bool { return s.Name == name }) {
			var names []string
			for _, s := range Services {
				names = append(names, s.Name)
			}
			return nil, fmt.Errorf("there is no service %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	s := store.Memory(o.Logger)
	h := &Host{opts: o, store: s, app: app.New(s, o.Logger), todo: make(chan func(context.Context), 256), ready: make(chan struct{})}
	if err := h.app.Bootstrap(ctx); err != nil {
		return nil, err
	}
	if _, err := h.app.Apply(ctx, o.Documents, app.ApplyOptions{}); err != nil {
		return nil, err
	}
	if err := h.settle(ctx); err != nil {
		return nil, err
	}
	opt := oftest.Options{Sent: h.sent}
	h.ports = ovs.Ports{DPID: 1, Name: "alone", Guests: map[string]compile.Port{}}
	s.View(func(x *span.Index, _ int64) {
		for _, o := range x.Graph().List(model.Interfaces) {
			i := o.(*model.Interface)
			if at := x.Location(i.UUID); i.Mode != model.InterfaceVIF || at != "" && at != h.self {
				continue
			}
			no := uint32(len(h.ports.Guests) + 1) //nolint:gosec // few
			h.ports.Guests[i.UUID] = compile.NewPort(i.UUID, portOf(x.Graph(), i.UUID), no, 0)
			opt.Ports = append(opt.Ports, oftest.Port{No: flow.Port(no), Name: i.UUID})
		}
	})
	if len(opt.Ports) == 0 {
		return nil, fmt.Errorf("there is nobody to answer: the documents have no interface of mode %s for %s", model.InterfaceVIF, h.self)
	}
	h.sw = oftest.New(opt)
	h.agent = agent.NewAlone(agent.AloneOptions{Logger: o.Logger, Manager: manager{h}, Heard: h.heard})
	h.agent.SetPorts(h.ports)
	s.Observe(func(revision int64, x *span.Index, _ *span.Effects) { h.load(x, revision) })
	s.View(h.load)
	return h, nil
}

// settle finds out which host this is.
func (h *Host) settle(ctx context.Context) (err error) {
	var there []string
	h.store.View(func(x *span.Index, _ int64) {
		for _, o := range x.Graph().List(model.Datapaths) {
			there = append(there, o.Base().UUID)
		}
	})
	slices.Sort(there)
	switch h.self = h.opts.Datapath; {
	case h.self != "" && !slices.Contains(there, h.self):
		return fmt.Errorf("the documents have no datapath %s: they have %s", h.self, cmp.Or(strings.Join(there, ", "), "none"))
	case h.self != "":
	case len(there) > 1:
		return fmt.Errorf("the documents have several datapaths, and which of them answers is not said: %s", strings.Join(there, ", "))
	case len(there) == 1:
		h.self = there[0]
	default:
		h.self, err = h.app.Register(ctx, wire.Hello{NodeID: "alone", DPID: 1})
	}
	return err
}

// portOf gives the name that an interface knows its port by.
func portOf(g *graph.Graph, iface string) string {
	for _, p := range graph.Children[*model.InterfacePort](g, iface, "interface_ports.interface_uuid") {
		if p.PortName != "" {
			return p.PortName
		}
	}
	return iface
}

// load brings the agent its share, and takes down whose MAC addresses there are.
func (h *Host) load(x *span.Index, revision int64) {
	guests, names := map[model.MAC]flow.Port{}, map[uint32]string{}
	for _, o := range x.Graph().List(model.Interfaces) {
		names[o.Base().ID] = o.Base().UUID
	}
	for _, o := range x.Graph().List(model.MACLeases) {
		if l := o.(*model.MACLease); h.ports.Guests[l.InterfaceUUID] != (compile.Port{}) {
			guests[l.MACAddress] = h.ports.Guests[l.InterfaceUUID].OFPort
		}
	}
	h.mu.Lock()
	h.guests, h.names = guests, names
	h.mu.Unlock()
	h.agent.Load(h.self, revision, span.NewView(h.self).Snapshot(x))
}

// Run answers until ctx ends.
func (h *Host) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "alone")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "switch")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.sw.Serve(gctx, l) })
	g.Go(func() error { return h.agent.Run(gctx, "unix:"+path) })
	g.Go(func() error { return h.manage(gctx) })
	if err := g.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// Ready is closed when the host answers.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Guests gives whom the host answers.
func (h *Host) Guests() []Guest {
	var guests []Guest
	h.store.View(func(x *span.Index, _ int64) {
		for _, o := range x.Graph().List(model.Interfaces) {
			if _, ok := h.ports.Guests[o.Base().UUID]; !ok {
				continue
			}
			g := Guest{UUID: o.Base().UUID}
			for _, l := range graph.Children[*model.MACLease](x.Graph(), g.UUID, "mac_leases.interface_uuid") {
				g.MACs = append(g.MACs, l.MACAddress.String())
			}
			for _, l := range graph.Children[*model.IPLease](x.Graph(), g.UUID, "ip_leases.interface_uuid") {
				g.Addresses = append(g.Addresses, l.Addr().String())
			}
			guests = append(guests, g)
		}
	})
	return guests
}

// Take takes a frame of a guest, which is known by its MAC address; with one guest, all frames are its. The frame is not kept.
func (h *Host) Take(frame []byte) {
	service := serviceOf(frame)
	if !h.serves(service) || len(frame) < 14 {
		return
	}
	h.mu.RLock()
	in, known := h.guests[model.MAC(frame[6:12])]
	h.mu.RUnlock()
	e := Event{Service: service, Question: describe(frame)}
	if !known && len(h.ports.Guests) > 1 {
		e.Verdict = "dropped: no interface has this MAC address"
		h.said(e)
		return
	}
	for _, p := range h.ports.Guests {
		if known && p.OFPort == in || !known {
			in, e.Interface = p.OFPort, p.Name
		}
	}
	r := h.sw.Process(oftest.Packet{InPort: in, Frame: bytes.Clone(frame)})
	on := 0
	for _, out := range r.Outputs {
		if out.Port == in {
			e.Answered = true
		} else if on++; bytes.Equal(out.Frame, frame) {
			continue // the guests' cable has it
		}
		h.opts.Send(out.Frame)
	}
	switch why := pipeline.Cookie(r.LastCookie).Reason(); {
	case len(r.Errors) > 0:
		e.Verdict = "dropped: " + strings.Join(r.Errors, "; ")
	case e.Answered:
		e.Verdict = "answered"
	case on > 0:
		e.Verdict = "forwarded"
	case len(r.PacketIns) > 0:
		return // a service says it
	case r.LastCookie != ^uint64(0) && why != reason.None:
		e.Verdict = "dropped: " + why.String()
	default:
		e.Verdict = "forwarded to nobody"
	}
	h.said(e)
}

// sent takes what became of a frame of the agent.
func (h *Host) sent(_ *ofp.PacketOut, r oftest.Result) {
	for _, out := range r.Outputs {
		if h.serves(serviceOf(out.Frame)) {
			h.opts.Send(out.Frame)
		}
	}
}

func (h *Host) serves(service string) bool {
	return len(h.opts.Services) == 0 || slices.Contains(h.opts.Services, service)
}

// heard takes what a service says of a question.
func (h *Host) heard(x agent.Heard) {
	e := Event{Service: x.Class.String(), Question: x.Asked, Verdict: x.Verdict, Answered: x.Answered}
	if x.Frame != nil {
		e.Service, e.Question = serviceOf(x.Frame), describe(x.Frame)
	}
	if x.Frame != nil && !judges(e.Service) { // the class says more than "done"
		e.Verdict = x.Class.String() + ": " + e.Verdict
	}
	h.mu.RLock()
	e.Interface = h.names[x.Ingress]
	h.mu.RUnlock()
	h.said(e)
}

func (h *Host) said(e Event) {
	e.Time = time.Now()
	h.opts.Said(e)
}

// manage does what a manager does when agents tell it something.
func (h *Host) manage(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-h.todo:
			f(ctx)
		}
	}
}

// manager is what the agent tells: its use cases are carried out one after the other. What there is no room for is lost: guests ask again.
type manager struct{ *Host }

func (m manager) do(what string, f func(ctx context.Context) error) {
	task := func(ctx context.Context) {
		var refused *model.Error
		switch err := f(ctx); {
		case err == nil || ctx.Err() != nil:
		case errors.As(err, &refused):
			m.opts.Logger.Info("what a guest wants is refused", "what", what, "reason", err)
		default:
			m.opts.Logger.Warn("what a guest wants could not be done", "what", what, "error", err)
		}
	}
	select {
	case m.todo <- task:
	default:
	}
}

// Ports implements [agent.Manager].
func (m manager) Ports(p wire.Ports) {
	if len(p.Unplaced) == 0 {
		m.once.Do(func() { close(m.ready) })
		return
	}
	m.do("a place for its port", func(ctx context.Context) error {
		_, err := m.app.Place(ctx, m.self, p)
		return err
	})
}

// Asked implements [agent.Manager].
func (m manager) Asked(iface string, family int) {
	m.do("a lease for "+iface, func(ctx context.Context) error {
		_, err := m.app.LeaseForDHCP(ctx, iface, family)
		return err
	})
}

// Lease implements [agent.Manager].
func (m manager) Lease(uuid string, released bool) {
	m.do("what was said of "+uuid, func(ctx context.Context) error {
		said := wire.Leases{Renewed: []string{uuid}}
		if released {
			said = wire.Leases{Released: []string{uuid}}
		}
		_, err := m.app.LeasesOfDHCP(ctx, m.self, said)
		return err
	})
}

// Arrived implements [agent.Manager]. Nobody moves here.
func (manager) Arrived(wire.Arrival) {}

// Claimed implements [agent.Manager].
func (m manager) Claimed(c wire.Claim) {
	m.do("a lease of "+c.Address.String(), func(ctx context.Context) error {
		refused, err := m.app.Claim(ctx, []wire.Claim{c})
		return errors.Join(err, refused[c.Address])
	})
}
