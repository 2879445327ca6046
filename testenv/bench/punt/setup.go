package punt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/dataplane/fastpath"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/flood"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// The guests: who asks, who answers on the same host and on another, and who floods.
const (
	asker   = "asker"
	near    = "near"
	far     = "far"
	flooder = "flooder"
)

var guests = []string{asker, near, far, flooder}

const (
	hostNear = "h1"
	hostFar  = "h2"
)

var (
	network4 = netip.MustParsePrefix("10.77.0.0/24")
	network6 = netip.MustParsePrefix("fd77::/64")
	nobody   = netip.MustParseAddr("10.77.0.100") // and those after it
	gateway  = station(254)
)

func station(n byte) flood.Station {
	v6 := network6.Addr().As16()
	v6[15] = n
	return flood.Station{MAC: model.MAC{2, 0x77, 0, 0, 0, n}, V4: netip.AddrFrom4([4]byte{10, 77, 0, n}), V6: netip.AddrFrom16(v6)}
}

// at gives a guest's addresses.
func at(guest string) flood.Station {
	for n, g := range guests {
		if g == guest {
			return station(byte(n + 1))
		}
	}
	return flood.Station{}
}

func port(guest string) string { return "bp-" + guest }
func uuid(guest string) string { return "if-bp" + guest }

// kinds are the floods of the guest that floods.
func kinds() []flood.Kind { return flood.Kinds(at(flooder), at(near), gateway, nobody) }

func spec() lab.Spec {
	const underlay = "u"
	s := lab.Spec{Name: "bench-punt", Underlays: []lab.Underlay{{Name: underlay, Prefixes: []netip.Prefix{netip.MustParsePrefix("172.16.81.0/24")}}}}
	for n, h := range []string{hostNear, hostFar} {
		nic := lab.NIC{Name: "eth0", Underlay: underlay, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{172, 16, 81, byte(10 + n)})}}
		s.Hosts = append(s.Hosts, lab.Host{Name: h, NICs: []lab.NIC{nic}})
	}
	for _, g := range guests {
		host := hostNear
		if g == far {
			host = hostFar
		}
		ip := lab.IP{Addresses: []netip.Prefix{netip.PrefixFrom(at(g).V4, network4.Bits()), netip.PrefixFrom(at(g).V6, network6.Bits())}}
		s.Guests = append(s.Guests, lab.Guest{Name: g, Host: host, Port: port(g), MAC: at(g).MAC, MTU: 1400, IP: ip})
	}
	return s
}

// setup is the lab, and the sockets in it.
type setup struct {
	lab                     *lab.Lab
	asker, flooder, nowhere *flood.Port
	probes                  []probe
	asked                   uint16
}

