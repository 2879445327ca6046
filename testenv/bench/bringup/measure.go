package bringup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/bench/cluster"
)

// measure brings a plan up with processes of its own, measures one case, and removes everything.
func measure(ctx context.Context, o Options, p plan, ports bool, say func(format string, args ...any)) (f figures, err error) {
	c, err := cluster.New(o.Bin, o.API, hosts)
	if err != nil {
		return f, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n%s", err, c.Logs())
		}
		err = errors.Join(err, c.Remove(ctx))
	}()
	if err := c.Start(ctx, p.ports); err != nil {
		return f, err
	}
	docs := p.documents(c.Datapaths())
	began := time.Now()
	if err := c.Apply(ctx, docs); err != nil {
		return f, fmt.Errorf("bring up all: %w", err)
	}
	f.bulk = time.Since(began)
	say("all applied after %.0f ms", ms(f.bulk))
	if err := oneMore(ctx, c, p, o, &f); err != nil {
		return f, fmt.Errorf("one more: %w", err)
	}
	say("p50 %.2f ms, p99 %.2f ms of %d, %.1f messages, CPU of agents %.2f ms, manager %.2f, switches %.2f",
		ms(bench.Quantile(f.applied, 0.50)), ms(bench.Quantile(f.applied, 0.99)), len(f.applied), f.perOne.Messages, f.perOne.Agents, f.perOne.Manager, f.perOne.Switches)
	if ports {
		if err := onePort(ctx, c, &f); err != nil {
			return f, fmt.Errorf("one more port: %w", err)
		}
		say("Open vSwitch alone adds a port in %.1f ms", ms(bench.Quantile(f.ports, 0.50)))
	}
	return f, nil
}

// oneMore makes the spares' interfaces and deletes them again, batch by batch, and reads the counters around each making. The first
// batch is not counted.
func oneMore(ctx context.Context, c *cluster.Cluster, p plan, o Options, f *figures) error {
	spares := p.batch()
	var used cluster.Usage
	for warm := false; len(f.applied) < o.Repeats; warm = true {
		made, times, u, err := makeBatch(ctx, c, p, spares, o.Pause)
		if err != nil {
			return err
		}
		if warm {
			f.applied = append(f.applied, times...)
			used = used.Plus(u)
		} else if err := c.Holds(ctx, p.mac(spares[0]).String()); err != nil {
			return err
		}
		for _, uuid := range made {
			if _, err := c.Waiting().Delete(ctx, uuid); err != nil {
				return err
			}
		}
	}
	f.perOne = used.By(len(f.applied))
	if f.perOne.Messages == 0 {
		return errors.New("the agents have sent no OpenFlow message, they say")
	}
	var err error
	f.memory, err = c.Memory()
	return err
}

// makeBatch makes interfaces and gives what that took. What asking for the counters costs is not in it.
func makeBatch(ctx context.Context, c *cluster.Cluster, p plan, ns []int, pause time.Duration) (made []string, times []time.Duration, u cluster.Usage, err error) {
	messages, err := c.Messages(ctx)
	if err != nil {
		return nil, nil, u, err
	}
	cpu, err := c.CPU()
	if err != nil {
		return nil, nil, u, err
	}
	for _, n := range ns {
		select {
		case <-ctx.Done():
			return nil, nil, u, context.Cause(ctx)
		case <-time.After(pause):
		}
		uuid, took, err := create(ctx, c, p.vif(n, c.Hosts[p.host(n)].Datapath))
		if err != nil {
			return nil, nil, u, err
		}
		made, times = append(made, uuid), append(times, took)
	}
	if u, err = c.CPU(); err != nil {
		return nil, nil, u, err
	}
	u.Messages, err = c.Messages(ctx)
	cpu.Messages = messages
	return made, times, u.Minus(cpu), err
}

// create makes one interface and gives the time from the call to the answer that all hosts have it.
func create(ctx context.Context, c *cluster.Cluster, vif client.Params) (uuid string, took time.Duration, err error) {
	api := c.Waiting()
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

// onePort measures what Open vSwitch itself takes to add a port, without agents.
func onePort(ctx context.Context, c *cluster.Cluster, f *figures) error {
	if err := c.StopAgents(ctx); err != nil {
		return err
	}
	for n := range portRepeats {
		sw := c.Hosts[n%hosts].Switch
		began := time.Now()
		if _, err := sw.Vsctl(ctx, "add-port", cluster.Bridge, "extra"); err != nil {
			return err
		}
		f.ports = append(f.ports, time.Since(began))
		if _, err := sw.Vsctl(ctx, "del-port", cluster.Bridge, "extra"); err != nil {
			return err
		}
	}
	return nil
}
