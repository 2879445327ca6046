package scenarios

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Without encapsulation broadcasts go between hosts to addresses that nobody sends from. The hosts announce them, and those of guests that have not sent anything: the switch
// between them knows where they are, and what is for them comes to nobody else; after a link was lost too.
func TestPrivilegedAnnounced(t *testing.T) {
	s := up(t, threeHosts(t, "sc-announce", nil), lab.StartAgents)
	s.joined(t)
	tn := s.tenant("blue", "vm1", "vm3")
	from, to := tn.guests[0], tn.guests[1]
	stands := map[string]model.MAC{"node1": {2, 9, 0, 0, 0, 1}, "node2": {2, 9, 0, 0, 0, 2}}
	docs := documents([]tenant{tn})
	docs["topologies"] = []client.Params{{"uuid": model.DefaultTopology, "mac2mac": true}}
	for _, h := range s.lab.Spec().Hosts {
		if m, ok := stands[h.Name]; ok {
			docs["datapath_networks"] = append(docs["datapath_networks"], client.Params{
				"uuid": "dpn-" + h.Name, "datapath_uuid": datapathOf(h.Name), "network_uuid": tn.network(), "interface_uuid": "if-" + h.DPID, "mac_address": m,
			})
		}
	}
	docs["interfaces"] = slices.DeleteFunc(docs["interfaces"], func(p client.Params) bool { return p["uuid"] == tn.server() })
	delete(docs, "network_services")
	for _, g := range tn.guests { // they are silent
		s.kill(t, g.name, lab.DHCPClient)
	}
	outside := watchGuest(t, s.lab, "outside")
	mark := outside.mark()
	s.apply(t, docs)
	for h, g := range map[string]guest{"node1": from, "node2": to} {
		s.isAt(t, stands[h], h)
		s.isAt(t, g.mac, h)
	}
	announces := func(m model.MAC) func([]byte) bool {
		return func(f []byte) bool { return model.MAC(f[:6]) == model.AnnouncementGroup() && model.MAC(f[6:12]) == m }
	}
	outside.await(t, patience, "what the switch learns from", mark, announces(stands["node2"]))
	for _, h := range []string{"node1", "node2"} {
		wait.For(t, patience, "the announcements to end at "+h, func() error {
			if n := s.drops(t, h)[counter{"flow", "announcement"}]; n == 0 {
				return errors.New("none has")
			}
			return nil
		})
	}
	if cs, err := ask[[]local.Counter](s, "node1", local.PathCounters+"?object="+tn.network()); err != nil || len(cs) != 1 || cs[0].What != "announced" || cs[0].Packets == 0 {
		t.Errorf("counted: %+v, %v", cs, err)
	}

	forOther := func(f []byte) bool { m := model.MAC(f[:6]); return m == stands["node2"] || m == to.mac }
	send := func(text string) {
		t.Helper()
		s.send(t, from,
			udp(t, from.mac, broadcast, at(from.v4(), 1), at(subnet4.Addr().Next(), 2), text),
			udp(t, from.mac, to.mac, at(from.v4(), 1), at(to.v4(), 2), text))
	}
	arrive := func(text string, at *watch, mark int) {
		t.Helper()
		wait.For(t, patience, text, func() error {
			if n := at.count(mark, holds(text)); n != 2 {
				return fmt.Errorf("%d frames have arrived, not a broadcast and a unicast", n)
			}
			return nil
		})
	}
	mark = outside.mark()
	there := s.watches[to.name].mark()
	send("to one port")
	arrive("to one port", s.watches[to.name], there)
	if n := outside.count(mark, forOther); n > 0 {
		t.Errorf("%d frames for the other host have come to a third", n)
	}

	// Without link the switch forgets: it floods then.
	s.link(t, "node2", (*netlink.Handle).LinkSetDown)
	mark = outside.mark()
	send("to whom it may concern")
	arrive("to whom it may concern", outside, mark)
	s.link(t, "node2", (*netlink.Handle).LinkSetUp)
	s.isAt(t, stands["node2"], "node2")
	s.isAt(t, to.mac, "node2")
	mark, there = outside.mark(), s.watches[to.name].mark()
	send("to one port again")
	arrive("to one port again", s.watches[to.name], there)
	if n := outside.count(mark, forOther); n > 0 {
		t.Errorf("%d frames for the other host have come to a third after the link was lost", n)
	}
}

// switched works on underlay a's bridge, in its namespace.
func (s *scene) switched(t *testing.T, do func(*netlink.Handle) error) {
	t.Helper()
	ns, err := netns.Open("vl" + s.lab.Tag() + "..net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := ns.Link(do); err != nil {
		t.Fatal(err)
	}
}

// switchPort is the name of the bridge's port to a host.
func switchPort(host string) string { return host + "." + nic }

// link changes the switch's link to a host.
func (s *scene) link(t *testing.T, host string, set func(*netlink.Handle, netlink.Link) error) {
	t.Helper()
	s.switched(t, func(h *netlink.Handle) error {
		l, err := h.LinkByName(switchPort(host))
		if err != nil {
			return err
		}
		return set(h, l)
	})
}

// isAt waits until the switch knows an address at the port to a host.
func (s *scene) isAt(t *testing.T, mac model.MAC, host string) {
	t.Helper()
	wait.For(t, patience, fmt.Sprintf("the switch to know %s at %s", mac, host), func() error {
		var known []string
		found := false
		s.switched(t, func(h *netlink.Handle) error {
			port, err := h.LinkByName(switchPort(host))
			if err != nil {
				return err
			}
			entries, err := h.NeighList(0, unix.AF_BRIDGE)
			for _, e := range entries {
				known = append(known, fmt.Sprintf("%s at %d", e.HardwareAddr, e.LinkIndex))
				found = found || slices.Equal(e.HardwareAddr, net.HardwareAddr(mac[:])) && e.LinkIndex == port.Attrs().Index
			}
			return err
		})
		if !found {
			return errors.New("it knows " + strings.Join(known, ", "))
		}
		return nil
	})
}
