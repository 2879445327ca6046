package guide

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// world puts together a graph from short texts, one object a line:
//
//	network a 10.1.0.0/24 [physical]        sim gw [norouting] [pinned]      lease gw a 10.1.0.1
//	route gw a link 10.1.0.0/24 [in] [out]  hole link 10.9.0.0/16            service dns gw
func world(t *testing.T, text string) *graph.Graph {
	t.Helper()
	g := graph.New()
	id := uint32(0)
	meta := func(prefix, name string) model.Meta { return model.Meta{UUID: prefix + "-" + name, ID: id} }
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		id++
		n := fmt.Sprint(id)
		has := func(word string) bool { return slices.Contains(w, word) }
		var o model.Object
		switch w[0] {
		case "network":
			p := netip.MustParsePrefix(w[2])
			nw := &model.Network{Meta: meta("nw", w[1]), Mode: model.NetworkVirtual, DomainName: w[1]}
			if has("physical") {
				nw.Mode = model.NetworkPhysical
			}
			if p.Addr().Is4() {
				nw.IPv4Network, nw.IPv4Prefix = p.Addr(), p.Bits()
			} else {
				nw.IPv6Network, nw.IPv6Prefix = p.Addr(), p.Bits()
			}
			o = nw
		case "sim":
			o = &model.Interface{Meta: meta("if", w[1]), Mode: model.InterfaceSimulated, EnableRouting: !has("norouting")}
			if has("pinned") {
				g.Put(&model.InterfacePort{Meta: meta("ifp", n), InterfaceUUID: "if-" + w[1], DatapathUUID: "dp-a"})
			}
		case "lease":
			l := &model.IPLease{Meta: meta("il", n), InterfaceUUID: "if-" + w[1], NetworkUUID: "nw-" + w[2]}
			if a := netip.MustParseAddr(w[3]); a.Is4() {
				l.IPv4Address = a
			} else {
				l.IPv6Address = a
			}
			o = l
		case "route", "hole":
			r := &model.Route{Meta: meta("r", n), Mode: model.RouteBlackhole, Ingress: has("in"), Egress: has("out") || w[0] == "hole", RouteLinkUUID: "rl-" + w[1]}
			prefix := w[2]
			if w[0] == "route" {
				prefix = w[4]
				r.Mode, r.InterfaceUUID, r.NetworkUUID, r.RouteLinkUUID = model.RouteGateway, "if-"+w[1], "nw-"+w[2], "rl-"+w[3]
			}
			p := netip.MustParsePrefix(prefix)
			if p.Addr().Is4() {
				r.IPv4Network, r.IPv4Prefix = p.Addr(), p.Bits()
			} else {
				r.IPv6Network, r.IPv6Prefix = p.Addr(), p.Bits()
			}
			o = r
		case "service":
			o = &model.NetworkService{Meta: meta("ns", n), Mode: w[1], InterfaceUUID: "if-" + w[2]}
		default:
			t.Fatalf("no object: %s", line)
		}
		g.Put(o)
	}
	return g
}

