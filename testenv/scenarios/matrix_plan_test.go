package scenarios

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/client"
)

// plan is a configuration as it is to be, and the addresses that go with it.
type plan struct {
	objects map[string]map[string]client.Params // by resource and uuid
	order   map[string][]string
	nodes   map[string]*addressed

	physical string // uuid of the network of underlay a
}

// addressed is what a node has: set by hand, but that its IPv4 address is what DHCP gives it, if dhcp says so.
type addressed struct {
	addresses []netip.Prefix
	gateways  []netip.Addr
	dhcp      bool
}

func newPlan() *plan {
	return &plan{objects: map[string]map[string]client.Params{}, order: map[string][]string{}, nodes: map[string]*addressed{}}
}

// put adds an object, or changes fields of the one that is there.
func (p *plan) put(resource, uuid string, fields client.Params) {
	if p.objects[resource] == nil {
		p.objects[resource] = map[string]client.Params{}
	}
	o := p.objects[resource][uuid]
	if o == nil {
		o = client.Params{"uuid": uuid}
		p.objects[resource][uuid] = o
		p.order[resource] = append(p.order[resource], uuid)
	}
	maps.Copy(o, fields)
}

// drop takes objects out.
func (p *plan) drop(uuids ...string) {
	for resource, objects := range p.objects {
		for _, uuid := range uuids {
			delete(objects, uuid)
		}
		p.order[resource] = slices.DeleteFunc(p.order[resource], func(uuid string) bool { return objects[uuid] == nil })
	}
}

func (p *plan) documents() client.Documents {
	docs := client.Documents{}
	for resource, uuids := range p.order {
		for _, uuid := range uuids {
			docs[resource] = append(docs[resource], p.objects[resource][uuid])
		}
	}
	return docs
}

// of gives an object's fields from a text: "protocol=tcp dst_port=7007".
func of(text string) client.Params {
	o := client.Params{}
	for _, f := range strings.Fields(text) {
		name, value, _ := strings.Cut(f, "=")
		o[name] = value
	}
	return o
}

// network adds a network nw-name with its subnets. A virtual one is carried by the overlay.
func (p *plan) network(name string, subnets []string, fields client.Params) {
	o := client.Params{}
	for _, s := range subnets {
		n := netip.MustParsePrefix(s)
		family := "ipv4"
		if n.Addr().Is6() {
			family = "ipv6"
		}
		o[family+"_network"], o[family+"_prefix"] = n.Addr(), n.Bits()
	}
	maps.Copy(o, fields)
	p.put("networks", "nw-"+name, o)
	if o["mode"] == nil && o["segment_uuid"] == nil {
		p.put("topology_networks", "tpn-"+name, client.Params{"topology_uuid": overlay, "network_uuid": "nw-" + name})
	}
}

// segment adds a segment seg-name.
func (p *plan) segment(name string) {
	p.put("segments", "seg-"+name, client.Params{"mode": "virtual"})
	p.put("topology_segments", "tps-"+name, client.Params{"topology_uuid": overlay, "segment_uuid": "seg-" + name})
}

// iface adds an interface if-name, with a MAC lease if it has a MAC address.
func (p *plan) iface(name, mac string, fields client.Params) {
	p.put("interfaces", "if-"+name, fields)
	if mac != "" {
		p.put("mac_leases", "ml-"+name, client.Params{"interface_uuid": "if-" + name, "mac_address": mac})
	}
}

// vm gives a guest of the lab its interface, and addresses in a network: 10.0.0.1/24.
func (p *plan) vm(n int, network string, addresses ...string) {
	name := fmt.Sprintf("vm%d", n)
	p.iface(name, fmt.Sprintf("02:00:00:00:00:%02x", n), client.Params{"mode": "vif", "port_name": fmt.Sprintf("if-v%d", n)})
	p.lease(name, network, nil, addresses...)
	p.set(name, addresses, nil)
}

