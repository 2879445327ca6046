package forward

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// setup is the lab and the bridges beside it.
type setup struct {
	lab     *lab.Lab
	bridges *bridges
	api     *client.Client
}

// start returns when the networks are in the flows of both hosts and the bridges are up.
func (s *setup) start(ctx context.Context) (err error) {
	if err := s.bridges.make(); err != nil {
		return err
	}
	if s.api, err = client.New(client.Options{Server: s.lab.API(), Timeout: 10 * time.Second}); err != nil {
		return err
	}
	uplinks, err := s.join(ctx)
	if err != nil {
		return err
	}
	done, err := s.api.With(client.Write{Wait: 30 * time.Second}).Apply(ctx, s.documents(uplinks))
	if err != nil {
		return fmt.Errorf("configure the networks: %w", err)
	}
	if done.Applied {
		return nil
	}
	for _, i := range done.Items {
		for _, h := range i.Status {
			if h.State != model.StateApplied {
				return fmt.Errorf("%s is %s on %s: %s", i.UUID, h.State, h.NodeID, h.Reason)
			}
		}
	}
	return errors.New("the networks are not applied on both hosts within 30 s")
}

// uplink is a host's datapath with the interface by which it is in the underlay.
type uplink struct{ datapath, iface string }

// join waits until the agents have registered their hosts with their uplinks.
func (s *setup) join(ctx context.Context) ([]uplink, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the hosts have not joined within 30 s"))
	defer cancel()
	var all []uplink
	err := wait.Until(ctx, 20*time.Millisecond, func() error {
		all = nil
		for p, err := range client.List[model.InterfacePort](ctx, s.api, nil) { // those of the uplinks: there is nothing else yet
			if err != nil {
				return err
			}
			all = append(all, uplink{p.Object.DatapathUUID, p.Object.InterfaceUUID})
		}
		if len(all) < len(hosts) {
			return fmt.Errorf("%d of %d hosts have joined", len(all), len(hosts))
		}
		return nil
	})
	return all, err
}

// documents gives the networks with their guests, and the topologies that say how they are carried.
func (s *setup) documents(uplinks []uplink) client.Documents {
	const underlay, ranges, link, group = "topo-bfunder", "mrg-bf", "rl-bf", "sg-bf"
	docs := client.Documents{}
	add := func(r *model.Resource, p client.Params) { docs[r.Plural] = append(docs[r.Plural], p) }
	add(model.MACRangeGroups, client.Params{"uuid": ranges})
	add(model.MACRanges, client.Params{"uuid": "mr-bf", "mac_range_group_uuid": ranges, "begin_mac_address": "06:00:00:00:00:00", "end_mac_address": "06:00:00:00:ff:ff"})
	add(model.Topologies, client.Params{"uuid": underlay, "mode": model.TopologyUnderlay})
	add(model.TopologyMACRangeGroups, client.Params{"topology_uuid": underlay, "mac_range_group_uuid": ranges})
	for _, u := range uplinks {
		add(model.TopologyDatapaths, client.Params{"topology_uuid": underlay, "datapath_uuid": u.datapath, "interface_uuid": u.iface})
	}
	for _, o := range overlays {
		add(model.Topologies, client.Params{"uuid": o.uuid(), "mode": model.TopologyOverlay, "encapsulation": o.encapsulation, "mac2mac": o.mac2mac})
		add(model.TopologyLayers, client.Params{"overlay_uuid": o.uuid(), "underlay_uuid": underlay})
	}
	add(model.RouteLinks, client.Params{"uuid": link, "topology_uuid": overlay{name: "geneve"}.uuid()})
	add(model.SecurityGroups, client.Params{"uuid": group, "display_name": "bench", "trust_members": false, "egress_filtering_enabled": true})
	for _, direction := range []string{model.RuleIngress, model.RuleEgress} {
		for _, protocol := range []string{"tcp", "udp", "icmp"} {
			add(model.SecurityGroupRules, client.Params{"uuid": "sgr-bf" + direction + protocol, "security_group_uuid": group, "direction": direction, "protocol": protocol})
		}
	}
	for _, n := range networks {
		p := n.prefix()
		add(model.Networks, client.Params{"uuid": n.uuid(), "ipv4_network": p.Addr().String(), "ipv4_prefix": p.Bits(), "topology_uuid": overlay{name: n.overlay}.uuid()})
		if n.routed {
			add(model.Interfaces, client.Params{
				"uuid": n.leg(), "mode": model.InterfaceSimulated, "enable_routing": true, "network_uuid": n.uuid(), "ipv4_address": n.at(gateway).String(),
			})
			add(model.Routes, client.Params{
				"uuid": "r-bf" + n.name, "interface_uuid": n.leg(), "network_uuid": n.uuid(), "route_link_uuid": link, "ipv4_network": p.Addr().String(), "ipv4_prefix": p.Bits(),
			})
		}
	}
	macs := map[string]model.MAC{}
	for _, g := range s.lab.Spec().Guests {
		macs[g.Name] = g.MAC
	}
	for _, g := range seats() {
		n := networkOf(g.network)
		add(model.Interfaces, client.Params{
			"uuid": g.iface(), "mode": model.InterfaceVIF, "port_name": g.port(), "mac_address": macs[g.name()].String(), "network_uuid": n.uuid(), "ipv4_address": g.addr().String(),
		})
		if n.secured {
			add(model.SecurityGroupInterfaces, client.Params{"security_group_uuid": group, "interface_uuid": g.iface()})
		}
	}
	return docs
}