func TestGuide(t *testing.T) {
	const two = `
network a 10.1.0.0/24
network b 10.2.0.0/24
sim ga
sim gb
lease ga a 10.1.0.1
lease gb b 10.2.0.1
`
	const joined = two + "route ga a l 10.1.0.0/24 in out\nroute gb b l 10.2.0.0/24 in out\n"
	for name, c := range map[string]struct {
		world  string
		family Family
		want   string // of network a
	}{
		"nothing":              {"network a 10.1.0.0/24", IPv4, "domain a"},
		"a route":              {joined, IPv4, "10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"of the other family":  {joined, IPv6, "domain a"},
		"a default route":      {two + "route ga a l 10.1.0.0/24 in out\nroute gb b l 0.0.0.0/0 out", IPv4, "router ga 10.1.0.1, domain a"},
		"both":                 {joined + "route gb b l 0.0.0.0/0 out", IPv4, "router ga 10.1.0.1, 10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"behind a next router": {joined + "route gb b l 10.77.0.0/16 out", IPv4, "10.77.0.0/16 via ga 10.1.0.1, 10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"three on a link": {joined + "network c 10.3.0.0/24\nsim gc\nlease gc c 10.3.0.1\nroute gc c l 10.3.0.0/24 in out", IPv4,
			"10.2.0.0/24 via ga 10.1.0.1, 10.3.0.0/24 via ga 10.1.0.1, domain a"},
		"another link":               {two + "route ga a l 10.1.0.0/24 in out\nroute gb b m 10.2.0.0/24 in out", IPv4, "domain a"},
		"only out of it":             {two + "route ga a l 10.1.0.0/24 out\nroute gb b l 10.2.0.0/24 out", IPv4, "domain a"},
		"only into it":               {two + "route ga a l 10.1.0.0/24 in\nroute gb b l 10.2.0.0/24 in", IPv4, "domain a"},
		"from a part of it":          {two + "route ga a l 10.1.0.0/25 in\nroute gb b l 10.2.0.0/24 out", IPv4, "domain a"},
		"from anywhere":              {two + "route ga a l 0.0.0.0/0 in\nroute gb b l 10.2.0.0/24 out", IPv4, "10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"the longest entry":          {two + "route ga a l 0.0.0.0/0 in\nroute ga a m 10.1.0.0/16 in\nroute gb b l 10.2.0.0/24 out\nroute gb b m 10.4.0.0/24 out", IPv4, "10.4.0.0/24 via ga 10.1.0.1, domain a"},
		"out within the network":     {joined + "route ga a l 0.0.0.0/0 out", IPv4, "10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"its own subnet elsewhere":   {joined + "route gb b l 10.1.0.128/25 out\nroute gb b l 10.0.0.0/8 out", IPv4, "10.0.0.0/8 via ga 10.1.0.1, 10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"a black hole":               {joined + "hole l 10.2.0.0/24", IPv4, "domain a"},
		"a black hole of everything": {joined + "route gb b l 0.0.0.0/0 out\nhole l 0.0.0.0/0", IPv4, "10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"who does not route":         {strings.Replace(joined, "sim ga", "sim ga norouting", 1), IPv4, "domain a"},
		"without address":            {strings.Replace(joined, "lease ga a 10.1.0.1", "", 1), IPv4, "domain a"},
		"two routers": {joined + "sim gz\nlease gz a 10.1.0.254\nroute gz a l 10.1.0.0/24 in\nroute gb b l 0.0.0.0/0 out", IPv4,
			"router ga 10.1.0.1, router gz 10.1.0.254, 10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"equal routes":              {joined + "sim gy\nlease gy b 10.2.0.2\nroute gy b l 10.2.0.0/24 in out", IPv4, "10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"physical, at no host":      {strings.Replace(joined, "network a 10.1.0.0/24", "network a 10.1.0.0/24 physical", 1), IPv4, "domain a"},
		"physical, pinned":          {strings.Replace(strings.Replace(joined, "sim ga", "sim ga pinned", 1), "network a 10.1.0.0/24", "network a 10.1.0.0/24 physical", 1), IPv4, "10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"IPv6":                      {"network a fd01::/64\nsim ga\nlease ga a fd01::1\nroute ga a l fd01::/64 in\nroute gb b l ::/0 out\nroute gb b l fd02::/64 out", IPv6, "router ga fd01::1, fd02::/64 via ga fd01::1, domain a"},
		"a leg that is not told of": {two + "route ga a l 10.1.0.0/24 in\nroute far far l 10.8.0.0/24 out", IPv4, "10.8.0.0/24 via ga 10.1.0.1, domain a"},
		"name servers": {two + "sim d norouting\nlease d b 10.2.0.53\nlease d a 10.1.0.53\nlease d a fd01::53\nsim e\nlease e b 10.2.0.54\nservice dns e\nservice dns d\nservice dhcp ga\nservice dns ga", IPv4,
			"dns 10.1.0.53, dns 10.1.0.1, domain a"},
		"metadata":                  {joined + "service metadata ga", IPv4, "10.2.0.0/24 via ga 10.1.0.1, 169.254.169.254/32 on the link, metadata 10.1.0.1, domain a"},
		"metadata of both families": {joined + "lease ga a fd01::1\nservice metadata ga", IPv6, "metadata fd01::1, domain a"},
		"metadata by the first": {joined + "sim gz\nlease gz a 10.1.0.9\nservice metadata gb\nservice metadata gz\nservice metadata ga", IPv4,
			"10.2.0.0/24 via ga 10.1.0.1, 169.254.169.254/32 on the link, metadata 10.1.0.9, domain a"},
		"metadata of another":       {joined + "service metadata gb", IPv4, "10.2.0.0/24 via ga 10.1.0.1, domain a"},
		"metadata is asked by IPv4": {joined + "service metadata ga", IPv6, "domain a"},
	} {
		g := world(t, c.world)
		n, _ := graph.Lookup[*model.Network](g, "nw-a")
		var got []string
		out := Of(g, n, c.family)
		for _, r := range out.Routers {
			got = append(got, "router "+r.Interface[3:]+" "+r.Addr.String())
		}
		for _, r := range out.Routes {
			via := " on the link"
			if r.Via.Addr.IsValid() {
				via = " via " + r.Via.Interface[3:] + " " + r.Via.Addr.String()
			}
			got = append(got, r.Destination.String()+via)
		}
		for _, a := range out.DNS {
			got = append(got, "dns "+a.String())
		}
		if out.Metadata.IsValid() {
			got = append(got, "metadata "+out.Metadata.String())
		}
		got = append(got, "domain "+out.Domain)
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, s, c.want)
		}
	}
}

func TestGuideIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("network a 10.1.0.0/24\nsim ga\nlease ga a 10.1.0.1\nroute ga a l 10.1.0.0/24 in\nservice metadata ga\n")
	for n := range 2 * MaxRoutes {
		fmt.Fprintf(&b, "route gb b l 10.%d.%d.0/24 out\nsim d%d\nlease d%d a 10.1.0.53\n", 100+n/256, n%256, n, n)
	}
	for n := range 40 {
		fmt.Fprintf(&b, "sim s%d\nlease s%d a 10.1.0.%d\nservice dns s%d\nroute s%d a m 10.1.0.0/24 in\n", n, n, 100+n, n, n)
	}
	b.WriteString("route gb b m 0.0.0.0/0 out\n")
	g := world(t, b.String())
	n, _ := graph.Lookup[*model.Network](g, "nw-a")
	out := Of(g, n, IPv4)
	if len(out.Routes) != MaxRoutes || len(out.DNS) != maxDNS || len(out.Routers) != maxRouters {
		t.Errorf("%d routes, %d name servers, %d routers", len(out.Routes), len(out.DNS), len(out.Routers))
	}
	if last := out.Routes[len(out.Routes)-1]; last.Via.Addr.IsValid() {
		t.Errorf("what is on the link went first: %v", last)
	}
}

func TestOptions(t *testing.T) {
	g := graph.New()
	id := uint32(0)
	add := func(service, network, iface string, family int, code uint16, value string) {
		id++
		g.Put(&model.DHCPOption{
			Meta: model.Meta{UUID: fmt.Sprintf("dhco-%d", id), ID: id}, NetworkServiceUUID: service, NetworkUUID: network, InterfaceUUID: iface,
			Family: family, Code: code, Format: model.DHCPOptionText, Value: model.DHCPOptionValue(value),
		})
	}
	add("ns-a", "", "", 4, 17, "service")
	add("ns-a", "nw-a", "", 4, 17, "network")
	add("ns-a", "", "if-a", 4, 17, "interface")
	add("ns-a", "nw-a", "if-a", 4, 17, "both")
	add("ns-a", "nw-b", "", 4, 18, "other network")
	add("ns-a", "", "", 4, 18, "any network")
	add("ns-a", "", "if-c", 4, 18, "")
	add("ns-a", "", "", 6, 17, "six")
	add("ns-b", "nw-a", "if-a", 4, 17, "other service")
	for _, c := range []struct {
		service, network, iface string
		family                  Family
		want                    string
	}{
		{"ns-a", "nw-a", "if-a", IPv4, "map[17:both 18:any network]"},
		{"ns-a", "nw-b", "if-a", IPv4, "map[17:interface 18:other network]"},
		{"ns-a", "nw-a", "if-b", IPv4, "map[17:network 18:any network]"},
		{"ns-a", "nw-c", "if-b", IPv4, "map[17:service 18:any network]"},
		{"ns-a", "nw-b", "if-c", IPv4, "map[17:service 18:]"},
		{"ns-a", "nw-a", "if-a", IPv6, "map[17:six]"},
		{"ns-c", "nw-a", "if-a", IPv4, "map[]"},
	} {
		got := map[uint16]string{}
		for code, data := range Options(g, c.service, c.network, c.iface, c.family) {
			got[code] = string(data)
		}
		if s := fmt.Sprint(got); s != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.service, c.network, c.iface, s, c.want)
		}
	}
}
