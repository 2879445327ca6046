package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
)

// base wires the hosts by hand: an underlay with all of them, and an overlay above.
func (m *matrix) base(t *testing.T) {
	t.Helper()
	docs := client.Documents{
		"mac_range_groups": {{"uuid": "mrg-matrix"}},
		"mac_ranges": {{
			"uuid": "mr-matrix", "mac_range_group_uuid": "mrg-matrix", "begin_mac_address": "52:56:01:00:00:00", "end_mac_address": "52:56:01:00:ff:ff",
		}},
		"topologies": {
			{"uuid": underlay, "mode": "simple_underlay"},
			{"uuid": overlay, "mode": "simple_overlay"},
		},
		"topology_mac_range_groups": {{"uuid": "tpmrg-matrix", "topology_uuid": underlay, "mac_range_group_uuid": "mrg-matrix"}},
		"topology_layers":           {{"uuid": "tpl-matrix", "overlay_uuid": overlay, "underlay_uuid": underlay}},
	}
	for _, h := range m.lab.Spec().Hosts {
		docs["topology_datapaths"] = append(docs["topology_datapaths"], member(h))
	}
	for n, err := range client.List[model.Network](t.Context(), m.api, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n.Object.IPv4Network == netip.MustParseAddr("172.16.90.0") {
			m.physical = n.Object.UUID
		}
	}
	// A host interface that leaves the bridge's MAC address to one of mode internal.
	m.remove(t, "if-"+own.registered)
	docs["interfaces"] = append(docs["interfaces"], client.Params{
		"uuid": own.uuid, "mode": "host", "owner_datapath_uuid": datapathOf(own.host), "port_name": nic,
		"network_uuid": m.physical, "ipv4_address": own.address, "mac_address": own.mac,
	})
	m.apply(t, docs)
	if _, err := client.Update[model.Network](t.Context(), m.api, m.physical, client.Params{"ipv6_network": "fd90::", "ipv6_prefix": 64}); err != nil {
		t.Fatal(err)
	}
}

// own is the host whose host interface is not that of its registration.
var own = struct{ host, registered, uuid, address, mac string }{"node1", "0000aaaaaaaaaaaa", "if-own", "172.16.90.10", "02:0e:00:00:00:01"}

// member makes a host a member of the underlay, by its host interface.
func member(h lab.Host) client.Params {
	iface := "if-" + h.DPID // as its registration has made it
	if h.Name == own.host {
		iface = own.uuid
	}
	return client.Params{"uuid": "tpd-" + h.Name, "topology_uuid": underlay, "datapath_uuid": datapathOf(h.Name), "interface_uuid": iface}
}

// ready has a guest or machine answer, and ask again soon when nobody says who has an address.
func (m *matrix) ready(t *testing.T, node string) {
	t.Helper()
	m.answer(t, node)
	err := m.lab.Do(node, func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/neigh/eth0/retrans_time_ms", []byte("100"), 0),
			os.WriteFile("/proc/sys/net/ipv6/neigh/eth0/retrans_time_ms", []byte("100"), 0))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// label is what everything of a class bears, so that what a plan does not have any more is deleted.
const label = "matrix=class"

// configure makes the plan the configuration, in one transaction, sets the nodes' addresses, and waits until every host has realised it.
func (m *matrix) configure(t *testing.T, p *plan) { m.configureDespite(t, p, "") }

// configureDespite is configure, where hosts say for that reason that they can do nothing with some of it.
func (m *matrix) configureDespite(t *testing.T, p *plan, reason string) {
	t.Helper()
	done := m.write(t, p, patience)
	for _, i := range done.Items {
		if err := realised(i.Status); err != nil && (reason == "" || !strings.Contains(err.Error(), reason)) {
			t.Errorf("%s: %v", i.UUID, err)
		}
	}
	if !done.Applied {
		t.Errorf("revision %d is not applied everywhere", done.Revision)
	}
	m.lease(t)
}

// everywhere does something at all hosts at a time.
func (m *matrix) everywhere(t *testing.T, do func(h lab.Host) error) {
	t.Helper()
	hosts := m.lab.Spec().Hosts
	errs := make([]error, len(hosts))
	var wg sync.WaitGroup
	for k, h := range hosts {
		wg.Go(func() { errs[k] = do(h) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// write is configure that waits only so long.
func (m *matrix) write(t *testing.T, p *plan, patience time.Duration) *client.Applied {
	t.Helper()
	m.now = p
	for _, n := range m.nodes() {
		if err := m.setAddresses(n, p.nodes[n]); err != nil {
			t.Fatalf("set the addresses of %s: %v", n, err)
		}
	}
	done, err := m.api.With(client.Write{Wait: patience, Prune: label}).Apply(t.Context(), p.documents())
	if err != nil {
		t.Fatalf("%v\n%+v", err, p.documents())
	}
	return done
}

// nodes are all that may have addresses.
func (m *matrix) nodes() []string {
	var names []string
	spec := m.lab.Spec()
	for _, h := range spec.Hosts {
		names = append(names, h.Name)
	}
	for _, g := range spec.Guests {
		names = append(names, g.Name)
	}
	for _, x := range spec.Machines {
		names = append(names, x.Name)
	}
	return names
}

// setAddresses gives a node the addresses and default routes of a plan, and takes others away, but those of a host that its lab has given it.
func (m *matrix) setAddresses(node string, want *addressed) error {
	if want == nil {
		want = &addressed{}
	}
	device, keep := "eth0", map[string]bool{}
	for _, h := range m.lab.Spec().Hosts {
		if h.Name == node {
			device = "br0"
			for _, n := range h.NICs {
				for _, a := range n.Addresses {
					keep[a.String()] = true
				}
			}
		}
	}
	return m.lab.Do(node, func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		have, err := netlink.AddrList(link, unix.AF_UNSPEC)
		if err != nil {
			return err
		}
		for _, a := range have {
			if !a.IP.IsLinkLocalUnicast() && !keep[a.IP.String()] {
				if err := netlink.AddrDel(link, &a); err != nil {
					return err
				}
			}
		}
		for _, p := range want.addresses {
			if want.dhcp && p.Addr().Is4() {
				continue
			}
			a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}, Flags: unix.IFA_F_NODAD}
			if err := netlink.AddrReplace(link, a); err != nil {
				return fmt.Errorf("%v: %w", p, err)
			}
		}
		for _, g := range want.gateways {
			if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: g.AsSlice()}); err != nil {
				return fmt.Errorf("route by %v: %w", g, err)
			}
		}
		return nil
	})
}

