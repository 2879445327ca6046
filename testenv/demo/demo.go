// Package demo is the demonstration: a lab of three hosts and eight guests in two tenants' networks with the same subnet, configured
// through the Web API, measured with real traffic, and shown as it happens. It fails unless every cell and count is as it
// must be. Imported by cmd/vnlab.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/labs"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Options of a demonstration.
type Options struct {
	Root string    // optional: where labs are kept
	API  string    // optional: where the manager answers
	Bin  string    // optional: directory of vnmgr and vna
	Keep bool      // optional: leave the lab up
	Out  io.Writer // required
	TTY  bool      // optional: colours
}

// Run shows the demonstration; the error says what was not as it must be.
func Run(ctx context.Context, o Options) (err error) {
	d := &demo{o: o, out: &screen{w: o.Out, tty: o.TTY, began: time.Now()}}
	spec, err := lab.Parse(labs.ThreeHosts, "demo")
	if err != nil {
		return err
	}
	d.out.title("A lab: three hosts on two underlays joined by a router, eight guests, nothing configured")
	d.lab, err = lab.Up(ctx, spec, lab.Options{Root: o.Root, API: o.API, Bin: o.Bin, Existing: lab.Replace, Progress: d.out.event})
	if err != nil {
		return err
	}
	defer func() {
		if o.Keep {
			return
		}
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		d.out.step("taking the lab down")
		err = errors.Join(err, d.lab.Down(down))
	}()
	if d.api, err = client.New(client.Options{Server: d.lab.API(), Timeout: 10 * time.Second}); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{d.join, d.configure, d.leases, d.reach, d.forge, d.crash} {
		if err := part(ctx); err != nil {
			d.out.fail(err)
			return err
		}
	}
	d.next()
	return nil
}

// demo is one demonstration under way.
type demo struct {
	o   Options
	out *screen
	lab *lab.Lab
	api *client.Client
}

// tenant is a network with its guests, in the order of their addresses.
type tenant struct {
	name   string
	guests []string
}

// Two tenants; the n-th guest of each has the same address.
var tenants = []tenant{
	{"blue", []string{"vm1", "vm2", "vm3", "vm5"}},
	{"green", []string{"vm7", "vm4", "vm6", "vm8"}},
}

func (t tenant) network() string { return "nw-" + t.name }
func address(n int) string       { return fmt.Sprintf("10.0.0.%d", 11+n) }
func address6(n int) string      { return fmt.Sprintf("fd00::%d", 11+n) }
func iface(guest string) string  { return "if-" + guest }
func (d *demo) spec(guest string) lab.Guest {
	for _, g := range d.lab.Spec().Guests {
		if g.Name == guest {
			return g
		}
	}
	return lab.Guest{} // there is none such: tenants and lab file are both of this project, and a test holds them together
}

// seat is a guest in its tenant; n is its place, which says its address.
type seat struct {
	guest  string
	tenant tenant
	n      int
}

// seats gives all guests.
func seats() []seat {
	var all []seat
	for _, t := range tenants {
		for n, g := range t.guests {
			all = append(all, seat{g, t, n})
		}
	}
	return all
}

