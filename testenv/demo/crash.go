package demo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// forge lets a guest send from an address that is not its own, and shows that nothing arrives.
func (d *demo) forge(ctx context.Context) error {
	d.out.title("A guest that forges its address")
	from, to := tenants[0].guests[0], tenants[0].guests[1]
	const forged = "10.0.0.99"
	if _, err := d.lab.Exec(ctx, from, "ip", "addr", "add", forged+"/24", "dev", "eth0"); err != nil {
		return err
	}
	before, err := d.count(to, "IcmpMsg InType8")
	if err != nil {
		return err
	}
	_, _ = d.lab.Exec(ctx, from, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "1", "-I", forged, address(1)) // fails: that is the point
	after, err := d.count(to, "IcmpMsg InType8")
	if err != nil {
		return err
	}
	if _, err := d.lab.Exec(ctx, from, "ip", "addr", "del", forged+"/24", "dev", "eth0"); err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("%d forged packets of %s arrived at %s", after-before, from, to)
	}
	d.out.step("%s sends from %s: nothing arrives at %s; its host counts why (vnctl host drops)", from, forged, to)
	return nil
}

// pause lets a time pass that the people who watch are meant to see.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

var pingLoss = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)

// crash kills and restarts the agent of a host and the manager under traffic through that host, and counts what was lost.
func (d *demo) crash(ctx context.Context) error {
	d.out.title("kill -9 under traffic (ping every 10 ms from vm1 on node1 to vm5 on node3)")
	for _, c := range []struct {
		what    string
		node    string
		process lab.Component
	}{
		{"the agent of node1", "node1", lab.Agent},
		{"the manager", "vnmgr", lab.Manager},
	} {
		result := make(chan error, 1)
		var sent, received int
		go func() {
			out, err := d.lab.Exec(ctx, "vm1", "ping", "-n", "-q", "-i", "0.01", "-c", "400", "-W", "1", address(3))
			m := pingLoss.FindStringSubmatch(out)
			if m == nil {
				result <- errors.Join(fmt.Errorf("ping said %q", out), err)
				return
			}
			sent, _ = strconv.Atoi(m[1])
			received, _ = strconv.Atoi(m[2])
			result <- nil
		}()
		pause(ctx, time.Second) // traffic first; a demonstration may take its time
		if err := d.lab.Kill(ctx, c.node, c.process); err != nil {
			return err
		}
		d.out.step("%s is dead", c.what)
		pause(ctx, time.Second)
		if err := d.lab.Start(ctx, c.node, c.process); err != nil {
			return err
		}
		if err := <-result; err != nil {
			return err
		}
		if sent != received {
			return fmt.Errorf("%d of %d packets lost while %s was killed and started again", sent-received, sent, c.what)
		}
		d.out.step("started again: %s", d.out.colour(green, fmt.Sprintf("%d of %d packets lost", sent-received, sent)))
	}
	// And it still takes orders.
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("the hosts have not come back within 20 s"))
	defer cancel()
	began := time.Now()
	err := wait.Until(ctx, 50*time.Millisecond, func() error {
		i, err := client.Update[model.Interface](ctx, d.api.With(client.Write{Wait: 2 * time.Second}), iface("vm1"), client.Params{"display_name": "after the crash"})
		if err != nil {
			return err
		}
		for _, s := range i.Status {
			if s.State != model.StateApplied {
				return fmt.Errorf("%s is %s on %s: %s", i.Object.UUID, s.State, s.NodeID, s.Reason)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.out.step("a change is applied on all hosts again (%.0f ms)", ms(time.Since(began)))
	return nil
}
