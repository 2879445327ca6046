package model_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// params are an object's fields in text form, "uuid" among them, separated by spaces: "uuid=nw-a mode=virtual".
type params string

// build makes the object that the parameters say, as a creation does, up to what the manager fills in.
func build(t *testing.T, plural string, p params) (model.Object, error) {
	t.Helper()
	r := model.ByPlural(plural)
	o := r.New()
	o.Base().UUID = r.Prefix + "-new"
	for part := range strings.FieldsSeq(string(p)) {
		name, text, _ := strings.Cut(part, "=")
		f := r.Field(name)
		if f == nil {
			t.Fatalf("%s has no field %s", plural, name)
		}
		v, err := f.ParseText(strings.ReplaceAll(text, "~", " "))
		if err != nil {
			return nil, err
		}
		f.Set(o, v)
	}
	return o, nil
}

// world is a small set of objects to refer to.
func world(t *testing.T) *graph.Graph {
	t.Helper()
	g := graph.New()
	for i, line := range strings.Split(strings.TrimSpace(`
tenants uuid=tn-a
tenants uuid=tn-b
datapaths uuid=dp-a display_name=a node_id=a dpid=1
datapaths uuid=dp-b display_name=b node_id=b dpid=2
topologies uuid=topo-over mode=simple_overlay
topologies uuid=topo-under mode=simple_underlay
segments uuid=seg-a mode=virtual
segments uuid=seg-b mode=virtual
networks uuid=nw-a ipv4_network=10.0.0.0 ipv6_network=fd00::
networks uuid=nw-p ipv4_network=172.16.0.0 mode=physical
networks uuid=nw-s ipv4_network=10.1.0.0 segment_uuid=seg-a
networks uuid=nw-ta ipv4_network=10.2.0.0 tenant_uuid=tn-a
interfaces uuid=if-vif mode=vif
interfaces uuid=if-host mode=host
interfaces uuid=if-sim mode=simulated
interfaces uuid=if-edge mode=edge
interfaces uuid=if-ta mode=vif tenant_uuid=tn-a
interface_ports uuid=ifp-host interface_uuid=if-host datapath_uuid=dp-a port_name=eth0
mac_leases uuid=ml-vif interface_uuid=if-vif mac_address=02:00:00:00:00:01
mac_leases uuid=ml-seg interface_uuid=if-vif mac_address=02:00:00:00:00:02 segment_uuid=seg-a
mac_leases uuid=ml-free mac_address=02:00:00:00:00:03
ip_leases uuid=il-host network_uuid=nw-p ipv4_address=172.16.0.1 interface_uuid=if-host
ip_leases uuid=il-vif network_uuid=nw-a ipv4_address=10.0.0.1 interface_uuid=if-vif mac_lease_uuid=ml-vif
network_services uuid=ns-dhcp mode=dhcp interface_uuid=if-sim
network_services uuid=ns-dns mode=dns interface_uuid=if-sim
dns_services uuid=dnss-a network_service_uuid=ns-dns
dns_records uuid=dnsr-www dns_service_uuid=dnss-a name=www ipv4_address=10.0.0.1
dns_records uuid=dnsr-alias dns_service_uuid=dnss-a name=alias type=cname target=www
route_links uuid=rl-a
translations uuid=tr-static mode=static_address interface_uuid=if-sim
translations uuid=tr-edge mode=vnet_edge interface_uuid=if-edge
filters uuid=fil-a mode=static interface_uuid=if-vif
ip_range_groups uuid=iprg-a
mac_range_groups uuid=mrg-a
security_groups uuid=sg-a display_name=a
address_groups uuid=ag-a display_name=a
security_groups uuid=sg-tb display_name=b tenant_uuid=tn-b
`), "\n") {
		plural, p, _ := strings.Cut(line, " ")
		o, err := build(t, plural, params(p))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		o.Base().ID = uint32(i + 1)
		g.Put(o)
	}
	for o := range g.All() {
		if err := errors.Join(model.Of(o).Validate(o), model.Of(o).Check(o, g)); err != nil {
			t.Fatalf("%s: %v", o.Base().UUID, err)
		}
	}
	return g
}