// join waits for the manager, and for the agents to register their hosts.
func (d *demo) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the hosts have not joined within 30 s"))
	defer cancel()
	hosts := len(d.lab.Spec().Hosts)
	err := wait.Until(ctx, 50*time.Millisecond, func() error {
		n := 0
		for _, err := range client.List[model.Datapath](ctx, d.api, nil) {
			if err != nil {
				return err
			}
			n++
		}
		if n < hosts {
			return fmt.Errorf("%d of %d hosts have joined", n, hosts)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.out.step("%d hosts have joined the manager by themselves", hosts)
	return nil
}

// configure makes both tenants' networks and guests with one call.
func (d *demo) configure(ctx context.Context) error {
	d.out.title("Two tenants, each a network 10.0.0.0/24 with DHCP, and four guests with the same four addresses: one API call")
	docs := client.Documents{}
	add := func(resource string, p client.Params) { docs[resource] = append(docs[resource], p) }
	for n, t := range tenants {
		add("networks", client.Params{"uuid": t.network(), "display_name": t.name, "ipv4_network": "10.0.0.0", "ipv4_prefix": 24, "ipv6_network": "fd00::", "domain_name": t.name + ".example"})
		add("interfaces", client.Params{"uuid": "if-dhcp" + t.name, "mode": "simulated", "network_uuid": t.network(), "ipv4_address": "10.0.0.1", "mac_address": fmt.Sprintf("02:00:00:00:0%d:fe", n)})
		add("network_services", client.Params{"uuid": "ns-" + t.name, "mode": "dhcp", "interface_uuid": "if-dhcp" + t.name})
	}
	for _, st := range seats() {
		s := d.spec(st.guest)
		add("interfaces", client.Params{"uuid": iface(st.guest), "mode": "vif", "port_name": s.Port, "mac_address": s.MAC.String(), "network_uuid": st.tenant.network(), "ipv4_address": address(st.n), "ipv6_address": address6(st.n)})
	}
	began := time.Now()
	done, err := d.api.With(client.Write{Wait: 20 * time.Second}).Apply(ctx, docs)
	if err != nil {
		return err
	}
	if !done.Applied {
		for _, i := range done.Items {
			for _, h := range i.Status {
				if h.State != model.StateApplied {
					return fmt.Errorf("the configuration is stored but %s is %s on %s: %s", i.UUID, h.State, h.NodeID, h.Reason)
				}
			}
		}
		return errors.New("the configuration is stored but not applied everywhere")
	}
	d.out.step("%d objects stored and in the flows of three hosts after %.0f ms", len(done.Items), ms(time.Since(began)))
	return nil
}

// leases waits for each guest's DHCP client to have got the address that is meant for it.
func (d *demo) leases(ctx context.Context) error {
	d.out.title("The guests' DHCP clients")
	ctx, cancel := context.WithTimeoutCause(ctx, 40*time.Second, errors.New("not all guests have their addresses within 40 s"))
	defer cancel()
	for _, st := range seats() {
		g, t, n := st.guest, st.tenant, st.n
		if _, err := d.lab.Exec(ctx, g, "ip", "-6", "addr", "replace", address6(n)+"/64", "dev", "eth0", "nodad"); err != nil {
			return err
		}
		var out string
		err := wait.Until(ctx, 50*time.Millisecond, func() (err error) {
			if out, err = d.lab.Exec(ctx, g, "ip", "-4", "-o", "addr", "show", "dev", "eth0"); err != nil {
				return err
			}
			if !strings.Contains(out, address(n)+"/24") {
				return fmt.Errorf("%s has not got %s: %q", g, address(n), strings.TrimSpace(out))
			}
			return nil
		})
		if err != nil {
			return err
		}
		s := d.spec(g)
		d.out.step("%s on %s, tenant %s: %s has got %s", g, s.Host, t.name, s.MAC, address(n))
	}
	return nil
}

// next says what to try.
func (d *demo) next() {
	d.out.title("All as it must be.")
	if !d.o.Keep {
		d.out.plain("DEMO_KEEP=1 make demo leaves the lab up. Then try:")
	} else {
		d.out.plain("The lab is up. Try:")
	}
	api := d.lab.API()
	server := ""
	if api != lab.DefaultAPI {
		server = "--server " + api + " "
	}
	for _, c := range []string{
		"bin/vnctl " + server + "interfaces show",
		"bin/vnctl " + server + "interfaces show if-vm1 -o yaml",
		"bin/vnlab exec vm1 -- ping -c 3 " + address(3),
		"bin/vnlab exec node1 -- bin/vnctl host ports",
		"bin/vnlab exec node1 -- bin/vnctl host flows if-vm1",
		"bin/vnlab exec node1 -- bin/vnctl host drops",
		"bin/vnlab exec node1 -- ovs-ofctl -O OpenFlow15 dump-flows br0",
		"bin/vnlab down",
	} {
		d.out.plain("    " + c)
	}
}

func ms(t time.Duration) float64 { return float64(t.Microseconds()) / 1000 }