// lease has the nodes ask for their IPv4 addresses by DHCP whose plan says so. They get what the plan says, and no answer if it says nothing.
func (m *matrix) lease(t *testing.T) {
	t.Helper()
	var wg sync.WaitGroup
	for node, want := range m.now.nodes {
		if !want.dhcp {
			continue
		}
		wg.Go(func() {
			out, err := m.lab.Exec(t.Context(), node, "env", "RESOLV_CONF="+filepath.Join(m.lab.Dir(node), "resolv.conf"),
				"udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", filepath.Join(m.lab.Dir("scripts"), "dhcp-script.sh"), "-t", "2", "-T", "1", "-A", "1")
			have, _ := m.lab.Exec(t.Context(), node, "ip", "-4", "-o", "addr", "show", "dev", "eth0")
			for _, p := range want.addresses {
				if p.Addr().Is4() {
					if !strings.Contains(have, p.String()) {
						t.Errorf("%s has by DHCP %q (%v), and should have %v", node, have, err, p)
					}
					return
				}
			}
			if err == nil {
				t.Errorf("%s has an answer by DHCP: %s", node, out)
			}
		})
	}
	wg.Wait()
}

// unlearn makes a node forget who has which address.
func (m *matrix) unlearn(node string) error {
	return m.lab.Do(node, func() error {
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			known, err := netlink.NeighList(0, family)
			if err != nil {
				return err
			}
			for _, n := range known {
				if n.State&(unix.NUD_PERMANENT|unix.NUD_NOARP) == 0 {
					_ = netlink.NeighDel(&n) // gone already: all the better
				}
			}
		}
		return nil
	})
}

// forget ends all agents, takes all that they know and have done from disks and switches, configures, and starts them.
func (m *matrix) forget(t *testing.T, p *plan) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m.everywhere(t, func(h lab.Host) error {
		if err := m.lab.Stop(ctx, h.Name, lab.Agent); err != nil {
			return err
		}
		sw, err := m.lab.OVS(h.Name)
		if err != nil {
			return err
		}
		for _, what := range []string{"del-flows", "del-groups", "del-meters"} {
			if _, err := sw.Ofctl(ctx, "-O", "OpenFlow15", what, "br0"); err != nil {
				return err
			}
		}
		pins, _ := filepath.Glob(filepath.Join(m.lab.Dir("bpffs"), h.Name, "*"))
		for _, dir := range append(pins, filepath.Join(m.lab.Dir(h.Name), "vna")) {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
		return nil
	})
	m.write(t, m.plan(class{}), 0)
	m.write(t, p, 0)
	m.everywhere(t, func(h lab.Host) error { return m.lab.Start(ctx, h.Name, lab.Agent) })
	for _, h := range m.lab.Spec().Hosts {
		m.settled(t, h.Name, ofManager)
	}
	m.lease(t)
}
