package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/fastpath"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// crashes kills and restarts the agent and the manager under traffic between hosts, which must not notice, and then the switch, whose flows
// must come back by themselves.
func (s *scene) crashes(t *testing.T, tn tenant) {
	const host = "node1"
	from, to := tn.guests[0], tn.guests[3]
	for _, c := range []struct {
		what      string
		node      string
		component lab.Component
		end       func(*testing.T, string, lab.Component)
	}{
		{"SIGKILL of vna", host, lab.Agent, s.kill},
		{"restart of vna", host, lab.Agent, s.stop},
		{"SIGKILL of vnmgr", "vnmgr", lab.Manager, s.kill},
		{"restart of vnmgr", "vnmgr", lab.Manager, s.stop},
	} {
		st := s.stream(t, from, to.v4())
		st.carry(t, 20)
		c.end(t, c.node, c.component)
		st.carry(t, 30)
		s.start(t, c.node, c.component)
		if c.component == lab.Agent {
			s.settled(t, host, ofManager)
		} else {
			s.answering(t)
			s.takesOrders(t, from)
		}
		st.carry(t, 20)
		st.lossless(t, c.what)
	}
	s.restartSwitch(t, host, from, to)
}

// restartSwitch kills the switch of a host and starts it again. The flows must be back soon after it answers.
func (s *scene) restartSwitch(t *testing.T, host string, from, to guest) {
	sw, err := s.lab.OVS(host)
	if err != nil {
		t.Fatal(err)
	}
	before, err := flows(t.Context(), sw.Mgmt("br0"))
	if err != nil {
		t.Fatal(err)
	}
	st := s.stream(t, from, to.v4())
	st.carry(t, 20)
	s.kill(t, host, lab.Switch)
	gone := time.Now()
	type comeback struct {
		answers, complete time.Time
		err               error
	}
	back := make(chan comeback, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		var c comeback
		c.err = wait.Until(ctx, time.Millisecond, func() error {
			look, cancel := context.WithTimeout(ctx, wait.Scaled(time.Second)) // a daemon that is just starting may take a connection and never answer
			defer cancel()
			now, err := flows(look, sw.Mgmt("br0"))
			if err != nil {
				return err
			}
			if c.answers.IsZero() {
				c.answers = time.Now()
			}
			if !maps.Equal(before, now) {
				return fmt.Errorf("%d flows, before there were %d", len(now), len(before))
			}
			c.complete = time.Now()
			return nil
		})
		back <- c
	}()
	s.start(t, host, lab.Switch)
	provisioned := time.Now()
	c := <-back
	if c.err != nil {
		t.Fatalf("the flows of %s have not come back: %v", host, c.err)
	}
	st.carry(t, 20)
	took := c.complete.Sub(c.answers)
	t.Logf("restart of ovs-vswitchd: it answers %v after its end, its %d flows are back %v later (goal 500 ms), the host is provisioned after %v; %v",
		c.answers.Sub(gone).Round(time.Millisecond), len(before), took.Round(time.Millisecond), provisioned.Sub(gone).Round(time.Millisecond), st.end())
	if took > wait.Scaled(5*time.Second) {
		t.Errorf("the flows of %s came back %v after the switch", host, took)
	}
	s.takesOrders(t, from)
}

// flows gives what a switch has, with the cookies, that say whether it is current.
func flows(ctx context.Context, target string) (map[flow.Key]uint64, error) {
	c, err := conn.Dial(ctx, target, conn.Options{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	list, err := c.DumpFlows(ctx, conn.FlowFilter{})
	if err != nil {
		return nil, err
	}
	set := map[flow.Key]uint64{}
	for _, f := range list {
		set[f.Key()] = f.Cookie
	}
	return set, nil
}

// absence is how long the manager is away in noManager.
const absence = time.Minute

// noManager takes the manager away for a while: hosts go on serving by themselves, also one whose agent is killed and started meanwhile; and
// without an agent the fast path still answers.
func (s *scene) noManager(t *testing.T, tenants []tenant) {
	from, to := tenants[0].guests[0], tenants[0].guests[3] // on node1 and node3
	st := s.stream(t, from, to.v4())
	st.carry(t, 20)
	over := time.After(absence)
	s.kill(t, "vnmgr", lab.Manager)

	t.Run("DHCP and ARP", func(t *testing.T) {
		for _, g := range []guest{tenants[0].guests[1], tenants[1].guests[1]} { // on node1 and node2
			s.renew(t, g)
			s.freshNeighbors(t, g, from)
		}
	})
	t.Run("the fast path alone", func(t *testing.T) {
		s.kill(t, "node3", lab.Agent)
		asker, asked := tenants[1].guests[3], tenants[1].guests[0] // on node3 and node1
		before := s.answered(t, "node3", bpf.AnswerARP)
		mac := s.whoHas(t, asker, asked)
		if mac != asked.mac {
			t.Errorf("%s is said to be at %s, not at %s", asked.v4(), mac, asked.mac)
		}
		if after := s.answered(t, "node3", bpf.AnswerARP); after != before+1 {
			t.Errorf("the fast path has answered %d times more, want once", after-before)
		}
	})
	t.Run("an agent from its disk", func(t *testing.T) {
		s.start(t, "node3", lab.Agent)
		s.settled(t, "node3", ofDisk)
		g := tenants[1].guests[2]
		s.renew(t, g)
		s.freshNeighbors(t, g, tenants[1].guests[0])
	})
	select {
	case <-over:
	case <-t.Context().Done():
	}
	s.start(t, "vnmgr", lab.Manager)
	s.answering(t)
	for _, h := range s.lab.Spec().Hosts {
		s.settled(t, h.Name, ofManager)
	}
	s.takesOrders(t, from)
	st.carry(t, 20)
	st.lossless(t, fmt.Sprintf("%v without vnmgr, some of it without vna of node3", absence))
}

// freshNeighbors makes a guest forget who is where; it finds the other again, at both addresses.
func (s *scene) freshNeighbors(t *testing.T, from, to guest) {
	t.Helper()
	s.exec(t, from.name, "ip", "neigh", "flush", "dev", "eth0")
	if err := errors.Join(s.ping(from, to.v4()), s.ping(from, to.v6())); err != nil {
		t.Errorf("%s to %s with no neighbours: %v", from, to, err)
	}
}

// answered gives how often the fast path of a host has answered ARP, whether an agent runs or not.
func (s *scene) answered(t *testing.T, host string, what bpf.Reason) uint64 {
	t.Helper()
	r, err := fastpath.OpenReadOnly(s.lab.Dir("bpffs/" + host))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	counters, err := r.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counters {
		if c.Reason == what {
			return c.Frames
		}
	}
	t.Fatal("there is no counter of answers")
	return 0
}