// start returns when every question is answered.
func (s *setup) start(ctx context.Context) error {
	api, err := client.New(client.Options{Server: s.lab.API(), Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	joined, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the hosts have not joined within 30 s"))
	defer cancel()
	err = wait.Until(joined, 20*time.Millisecond, func() error {
		n := 0
		for _, err := range client.List[model.Datapath](joined, api, nil) {
			if err != nil {
				return err
			}
			n++
		}
		if n < 2 {
			return fmt.Errorf("%d of 2 hosts have joined", n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	done, err := api.With(client.Write{Wait: 30 * time.Second}).Apply(ctx, documents())
	if err != nil {
		return fmt.Errorf("configure the network: %w", err)
	}
	if !done.Applied {
		return errors.New("the network is not applied on both hosts within 30 s")
	}
	for _, open := range []struct {
		guest, link string
		to          **flood.Port
	}{{asker, "eth0", &s.asker}, {flooder, "eth0", &s.flooder}, {flooder, s.cable(), &s.nowhere}} {
		err := s.lab.Do(open.guest, func() (err error) {
			if open.link != "eth0" {
				if err := makeCable(open.link); err != nil {
					return err
				}
			}
			*open.to, err = flood.Open(open.link)
			return err
		})
		if err != nil {
			return fmt.Errorf("in %s: %w", open.guest, err)
		}
	}
	me := at(asker)
	s.probes = []probe{
		{"arp", 1, func(uint16) flood.Question { return flood.AskARP(me, at(near)) }},
		{"echo", 1, func(n uint16) flood.Question { return flood.AskEcho(me, gateway, n) }},
		{"near", 1, func(n uint16) flood.Question { return flood.AskEcho(me, at(near), n) }},
		{"far", 1, func(n uint16) flood.Question { return flood.AskEcho(me, at(far), n) }},
		{"dns", 1, func(n uint16) flood.Question { return flood.AskDNS(me, gateway, n) }},
		{"dhcp", 5, func(n uint16) flood.Question { return flood.AskDHCP(me, uint32(n)) }},
	}
	for _, p := range s.probes {
		ready, cancel := context.WithTimeoutCause(ctx, 15*time.Second, fmt.Errorf("nobody answers %s within 15 s", p.name))
		err := wait.Until(ready, 50*time.Millisecond, func() error {
			s.asked++
			_, ok, err := s.asker.Ask(p.ask(s.asked), patience)
			if err == nil && !ok {
				err = errors.New("no answer")
			}
			return err
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// cable is the name of the control's cable, whose other end is in the same guest, and up.
func (s *setup) cable() string { return "nowhere" }

func makeCable(name string) error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "2"}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make cable %s: %w", name, err)
	}
	for _, end := range []string{name, name + "2"} {
		l, err := netlink.LinkByName(end)
		if err != nil {
			return fmt.Errorf("find %s: %w", end, err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("set %s up: %w", end, err)
		}
	}
	return nil
}

func (s *setup) close() error {
	var errs []error
	for _, p := range []*flood.Port{s.asker, s.flooder, s.nowhere} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// documents gives the network with its guests, and the simulated interface that is its gateway and answers DHCP.
func documents() client.Documents {
	const nw = "nw-bp"
	docs := client.Documents{}
	add := func(r *model.Resource, p client.Params) { docs[r.Plural] = append(docs[r.Plural], p) }
	add(model.Networks, client.Params{
		"uuid": nw, "ipv4_network": network4.Addr().String(), "ipv4_prefix": network4.Bits(), "ipv6_network": network6.Addr().String(), "ipv6_prefix": network6.Bits(),
	})
	iface := func(id string, at flood.Station, p client.Params) {
		p["uuid"], p["mac_address"], p["network_uuid"], p["ipv4_address"], p["ipv6_address"] = id, at.MAC.String(), nw, at.V4.String(), at.V6.String()
		add(model.Interfaces, p)
	}
	iface("if-bpgateway", gateway, client.Params{"mode": model.InterfaceSimulated})
	add(model.NetworkServices, client.Params{"uuid": "ns-bpdhcp", "mode": model.ServiceDHCP, "interface_uuid": "if-bpgateway"})
	add(model.NetworkServices, client.Params{"uuid": "ns-bpdns", "mode": model.ServiceDNS, "interface_uuid": "if-bpgateway"})
	for _, g := range guests {
		iface(uuid(g), at(g), client.Params{"mode": model.InterfaceVIF, "port_name": port(g)})
	}
	return docs
}

// limited gives what the program at the port of the flooder has dropped of a class, or has answered of questions that it answers.
func (s *setup) limited(class string) (dropped uint64, err error) {
	err = s.lab.Do(hostNear, func() error { // links are those of the host
		r, err := fastpath.OpenReadOnly(s.lab.Dir("bpffs/" + hostNear))
		if err != nil {
			return err
		}
		d, err := r.Dump()
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		for _, p := range d.Ports {
			if p.Name != port(flooder) {
				continue
			}
			for _, l := range p.Limited {
				if l.Class == class {
					dropped = l.Dropped
				}
			}
		}
		return nil
	})
	return dropped, err
}
