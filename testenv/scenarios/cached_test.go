package scenarios

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// What a switch has cached outlives no change. A guest sends from addresses that come, go, and come again. When they go their cached flows become drops,
// and a packet from an address next to them makes a wider drop, which ends when they come again. Open vSwitch 3.1 then leaves those of the narrow drops
// that it looks at before the wider one in its userspace datapath, for as long as the guest sends (dataplane/ovs, Cached and its test).
func TestPrivilegedCached(t *testing.T) {
	s := up(t, threeHosts(t, "sc-cached", func(spec *lab.Spec) {
		spec.Hosts, spec.Machines, spec.Guests = spec.Hosts[:1], nil, []lab.Guest{*guestOf(spec, "vm1"), *guestOf(spec, "vm2")}
	}), lab.StartAgents)
	s.joined(t)
	tn := s.tenant("blue", "vm1", "vm2")
	s.apply(t, documents([]tenant{tn}))
	c := &changing{scene: s, tenant: tn}
	for n := range 24 {
		c.addresses = append(c.addresses, changingAddress(0b1100_0000+n))
	}
	// With this one known, as many bits tell an address next to them from what is known, when they are gone, as tell one far off at any time.
	s.apply(t, client.Documents{"ip_leases": {c.lease(changingAddress(0b1000_0000), "steady=yes")}})
	const rounds = 3 // in which order the switch looks at its flows is random: in each some are left, but for one in 25
	for round := range rounds {
		c.send(t, changingAddress(0b0110_0000)) // its mask is the oldest
		c.write(t, c.addresses)
		c.arrive(t)
		c.write(t, nil)
		c.ceased(t)
		c.send(t, changingAddress(0b1110_1000))
		c.write(t, c.addresses)
		began := time.Now()
		c.arrive(t)
		t.Logf("round %d: all arrive after %v", round, time.Since(began).Round(time.Millisecond))
		c.write(t, nil)
	}
}

// changing is the addresses of a tenant's first guest, from which it sends to the second.
type changing struct {
	*scene
	tenant    tenant
	addresses []netip.Addr
}

func changingAddress(last int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(last)}) }

func (c *changing) lease(a netip.Addr, label string) client.Params {
	g := c.tenant.guests[0]
	return client.Params{
		"uuid": fmt.Sprintf("il-changing%d", a.As4()[3]), "network_uuid": c.tenant.network(), "interface_uuid": g.iface(), "ipv4_address": a, "labels": label,
	}
}

// write makes the addresses those of the guest, in one transaction.
func (c *changing) write(t *testing.T, addresses []netip.Addr) {
	t.Helper()
	const label = "changing=yes"
	leases := []client.Params{} // none is not nothing said
	for _, a := range addresses {
		leases = append(leases, c.lease(a, label))
	}
	done, err := c.api.With(client.Write{Wait: patience, Prune: label}).Apply(t.Context(), client.Documents{"ip_leases": leases})
	if err != nil || !done.Applied {
		t.Fatalf("applied: %+v, %v", done, err)
	}
}

func (c *changing) send(t *testing.T, from netip.Addr) {
	t.Helper()
	g, to := c.tenant.guests[0], c.tenant.guests[1]
	c.scene.send(t, g, udp(t, g.mac, to.mac, netip.AddrPortFrom(from, 7), netip.AddrPortFrom(to.v4(), 9), "from "+from.String()+"."))
}

// arrive sends from all addresses until something has come from each.
func (c *changing) arrive(t *testing.T) {
	t.Helper()
	w := c.watches[c.tenant.guests[1].name]
	mark := w.mark()
	wait.For(t, patience, "packets from all addresses", func() error {
		var missing []netip.Addr
		for _, a := range c.addresses {
			c.send(t, a)
			if w.count(mark, holds("from "+a.String()+".")) == 0 {
				missing = append(missing, a)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("nothing from %v", missing)
		}
		return nil
	})
}

// ceased waits until nothing that the switch has cached passes anything of the addresses, which is before they are all forgotten.
func (c *changing) ceased(t *testing.T) {
	t.Helper()
	wait.For(t, patience, "the cached flows to be drops", func() error {
		for l := range strings.Lines(c.appctl(t, c.lab.Spec().Hosts[0].Name, "dpctl/dump-flows")) {
			for _, a := range c.addresses {
				if strings.Contains(l, "src="+a.String()+",") && !strings.Contains(l, "actions:drop") {
					return errors.New(l)
				}
			}
		}
		return nil
	})
}