// ready waits until the two of a case reach each other.
func (s *setup) ready(ctx context.Context, c subject) error {
	const limit = 15 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s does not reach %s within %v", c.from.addr(), c.to.addr(), limit))
	defer cancel()
	return wait.Until(ctx, 50*time.Millisecond, func() error {
		_, err := requests(ctx, s.place(c.from), s.place(c.to), c.to.addr(), 10*time.Millisecond)
		return err
	})
}

// place gives where a seat's programs run.
func (s *setup) place(at seat) place {
	if at.network == "" {
		return s.bridges.seat(at)
	}
	return guest{s.lab, at.name()}
}

// check reports an error unless the requests of each case go through the tunnel port that the case says and through no other, and their conversations are
// remembered only where the case says so.
func (s *setup) check(ctx context.Context, chosen []subject) error {
	before, err := s.carried(ctx)
	if err != nil {
		return err
	}
	for _, c := range chosen {
		if c.baseline == "" {
			continue
		}
		times, err := requests(ctx, s.place(c.from), s.place(c.to), c.to.addr(), 50*time.Millisecond)
		if err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		after, err := s.carried(ctx)
		if err != nil {
			return err
		}
		if err := c.plausible(uint64(len(times)), before, after); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		before = after
		out, err := s.lab.Exec(ctx, near, "ovs-appctl", "dpctl/dump-conntrack")
		if err != nil {
			return fmt.Errorf("read what the switch of %s remembers: %w", near, err)
		}
		if remembers := strings.Contains(out, "src="+c.from.addr().String()+","); remembers != c.stateful() {
			return fmt.Errorf("case %s: the switch of %s remembers its conversations: %t", c.name, near, remembers)
		}
	}
	return nil
}

var sentPackets = regexp.MustCompile(`tx pkts=(\d+)`)

// carried gives how many packets each tunnel port of the near host has sent.
func (s *setup) carried(ctx context.Context) (map[string]uint64, error) {
	for range 2 { // tunnel ports count when the revalidators look at the flows; one may be at it since before the last packet
		if _, err := s.lab.Exec(ctx, near, "ovs-appctl", "revalidator/wait"); err != nil {
			return nil, fmt.Errorf("wait for the counters of %s: %w", near, err)
		}
	}
	sent := map[string]uint64{}
	for _, o := range overlays {
		if o.port == "" {
			continue
		}
		out, err := s.lab.Exec(ctx, near, "ovs-ofctl", "-O", "OpenFlow15", "dump-ports", "br0", o.port)
		if err != nil {
			return nil, fmt.Errorf("read the counters of %s: %w", o.port, err)
		}
		m := sentPackets.FindStringSubmatch(out)
		if m == nil {
			return nil, fmt.Errorf("there is no counter of %s in %q", o.port, out)
		}
		if sent[o.port], err = strconv.ParseUint(m[1], 10, 64); err != nil {
			return nil, fmt.Errorf("read the counters of %s: %w", o.port, err)
		}
	}
	return sent, nil
}