// What each resource accepts, and what it refuses with which class and reason.
func TestRules(t *testing.T) {
	g := world(t)
	for _, tc := range []struct {
		plural string
		params params
		class  model.Class // zero: accepted
		want   string      // in the error's text
	}{
		{"networks", "ipv4_network=10.0.0.0", model.Class{}, ""},
		{"networks", "ipv4_network=10.0.0.0 network_mode=internal", model.Class{}, ""},
		{"networks", "", model.MissingArgument, "ipv4_network: is required (or ipv6_network)"},
		{"networks", "ipv4_network=10.0.0.1", model.ArgumentError, "ipv4_network: 10.0.0.1/24 has bits set beyond its prefix; the subnet's address is 10.0.0.0"},
		{"networks", "ipv6_network=fd00::1", model.ArgumentError, "ipv6_network: fd00::1/64 has bits"},
		{"networks", "ipv4_network=224.0.0.0", model.ArgumentError, "not a subnet for guests"},
		{"networks", "ipv4_network=10.0.0.0 ipv4_prefix=33", model.ArgumentError, "ipv4_prefix: 33 is outside 1 to 32"},
		{"networks", "ipv4_network=10.0.0.0 segment_uuid=seg-none", model.UnknownUUIDResource, "segment_uuid: there is no segment seg-none"},
		{"networks", "ipv4_network=10.0.0.0 domain_name=Shop.Example.", model.Class{}, ""},
		{"networks", "ipv4_network=10.0.0.0 domain_name=shop..example", model.ArgumentError, "domain_name: \"shop..example\" is not a domain name"},
		{"networks", "ipv4_network=10.0.0.0 domain_name=-shop", model.ArgumentError, "not a domain name"},
		{"networks", "ipv4_network=10.0.0.0 mode=remote", model.ArgumentError, "not one of virtual, physical, internal"},

		{"segments", "mode=physical", model.Class{}, ""},
		{"segments", "", model.MissingArgument, "mode: is required"},

		{"interfaces", "mode=promiscuous", model.Class{}, ""},
		{"interfaces", "mode=remote", model.ArgumentError, "mode: \"remote\" cannot be given: an interface is remote to the hosts where it is not"},
		{"interfaces", "mode=tap", model.ArgumentError, "not one of vif, host"},

		{"mac_leases", "mac_address=02:00:00:00:00:09", model.Class{}, ""},
		{"mac_leases", "mac_address=03:00:00:00:00:09", model.ArgumentError, "mac_address: 03:00:00:00:00:09 is a multicast address"},
		{"mac_leases", "mac_address=02:00:00:00:00:09 segment_uuid=seg-none", model.UnknownUUIDResource, "segment_uuid: there is no segment seg-none"},
		{"mac_leases", "", model.MissingArgument, "mac_address: is required"},

		{"ip_leases", "network_uuid=nw-a ipv4_address=10.0.0.9", model.Class{}, ""},
		{"ip_leases", "network_uuid=nw-a ipv4_address=0.0.0.0", model.Class{}, ""},
		{"ip_leases", "network_uuid=nw-a ipv4_address=10.0.0.0", model.ArgumentError, "is the address of the subnet"},
		{"ip_leases", "network_uuid=nw-a ipv4_address=10.0.0.255", model.ArgumentError, "is the broadcast address"},
		{"ip_leases", "network_uuid=nw-a ipv4_address=10.9.0.1", model.ArgumentError, "ipv4_address: 10.9.0.1 is outside 10.0.0.0/24, the subnet of nw-a"},
		{"ip_leases", "network_uuid=nw-p ipv6_address=fd00::1", model.ArgumentError, "has no subnet of the family"},
		{"ip_leases", "network_uuid=nw-a ipv4_address=10.0.0.9 ipv6_address=fd00::9", model.ArgumentError, "ipv6_address: cannot be given together"},
		{"ip_leases", "network_uuid=nw-a ipv4_address=10.0.0.9 mac_lease_uuid=ml-free", model.Class{}, ""},
		{"ip_leases", "network_uuid=nw-a ipv4_address=10.0.0.9 mac_lease_uuid=ml-vif", model.ArgumentError, "mac_lease_uuid: ml-vif belongs to \"if-vif\""},
		{"ip_leases", "network_uuid=nw-s ipv4_address=10.1.0.9 interface_uuid=if-vif mac_lease_uuid=ml-seg", model.Class{}, ""},
		{"ip_leases", "network_uuid=nw-s ipv4_address=10.1.0.9 interface_uuid=if-vif mac_lease_uuid=ml-vif", model.InvalidID, "mac_lease_uuid: ml-vif is not on segment seg-a"},

		{"datapath_networks", "datapath_uuid=dp-a network_uuid=nw-a interface_uuid=if-host ip_lease_uuid=il-host", model.Class{}, ""},
		{"datapath_networks", "datapath_uuid=dp-a network_uuid=nw-a interface_uuid=if-vif", model.ArgumentError, "interface_uuid: if-vif has mode vif; one of mode host"},
		{"datapath_segments", "datapath_uuid=dp-b segment_uuid=seg-a interface_uuid=if-host", model.ArgumentError, "interface_uuid: if-host is not on datapath dp-b"},
		{"datapath_route_links", "datapath_uuid=dp-a route_link_uuid=rl-a interface_uuid=if-host ip_lease_uuid=il-vif", model.ArgumentError, "ip_lease_uuid: il-vif is not a lease of the host interface if-host"},
		{"datapath_networks", "datapath_uuid=dp-a network_uuid=nw-a interface_uuid=if-host broadcast_mac_address=ff:ff:ff:ff:ff:ff", model.ArgumentError, "is a multicast address"},

		{"network_services", "mode=dns", model.Class{}, ""},
		{"network_services", "type=dhcp interface_uuid=if-vif", model.ArgumentError, "interface_uuid: if-vif has mode vif"},
		{"dns_services", "network_service_uuid=ns-dns public_dns=192.0.2.1,~2001:db8::1", model.Class{}, ""},
		{"dns_services", "network_service_uuid=ns-dhcp", model.ArgumentError, "network_service_uuid: ns-dhcp has mode dhcp; one of mode dns is needed"},
		{"dns_services", "network_service_uuid=ns-dns public_dns=192.0.2.1,example", model.ArgumentError, "public_dns: \"example\" is not the IP address of a server"},
		{"dns_services", "network_service_uuid=ns-dns public_dns=192.0.2.1,127.0.0.53", model.ArgumentError, "public_dns: 127.0.0.53 is the host's own"},
		{"dns_services", "network_service_uuid=ns-dns public_dns=fe80::1", model.ArgumentError, "public_dns: fe80::1 is the host's own"},
		{"dns_records", "dns_service_uuid=dnss-a name=_sip.www.example ipv6_address=fd00::1", model.Class{}, ""},
		{"dns_records", "dns_service_uuid=dnss-a name=www", model.MissingArgument, "ipv4_address: is required (or ipv6_address)"},
		{"dns_records", "dns_service_uuid=dnss-a ipv4_address=10.0.0.1", model.MissingArgument, "name: is required"},
		{"dns_records", "dns_service_uuid=dnss-a name=a_b! ipv4_address=10.0.0.1", model.ArgumentError, "not a domain name"},
		{"dns_records", "dns_service_uuid=dnss-a name=*.apps ipv4_address=10.0.0.1", model.Class{}, ""},
		{"dns_records", "dns_service_uuid=dnss-a name=*. ipv4_address=10.0.0.1", model.ArgumentError, "name: \"*.\" is no name: after *. follows a domain name"},
		{"dns_records", "dns_service_uuid=dnss-a name=a.*.b ipv4_address=10.0.0.1", model.ArgumentError, "not a domain name"},
		{"dns_records", "dns_service_uuid=dnss-a name=10.0.0.1 ipv4_address=10.0.0.1", model.ArgumentError, "name: 1.0.0.10.in-addr.arpa is the name of an address; what an address is called says type ptr"},
		{"dns_records", "dns_service_uuid=dnss-a name=www ipv4_address=10.0.0.1 target=b", model.ArgumentError, "target: cannot be given with type address, which takes ipv4_address, ipv6_address"},
		{"dns_records", "dns_service_uuid=dnss-a name=www type=mx target=b", model.ArgumentError, "type: \"mx\" is not one of address, cname, ptr, srv, txt"},
		{"dns_records", "dns_service_uuid=dnss-a name=alias2 type=cname target=www.example", model.Class{}, ""},
		{"dns_records", "dns_service_uuid=dnss-a name=alias2 type=cname", model.MissingArgument, "target: is required with type cname"},
		{"dns_records", "dns_service_uuid=dnss-a name=alias2 type=cname target=Alias2.", model.ArgumentError, "target: is the name itself"},
		{"dns_records", "dns_service_uuid=dnss-a name=www type=cname target=b", model.ArgumentError, "type: cname must be the only record of www, which has dnsr-www of type address"},
		{"dns_records", "dns_service_uuid=dnss-a name=alias type=txt text=a", model.ArgumentError, "name: alias has dnsr-alias of type cname, which must be its only record"},
		{"dns_records", "dns_service_uuid=dnss-a name=alias type=cname target=c", model.ArgumentError, "type: cname must be the only record of alias, which has dnsr-alias of type cname"},
		{"dns_records", "dns_service_uuid=dnss-a name=10.0.0.9 type=ptr target=nine.example", model.Class{}, ""},
		{"dns_records", "dns_service_uuid=dnss-a name=fd00::9 type=ptr target=nine.example", model.Class{}, ""},
		{"dns_records", "dns_service_uuid=dnss-a name=nine type=ptr target=nine.example", model.ArgumentError, "name: nine is not the name of an address"},
		{"dns_records", "dns_service_uuid=dnss-a name=*.10.in-addr.arpa type=ptr target=nine.example", model.ArgumentError, "type ptr is of one address"},
		{"dns_records", "dns_service_uuid=dnss-a name=_sip._udp.example type=srv target=sip.example port=5060 priority=10 weight=5", model.Class{}, ""},
		{"dns_records", "dns_service_uuid=dnss-a name=_sip._udp.example type=srv target=sip.example", model.MissingArgument, "port: is required with type srv"},
		{"dns_records", "dns_service_uuid=dnss-a name=_sip._udp.example type=srv target=sip.example port=5060 priority=70000", model.ArgumentError, "priority: 70000 is outside 0 to 65535"},
		{"dns_records", "dns_service_uuid=dnss-a name=t type=txt text=v=spf1~-all", model.Class{}, ""},
		{"dns_records", "dns_service_uuid=dnss-a name=t type=txt", model.MissingArgument, "text: is required with type txt"},

		{"routes", "interface_uuid=if-sim network_uuid=nw-a route_link_uuid=rl-a ipv4_network=0.0.0.0 ipv4_prefix=0", model.Class{}, ""},
		{"routes", "interface_uuid=if-sim network_uuid=nw-a route_link_uuid=rl-a ipv6_network=:: ipv6_prefix=0", model.Class{}, ""},
		{"routes", "interface_uuid=if-sim network_uuid=nw-a route_link_uuid=rl-a ipv4_network=0.0.0.0", model.ArgumentError, "ipv4_prefix: must be 0 with 0.0.0.0"},
		{"routes", "interface_uuid=if-sim network_uuid=nw-a route_link_uuid=rl-a ipv4_network=10.0.0.7", model.ArgumentError, "ipv4_network: 10.0.0.7/24 has bits set"},
		{"routes", "interface_uuid=if-sim network_uuid=nw-a route_link_uuid=rl-a", model.MissingArgument, "ipv4_network: is required"},
		{"route_links", "mac_address=02:00:00:00:00:10", model.Class{}, ""},

		{"translations", "mode=vnet_edge interface_uuid=if-edge", model.Class{}, ""},
		{"translations", "mode=vnet_edge interface_uuid=if-sim", model.ArgumentError, "interface_uuid: if-sim has mode simulated"},
		{"translations", "mode=static_address interface_uuid=if-edge", model.ArgumentError, "interface_uuid: if-edge has mode edge"},
		{"translation_static_addresses", "translation_uuid=tr-static ingress_ipv4_address=192.0.2.1 egress_ipv4_address=10.0.0.1", model.Class{}, ""},
		{"translation_static_addresses", "translation_uuid=tr-static ingress_ipv6_address=2001:db8::1 egress_ipv6_address=fd00::1 ingress_port_number=80 egress_port_number=8080", model.Class{}, ""},
		{"translation_static_addresses", "translation_uuid=tr-static ingress_ipv4_address=192.0.2.1", model.MissingArgument, "egress_ipv4_address: is required"},
		{"translation_static_addresses", "translation_uuid=tr-static ingress_ipv6_address=2001:db8::1", model.MissingArgument, "egress_ipv6_address: is required"},
		{"translation_static_addresses", "translation_uuid=tr-static ingress_ipv4_address=192.0.2.1 egress_ipv6_address=fd00::1", model.ArgumentError, "both are of one family"},
		{"translation_static_addresses", "translation_uuid=tr-static ingress_ipv4_address=192.0.2.1 egress_ipv4_address=10.0.0.1 ingress_port_number=80", model.ArgumentError, "given both, or neither"},
		{"translation_static_addresses", "translation_uuid=tr-static ingress_ipv4_address=192.0.2.1 egress_ipv4_address=10.0.0.1 ingress_port_number=65536", model.ArgumentError, "ingress_port_number: 65536 is outside 0 to 65535"},
		{"translation_static_addresses", "translation_uuid=tr-edge ingress_ipv4_address=192.0.2.1 egress_ipv4_address=10.0.0.1", model.ArgumentError, "translation_uuid: tr-edge has mode vnet_edge"},
		{"vlan_translations", "translation_uuid=tr-edge network_uuid=nw-a vlan_id=4094", model.Class{}, ""},
		{"vlan_translations", "translation_uuid=tr-edge network_uuid=nw-a", model.MissingArgument, "vlan_id: is required"},
		{"vlan_translations", "translation_uuid=tr-edge network_uuid=nw-a vlan_id=4095", model.ArgumentError, "vlan_id: 4095 is outside 1 to 4094"},
		{"vlan_translations", "translation_uuid=tr-static network_uuid=nw-a vlan_id=1", model.ArgumentError, "translation_uuid: tr-static has mode static_address"},

		{"routes", "interface_uuid=if-sim network_uuid=nw-a route_link_uuid=rl-a ipv4_network=0.0.0.0 ipv4_prefix=0 ipv4_gateway=10.0.0.254", model.Class{}, ""},
		{"routes", "interface_uuid=if-vif network_uuid=nw-a route_link_uuid=rl-a ipv4_network=10.7.0.0", model.Class{}, ""},
		{"routes", "mode=blackhole route_link_uuid=rl-a ipv4_network=10.7.0.0", model.Class{}, ""},
		{"routes", "mode=blackhole route_link_uuid=rl-a ipv4_network=10.7.0.0 ipv4_gateway=10.0.0.254", model.ArgumentError, "ipv4_gateway: is of routes of mode gateway"},
		{"routes", "network_uuid=nw-a route_link_uuid=rl-a ipv4_network=10.7.0.0", model.MissingArgument, "interface_uuid: is required"},
		{"routes", "interface_uuid=if-sim route_link_uuid=rl-a ipv4_network=10.7.0.0", model.MissingArgument, "network_uuid: is required"},
		{"routes", "interface_uuid=if-edge network_uuid=nw-a route_link_uuid=rl-a ipv4_network=10.7.0.0", model.ArgumentError, "interface_uuid: if-edge has mode edge; routes lead through interfaces of mode simulated"},
		{"routes", "interface_uuid=if-sim network_uuid=nw-a route_link_uuid=rl-a ipv4_network=10.7.0.0 ipv4_gateway=10.7.0.1", model.ArgumentError, "ipv4_gateway: 10.7.0.1 is outside 10.0.0.0/24, the subnet of nw-a"},
		{"routes", "interface_uuid=if-sim network_uuid=nw-p route_link_uuid=rl-a ipv6_network=fd07:: ipv6_gateway=fd07::1", model.ArgumentError, "ipv6_gateway: nw-p has no subnet of the family of fd07::1"},

		{"translations", "mode=masquerade interface_uuid=if-sim network_uuid=nw-a", model.Class{}, ""},
		{"translations", "mode=static_address interface_uuid=if-sim network_uuid=nw-a", model.ArgumentError, "network_uuid: is for translations of mode masquerade"},

		{"mirrors", "interface_uuid=if-vif target_interface_uuid=if-vif", model.ArgumentError, "target_interface_uuid: is the interface that is mirrored itself"},
		{"mirrors", "interface_uuid=if-sim target_interface_uuid=if-vif", model.ArgumentError, "interface_uuid: if-sim has mode simulated"},
		{"mirrors", "interface_uuid=if-vif target_interface_uuid=if-host", model.ArgumentError, "target_interface_uuid: if-host has mode host"},

		{"security_group_rules", "security_group_uuid=sg-a protocol=tcp port_first=80 port_last=90 remote_addresses=10.0.0.0/8 excluded_addresses=10.1.0.0/16", model.Class{}, ""},
		{"security_group_rules", "security_group_uuid=sg-a direction=egress protocol=icmp icmp_type=8 icmp_code=0 remote_address_group_uuid=ag-a action=reject priority=1000", model.Class{}, ""},
		{"security_group_rules", "security_group_uuid=sg-a protocol=any port_first=80", model.ArgumentError, "port_first: any has no ports"},
		{"security_group_rules", "security_group_uuid=sg-a protocol=udp port_first=80 port_last=79", model.ArgumentError, "port_last: 79 is less than port_first, 80"},
		{"security_group_rules", "security_group_uuid=sg-a protocol=tcp icmp_type=8", model.ArgumentError, "icmp_type: tcp has no ICMP type or code"},
		{"security_group_rules", "security_group_uuid=sg-a protocol=icmp icmp_code=0", model.ArgumentError, "icmp_code: is of an icmp_type, which is not given"},
		{"security_group_rules", "security_group_uuid=sg-a remote_addresses=10.0.0.0/8 remote_group_uuid=sg-a", model.ArgumentError, "remote_group_uuid: one of remote_addresses, remote_group_uuid and"},
		{"security_group_rules", "security_group_uuid=sg-a remote_group_uuid=sg-a excluded_addresses=10.0.0.0/8", model.ArgumentError, "excluded_addresses: are of remote_addresses or of all"},
		{"security_group_rules", "security_group_uuid=sg-a remote_addresses=10.0.0.0/9 excluded_addresses=10.0.0.0/8", model.ArgumentError, "excluded_addresses: leave no address of the peer"},
		{"security_group_rules", "security_group_uuid=sg-a action=drop stateless=true", model.ArgumentError, "stateless: is of action allow"},
		{"security_group_rules", "security_group_uuid=sg-a priority=1001", model.ArgumentError, "priority: 1001 is outside 0 to 1000"},
		{"security_group_rules", "security_group_uuid=sg-a remote_address_group_uuid=ag-none", model.UnknownUUIDResource, "remote_address_group_uuid: there is no address group ag-none"},
		{"address_groups", "display_name=a addresses=10.0.0.1,fd00::/64,10.0.0.0/8", model.Class{}, ""},
		{"address_groups", "display_name=a addresses=10.0.0.1/8", model.ArgumentError, "addresses: 10.0.0.1/8 has bits set beyond its prefix"},
		{"topologies", "mode=simple_overlay encapsulation=stt", model.ArgumentError, "encapsulation: \"stt\" is not one of geneve, vxlan, gre"},

		{"filter_statics", "filter_uuid=fil-a protocol=tcp src_address=10.0.0.0/8 dst_port=22 action=pass", model.Class{}, ""},
		{"filter_statics", "filter_uuid=fil-a protocol=icmp src_address=fd00::1 action=conn", model.Class{}, ""},
		{"filter_statics", "filter_uuid=fil-a protocol=tcp action=pass src_address=10.0.0.1/8", model.ArgumentError, "src_address: 10.0.0.1/8 has bits set beyond its prefix; did you mean 10.0.0.0/8?"},
		{"filter_statics", "filter_uuid=fil-a protocol=tcp action=pass src_address=10.0.0.0/33", model.ArgumentError, "src_address: \"10.0.0.0/33\" is not an IP prefix"},
		{"filter_statics", "filter_uuid=fil-a protocol=tcp action=pass src_address=0.0.0.0/8", model.ArgumentError, "must be 0"},
		{"filter_statics", "filter_uuid=fil-a protocol=tcp action=pass src_address=10.0.0.0/8 dst_address=fd00::/64", model.ArgumentError, "different families"},
		{"filter_statics", "filter_uuid=fil-a protocol=icmp action=pass dst_port=1", model.ArgumentError, "dst_port: icmp has no ports"},
		{"filter_statics", "filter_uuid=fil-a protocol=arp action=pass src_address=fd00::/64", model.ArgumentError, "has no ARP"},
		{"filter_statics", "filter_uuid=fil-a protocol=tcp action=accept", model.ArgumentError, "action: \"accept\" is not one of pass, drop, conn"},
		{"filter_statics", "filter_uuid=fil-a protocol=tcp", model.MissingArgument, "action: is required"},

		{"security_groups", "display_name=a rules=tcp:22:0.0.0.0/0,udp:53:10.0.0.1,icmp:-1:fd00::/8,tcp:0:sg-a", model.Class{}, ""},
		{"security_groups", "display_name=a rules=tcp:22", model.ArgumentError, "rules: \"tcp:22\" is not a rule of the form protocol:port:source"},
		{"security_groups", "display_name=a rules=gre:1:0.0.0.0/0", model.ArgumentError, "\"gre\" is not one of tcp, udp, icmp"},
		{"security_groups", "display_name=a rules=tcp:70000:0.0.0.0/0", model.ArgumentError, "\"70000\" is not a port"},
		{"security_groups", "display_name=a rules=icmp:8:0.0.0.0/0", model.ArgumentError, "the port of icmp is -1"},
		{"security_groups", "display_name=a rules=tcp:22:10.0.0.1/8", model.ArgumentError, "has bits set beyond its prefix"},
		{"security_groups", "display_name=a rules=tcp:22:", model.ArgumentError, "has no source"},
		{"security_groups", "display_name=a rules=tcp:22:sg-none", model.UnknownUUIDResource, "rules: there is no security group sg-none"},
		{"security_groups", "display_name=a rules=tcp:22:sg-NONE", model.ArgumentError, "is not the uuid of a security group"},

		{"ip_ranges", "ip_range_group_uuid=iprg-a begin_ipv4_address=10.0.0.1 end_ipv4_address=10.0.0.1", model.Class{}, ""},
		{"ip_ranges", "ip_range_group_uuid=iprg-a begin_ipv6_address=fd00::1 end_ipv6_address=fd00::ff", model.Class{}, ""},
		{"ip_ranges", "ip_range_group_uuid=iprg-a begin_ipv4_address=10.0.0.2 end_ipv4_address=10.0.0.1", model.ArgumentError, "end_ipv4_address: 10.0.0.1 is before 10.0.0.2"},
		{"ip_ranges", "ip_range_group_uuid=iprg-a begin_ipv4_address=10.0.0.2 end_ipv6_address=fd00::1", model.ArgumentError, "one family"},
		{"ip_ranges", "ip_range_group_uuid=iprg-a", model.MissingArgument, "begin_ipv4_address: is required (or begin_ipv6_address)"},
		{"mac_ranges", "mac_range_group_uuid=mrg-a begin_mac_address=02:00:00:00:00:00 end_mac_address=02:00:00:00:ff:ff", model.Class{}, ""},
		{"mac_ranges", "mac_range_group_uuid=mrg-a begin_mac_address=02:00:00:00:00:01 end_mac_address=02:00:00:00:00:00", model.ArgumentError, "end_mac_address: 02:00:00:00:00:00 is before"},
		{"mac_ranges", "mac_range_group_uuid=mrg-a begin_mac_address=01:00:00:00:00:01 end_mac_address=02:00:00:00:00:00", model.ArgumentError, "is a multicast address"},
		{"ip_range_groups", "allocation_type=sometimes", model.ArgumentError, "not one of incremental, decremental, random"},
		{"ip_retention_containers", "lease_time=0 grace_time=3600", model.Class{}, ""},
		{"ip_retention_containers", "lease_time=-1", model.ArgumentError, "lease_time: -1 is outside 0"},
		{"lease_policies", "timing=later", model.ArgumentError, "not one of immediate, dhcp"},

		{"topologies", "mode=simple_overlay automatic=true", model.ArgumentError, "automatic: is for topo-default only"},
		{"topology_layers", "overlay_uuid=topo-over underlay_uuid=topo-under", model.Class{}, ""},
		{"topology_layers", "overlay_uuid=topo-under underlay_uuid=topo-under", model.ArgumentError, "overlay_uuid: topo-under has mode simple_underlay; one of mode simple_overlay"},
		{"topology_layers", "overlay_uuid=topo-over underlay_uuid=topo-over", model.ArgumentError, "underlay_uuid: topo-over has mode simple_overlay"},
		{"topology_datapaths", "topology_uuid=topo-under datapath_uuid=dp-a interface_uuid=if-host", model.Class{}, ""},
		{"topology_datapaths", "topology_uuid=topo-over datapath_uuid=dp-a interface_uuid=if-host", model.ArgumentError, "topology_uuid: topo-over has mode simple_overlay"},
		{"topology_datapaths", "topology_uuid=topo-under datapath_uuid=dp-b interface_uuid=if-host", model.ArgumentError, "interface_uuid: if-host is not on datapath dp-b"},
		{"topology_networks", "topology_uuid=topo-under network_uuid=nw-p", model.Class{}, ""},
		{"topology_route_links", "topology_uuid=topo-under route_link_uuid=rl-a", model.ArgumentError, "topology_uuid: topo-under has mode simple_underlay"},
		{"topology_mac_range_groups", "topology_uuid=topo-over mac_range_group_uuid=mrg-a", model.ArgumentError, "topology_uuid: topo-over has mode simple_overlay"},

		{"tenants", "tenant_uuid=tn-a", model.ArgumentError, "tenant_uuid: a tenant does not belong to a tenant"},
		{"interfaces", "mode=vif tenant_uuid=tn-none", model.UnknownUUIDResource, "tenant_uuid: there is no tenant tn-none"},
		{"ip_leases", "network_uuid=nw-ta ipv4_address=10.2.0.9 tenant_uuid=tn-a", model.Class{}, ""},
		{"ip_leases", "network_uuid=nw-a ipv4_address=10.0.0.9 tenant_uuid=tn-a", model.Class{}, ""},
		{"ip_leases", "network_uuid=nw-ta ipv4_address=10.2.0.9", model.ArgumentError, "network_uuid: nw-ta is of tenant tn-a"},
		{"ip_leases", "network_uuid=nw-ta ipv4_address=10.2.0.9 tenant_uuid=tn-b", model.UnknownUUIDResource, "network_uuid: there is no network nw-ta that is shared or of tenant tn-b"},
		{"ip_leases", "network_uuid=nw-none ipv4_address=10.2.0.9 tenant_uuid=tn-b", model.UnknownUUIDResource, "network_uuid: there is no network nw-none that is shared or of tenant tn-b"},
		{"security_groups", "display_name=a tenant_uuid=tn-a rules=tcp:22:sg-tb", model.UnknownUUIDResource, "rules: there is no security group sg-tb that is shared or of tenant tn-a"},
		{"interface_ports", "interface_uuid=if-ta datapath_uuid=dp-a port_name=p", model.Class{}, ""},
		{"datapath_networks", "datapath_uuid=dp-a network_uuid=nw-ta interface_uuid=if-host", model.Class{}, ""},
		{"networks", "ipv4_network=10.0.0.0 labels=b=2,a=1", model.Class{}, ""},
		{"networks", "ipv4_network=10.0.0.0 labels=A=1", model.ArgumentError, "labels: \"A\" is not a label's key"},
		{"networks", "ipv4_network=10.0.0.0 labels=a=1,a=2", model.ArgumentError, "labels: label \"a\" is given twice"},
		{"networks", "ipv4_network=10.0.0.0 labels=a=ü", model.ArgumentError, "is not a label's value"},
	} {
		o, err := build(t, tc.plural, tc.params)
		if err == nil {
			err = model.Of(o).Validate(o)
		}
		if err == nil {
			err = model.Of(o).Check(o, g)
		}
		var refusal *model.Error
		switch {
		case err == nil && tc.class == (model.Class{}):
		case err == nil:
			t.Errorf("%s %s is accepted; want %s %q", tc.plural, tc.params, tc.class.Name, tc.want)
		case !errors.As(err, &refusal) || refusal.Class != tc.class || !strings.Contains(err.Error(), tc.want):
			t.Errorf("%s %s: %v; want %s %q", tc.plural, tc.params, err, tc.class.Name, tc.want)
		}
	}
}

