package scenarios

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
)

// The agents run before there is any configuration. Two tenants with the same subnets and addresses then get all within the tenant and
// nothing of the other; what guests forge gets nowhere; bad input changes nothing.
func TestPrivilegedAgentsFirst(t *testing.T) {
	s := up(t, threeHosts(t, "sc-first", nil), lab.StartAgents)
	s.joined(t)
	tenants := s.twoTenants()
	s.apply(t, documents(tenants))
	s.addressed(t, all(tenants)...)
	for _, g := range all(tenants) {
		s.serve(t, g)
	}
	t.Run("together", func(t *testing.T) {
		for _, tn := range tenants {
			s.together(t, tn)
		}
	})
	t.Run("flooded", func(t *testing.T) {
		for _, tn := range tenants {
			s.flooded(t, tn)
		}
	})
	t.Run("intruded", func(t *testing.T) { s.intrude(t, tenants) })
	t.Run("forged", func(t *testing.T) { s.forge(t, tenants[0]) })
	t.Run("lying DHCP packets", func(t *testing.T) { s.lyingDHCP(t, tenants[0].guests[0]) })
	t.Run("metadata", func(t *testing.T) { s.metadata(t, tenants) })
	t.Run("bad requests", func(t *testing.T) { s.badRequests(t, tenants[0]) })
	for _, tn := range tenants {
		s.together(t, tn) // whatever was let in before has arrived by now
	}
	s.apart(t, tenants)
}

// The configuration is there before any agent: hosts register themselves as they come, and interfaces are found by their ports, also those
// of guests that are plugged in last.
func TestPrivilegedConfigurationFirst(t *testing.T) {
	spec := threeHosts(t, "sc-second", func(spec *lab.Spec) {
		for _, late := range []string{"vm3", "vm8"} {
			guestOf(spec, late).Host = ""
		}
		known := guestOf(spec, "vm6") // as libvirt plugs guests in
		known.Port, known.IfaceID = "tap6", "if-vm6"
	})
	s := up(t, spec, lab.NoAgents)
	tenants := s.twoTenants()
	docs := documents(tenants)
	for _, i := range docs["interfaces"] {
		if i["uuid"] == "if-vm6" {
			delete(i, "port_name")
		}
	}
	for resource, more := range metadataDocuments(tenants) {
		docs[resource] = append(docs[resource], more...)
	}
	s.start(t, "vnmgr", lab.Manager)
	s.answering(t)
	s.apply(t, docs)
	for _, h := range spec.Hosts {
		s.start(t, h.Name, lab.Agent)
	}
	s.joined(t)
	late := map[string]string{"vm3": "node2", "vm8": "node3"}
	var early []guest
	for _, g := range all(tenants) {
		if late[g.name] == "" {
			early = append(early, g)
		}
	}
	s.addressed(t, early...)
	for name, host := range late {
		if err := s.lab.Attach(t.Context(), name, host); err != nil {
			t.Fatal(err)
		}
	}
	s.addressed(t, all(tenants)...)
	for _, g := range all(tenants) {
		s.serve(t, g)
		s.located(t, g)
	}
	for _, tn := range tenants {
		s.together(t, tn)
		s.flooded(t, tn)
	}
	s.intrude(t, tenants)
	t.Run("metadata", func(t *testing.T) { s.metadata(t, tenants) })
	t.Run("cloud-init", func(t *testing.T) { s.cloudInit(t, tenants[0].guests[0]) })
	t.Run("crashes", func(t *testing.T) { s.crashes(t, tenants[0]) })
	t.Run("no manager", func(t *testing.T) { s.noManager(t, tenants) })
	for _, tn := range tenants {
		s.together(t, tn)
	}
	s.apart(t, tenants)
}

// located fails the test unless the guest's interface is applied everywhere, and concerns the host where the guest is.
func (s *scene) located(t *testing.T, g guest) {
	t.Helper()
	i, err := client.Get[model.Interface](t.Context(), s.api, g.iface())
	if err != nil {
		t.Fatal(err)
	}
	if err := realised(i.Status); err != nil || len(i.Status) != len(s.lab.Spec().Hosts) {
		t.Errorf("%s concerns %d hosts; %v", g.iface(), len(i.Status), err)
	}
}

// flooded shows that broadcast and multicast of each guest come to all others of its tenant, once, and not back. That they come to
// nobody else shows in apart.
func (s *scene) flooded(t *testing.T, tn tenant) {
	t.Helper()
	for _, from := range tn.guests {
		text := fmt.Sprintf("from %s to all, ", from)
		marks := map[string]int{}
		for _, to := range tn.guests {
			marks[to.name] = s.watches[to.name].mark()
		}
		s.send(t, from,
			udp(t, from.mac, broadcast, at(from.v4(), 1), at(netip.MustParseAddr("10.0.0.255"), 2), text+"4."),
			udp(t, from.mac, model.MAC{0x33, 0x33, 0, 0, 0, 1}, at(from.v6(), 1), at(netip.MustParseAddr("ff02::1"), 2), text+"6."))
		for _, to := range tn.guests {
			w, mark := s.watches[to.name], marks[to.name]
			for _, family := range []string{"4.", "6."} {
				if to.name != from.name {
					w.await(t, patience, fmt.Sprintf("broadcast of %s at %s", from, to), mark, holds(text+family))
				}
			}
		}
		defer func() { // when everything has arrived
			for _, to := range tn.guests {
				want := 2
				if to.name == from.name {
					want = 0
				}
				if n := s.watches[to.name].count(marks[to.name], holds(text)); n != want {
					t.Errorf("%d frames of two broadcasts of %s came to %s, want %d", n, from, to, want)
				}
			}
		}()
	}
}

func at(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// intrude lets every guest send to every guest of other tenants, at its hardware address and with its own addresses, and ask for it by
// ARP and ND. That nothing arrives shows in apart; that the asker gets only its own tenant's answers too.
func (s *scene) intrude(t *testing.T, tenants []tenant) {
	t.Helper()
	for _, from := range all(tenants) {
		for _, to := range all(tenants) {
			if from.tenant == to.tenant {
				continue
			}
			text := fmt.Sprintf("from %s to %s of another tenant", from, to)
			group, groupMAC := solicited(to.v6())
			s.send(t, from,
				udp(t, from.mac, to.mac, at(from.v4(), 1), at(to.v4(), echoPort), text),
				udp(t, from.mac, to.mac, at(from.v6(), 1), at(to.v6(), echoPort), text),
				arp(t, from.mac, broadcast, 1, from.mac, from.v4(), model.MAC{}, to.v4()),
				arp(t, from.mac, to.mac, 1, from.mac, from.v4(), model.MAC{}, to.v4()),
				arp(t, from.mac, to.mac, 2, from.mac, from.v4(), to.mac, to.v4()),
				nd{from.mac, groupMAC, from.v6(), group, to.v6(), from.mac}.solicitation(t),
				nd{from.mac, to.mac, from.v6(), to.v6(), to.v6(), from.mac}.solicitation(t),
				nd{from.mac, to.mac, from.v6(), to.v6(), from.v6(), from.mac}.advertisement(t),
			)
		}
	}
}
