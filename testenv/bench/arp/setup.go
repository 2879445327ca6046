package arp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/wait"
)

// The cases, which are also the names of the hosts.
const (
	caseEBPF       = "ebpf"
	caseFlow       = "flow"
	caseController = "controller"
)

var caseNames = []string{caseEBPF, caseFlow, caseController}

// asked is the address that a guest asks for: another guest's, of the same network.
func asked(name string) netip.Addr {
	if name == caseFlow {
		return address(caseEBPF)
	}
	return address(caseFlow)
}

// address is that of the guest of a host.
func address(name string) netip.Addr {
	for n, c := range caseNames {
		if c == name {
			return netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + n)})
		}
	}
	return netip.Addr{}
}

func guest(name string) string { return "vm-" + name }
func port(name string) string  { return "if-" + name }

// spec is one host a case, each with one guest; nothing has to go from host to host.
func spec() lab.Spec {
	s := lab.Spec{Name: "bench-arp"}
	for _, name := range caseNames {
		s.Hosts = append(s.Hosts, lab.Host{Name: name})
		s.Guests = append(s.Guests, lab.Guest{Name: guest(name), Host: name, Port: port(name)})
	}
	return s
}

// setup is the lab with what answers in it.
type setup struct {
	lab        *lab.Lab
	o          Options
	cases      []*subject
	controller *controller
	agent      *exec.Cmd // of the host without fast path
}

// subject is one case.
type subject struct {
	name  string
	guest *asker
}