// lease gives an interface addresses in a network, or "physical". The lease of the k-th address of vm1 is il-vm1-k without the hyphens: il-vm1k.
func (p *plan) lease(name, network string, fields client.Params, addresses ...string) {
	for _, a := range addresses {
		addr := netip.MustParsePrefix(a).Addr()
		family := "ipv4_address"
		if addr.Is6() {
			family = "ipv6_address"
		}
		k := 1
		for p.objects["ip_leases"][leaseOf(name, k)] != nil {
			k++
		}
		p.put("ip_leases", leaseOf(name, k), client.Params{
			"interface_uuid": "if-" + name, "mac_lease_uuid": "ml-" + name, "network_uuid": p.uuidOf(network), family: addr,
		})
		p.put("ip_leases", leaseOf(name, k), fields)
	}
}

func (p *plan) uuidOf(network string) string {
	if network == "physical" {
		return p.physical
	}
	return "nw-" + network
}

func leaseOf(name string, k int) string { return fmt.Sprintf("il-%sk%d", name, k) }

// gateway adds a simulated interface that routes, with addresses in a network; at the host, if one is named.
func (p *plan) gateway(name, network, host string, addresses ...string) {
	fields := client.Params{"mode": "simulated", "enable_routing": true}
	if host != "" {
		fields["owner_datapath_uuid"] = datapathOf(host)
	}
	p.iface(name, gatewayMAC(name), fields)
	p.lease(name, network, nil, addresses...)
}

// gatewayMAC makes a MAC address of a name.
func gatewayMAC(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	n := h.Sum32()
	return fmt.Sprintf("02:0c:%02x:%02x:%02x:%02x", n>>24, n>>16&0xff, n>>8&0xff, n&0xff)
}

// router adds a route link rl-name.
func (p *plan) router(name string) {
	p.put("route_links", "rl-"+name, client.Params{})
	p.put("topology_route_links", "tprl-"+name, client.Params{"topology_uuid": overlay, "route_link_uuid": "rl-" + name})
}

// route adds a route r-name to subnets, of one family or one of each, through a gateway in a network.
func (p *plan) route(name, link, gateway, network string, fields client.Params, subnets ...string) {
	o := client.Params{"route_link_uuid": "rl-" + link, "interface_uuid": "if-" + gateway, "network_uuid": p.uuidOf(network)}
	for _, s := range subnets {
		n := netip.MustParsePrefix(s)
		family := "ipv4"
		if n.Addr().Is6() {
			family = "ipv6"
		}
		o[family+"_network"], o[family+"_prefix"] = n.Addr(), n.Bits()
	}
	maps.Copy(o, fields)
	p.put("routes", "r-"+name, o)
}

// set adds addresses and gateways to what a node has set by hand.
func (p *plan) set(node string, addresses []string, gateways []string) {
	n := p.nodes[node]
	if n == nil {
		n = &addressed{}
		p.nodes[node] = n
	}
	for _, a := range addresses {
		n.addresses = append(n.addresses, netip.MustParsePrefix(a))
	}
	for _, g := range gateways {
		n.gateways = append(n.gateways, netip.MustParseAddr(g))
	}
}

// v4 and v6 give an address of a subnet, with its length: v4("10.0.0", 11), v6("fd00", 11).
func v4(prefix string, n int) string { return fmt.Sprintf("%s.%d/24", prefix, n) }
func v6(prefix string, n int) string { return fmt.Sprintf("%s::%x/64", prefix, n) }

func vmName(n int) string { return fmt.Sprintf("vm%d", n) }
func vmMAC(n int) string  { return fmt.Sprintf("ml-vm%d", n) }

// prefix4 and prefix6 give the subnets 10.n.0.0/24 and fd0n::/64, host4 and host6 the h-th address of them with its length, and bare an address
// without it.
func prefix4(n int) string  { return fmt.Sprintf("10.%d.0.0/24", n) }
func prefix6(n int) string  { return fmt.Sprintf("fd%02x::/64", n) }
func host4(n, h int) string { return fmt.Sprintf("10.%d.0.%d/24", n, h) }
func host6(n, h int) string { return fmt.Sprintf("fd%02x::%x/64", n, h) }
func bare(a string) string  { return netip.MustParsePrefix(a).Addr().String() }
