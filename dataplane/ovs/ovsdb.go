// Package ovs drives Open vSwitch. Bridge watches and provisions a bridge through OVSDB (RFC 7047): its datapath id, its ports, its
// tunnel port, its fail mode. Switch brings the bridge's flows, groups and meters to a desired state through OpenFlow: by the
// difference to what it reads back, in one bundle. Zones bounds what the connection tracker remembers, and Cached keeps the datapath's cached flows
// right where Open vSwitch does not.
//
// It decides nothing: what should be there comes from dataplane/compile as a state.State. Imported by agent.
package ovs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	ovsmodel "github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// The columns that are used of Open vSwitch's schema, see ovs-vswitchd.conf.db(5).
type (
	bridgeRow struct {
		UUID       string   `ovsdb:"_uuid"`
		Name       string   `ovsdb:"name"`
		Ports      []string `ovsdb:"ports"`
		FailMode   *string  `ovsdb:"fail_mode"`
		DatapathID *string  `ovsdb:"datapath_id"`
		Type       string   `ovsdb:"datapath_type"`
	}
	portRow struct {
		UUID       string   `ovsdb:"_uuid"`
		Name       string   `ovsdb:"name"`
		Interfaces []string `ovsdb:"interfaces"`
	}
	interfaceRow struct {
		UUID        string            `ovsdb:"_uuid"`
		Name        string            `ovsdb:"name"`
		Type        string            `ovsdb:"type"`
		OFPort      *int              `ovsdb:"ofport"`
		Ifindex     *int              `ovsdb:"ifindex"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
		Options     map[string]string `ovsdb:"options"`
		Error       *string           `ovsdb:"error"`
		LinkState   *string           `ovsdb:"link_state"`
	}
)

// Names of the flow-based tunnel ports, one for each encapsulation.
const (
	GeneveName = "ov-geneve"
	VXLANName  = "ov-vxlan"
	GREName    = "ov-gre"
)

// tunnel is a tunnel port.
type tunnel struct {
	name, typ string
	udp       bool // it has an outer UDP header
}

// tunnels are the tunnel ports, by pipeline.EncapGeneve, EncapVXLAN, EncapGRE.
var tunnels = [3]tunnel{{GeneveName, "geneve", true}, {VXLANName, "vxlan", true}, {GREName, "gre", false}}

// BridgeOptions say which bridge.
type BridgeOptions struct {
	OVSDB  string       // required: address of the database, unix:/run/openvswitch/db.sock or tcp:127.0.0.1:6640
	Name   string       // required: the bridge's name
	Uplink string       // optional: name of the NIC's port
	Logger *slog.Logger // required
}

// Ports is what the database says of the bridge.
type Ports struct {
	DPID     model.DPID
	Name     string    // of the bridge
	Datapath string    // its datapath_type
	Uplink   flow.Port // 0: none
	Down     bool      // the uplink has no link
	Tunnels  compile.Tunnels
	Guests   map[string]compile.Port
}

// Equal reports whether both say the same.
func (p Ports) Equal(q Ports) bool {
	return p.DPID == q.DPID && p.Name == q.Name && p.Datapath == q.Datapath && p.Uplink == q.Uplink && p.Down == q.Down && p.Tunnels == q.Tunnels && maps.Equal(p.Guests, q.Guests)
}

// Bridge watches one bridge.
type Bridge struct {
	opts   BridgeOptions
	client client.Client
	wake   chan struct{}
	err    error // that has been logged last

	mu     sync.Mutex
	wanted *[3]bool // tunnel ports; nil: nobody has said yet
}

// Want says which tunnel ports the bridge is to have, by pipeline.EncapGeneve, EncapVXLAN, EncapGRE. Say it when no flow refers to others any more: those are
// removed. Until it is first called there is one for Geneve, and none is removed. It may be called from any goroutine.
func (b *Bridge) Want(tunnels [3]bool) {
	b.mu.Lock()
	changed := b.wanted == nil || *b.wanted != tunnels
	b.wanted = &tunnels
	b.mu.Unlock()
	if changed {
		b.signal()
	}
}

// want gives what Want has said, and whether it has been called.
func (b *Bridge) want() (tunnels [3]bool, said bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wanted == nil {
		return [3]bool{pipeline.EncapGeneve: true}, false
	}
	return *b.wanted, true
}

// signal makes Run look at the bridge.
func (b *Bridge) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// NewBridge gives the watcher of a bridge; Run does the work.
func NewBridge(opts BridgeOptions) (*Bridge, error) {
	dbModel, err := ovsmodel.NewClientDBModel("Open_vSwitch", map[string]ovsmodel.Model{
		"Bridge": &bridgeRow{}, "Port": &portRow{}, "Interface": &interfaceRow{},
	})
	if err != nil {
		return nil, fmt.Errorf("database model: %w", err)
	}
	quiet := logr.FromSlogHandler(errorsOnly{opts.Logger.Handler()})
	c, err := client.NewOVSDBClient(dbModel, client.WithEndpoint(opts.OVSDB), client.WithLogger(&quiet),
		client.WithReconnect(2*time.Second, backoff.NewConstantBackOff(100*time.Millisecond)))
	if err != nil {
		return nil, fmt.Errorf("database client for %s: %w", opts.OVSDB, err)
	}
	return &Bridge{opts: opts, client: c, wake: make(chan struct{}, 1)}, nil
}

// Run connects (again and again), keeps the bridge provisioned, and calls changed with the ports whenever they have changed,
// from one goroutine. It returns when ctx ends.
func (b *Bridge) Run(ctx context.Context, changed func(Ports)) error {
	for !b.client.Connected() {
		cctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := b.connect(cctx)
		cancel()
		if err == nil {
			break
		}
		b.report("connect to the database", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
	defer b.client.Close()
	b.opts.Logger.Info("connected to the switch's database", "address", b.opts.OVSDB)
	var last Ports
	first := true
	for {
		ports, err := b.look(ctx)
		b.report("look at the bridge", err)
		if ports.DPID != 0 && (first || !ports.Equal(last)) { // a tunnel port that does not work keeps nothing else from working
			last, first = ports, false
			changed(ports)
		}
		retry := time.Duration(1<<62 - 1)
		if err != nil {
			retry = time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-b.wake:
		case <-time.After(retry):
		}
	}
}

func (b *Bridge) connect(ctx context.Context) error {
	if err := b.client.Connect(ctx); err != nil {
		return err
	}
	b.client.Cache().AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(string, ovsmodel.Model) { b.signal() },
		UpdateFunc: func(string, ovsmodel.Model, ovsmodel.Model) { b.signal() },
		DeleteFunc: func(string, ovsmodel.Model) { b.signal() },
	})
	// Exactly the columns that the rows have: the library loses an update that holds any other.
	var br bridgeRow
	var po portRow
	var in interfaceRow
	monitor := b.client.NewMonitor(
		client.WithTable(&br, &br.Name, &br.Ports, &br.FailMode, &br.DatapathID, &br.Type),
		client.WithTable(&po, &po.Name, &po.Interfaces),
		client.WithTable(&in, &in.Name, &in.Type, &in.OFPort, &in.Ifindex, &in.ExternalIDs, &in.Options, &in.Error, &in.LinkState),
	)
	if _, err := b.client.Monitor(ctx, monitor); err != nil {
		b.client.Disconnect()
		return fmt.Errorf("monitor: %w", err)
	}
	return nil
}

// errorsOnly passes on what the library cannot do, and not what it does.
type errorsOnly struct{ slog.Handler }

func (h errorsOnly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

// report logs an error when it is another one than before, so that a condition that lasts is one line.
func (b *Bridge) report(what string, err error) {
	if err != nil && (b.err == nil || b.err.Error() != err.Error()) {
		b.opts.Logger.Warn("the bridge is not ready", "bridge", b.opts.Name, "doing", what, "error", err)
	}
	b.err = err
}

// look reads the bridge from the cache and provisions what it lacks; what that adds is seen at the next look.
func (b *Bridge) look(ctx context.Context) (Ports, error) {
	var bridges []bridgeRow
	if err := b.client.WhereCache(func(r *bridgeRow) bool { return r.Name == b.opts.Name }).List(ctx, &bridges); err != nil {
		return Ports{}, err
	}
	if len(bridges) == 0 {
		return Ports{}, fmt.Errorf("there is no bridge %s: create it with ovs-vsctl add-br %s", b.opts.Name, b.opts.Name)
	}
	bridge := bridges[0]
	if bridge.DatapathID == nil {
		return Ports{}, errors.New("the switch has not given the bridge a datapath id yet: is ovs-vswitchd running?")
	}
	dpid, err := model.ParseDPID(*bridge.DatapathID)
	if err != nil {
		return Ports{}, err
	}
	interfaces, err := b.interfaces(ctx, bridge)
	if err != nil {
		return Ports{}, err
	}
	ports := Ports{DPID: dpid, Name: b.opts.Name, Datapath: bridge.Type, Guests: map[string]compile.Port{}}
	var have [3]*interfaceRow
	for _, i := range interfaces {
		kind := slices.IndexFunc(tunnels[:], func(t tunnel) bool { return t.name == i.Name })
		if kind >= 0 {
			have[kind] = i
		}
		if i.OFPort == nil || *i.OFPort <= 0 {
			continue
		}
		p := flow.Port(*i.OFPort)
		switch {
		case i.Name == b.opts.Uplink:
			ports.Uplink, ports.Down = p, i.LinkState != nil && *i.LinkState == "down"
		case kind >= 0:
			ports.Tunnels[kind] = p
		case i.Name != b.opts.Name && slices.Contains(guestTypes, i.Type):
			cp := compile.Port{Name: i.Name, IfaceID: i.ExternalIDs["iface-id"], OFPort: p}
			if i.Ifindex != nil {
				cp.Ifindex = *i.Ifindex
			}
			ports.Guests[i.Name] = cp
		}
	}
	return ports, b.provision(ctx, bridge, have)
}

func (b *Bridge) interfaces(ctx context.Context, bridge bridgeRow) ([]*interfaceRow, error) {
	ofBridge := make(map[string]struct{}, len(bridge.Ports))
	for _, p := range bridge.Ports {
		ofBridge[p] = struct{}{}
	}
	var ports []*portRow
	if err := b.client.WhereCache(func(r *portRow) bool { _, ok := ofBridge[r.UUID]; return ok }).List(ctx, &ports); err != nil {
		return nil, err
	}
	ofPort := make(map[string]struct{}, len(ports))
	for _, p := range ports {
		for _, i := range p.Interfaces {
			ofPort[i] = struct{}{}
		}
	}
	var interfaces []*interfaceRow
	err := b.client.WhereCache(func(r *interfaceRow) bool { _, ok := ofPort[r.UUID]; return ok }).List(ctx, &interfaces)
	return interfaces, err
}

// guestTypes are the types of interfaces that interfaces of the model may be: links of the host, the userspace ends of virtual machines, and patch
// ports to other bridges. Tunnels are not among them.
var guestTypes = []string{"", "system", "tap", "internal", "patch", "afxdp", "dpdk", "dpdkvhostuser", "dpdkvhostuserclient", "dummy"}

// tunnelOptions make a port whose ends and key come from the flows. The kernel datapath has the outer UDP checksum computed by the NIC, which pays, as what
// arrives with one is put together to large packets; the userspace datapath would compute it itself.
func tunnelOptions(bridge bridgeRow, udp bool) map[string]string {
	options := map[string]string{"remote_ip": "flow", "key": "flow"}
	if udp && (bridge.Type == "" || bridge.Type == "system") {
		options["csum"] = "true"
	}
	return options
}

// provision makes the bridge drop what no flow allows, also while no agent runs, and gives it the tunnel ports that are wanted.
func (b *Bridge) provision(ctx context.Context, bridge bridgeRow, have [3]*interfaceRow) error {
	var ops []ovsdb.Operation
	if bridge.FailMode == nil || *bridge.FailMode != "secure" {
		secure := "secure"
		bridge.FailMode = &secure
		up, err := b.client.Where(&bridge).Update(&bridge, &bridge.FailMode)
		if err != nil {
			return fmt.Errorf("set the fail mode: %w", err)
		}
		ops = append(ops, up...)
	}
	wanted, said := b.want()
	var broken []error
	for kind, t := range tunnels {
		var more []ovsdb.Operation
		var err error
		options := tunnelOptions(bridge, t.udp)
		switch i := have[kind]; {
		case i == nil && wanted[kind]:
			more, err = b.addTunnel(bridge, t.name, t.typ, options)
		case i == nil:
		case !wanted[kind] && said:
			more, err = b.removeTunnel(ctx, bridge, t.name)
		case i.Type != t.typ || !maps.Equal(i.Options, options):
			i.Type, i.Options = t.typ, options
			more, err = b.client.Where(i).Update(i, &i.Type, &i.Options)
		case i.Error != nil && *i.Error != "":
			err = fmt.Errorf("it does not work: %s", *i.Error)
		}
		if err != nil {
			broken = append(broken, fmt.Errorf("tunnel port %s: %w", t.name, err))
		}
		ops = append(ops, more...)
	}
	if ops == nil {
		return errors.Join(broken...)
	}
	results, err := b.client.Transact(ctx, ops...)
	if err != nil {
		return fmt.Errorf("provision the bridge: %w", err)
	}
	if _, err := ovsdb.CheckOperationResults(results, ops); err != nil {
		return fmt.Errorf("provision the bridge: %w", err)
	}
	b.opts.Logger.Info("provisioned the bridge", "bridge", b.opts.Name)
	return errors.Join(broken...)
}

// addTunnel gives the operations that add a tunnel port.
func (b *Bridge) addTunnel(bridge bridgeRow, name, typ string, options map[string]string) ([]ovsdb.Operation, error) {
	id := strings.ReplaceAll(name, "-", "_")
	i := &interfaceRow{UUID: id + "_interface", Name: name, Type: typ, Options: options}
	p := &portRow{UUID: id + "_port", Name: name, Interfaces: []string{i.UUID}}
	var ops []ovsdb.Operation
	for _, row := range []ovsmodel.Model{i, p} {
		create, err := b.client.Create(row)
		if err != nil {
			return nil, err
		}
		ops = append(ops, create...)
	}
	add, err := b.client.Where(&bridge).Mutate(&bridge, ovsmodel.Mutation{Field: &bridge.Ports, Mutator: ovsdb.MutateOperationInsert, Value: []string{p.UUID}})
	return append(ops, add...), err
}

// removeTunnel gives the operations that remove a tunnel port; its rows go with the last reference to them.
func (b *Bridge) removeTunnel(ctx context.Context, bridge bridgeRow, name string) ([]ovsdb.Operation, error) {
	var ports []*portRow
	if err := b.client.WhereCache(func(r *portRow) bool { return r.Name == name && slices.Contains(bridge.Ports, r.UUID) }).List(ctx, &ports); err != nil {
		return nil, err
	}
	var ops []ovsdb.Operation
	for _, p := range ports {
		remove, err := b.client.Where(&bridge).Mutate(&bridge, ovsmodel.Mutation{Field: &bridge.Ports, Mutator: ovsdb.MutateOperationDelete, Value: []string{p.UUID}})
		if err != nil {
			return nil, err
		}
		ops = append(ops, remove...)
	}
	return ops, nil
}