// Texts are kept in their canonical form, so that what is equal is equal.
func TestCanonicalForms(t *testing.T) {
	for _, tc := range []struct {
		plural, field string
		in            any
		want          string
	}{
		{"networks", "labels", " b=2 ,a,", "a=,b=2"},
		{"networks", "labels", map[string]any{"b": 2, "a": "x", "c": nil, "d": true}, "a=x,b=2,c=,d=true"},
		{"networks", "domain_name", "Shop.Example.", "shop.example"},
		{"dns_records", "name", "*.Apps.Example.", "*.apps.example"},
		{"dns_records", "name", "192.0.2.10", "10.2.0.192.in-addr.arpa"},
		{"dns_records", "name", "2001:DB8::567", "7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
		{"dns_services", "public_dns", " 192.0.2.1, 2001:DB8::1 ,", "192.0.2.1,2001:db8::1"},
		{"filter_statics", "src_address", "10.0.0.1", "10.0.0.1/32"},
		{"filter_statics", "src_address", "FD00::/64", "fd00::/64"},
		{"filter_statics", "src_address", nil, ""},
		{"security_groups", "rules", "# all\ntcp:22:0.0.0.0/0", "# all\ntcp:22:0.0.0.0/0"},
		{"ip_retention_containers", "lease_time", "", ""},
		{"ip_retention_containers", "lease_time", "0", "0"},
	} {
		r := model.ByPlural(tc.plural)
		f := r.Field(tc.field)
		v, err := f.Parse(tc.in)
		if err != nil {
			t.Errorf("%s.%s %v: %v", tc.plural, tc.field, tc.in, err)
			continue
		}
		o := r.New()
		f.Set(o, v)
		if got := f.Text(o); got != tc.want {
			t.Errorf("%s.%s %v is kept as %q, want %q", tc.plural, tc.field, tc.in, got, tc.want)
		}
		if _, err := f.ParseText(f.Text(o)); err != nil {
			t.Errorf("%s.%s: its own text is refused: %v", tc.plural, tc.field, err)
		}
		b, err := model.Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := r.Decode(b); err != nil || !model.Equal(o, back) {
			t.Errorf("%s.%s %v is not what is read back of %s: %v", tc.plural, tc.field, tc.in, b, err)
		}
	}
}

func TestLabelsSelect(t *testing.T) {
	for _, tc := range []struct {
		labels, selector model.Labels
		want             bool
	}{
		{"a=1,b=2", "", true}, {"a=1,b=2", "b=2", true}, {"a=1,b=2", "a=1,b=2", true}, {"a=1", "a=2", false}, {"a=1", "a=1,b=2", false}, {"a=", "a=", true}, {"", "a=", false},
	} {
		if got := tc.labels.Has(tc.selector); got != tc.want {
			t.Errorf("%q has %q: %v", tc.labels, tc.selector, got)
		}
	}
}

func TestMACAsNumber(t *testing.T) {
	m := model.MAC{0x02, 0xff, 3, 4, 5, 6}
	if n := m.Uint64(); n != 0x02ff03040506 || model.MACFromUint64(n) != m {
		t.Errorf("%s is %#x, which is %s", m, n, model.MACFromUint64(n))
	}
}

// What goes with the deletion of an object, by resource, as OpenVNet's cascades are.
func TestCascades(t *testing.T) {
	got := map[string][]string{}
	restrict, cleared := map[string][]string{}, map[string][]string{}
	for _, ref := range model.References() {
		switch {
		case ref.To == model.Tenants || ref.From.Hidden:
		case ref.Field.OnDelete == model.Cascade:
			got[ref.To.Plural] = append(got[ref.To.Plural], ref.From.Plural)
		case ref.Field.OnDelete == model.Clear:
			cleared[ref.To.Plural] = append(cleared[ref.To.Plural], ref.Name)
		default:
			restrict[ref.To.Plural] = append(restrict[ref.To.Plural], ref.Name)
		}
	}
	want := map[string]string{
		"datapaths": "datapath_networks datapath_route_links datapath_segments interface_ports topology_datapaths",
		"networks":  "datapath_networks dhcp_options interface_networks ip_leases lease_policy_base_networks routes topology_networks translations vlan_translations",
		"segments":  "datapath_segments interface_segments mac_leases networks topology_segments",
		"interfaces": "datapath_networks datapath_route_links datapath_segments dhcp_options filters interface_metadata interface_networks interface_ports interface_route_links interface_segments ip_leases " +
			"lease_policy_base_interfaces mac_leases mirrors network_services routes security_group_interfaces topology_datapaths translations",
		"mac_leases":                "ip_leases",
		"ip_leases":                 "datapath_networks datapath_route_links datapath_segments ip_lease_container_ip_leases ip_retentions topology_datapaths",
		"route_links":               "datapath_route_links interface_route_links routes topology_route_links translation_static_addresses",
		"topologies":                "datapath_networks datapath_route_links datapath_segments topology_datapaths topology_layers topology_mac_range_groups topology_networks topology_route_links topology_segments",
		"topology_layers":           "datapath_networks datapath_route_links datapath_segments",
		"topology_mac_range_groups": "datapath_networks datapath_route_links datapath_segments",
		"network_services":          "dhcp_options dns_services", "dns_services": "dns_records", "filters": "filter_statics", "translations": "translation_static_addresses vlan_translations",
		"ip_range_groups": "ip_ranges", "mac_range_groups": "mac_ranges topology_mac_range_groups", "security_groups": "security_group_interfaces security_group_rules",
		"ip_lease_containers": "ip_lease_container_ip_leases lease_policy_ip_lease_containers", "ip_retention_containers": "ip_retentions lease_policy_ip_retention_containers",
		"lease_policies": "lease_policy_base_interfaces lease_policy_base_networks lease_policy_ip_lease_containers lease_policy_ip_retention_containers",
	}
	for plural := range maps.Keys(got) {
		slices.Sort(got[plural])
		if s := strings.Join(slices.Compact(got[plural]), " "); s != want[plural] {
			t.Errorf("with one of %s go\n%s, want\n%s", plural, s, want[plural])
		}
		delete(want, plural)
	}
	for plural := range want {
		t.Errorf("nothing goes with one of %s", plural)
	}
	if want := map[string][]string{"ip_range_groups": {"lease_policy_base_networks.ip_range_group_uuid"}, "security_groups": {"security_groups.rules", "security_group_rules.remote_group_uuid"}, "address_groups": {"security_group_rules.remote_address_group_uuid"}}; !maps.EqualFunc(restrict, want, slices.Equal) {
		t.Errorf("deletions are refused because of %v, want %v", restrict, want)
	}
	if want := map[string][]string{"interfaces": {"ip_retentions.former_interface_uuid"}}; !maps.EqualFunc(cleared, want, slices.Equal) {
		t.Errorf("deletions clear %v, want %v", cleared, want)
	}
}

// Rows that there may be but one of have a key that says so.
func TestUniqueGroups(t *testing.T) {
	mac := func(plural string) string {
		o, err := build(t, plural, "mac_address=02:00:00:00:00:01")
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range model.Of(o).Uniques {
			if k, ok := u.Key(o); ok && u.Name == "mac" && u.Shared {
				return k
			}
		}
		return ""
	}
	for _, plural := range []string{"mac_leases", "route_links", "datapath_networks", "datapath_segments", "datapath_route_links"} {
		if got := mac(plural); got != "02:00:00:00:00:01" {
			t.Errorf("the MAC address of %s has the key %q", plural, got)
		}
	}
	g := graph.New()
	for i, plural := range []string{"mac_leases", "route_links"} {
		o, _ := build(t, plural, "mac_address=02:00:00:00:00:01")
		o.Base().ID = uint32(i + 1)
		g.Put(o)
		if uuid, ok := g.ByUnique(model.DatapathNetworks, "mac", "02:00:00:00:00:01"); !ok || uuid != o.Base().UUID {
			t.Errorf("the holder of the address is %q, want %s", uuid, o.Base().UUID)
		}
	}
	a, _ := build(t, "filter_statics", "filter_uuid=fil-a protocol=ip action=pass")
	b, _ := build(t, "filter_statics", "filter_uuid=fil-a protocol=ip action=drop")
	ka, _ := model.FilterStatics.Uniques[0].Key(a)
	if kb, ok := model.FilterStatics.Uniques[0].Key(b); !ok || ka != kb {
		t.Errorf("two rules for the same packets have the keys %q and %q", ka, kb)
	}
}
