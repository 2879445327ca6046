// Package ovs drives Open vSwitch. Bridge watches and provisions a bridge through OVSDB (RFC 7047): its datapath id, its ports, its
// tunnel port, its fail mode. Switch brings the bridge's flows, groups and meters to a desired state through OpenFlow: by the
// difference to what it reads back, in one bundle.
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
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	ovsmodel "github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/openvnet/openvnet/dataplane/compile"
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
	}
)

// TunnelName is the name of the flow-based Geneve port.
const TunnelName = "ov-geneve"

// BridgeOptions say which bridge.
type BridgeOptions struct {
	OVSDB  string       // required: address of the database, unix:/run/openvswitch/db.sock or tcp:127.0.0.1:6640
	Name   string       // required: the bridge's name
	Uplink string       // optional: name of the NIC's port
	Logger *slog.Logger // required
}

// Ports is what the database says of the bridge.
type Ports struct {
	DPID   model.DPID
	Uplink flow.Port // 0: none
	Tunnel flow.Port // 0: not there yet
	Guests map[string]compile.Port
}

// Equal reports whether both say the same.
func (p Ports) Equal(q Ports) bool {
	return p.DPID == q.DPID && p.Uplink == q.Uplink && p.Tunnel == q.Tunnel && maps.Equal(p.Guests, q.Guests)
}

// Bridge watches one bridge.
type Bridge struct {
	opts   BridgeOptions
	client client.Client
	wake   chan struct{}
	err    error // that has been logged last
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
		if err == nil && (first || !ports.Equal(last)) {
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
	signal := func() {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	b.client.Cache().AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(string, ovsmodel.Model) { signal() },
		UpdateFunc: func(string, ovsmodel.Model, ovsmodel.Model) { signal() },
		DeleteFunc: func(string, ovsmodel.Model) { signal() },
	})
	// Exactly the columns that the rows have: the library loses an update that holds any other.
	var br bridgeRow
	var po portRow
	var in interfaceRow
	monitor := b.client.NewMonitor(
		client.WithTable(&br, &br.Name, &br.Ports, &br.FailMode, &br.DatapathID),
		client.WithTable(&po, &po.Name, &po.Interfaces),
		client.WithTable(&in, &in.Name, &in.Type, &in.OFPort, &in.Ifindex, &in.ExternalIDs, &in.Options, &in.Error),
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
	ports := Ports{DPID: dpid, Guests: map[string]compile.Port{}}
	var tunnel *interfaceRow
	for _, i := range interfaces {
		if i.Name == TunnelName {
			tunnel = i
		}
		if i.OFPort == nil || *i.OFPort <= 0 {
			continue
		}
		p := flow.Port(*i.OFPort)
		switch {
		case i.Name == b.opts.Uplink:
			ports.Uplink = p
		case i.Name == TunnelName:
			ports.Tunnel = p
		case i.Name != b.opts.Name && slices.Contains(guestTypes, i.Type):
			cp := compile.Port{Name: i.Name, IfaceID: i.ExternalIDs["iface-id"], OFPort: p}
			if i.Ifindex != nil {
				cp.Ifindex = *i.Ifindex
			}
			ports.Guests[i.Name] = cp
		}
	}
	return ports, b.provision(ctx, bridge, tunnel)
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

// guestTypes are the types of interfaces that guests may be behind: links of the host, and the userspace ends of virtual machines.
// Tunnels and patch ports are not among them.
var guestTypes = []string{"", "system", "tap", "internal", "afxdp", "dpdk", "dpdkvhostuser", "dpdkvhostuserclient", "dummy"}

// tunnelOptions make a port whose ends and key come from the flows.
var tunnelOptions = map[string]string{"remote_ip": "flow", "key": "flow"}

// provision makes the bridge drop what no flow allows, also while no agent runs, and adds the tunnel port.
func (b *Bridge) provision(ctx context.Context, bridge bridgeRow, tunnel *interfaceRow) error {
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
	switch {
	case tunnel == nil:
		i := &interfaceRow{UUID: "tunnel_interface", Name: TunnelName, Type: "geneve", Options: tunnelOptions}
		p := &portRow{UUID: "tunnel_port", Name: TunnelName, Interfaces: []string{i.UUID}}
		for _, row := range []ovsmodel.Model{i, p} {
			create, err := b.client.Create(row)
			if err != nil {
				return fmt.Errorf("add the tunnel port: %w", err)
			}
			ops = append(ops, create...)
		}
		add, err := b.client.Where(&bridge).Mutate(&bridge, ovsmodel.Mutation{Field: &bridge.Ports, Mutator: ovsdb.MutateOperationInsert, Value: []string{p.UUID}})
		if err != nil {
			return fmt.Errorf("add the tunnel port: %w", err)
		}
		ops = append(ops, add...)
	case tunnel.Type != "geneve" || !maps.Equal(tunnel.Options, tunnelOptions):
		tunnel.Type, tunnel.Options = "geneve", tunnelOptions
		up, err := b.client.Where(tunnel).Update(tunnel, &tunnel.Type, &tunnel.Options)
		if err != nil {
			return fmt.Errorf("mend the tunnel port: %w", err)
		}
		ops = append(ops, up...)
	case tunnel.Error != nil && *tunnel.Error != "":
		return fmt.Errorf("the tunnel port does not work: %s", *tunnel.Error)
	}
	if ops == nil {
		return nil
	}
	results, err := b.client.Transact(ctx, ops...)
	if err != nil {
		return fmt.Errorf("provision the bridge: %w", err)
	}
	if _, err := ovsdb.CheckOperationResults(results, ops); err != nil {
		return fmt.Errorf("provision the bridge: %w", err)
	}
	b.opts.Logger.Info("provisioned the bridge", "bridge", b.opts.Name)
	return nil
}
