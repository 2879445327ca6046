package bringup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/ovs"
)

// measure brings a plan up with processes of its own, measures one case, and removes everything.
func measure(ctx context.Context, o Options, p plan, ports bool, say func(format string, args ...any)) (f figures, err error) {
	c, err := newCluster(o.Bin, o.API)
	if err != nil {
		return f, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n%s", err, c.logs())
		}
		err = errors.Join(err, c.remove(ctx))
	}()
	if err := c.start(ctx, p); err != nil {
		return f, err
	}
	docs := p.documents(c.datapaths())
	began := time.Now()
	if err := c.apply(ctx, docs); err != nil {
		return f, fmt.Errorf("bring up all: %w", err)
	}
	f.bulk = time.Since(began)
	say("all applied after %.0f ms", ms(f.bulk))
	if err := c.oneMore(ctx, p, o, &f); err != nil {
		return f, fmt.Errorf("one more: %w", err)
	}
	say("p50 %.2f ms, p99 %.2f ms of %d, %.1f messages, CPU of agents %.2f ms, manager %.2f, switches %.2f",
		ms(bench.Quantile(f.applied, 0.50)), ms(bench.Quantile(f.applied, 0.99)), len(f.applied), f.perOne.messages, f.perOne.agents, f.perOne.manager, f.perOne.switches)
	if ports {
		if err := c.onePort(ctx, &f); err != nil {
			return f, fmt.Errorf("one more port: %w", err)
		}
		say("Open vSwitch alone adds a port in %.1f ms", ms(bench.Quantile(f.ports, 0.50)))
	}
	return f, nil
}

// oneMore makes the spares' interfaces and deletes them again, batch by batch, and reads the counters around each making. The first
// batch is not counted.
func (c *cluster) oneMore(ctx context.Context, p plan, o Options, f *figures) error {
	spares := p.batch()
	var used usage
	for warm := false; len(f.applied) < o.Repeats; warm = true {
		made, times, u, err := c.makeBatch(ctx, p, spares, o.Pause)
		if err != nil {
			return err
		}
		if warm {
			f.applied = append(f.applied, times...)
			used = used.plus(u)
		} else if err := c.holds(ctx, p.mac(spares[0]).String()); err != nil {
			return err
		}
		for _, uuid := range made {
			if _, err := c.waiting().Delete(ctx, uuid); err != nil {
				return err
			}
		}
	}
	f.perOne = used.by(len(f.applied))
	if f.perOne.messages == 0 {
		return errors.New("the agents have sent no OpenFlow message, they say")
	}
	return c.memory(&f.memory)
}

// makeBatch makes interfaces and gives what that took. What asking for the counters costs is not in it.
func (c *cluster) makeBatch(ctx context.Context, p plan, ns []int, pause time.Duration) (made []string, times []time.Duration, u usage, err error) {
	messages, err := c.messages(ctx)
	if err != nil {
		return nil, nil, u, err
	}
	cpu, err := c.cpu()
	if err != nil {
		return nil, nil, u, err
	}
	for _, n := range ns {
		select {
		case <-ctx.Done():
			return nil, nil, u, context.Cause(ctx)
		case <-time.After(pause):
		}
		uuid, took, err := c.create(ctx, p.vif(n, c.hosts[p.host(n)].datapath))
		if err != nil {
			return nil, nil, u, err
		}
		made, times = append(made, uuid), append(times, took)
	}
	if u, err = c.cpu(); err != nil {
		return nil, nil, u, err
	}
	u.messages, err = c.messages(ctx)
	cpu.messages = messages
	return made, times, u.minus(cpu), err
}

// create makes one interface and gives the time from the call to the answer that all hosts have it.
func (c *cluster) create(ctx context.Context, vif client.Params) (uuid string, took time.Duration, err error) {
	api := c.waiting()
	began := time.Now()
	i, err := client.Create[model.Interface](ctx, api, vif)
	took = time.Since(began)
	if err != nil {
		return "", 0, err
	}
	applied := 0
	for _, s := range i.Status {
		if s.State == model.StateApplied {
			applied++
		}
	}
	if !i.Applied || applied != hosts {
		return "", 0, fmt.Errorf("%s is applied on %d of %d hosts: %v", i.Object.UUID, applied, hosts, i.Status)
	}
	return i.Object.UUID, took, nil
}

// messages gives how many OpenFlow messages all agents have sent so far.
func (c *cluster) messages(ctx context.Context) (float64, error) {
	sum := 0.0
	for _, h := range c.hosts {
		n, err := h.sent(ctx)
		if err != nil {
			return 0, err
		}
		sum += float64(n)
	}
	return sum, nil
}

// cpu gives the CPU times so far.
func (c *cluster) cpu() (usage, error) {
	var u usage
	for _, h := range c.hosts {
		t, err := cpuTime(h.agent.PID)
		if err != nil {
			return u, err
		}
		u.agents += ms(t)
		r, err := h.sw.Record(ovs.Switch)
		if err != nil {
			return u, err
		}
		if t, err = cpuTime(r.PID); err != nil {
			return u, err
		}
		u.switches += ms(t)
	}
	t, err := cpuTime(c.manager.PID)
	u.manager = ms(t)
	return u, err
}

func (c *cluster) memory(m *memory) (err error) {
	for _, h := range c.hosts {
		mib, err := resident(h.agent.PID)
		if err != nil {
			return err
		}
		m.agent = max(m.agent, mib)
	}
	m.manager, err = resident(c.manager.PID)
	return err
}

// onePort measures what Open vSwitch itself takes to add a port, without agents.
func (c *cluster) onePort(ctx context.Context, f *figures) error {
	if err := c.stopAgents(ctx); err != nil {
		return err
	}
	for n := range portRepeats {
		sw := c.hosts[n%hosts].sw
		began := time.Now()
		if _, err := sw.Vsctl(ctx, "add-port", bridge, "extra"); err != nil {
			return err
		}
		f.ports = append(f.ports, time.Since(began))
		if _, err := sw.Vsctl(ctx, "del-port", bridge, "extra"); err != nil {
			return err
		}
	}
	return nil
}
