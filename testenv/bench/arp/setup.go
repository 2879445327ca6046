package arp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// The hosts, named as the cases of their guests on a tap.
const (
	caseEBPF       = "ebpf"
	caseFlow       = "flow"
	caseController = "controller"
)

// veth ends the names of the cases of guests on a veth.
const veth = "-veth"

var hostNames = []string{caseEBPF, caseFlow, caseController}

// attachment is a guest: the name of its case, its host, and what its port is.
type attachment struct {
	name, host string
	tap        bool   // a tap, as a virtual machine has, held by the benchmark itself; otherwise a veth to a namespace
	baseline   string // the case it is compared with, "" for a baseline itself
}

var guests = []attachment{
	{name: caseEBPF, host: caseEBPF, tap: true, baseline: caseFlow},
	{name: caseFlow, host: caseFlow, tap: true},
	{name: caseController, host: caseController, tap: true, baseline: caseFlow},
	{name: caseEBPF + veth, host: caseEBPF, baseline: caseFlow + veth},
	{name: caseFlow + veth, host: caseFlow},
	{name: caseController + veth, host: caseController, baseline: caseFlow + veth},
}

// asked is the address that a host's guests ask for: that of another host's.
func asked(host string) netip.Addr {
	if host == caseFlow {
		return address(caseEBPF)
	}
	return address(caseFlow)
}

// address is that of the guest of a case.
func address(name string) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + index(name))})
}

func guest(name string) string { return "vm-" + name }
func port(name string) string  { return fmt.Sprintf("arp%d", index(name)) }
func uuid(name string) string  { return "if-" + strings.ReplaceAll(name, "-", "") }

func index(name string) int {
	return slices.IndexFunc(guests, func(a attachment) bool { return a.name == name })
}

// spec is three hosts, each with a guest on a veth; nothing has to go from host to host.
func spec() lab.Spec {
	s := lab.Spec{Name: "bench-arp"}
	for _, name := range hostNames {
		s.Hosts = append(s.Hosts, lab.Host{Name: name})
		s.Guests = append(s.Guests, lab.Guest{Name: guest(name), Host: name, Port: port(name + veth)})
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
	attachment
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
	if s.controller, err = startController(ctx, sw.Mgmt("br0"), model.MAC{2, 0, 0, 0, 1, 1}); err != nil {
		return err
	}
	for _, a := range guests {
		c, node, open := &subject{attachment: a}, guest(a.host), newAsker
		link := "eth0"
		if a.tap {
			node, open, link = a.host, newTapAsker, port(a.name)
		}
		err := s.lab.Do(node, func() (err error) {
			c.guest, err = open(link, request(s.mac(a), address(a.name), asked(a.host)))
			return err
		})
		if err != nil {
			return err
		}
		s.cases = append(s.cases, c)
		if err := s.plug(ctx, a); err != nil {
			return err
		}
		if err := c.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// plug adds a tap to its host's bridge.
func (s *setup) plug(ctx context.Context, a attachment) error {
	if !a.tap {
		return nil
	}
	sw, err := s.lab.OVS(a.host)
	if err != nil {
		return err
	}
	name := port(a.name)
	_, err = sw.Vsctl(ctx, "add-port", "br0", name, "--", "set", "interface", name, "external_ids:iface-id="+name)
	return err
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
	log, err := os.Create(filepath.Join(dir, "vna.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.agent = exec.Command(filepath.Join(s.o.Bin, "vna"), "--manager", s.lab.ManagerURL(), "--node-id", caseFlow, "--ovsdb", sw.DB(),
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
	for _, a := range guests {
		if a.host == caseController {
			continue
		}
		docs["interfaces"] = append(docs["interfaces"], client.Params{
			"uuid": uuid(a.name), "port_name": port(a.name), "mode": model.InterfaceVIF, "network_uuid": "nw-arp",
			"mac_address": s.mac(a).String(), "ipv4_address": address(a.name).String(),
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

// mac is that of a guest.
func (s *setup) mac(a attachment) model.MAC {
	if a.tap {
		last := address(a.name).As4()[3]
		return model.MAC{2, 0, 0, 0, 1, last}
	}
	for _, g := range s.lab.Spec().Guests {
		if g.Host == a.host {
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
	sent := map[string]uint64{} // by host
	for _, c := range s.cases {
		for _, rounds := range results[c.name].times {
			for _, t := range rounds {
				sent[c.host] += uint64(len(t))
			}
		}
	}
	for _, host := range hostNames {
		err := wait.Until(ctx, 50*time.Millisecond, func() error { // counters of the switch come after the packets
			seen, err := s.seen(ctx, host)
			if err == nil {
				err = plausible(host, sent[host], seen)
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
func plausible(host string, sent, seen uint64) error {
	switch {
	case host == caseEBPF && seen > sent/10+10:
		return fmt.Errorf("the guests of %s asked %d times, and Open vSwitch has seen %d packets: the answers are not those of the eBPF program", host, sent, seen)
	case host != caseEBPF && seen < sent:
		return fmt.Errorf("the guests of %s asked %d times, and Open vSwitch has seen only %d packets", host, sent, seen)
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