// start starts what answers, and returns when all guests are answered.
func (s *setup) start(ctx context.Context) error {
	if err := s.lab.Start(ctx, string(lab.Manager), lab.Manager); err != nil {
		return err
	}
	if err := s.lab.Start(ctx, caseEBPF, lab.Agent); err != nil {
		return err
	}
	if err := s.startPlainAgent(); err != nil {
		return err
	}
	if err := s.configure(ctx); err != nil {
		return err
	}
	sw, err := s.lab.OVS(caseController)
	if err != nil {
		return err
	}
	if s.controller, err = startController(ctx, sw.Mgmt("br0"), s.mac(caseFlow)); err != nil {
		return err
	}
	for _, name := range caseNames {
		c := &subject{name: name}
		err := s.lab.Do(guest(name), func() (err error) {
			c.guest, err = newAsker("eth0", request(s.mac(name), address(name), asked(name)))
			return err
		})
		if err != nil {
			return err
		}
		s.cases = append(s.cases, c)
		if err := c.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until the guest is answered.
func (c *subject) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("not answered within 10 s"))
	defer cancel()
	err := wait.Until(ctx, 0, func() error {
		times, _, err := c.guest.roundTrips(ctx, asleep, 1, time.Second)
		if err == nil && len(times) == 0 {
			err = errors.New("no answer")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("guest of %s: %w", c.name, err)
	}
	return nil
}

// startPlainAgent starts the agent of the host without fast path, which a lab does not do by itself. It ends with the lab.
func (s *setup) startPlainAgent() error {
	dir := s.lab.Dir(caseFlow)
	sw, err := s.lab.OVS(caseFlow)
	if err != nil {
		return err
	}
	bin := s.o.Bin
	if bin == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find vna: %w", err)
		}
		bin = filepath.Dir(self)
	}
	log, err := os.Create(filepath.Join(dir, "vna.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.agent = exec.Command(filepath.Join(bin, "vna"), "--manager", s.lab.ManagerURL(), "--node-id", caseFlow, "--ovsdb", sw.DB(),
		"--state-dir", filepath.Join(dir, "vna"), "--socket", filepath.Join(dir, "vna.sock"), "--insecure")
	s.agent.Stdout, s.agent.Stderr = log, log
	if err := s.lab.StartAt(caseFlow, s.agent); err != nil {
		s.agent = nil
		return fmt.Errorf("start the agent without fast path: %w", err)
	}
	return nil
}

// configure makes one network with the guests of the two hosts that have agents.
func (s *setup) configure(ctx context.Context) error {
	c, err := client.New(client.Options{Server: s.lab.API(), Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	hosts := []string{caseEBPF, caseFlow}
	joinCtx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the hosts have not joined within 30 s"))
	defer cancel()
	err = wait.Until(joinCtx, 20*time.Millisecond, func() error {
		page, err := c.Page(joinCtx, model.Datapaths.Plural, nil, 0, 1)
		if err == nil && page.TotalCount < len(hosts) {
			err = fmt.Errorf("%d of %d hosts have joined", page.TotalCount, len(hosts))
		}
		return err
	})
	if err != nil {
		return err
	}
	docs := client.Documents{"networks": {{"uuid": "nw-arp", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24}}}
	for _, h := range hosts {
		docs["interfaces"] = append(docs["interfaces"], client.Params{
			"uuid": port(h), "mode": model.InterfaceVIF, "network_uuid": "nw-arp",
			"mac_address": s.mac(h).String(), "ipv4_address": address(h).String(),
		})
	}
	done, err := c.With(client.Write{Wait: 20 * time.Second}).Apply(ctx, docs)
	if err != nil {
		return fmt.Errorf("configure the network: %w", err)
	}
	if !done.Applied {
		return fmt.Errorf("the network is not applied on both hosts: %s", done.Body)
	}
	return nil
}

// mac is that of the guest of a host.
func (s *setup) mac(name string) model.MAC {
	for _, g := range s.lab.Spec().Guests {
		if g.Host == name {
			return g.MAC
		}
	}
	return model.MAC{}
}

// check reports an error unless every answer came from where the case says: Open vSwitch has seen the requests of the cases flow and
// controller, and next to none of those that eBPF answered.
func (s *setup) check(ctx context.Context, results map[string]*result) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Second, errors.New("not within 5 s"))
	defer cancel()
	for _, c := range s.cases {
		sent := uint64(0)
		for _, rounds := range results[c.name].times {
			for _, t := range rounds {
				sent += uint64(len(t))
			}
		}
		err := wait.Until(ctx, 50*time.Millisecond, func() error { // counters of the switch come after the packets
			seen, err := s.seen(ctx, c.name)
			if err == nil {
				err = plausible(c.name, sent, seen)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// plausible compares what was asked with what the switch has seen, for check.
func plausible(name string, sent, seen uint64) error {
	switch {
	case name == caseEBPF && seen > sent/10+10:
		return fmt.Errorf("the guest of %s asked %d times, and Open vSwitch has seen %d packets: the answers are not those of the eBPF program", name, sent, seen)
	case name != caseEBPF && seen < sent:
		return fmt.Errorf("the guest of %s asked %d times, and Open vSwitch has seen only %d packets", name, sent, seen)
	}
	return nil
}

// seen gives how many packets the flow that saw most of them has counted in a host's switch.
func (s *setup) seen(ctx context.Context, host string) (uint64, error) {
	sw, err := s.lab.OVS(host)
	if err != nil {
		return 0, err
	}
	c, err := conn.Dial(ctx, sw.Mgmt("br0"), conn.Options{})
	if err != nil {
		return 0, fmt.Errorf("connect to the switch of %s: %w", host, err)
	}
	session, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(session) }() // its error is that of the dump
	defer func() { end(); <-done }()
	flows, err := c.DumpFlowStats(ctx, conn.FlowFilter{})
	if err != nil {
		return 0, fmt.Errorf("read the flows of %s: %w", host, err)
	}
	most := uint64(0)
	for _, f := range flows {
		most = max(most, f.Packets)
	}
	return most, nil
}

// logs gives the last lines of what the manager and the agents have logged, for an error.
func (s *setup) logs() string {
	text := "vnmgr:\n" + ovs.Tail(s.lab.Log(string(lab.Manager), lab.Manager), 10)
	for _, h := range []string{caseEBPF, caseFlow} {
		text += "\nvna of " + h + ":\n" + ovs.Tail(s.lab.Log(h, lab.Agent), 10)
	}
	return text
}

// close ends what does not end with the lab.
func (s *setup) close() {
	if s.controller != nil {
		s.controller.close()
	}
	for _, c := range s.cases {
		_ = c.guest.close() // a socket that nobody reads any more
	}
	if s.agent != nil {
		_ = s.agent.Process.Kill() // gone already: all the better
		_ = s.agent.Wait()         // that it was killed is no news
	}
}
