package scenarios

import (
	"fmt"

	"github.com/openvnet/openvnet/client"
)

// filtered makes a network with the first five guests.
func filtered(p *plan) {
	p.network("one", []string{prefix4(1), prefix6(1)}, nil)
	for n := 1; n <= 5; n++ {
		p.vm(n, "one", host4(1, 10+n), host6(1, 10+n))
	}
}

// bothPorts asks the second port everywhere, too.
func bothPorts() []also {
	var as []also
	for from := 1; from <= 5; from++ {
		for to := 1; to <= 5; to++ {
			if from != to {
				four, six := bare(host4(1, 10+to)), bare(host6(1, 10+to))
				as = append(as, also{vmName(from), fmt.Sprintf("%s:%d", four, secondPort)}, also{vmName(from), fmt.Sprintf("[%s]:%d", six, secondPort)})
			}
		}
	}
	return as
}

// filter gives an interface a static filter with rules: "protocol=tcp action=conn". The k-th rule of vm1 is fils-vm1kK.
func (p *plan) filter(name string, rules ...string) {
	p.put("interfaces", "if-"+name, of("enable_filtering=true"))
	p.put("filters", "fil-"+name, client.Params{"interface_uuid": "if-" + name, "mode": "static"})
	for k, r := range rules {
		uuid := fmt.Sprintf("fils-%sk%d", name, k+1)
		p.put("filter_statics", uuid, client.Params{"filter_uuid": "fil-" + name})
		p.put("filter_statics", uuid, of(r))
	}
}

// Static filters with rules of every action.
var filters = class{
	name: "static filters",
	also: bothPorts,
	make: func(p *plan) {
		filtered(p)
		p.filter("vm1", "protocol=arp action=pass", "protocol=tcp action=conn", "protocol=icmp action=conn", "protocol=udp action=drop")
		p.filter("vm2", "protocol=arp action=pass", "protocol=tcp dst_port=7007 action=pass", "protocol=udp src_address=10.1.0.13/32 action=pass",
			"protocol=udp src_address=fd01::/64 action=pass", "protocol=udp src_address=fd01::d/128 action=drop")
		p.filter("vm3")
		p.put("filters", "fil-vm3", of("egress_passthrough=true"))
		p.filter("vm4", "protocol=ip action=pass")
	},
	together: []string{"vm4 vm5"},
	steps: []step{
		{name: "passthrough inwards", change: func(p *plan) { p.put("filters", "fil-vm3", of("ingress_passthrough=true")) }},
		{name: "another action", change: func(p *plan) {
			p.put("filter_statics", "fils-vm1k2", of("action=pass"))
			p.put("filter_statics", "fils-vm4k1", of("action=conn"))
		}},
		{name: "ARP refused", change: func(p *plan) { p.put("filter_statics", "fils-vm2k1", of("action=drop")) }},
		{name: "a rule and a filter less", change: func(p *plan) {
			p.drop("fils-vm2k1", "fil-vm4", "fils-vm4k1")
		}},
		{name: "not filtered", change: func(p *plan) { p.put("interfaces", "if-vm1", of("enable_filtering=false")) }},
	},
}

// join makes a guest a member of a group.
func (p *plan) join(group string, guests ...int) {
	for _, n := range guests {
		p.put("security_group_interfaces", fmt.Sprintf("sgi-%svm%d", group, n), of("security_group_uuid=sg-"+group+" interface_uuid=if-"+vmName(n)))
	}
}

// Security groups whose rules name groups as peers.
var groups = class{
	name:     "security groups",
	also:     bothPorts,
	together: []string{"vm1 vm3"},
	make: func(p *plan) {
		filtered(p)
		p.put("security_groups", "sg-web", of("display_name=web trust_members=true"))
		p.put("security_groups", "sg-db", of("display_name=db trust_members=false rules=tcp:7007:sg-web"))
		p.put("security_groups", "sg-out", of("display_name=out trust_members=false egress_filtering_enabled=true"))
		p.join("web", 1, 3)
		p.join("db", 2, 5)
		p.join("out", 4)
		p.put("security_group_rules", "sgr-web", of("security_group_uuid=sg-web protocol=icmp"))
		p.put("security_group_rules", "sgr-db", of("security_group_uuid=sg-db protocol=udp port_first=7008 remote_group_uuid=sg-out"))
		p.put("security_group_rules", "sgr-out", of("security_group_uuid=sg-out direction=egress protocol=udp"))
		p.put("security_group_rules", "sgr-outdrop",
			of("security_group_uuid=sg-out direction=egress protocol=udp port_first=7008 remote_group_uuid=sg-web action=drop priority=10"))
	},
	steps: []step{
		{name: "a member more", change: func(p *plan) { p.join("web", 4) }},
		{name: "a member less", change: func(p *plan) { p.drop("sgi-webvm1") }},
		{name: "a member's address", change: func(p *plan) {
			p.drop("il-vm3k1", "il-vm3k2")
			delete(p.nodes, "vm3")
			p.lease("vm3", "one", nil, host4(1, 33), host6(1, 33))
			p.set("vm3", []string{host4(1, 33), host6(1, 33)}, nil)
		}},
		{name: "a rule rejects", change: func(p *plan) {
			p.put("security_group_rules", "sgr-rej", of("security_group_uuid=sg-db protocol=tcp port_first=7007 action=reject priority=5"))
		}},
		{name: "an address group", change: func(p *plan) {
			p.put("address_groups", "ag-friends", of("display_name=friends addresses=10.1.0.14,fd01::e"))
			p.put("security_group_rules", "sgr-friends",
				of("security_group_uuid=sg-db protocol=tcp remote_address_group_uuid=ag-friends priority=6"))
			p.put("security_group_rules", "sgr-tcp", of("security_group_uuid=sg-out direction=egress protocol=tcp"))
		}},
		{name: "its addresses", change: func(p *plan) { p.put("address_groups", "ag-friends", of("addresses=10.1.0.11")) }},
		{name: "a group less", change: func(p *plan) {
			p.drop("sg-out", "sgi-outvm4", "sgr-out", "sgr-outdrop", "sgr-tcp", "sgr-db", "sgr-rej")
		}},
	},
}
