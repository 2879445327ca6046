package bringup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
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

const bridge = "br0"

// cluster is a manager and hosts, in a directory of their own and in the machine's own network namespace: with dummy ports nothing is in
// the way of anything else. All processes die with this program.
type cluster struct {
	dir     string
	bin     string
	api     *client.Client
	address string // of the API
	manager proc.Record
	hosts   []*host
}

// host is an Open vSwitch with its agent.
type host struct {
	name     string
	dir      string
	dpid     string
	sw       *ovs.Instance
	agent    proc.Record
	socket   *http.Client // to the agent's local socket
	datapath string       // uuid
}

// newCluster makes the directory. The cluster is to be removed also when start fails.
func newCluster(bin, address string) (*cluster, error) {
	dir, err := os.MkdirTemp("/tmp", "vnb") // short, since sockets are in it
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, bin: bin, address: address}
	for n := range hosts {
		h := &host{name: fmt.Sprintf("host%d", n), dir: filepath.Join(dir, fmt.Sprint(n)), dpid: fmt.Sprintf("00000000000000%02x", n+1)}
		if h.sw, err = ovs.Open(ovs.Options{Dir: filepath.Join(h.dir, "ovs"), Dummy: true, Session: proc.Tied}); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		h.socket = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(h.dir, "vna.sock"))
			},
		}}
		c.hosts = append(c.hosts, h)
	}
	if c.api, err = client.New(client.Options{Server: address, Timeout: time.Minute}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

// start starts everything, with the ports of the plan, and returns when the hosts have joined and know each other.
func (c *cluster) start(ctx context.Context, p plan) error {
	g, gctx := errgroup.WithContext(ctx)
	for n, h := range c.hosts {
		g.Go(func() error { return h.startSwitch(gctx, p.ports(n)) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := c.startManager(ctx); err != nil {
		return err
	}
	for _, h := range c.hosts {
		if err := c.startAgent(h); err != nil {
			return err
		}
	}
	if err := c.join(ctx); err != nil {
		return err
	}
	return c.apply(ctx, underlay(c.datapaths()))
}

func (h *host) startSwitch(ctx context.Context, ports []string) error {
	if err := h.sw.Start(ctx); err != nil {
		return err
	}
	args := []string{"add-br", bridge, "--", "set", "bridge", bridge, "fail_mode=secure", "other_config:datapath-id=" + h.dpid}
	for _, p := range ports { // every port of this Open vSwitch is a dummy
		args = append(args, "--", "add-port", bridge, p)
	}
	_, err := h.sw.Vsctl(ctx, args...)
	return err
}

func (c *cluster) startManager(ctx context.Context) (err error) {
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
		_, err := c.api.Version(ctx)
		return err
	})
}

func (c *cluster) startAgent(h *host) (err error) {
	h.agent, err = proc.Start(proc.Spec{
		Args: []string{
			filepath.Join(c.bin, "vna"), "--manager", "http://" + c.address, "--node-id", h.name, "--bridge", bridge, "--ovsdb", h.sw.DB(),
			"--state-dir", filepath.Join(h.dir, "vna"), "--socket", filepath.Join(h.dir, "vna.sock"), "--insecure",
		},
		Log: filepath.Join(h.dir, "vna.log"), Record: filepath.Join(h.dir, "vna.json"), Session: proc.Tied,
	})
	return err
}

// join waits until the hosts have registered, and notes as what.
func (c *cluster) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the hosts have not joined within 30 s"))
	defer cancel()
	return wait.Until(ctx, 20*time.Millisecond, func() error {
		for dp, err := range client.List[model.Datapath](ctx, c.api, nil) {
			if err != nil {
				return err
			}
			for _, h := range c.hosts {
				if h.name == dp.Object.NodeID {
					h.datapath = dp.Object.UUID
				}
			}
		}
		for _, h := range c.hosts {
			if h.datapath == "" {
				return fmt.Errorf("%s has not joined", h.name)
			}
		}
		return nil
	})
}

func (c *cluster) datapaths() []string {
	var uuids []string
	for _, h := range c.hosts {
		uuids = append(uuids, h.datapath)
	}
	return uuids
}

// waiting is the client for writes that are to be applied.
func (c *cluster) waiting() *client.Client { return c.api.With(client.Write{Wait: time.Minute}) }

// apply brings documents to all hosts.
func (c *cluster) apply(ctx context.Context, docs client.Documents) error {
	done, err := c.waiting().Apply(ctx, docs)
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

// sent gives how many OpenFlow messages the agent has sent since it started.
func (h *host) sent(ctx context.Context) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vna"+local.PathStatus, nil)
	if err != nil {
		return 0, err
	}
	resp, err := h.socket.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask the agent of %s: %w", h.name, err)
	}
	defer resp.Body.Close()
	var status local.Status
	err = json.NewDecoder(resp.Body).Decode(&status)
	switch {
	case resp.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("the agent of %s answers %s", h.name, resp.Status)
	case err != nil:
		return 0, fmt.Errorf("the agent of %s answers: %w", h.name, err)
	}
	return status.OpenFlowSent, nil
}

// holds reports an error unless the switches of all hosts have a flow for the MAC address: what is said to be applied must be.
func (c *cluster) holds(ctx context.Context, mac string) error {
	for _, h := range c.hosts {
		flows, err := h.sw.Ofctl(ctx, "dump-flows", bridge, "--no-stats")
		if err != nil {
			return err
		}
		if !strings.Contains(flows, "dl_dst="+mac) {
			return fmt.Errorf("the manager says that it is applied, but the switch of %s has no flow for %s", h.name, mac)
		}
	}
	return nil
}

// stopAgents ends the agents and leaves the switches as they are.
func (c *cluster) stopAgents(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("not within 10 s"))
	defer cancel()
	for _, h := range c.hosts {
		if err := h.agent.Stop(ctx); err != nil {
			return fmt.Errorf("stop the agent of %s: %w", h.name, err)
		}
	}
	return nil
}

// remove ends all processes and deletes the directory.
func (c *cluster) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var errs []error
	end := func(r proc.Record) {
		if r.PID != 0 {
			errs = append(errs, r.Kill(ctx))
		}
	}
	for _, h := range c.hosts {
		end(h.agent)
		errs = append(errs, h.sw.Kill(ctx))
	}
	end(c.manager)
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// logs gives the last lines of what the manager and the agents have logged, for an error.
func (c *cluster) logs() string {
	text := "vnmgr:\n" + ovs.Tail(filepath.Join(c.dir, "vnmgr.log"), 5)
	for _, h := range c.hosts {
		text += "\nvna of " + h.name + ":\n" + ovs.Tail(filepath.Join(h.dir, "vna.log"), 5)
	}
	return text
}
