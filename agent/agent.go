// Package agent is one host: it receives the host's share of the store, compiles it, and keeps Open vSwitch and the fast path as they should
// be; it answers the packets that need a service, and the debugger on a local socket. It can be stopped, killed and started at
// any time: the data plane stays as it is, and is compared, not rebuilt.
//
// It knows no database and no Web API. Imported by cmd/vna and by labs.
package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/agent/cache"
	agentsync "github.com/openvnet/openvnet/agent/sync"
	"github.com/openvnet/openvnet/dataplane/link"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/internal/version"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// Options of an agent.
type Options struct {
	Managers []string     // required: URLs of the managers, tried in turn
	NodeID   string       // required: the host's name
	Bridge   string       // required: the Open vSwitch bridge
	OVSDB    string       // required: address of Open vSwitch's database
	OpenFlow string       // required: address of the bridge's OpenFlow
	StateDir string       // required: directory for the replica and the agent's identity
	Socket   string       // required: path of the local socket
	Uplink   string       // optional: name of the NIC that is a port of the bridge
	BPFDir   string       // optional: directory in a bpf file system for the fast path's pins; no fast path without
	Limits   []string     // optional: limits of ports other than declared, as pipeline.ParseLimits reads them
	TLS      *tls.Config  // optional: of managers with https URLs
	Logger   *slog.Logger // required
}

// Agent is a host's agent; New makes it, Run does the work.
type Agent struct {
	opts     Options
	replica  *replica
	services *services
	bridge   *ovs.Bridge
	manager  *agentsync.Client
	cache    *cache.Cache
	fast     *fast

	wake     chan struct{}
	sessions chan *session
	tunnels  chan struct{} // tunnel ends may have changed
	sent     atomic.Uint64 // OpenFlow messages of earlier sessions
	problems atomic.Pointer[[]wire.Problem]
	known    chan model.DPID // once, when the bridge is known
	dpid     atomic.Uint64
	instance string
}

// New prepares an agent and takes up the replica that the disk remembers.
func New(opts Options) (*Agent, error) {
	if err := os.MkdirAll(opts.StateDir, 0o750); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	a := &Agent{opts: opts, replica: newReplica(), wake: make(chan struct{}, 1), tunnels: make(chan struct{}, 1), sessions: make(chan *session), known: make(chan model.DPID, 1)}
	a.services = newServices(&desk{replica: a.replica, log: opts.Logger, wake: a.poke})
	limits, err := pipeline.ParseLimits(opts.Limits)
	if err != nil {
		return nil, err
	}
	a.replica.limit(limits)
	if a.bridge, err = ovs.NewBridge(ovs.BridgeOptions{OVSDB: opts.OVSDB, Name: opts.Bridge, Uplink: opts.Uplink, Logger: opts.Logger}); err != nil {
		return nil, err
	}
	if a.instance, err = instance(opts.StateDir); err != nil {
		return nil, err
	}
	if a.cache, err = cache.Open(filepath.Join(opts.StateDir, "replica"), opts.Logger); err != nil {
		return nil, err
	}
	if s, ok := a.cache.Load(); ok {
		opts.Logger.Info("taking up the share that the disk remembers", "revision", s.Revision, "objects", len(s.Objects))
		a.replica.load(s.Store, s.Datapath, s.Revision, s.Objects, false)
	}
	if a.manager, err = agentsync.New(agentsync.Options{Managers: opts.Managers, TLS: opts.TLS, Hello: a.hello, Handler: a, Log: opts.Logger}); err != nil {
		return nil, err
	}
	a.services.tell(a.manager)
	if a.fast, err = openFast(opts.BPFDir, opts.Logger); err != nil {
		return nil, err
	}
	return a, nil
}

// Run works until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.bridge.Run(ctx, a.portsChanged) })
	g.Go(func() error { return a.dial(ctx) })
	g.Go(func() error { return (&applier{Agent: a}).run(ctx) })
	g.Go(func() error { return a.serveLocal(ctx) })
	g.Go(func() error { return a.follow(ctx) })
	g.Go(func() error { return a.cache.Run(ctx) })
	g.Go(func() error { return a.solicit(ctx) })
	g.Go(func() error { return a.services.run(ctx) })
	return errors.Join(g.Wait(), a.fast.close())
}

func (a *Agent) portsChanged(p ovs.Ports) {
	a.replica.setPorts(p)
	a.poke()
	select {
	case a.known <- p.DPID:
	default:
	}
}

func (a *Agent) poke() { signal(a.wake) }

// signal wakes who waits for the channel, which has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// follow keeps the stream to a manager, once the bridge is known: the hello names its datapath id.
func (a *Agent) follow(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case dpid := <-a.known:
		a.dpid.Store(uint64(dpid))
	}
	return a.manager.Run(ctx)
}

// hello is what the agent says of itself at the beginning of each stream.
func (a *Agent) hello() wire.Hello {
	h := wire.Hello{NodeID: a.opts.NodeID, DPID: model.DPID(a.dpid.Load()), Instance: a.instance, Software: version.String()}
	if a.opts.Uplink == "" {
		return h
	}
	u, err := link.ReadUplink(a.opts.Bridge, a.opts.Uplink)
	if err != nil {
		a.opts.Logger.Warn("the uplink cannot be read, the host joins without it", "uplink", a.opts.Uplink, "error", err)
		return h
	}
	h.Uplink = &wire.Uplink{Name: a.opts.Uplink, MAC: u.MAC, Addresses: u.Addresses, MTU: u.MTU}
	return h
}

// Snapshot takes the whole share of a new stream. It is called by the stream's goroutine.
func (a *Agent) Snapshot(revision int64, store, datapath string, objects []model.Object) {
	a.opts.Logger.Info("received the host's share", "revision", revision, "datapath", datapath, "objects", len(objects))
	a.replica.load(store, datapath, revision, objects, true)
	a.cache.Replace(store, datapath, revision, objects)
	a.poke()
}

// Delta takes a change of the share. It is called by the stream's goroutine.
func (a *Agent) Delta(revision int64, upserts []model.Object, deletes []string) {
	a.replica.change(revision, upserts, deletes)
	a.cache.Apply(revision, upserts, deletes)
	a.poke()
}
