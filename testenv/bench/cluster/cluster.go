// Package cluster is what benchmarks share that measure a manager and hosts without traffic: real vnmgr, real vna, and an Open vSwitch for each host whose ports are dummies, all
// in the machine's own network namespace. Everything dies with the program and is removed at the end. Imported by the benchmarks.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Bridge is the name of each host's Bridge.
const Bridge = "br0"

// Cluster is a manager and hosts, in a directory of their own and in the machine's own network namespace: with dummy ports nothing is in
// the way of anything else. All processes die with this program.
type Cluster struct {
	dir     string
	bin     string
	API     *client.Client
	address string // of the API
	manager proc.Record
	Hosts   []*Host
}

// Host is an Open vSwitch with its agent.
type Host struct {
	Name     string // by which its agent reports
	dir      string
	dpid     string
	Switch   *ovs.Instance
	agent    proc.Record
	socket   *http.Client // to the agent's local socket
	Datapath string       // uuid
}

// New prepares a cluster of so many hosts, with the programs in bin and the manager at address. It is to be removed also when Start fails.
func New(bin, address string, hosts int) (*Cluster, error) {
	dir, err := os.MkdirTemp("/tmp", "vnb") // short, since sockets are in it
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, address: address}
	for n := range hosts {
		h := &Host{Name: fmt.Sprintf("host%d", n), dir: filepath.Join(dir, fmt.Sprint(n)), dpid: fmt.Sprintf("00000000000000%02x", n+1)}
		if h.Switch, err = ovs.Open(ovs.Options{Dir: filepath.Join(h.dir, "ovs"), Dummy: true, Session: proc.Tied}); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		h.socket = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(h.dir, "vna.sock"))
			},
		}}
		c.Hosts = append(c.Hosts, h)
	}
	if c.API, err = client.New(client.Options{Server: address, Timeout: time.Minute}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

// Start starts everything, with these ports on each host (by its number), and returns when the hosts have joined and know each other.
func (c *Cluster) Start(ctx context.Context, ports func(host int) []string) error {
	g, gctx := errgroup.WithContext(ctx)
	for n, h := range c.Hosts {
		g.Go(func() error { return h.startSwitch(gctx, ports(n)) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := c.startManager(ctx); err != nil {
		return err
	}
	for _, h := range c.Hosts {
		if err := c.startAgent(h); err != nil {
			return err
		}
	}
	if err := c.join(ctx); err != nil {
		return err
	}
	return c.Apply(ctx, underlay(c.Datapaths()))
}

func (h *Host) startSwitch(ctx context.Context, ports []string) error {
	if err := h.Switch.Start(ctx); err != nil {
		return err
	}
	args := []string{"add-br", Bridge, "--", "set", "bridge", Bridge, "fail_mode=secure", "other_config:datapath-id=" + h.dpid}
	for _, p := range ports { // every port of this Open vSwitch is a dummy
		args = append(args, "--", "add-port", Bridge, p)
	}
	_, err := h.Switch.Vsctl(ctx, args...)
	return err
}

func (c *Cluster) startManager(ctx context.Context) (err error) {
	c.manager, err = proc.Start(proc.Spec{
		Args: []string{filepath.Join(c.bin, "vnmgr"), "--data", filepath.Join(c.dir, "data"), "--api", c.address, "--insecure"},
		Log:  filepath.Join(c.dir, "vnmgr.log"), Record: filepath.Join(c.dir, "vnmgr.json"), Session: proc.Tied,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the manager does not answer within 30 s"))
	defer cancel()
	return wait.Until(ctx, 20*time.Millisecond, func() error {
		_, err := c.API.Version(ctx)
		return err
	})
}

func (c *Cluster) startAgent(h *Host) (err error) {
	h.agent, err = proc.Start(proc.Spec{
		Args: []string{
			filepath.Join(c.bin, "vna"), "--manager", "http://" + c.address, "--node-id", h.Name, "--bridge", Bridge, "--ovsdb", h.Switch.DB(),
			"--state-dir", filepath.Join(h.dir, "vna"), "--socket", filepath.Join(h.dir, "vna.sock"), "--insecure",
		},
		Log: filepath.Join(h.dir, "vna.log"), Record: filepath.Join(h.dir, "vna.json"), Session: proc.Tied,
	})
	return err
}

// join waits until the hosts have registered, and notes as what.
func (c *Cluster) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the hosts have not joined within 30 s"))
	defer cancel()
	return wait.Until(ctx, 20*time.Millisecond, func() error {
		for dp, err := range client.List[model.Datapath](ctx, c.API, nil) {
			if err != nil {
				return err
			}
			for _, h := range c.Hosts {
				if h.Name == dp.Object.NodeID {
					h.Datapath = dp.Object.UUID
				}
			}
		}
		for _, h := range c.Hosts {
			if h.Datapath == "" {
				return fmt.Errorf("%s has not joined", h.Name)
			}
		}
		return nil
	})
}

// Datapaths gives the uuids of the hosts' datapaths.
func (c *Cluster) Datapaths() []string {
	var uuids []string
	for _, h := range c.Hosts {
		uuids = append(uuids, h.Datapath)
	}
	return uuids
}

// Waiting is the client for writes that are to be applied.
func (c *Cluster) Waiting() *client.Client { return c.API.With(client.Write{Wait: time.Minute}) }

// Apply brings documents to all hosts.
func (c *Cluster) Apply(ctx context.Context, docs client.Documents) error {
	done, err := c.Waiting().Apply(ctx, docs)
	if err != nil {
		return err
	}
	if !done.Applied {
		return errors.New("not applied within a minute")
	}
	for _, i := range done.Items {
		for _, s := range i.Status {
			if s.State != model.StateApplied {
				return fmt.Errorf("%s is %s on %s: %s", i.UUID, s.State, s.NodeID, s.Reason)
			}
		}
	}
	return nil
}

// Sent gives how many OpenFlow messages the agent has sent since it started.
func (h *Host) Sent(ctx context.Context) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vna"+local.PathStatus, nil)
	if err != nil {
		return 0, err
	}
	resp, err := h.socket.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask the agent of %s: %w", h.Name, err)
	}
	defer resp.Body.Close()
	var status local.Status
	err = json.NewDecoder(resp.Body).Decode(&status)
	switch {
	case resp.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("the agent of %s answers %s", h.Name, resp.Status)
	case err != nil:
		return 0, fmt.Errorf("the agent of %s answers: %w", h.Name, err)
	}
	return status.OpenFlowSent, nil
}

// Holds reports an error unless the switches of all hosts have a flow for the MAC address: what is said to be applied must be.
func (c *Cluster) Holds(ctx context.Context, mac string) error {
	for _, h := range c.Hosts {
		flows, err := h.Switch.Ofctl(ctx, "dump-flows", Bridge, "--no-stats")
		if err != nil {
			return err
		}
		if !strings.Contains(flows, "dl_dst="+mac) {
			return fmt.Errorf("the manager says that it is applied, but the switch of %s has no flow for %s", h.Name, mac)
		}
	}
	return nil
}

// StopAgents ends the agents and leaves the switches as they are.
func (c *Cluster) StopAgents(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("not within 10 s"))
	defer cancel()
	for _, h := range c.Hosts {
		if err := h.agent.Stop(ctx); err != nil {
			return fmt.Errorf("stop the agent of %s: %w", h.Name, err)
		}
	}
	return nil
}

// Remove ends all processes and deletes the directory.
func (c *Cluster) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var errs []error
	end := func(r proc.Record) {
		if r.PID != 0 {
			errs = append(errs, r.Kill(ctx))
		}
	}
	for _, h := range c.Hosts {
		end(h.agent)
		errs = append(errs, h.Switch.Kill(ctx))
	}
	end(c.manager)
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// Logs gives the last lines of what the manager and the agents have logged, for an error.
func (c *Cluster) Logs() string {
	text := "vnmgr:\n" + ovs.Tail(filepath.Join(c.dir, "vnmgr.log"), 5)
	for _, h := range c.Hosts {
		text += "\nvna of " + h.Name + ":\n" + ovs.Tail(filepath.Join(h.dir, "vna.log"), 5)
	}
	return text
}

// Usage is what processes have used up.
type Usage struct {
	Messages float64 // OpenFlow messages sent by all agents
	Agents   float64 // CPU of all agents, ms
	Manager  float64 // CPU of the manager, ms
	Switches float64 // CPU of all ovs-vswitchd, ms
}

// Minus gives what was used from v to u.
func (u Usage) Minus(v Usage) Usage {
	return Usage{u.Messages - v.Messages, u.Agents - v.Agents, u.Manager - v.Manager, u.Switches - v.Switches}
}

// Plus gives both.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.Messages + v.Messages, u.Agents + v.Agents, u.Manager + v.Manager, u.Switches + v.Switches}
}

// By gives an n-th.
func (u Usage) By(n int) Usage {
	f := float64(n)
	return Usage{u.Messages / f, u.Agents / f, u.Manager / f, u.Switches / f}
}

// Messages gives how many OpenFlow messages all agents have sent so far.
func (c *Cluster) Messages(ctx context.Context) (float64, error) {
	sum := 0.0
	for _, h := range c.Hosts {
		n, err := h.Sent(ctx)
		if err != nil {
			return 0, err
		}
		sum += float64(n)
	}
	return sum, nil
}

// CPU gives the CPU times so far.
func (c *Cluster) CPU() (Usage, error) {
	var u Usage
	for _, h := range c.Hosts {
		t, err := proc.CPUTime(h.agent.PID)
		if err != nil {
			return u, err
		}
		u.Agents += ms(t)
		r, err := h.Switch.Record(ovs.Switch)
		if err != nil {
			return u, err
		}
		if t, err = proc.CPUTime(r.PID); err != nil {
			return u, err
		}
		u.Switches += ms(t)
	}
	t, err := proc.CPUTime(c.manager.PID)
	u.Manager = ms(t)
	return u, err
}

func ms(t time.Duration) float64 { return float64(t) / float64(time.Millisecond) }

// Memory is resident memory, MiB.
type Memory struct {
	Agent   float64 // the largest
	Manager float64
}

// Memory gives what the processes have now.
func (c *Cluster) Memory() (m Memory, err error) {
	for _, h := range c.Hosts {
		mib, err := proc.Resident(h.agent.PID)
		if err != nil {
			return m, err
		}
		m.Agent = max(m.Agent, mib)
	}
	m.Manager, err = proc.Resident(c.manager.PID)
	return m, err
}

// underlay makes the hosts known to each other: a physical network with an address for each.
func underlay(datapaths []string) client.Documents {
	docs := client.Documents{"networks": {{
		"uuid": "nw-underlay", "mode": model.NetworkPhysical, "ipv4_network": "172.16.0.0", "ipv4_prefix": 24,
	}}}
	for h, dp := range datapaths {
		docs["interfaces"] = append(docs["interfaces"], client.Params{
			"uuid": fmt.Sprintf("if-host%d", h), "mode": model.InterfaceHost, "owner_datapath_uuid": dp, "network_uuid": "nw-underlay",
			"ipv4_address": netip.AddrFrom4([4]byte{172, 16, 0, byte(10 + h)}).String(), "mac_address": model.MAC{2, 2, 0, 0, 0, byte(h)}.String(),
		})
	}
	return docs
}
