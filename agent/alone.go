package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// Alone is the services of a host and its flows with any switch that speaks OpenFlow: without Open vSwitch's database, a manager's stream, the disk, and eBPF. What it
// answers is what an agent answers. Services are tried by it (vnlab serve), and tested.
type Alone struct {
	*services
	opts  AloneOptions
	wakes chan struct{}
}

// AloneOptions are the options of NewAlone.
type AloneOptions struct {
	Logger  *slog.Logger // required
	Manager Manager      // optional: is told what an agent tells its manager
	Heard   func(Heard)  // optional: is told what becomes of each question; it is called by several goroutines, which wait for it
}

// Manager is told by an agent what of its host concerns others. No method waits for anything.
type Manager interface {
	// Ports says which ports belong to no interface that is here, and which interfaces are here because of their ports.
	Ports(p wire.Ports)
	// Asked says that a guest asks for a lease of a family, 4 or 6, who has none.
	Asked(iface string, family int)
	// Lease says that a guest has renewed a lease, or given it back.
	Lease(uuid string, released bool)
	// Arrived says that a guest that is to move here has sent from here.
	Arrived(a wire.Arrival)
	// Claimed says that a guest has made itself an address.
	Claimed(c wire.Claim)
}

// Heard is a question of a guest that has come to a service, and what has become of it.
type Heard struct {
	Class    pipeline.PuntClass
	Ingress  uint32 // id of the interface that it came from
	Frame    []byte // by which it was asked; nil of a name or metadata. It may not be kept
	Asked    string // the name or metadata that was asked for
	Verdict  string // in the service's words
	Answered bool
}

// judging are the classes whose services have verdicts of their own.
var judging = map[pipeline.PuntClass]bool{
	pipeline.PuntDHCP4: true, pipeline.PuntDHCP6: true, pipeline.PuntRA: true, pipeline.PuntDNS: true, pipeline.PuntMetadata: true,
}

// NewAlone prepares the services. Run does the work.
func NewAlone(opts AloneOptions) *Alone {
	a := &Alone{opts: opts, wakes: make(chan struct{}, 1)}
	a.services = newServices(&desk{replica: newReplica(), log: opts.Logger, heard: opts.Heard, wake: func() { signal(a.wakes) }})
	if opts.Manager != nil {
		a.tell(opts.Manager)
	}
	return a
}

// Load takes the host's whole share of what there is.
func (a *Alone) Load(datapath string, revision int64, objects []model.Object) {
	a.replica.load("", datapath, revision, objects, true)
	signal(a.wakes)
}

// SetPorts takes the ports of the switch.
func (a *Alone) SetPorts(p ovs.Ports) {
	a.replica.setPorts(p)
	signal(a.wakes)
}

// Ready reports whether the switch has what it should have.
func (a *Alone) Ready() bool { return a.ready.Load() }

// Run works with the switch at target (see ovs.Dial) until ctx ends. A switch that cannot be reached, is lost, or refuses anything is an error.
func (a *Alone) Run(ctx context.Context, target string) error {
	sw, err := ovs.Dial(ctx, target, a.log)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	gctx, hangUp := context.WithCancel(gctx)
	defer hangUp()
	g.Go(func() error { return sw.Run(gctx) })
	g.Go(func() error { sw.Serve(a.take); return nil })
	g.Go(func() error { return a.run(gctx) })
	g.Go(func() error { return a.apply(gctx, &session{sw, hangUp}) })
	if err := g.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// apply keeps the switch as it should be.
func (a *Alone) apply(ctx context.Context, s *session) error {
	a.current.Store(s)
	if _, err := a.replica.explore(ctx, s.Switch); err != nil {
		return err
	}
	w := a.replica.work(true)
	refused, _, err := s.Sync(ctx, w.full, false)
	for err == nil && len(refused) == 0 {
		if err := a.applied(ctx, &w); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.wakes:
		}
		w = a.replica.work(false)
		refused, err = s.Apply(ctx, &w.changes)
	}
	if err == nil {
		err = fmt.Errorf("it refused %v", refused)
	}
	return fmt.Errorf("bring the switch up to date: %w", err)
}

// applied does what follows when the switch has what it should have.
func (a *Alone) applied(ctx context.Context, w *work) error {
	for uuid, why := range w.problems {
		a.log.Warn("an object is not realised", "object", uuid, "reason", why)
	}
	back := func(ctx context.Context, p ovs.Packet, frame []byte) error { return a.inject(ctx, frame, p.Back()) }
	if err := a.answerAskers(ctx, time.Now(), back); err != nil {
		return err
	}
	a.ready.Store(true)
	if w.ports != nil && a.opts.Manager != nil {
		a.opts.Manager.Ports(*w.ports)
	}
	return nil
}
