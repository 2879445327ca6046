package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/flood"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Frames that a guest floods its host with: more than any limit lets pass, and no more than a slow machine can send.
const (
	floodRate = 5000
	floodTime = time.Second
)

// A guest that floods its host with questions loses them at its own port, each counted as what it is; all others are answered meanwhile, and have lost nothing.
func TestPrivilegedFlood(t *testing.T) {
	const host = "node1"
	names := []string{"asker", "near", "flooder"}
	station := func(n byte) flood.Station {
		return flood.Station{MAC: model.MAC{2, 0x78, 0, 0, 0, n}, V4: netip.AddrFrom4([4]byte{10, 78, 0, n}), V6: netip.AddrFrom16([16]byte{0xfd, 0x78, 15: n})}
	}
	stations, gateway := map[string]flood.Station{}, station(254)
	spec := lab.Spec{Name: "flood", Hosts: []lab.Host{{Name: host}}}
	docs := client.Documents{}
	add := func(r *model.Resource, p client.Params) { docs[r.Plural] = append(docs[r.Plural], p) }
	add(model.Networks, client.Params{"uuid": "nw-flood", "ipv4_network": "10.78.0.0", "ipv4_prefix": 24, "ipv6_network": "fd78::", "ipv6_prefix": 64})
	iface := func(uuid string, at flood.Station, p client.Params) {
		p["uuid"], p["mac_address"], p["network_uuid"], p["ipv4_address"], p["ipv6_address"] = uuid, at.MAC.String(), "nw-flood", at.V4.String(), at.V6.String()
		add(model.Interfaces, p)
	}
	iface("if-gateway", gateway, client.Params{"mode": model.InterfaceSimulated})
	add(model.NetworkServices, client.Params{"uuid": "ns-flood", "mode": model.ServiceDHCP, "interface_uuid": "if-gateway"})
	add(model.NetworkServices, client.Params{"uuid": "ns-names", "mode": model.ServiceDNS, "interface_uuid": "if-gateway"})
	for n, name := range names {
		at := station(byte(n + 1))
		stations[name] = at
		ip := lab.IP{Addresses: []netip.Prefix{netip.PrefixFrom(at.V4, 24), netip.PrefixFrom(at.V6, 64)}}
		spec.Guests = append(spec.Guests, lab.Guest{Name: name, Host: host, Port: "fl-" + name, MAC: at.MAC, MTU: 1400, IP: ip})
		iface("if-"+name, at, client.Params{"mode": model.InterfaceVIF, "port_name": "fl-" + name})
	}
	s := up(t, spec, lab.StartAgents)
	s.joined(t)
	s.apply(t, docs)
	ports := map[string]*flood.Port{}
	for _, name := range []string{"asker", "flooder"} {
		if err := s.lab.Do(name, func() (err error) { ports[name], err = flood.Open("eth0"); return err }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ports[name].Close() })
	}
	me, number := stations["asker"], uint16(0)
	questions := map[string]func() flood.Question{
		"ARP":             func() flood.Question { return flood.AskARP(me, stations["near"]) },
		"DHCP":            func() flood.Question { return flood.AskDHCP(me, uint32(number)) },
		"DNS":             func() flood.Question { return flood.AskDNS(me, gateway, number) },
		"echo, gateway":   func() flood.Question { return flood.AskEcho(me, gateway, number) },
		"echo, neighbour": func() flood.Question { return flood.AskEcho(me, stations["near"], number) },
	}
	answered := func(what string) error {
		number++
		if _, ok, err := ports["asker"].Ask(questions[what](), patience); err != nil || !ok {
			return fmt.Errorf("answered: %t, %w", ok, err)
		}
		return nil
	}
	for what := range questions {
		wait.For(t, patience, "an answer to "+what, func() error { return answered(what) })
	}
	flooded := func(t *testing.T, k flood.Kind) {
		t.Helper()
		before := s.drops(t, host)
		ctx, stop := context.WithTimeout(t.Context(), floodTime)
		defer stop()
		type end struct {
			sent int
			took time.Duration
			err  error
		}
		ended := make(chan end, 1)
		go func() {
			sent, took, err := ports["flooder"].Flood(ctx, k.Frames, floodRate)
			ended <- end{sent, took, err}
		}()
		for range 3 {
			for what := range questions {
				if err := answered(what); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		e := <-ended
		if e.err != nil {
			t.Fatal(e.err)
		}
		after := s.drops(t, host)
		if n := after[counter{"agent", "lost"}]; n > 0 {
			t.Errorf("the agent has lost %d packets", n)
		}
		if k.Class == "" { // answered by the program itself
			return
		}
		limit := pipeline.Limit{}
		for _, l := range (pipeline.Limits{}).Ports() {
			if l.Name == k.Class {
				limit = l.Limit
			}
		}
		c := counter{"fast path", "limit_" + k.Class}
		dropped, least := after[c]-before[c], e.sent-int(limit.Burst)-int(float64(limit.Rate)*e.took.Seconds())-int(limit.Rate)/10-1
		if int(dropped) < least || int(dropped) > e.sent {
			t.Errorf("%d frames sent in %v, %d are counted as %s, want at least %d", e.sent, e.took, dropped, c.reason, least)
		}
		limits, err := ask[[]local.Limit](s, host, local.PathLimits)
		if err != nil {
			t.Fatal(err)
		}
		own := uint64(0)
		for _, l := range limits {
			switch {
			case l.Port == "fl-flooder" && l.Class == k.Class && l.Where == "fast path":
				own = l.Dropped
			case l.Port != "fl-flooder" && l.Dropped > 0:
				t.Errorf("%s has lost %d packets of class %s to the %s", l.Port, l.Dropped, l.Class, l.Where)
			}
		}
		if own < dropped {
			t.Errorf("of %d packets of class %s that were dropped, %d are those of the port", dropped, k.Class, own)
		}
	}
	kinds := flood.Kinds(stations["flooder"], stations["near"], gateway, netip.MustParseAddr("10.78.0.100"))
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) { flooded(t, k) })
	}
	// A port that is mirrored has no guard, and the same limits.
	create[model.Mirror](t, s, client.Params{"interface_uuid": "if-flooder", "target_interface_uuid": "if-near", "direction": model.MirrorEgress})
	for _, k := range kinds {
		if k.Name == "arp" || k.Name == "dhcp4" {
			t.Run(k.Name+", mirrored", func(t *testing.T) { flooded(t, k) })
		}
	}
}
