package cli

// examples are shown by --help, by the command's path as exampleKey gives it. A test runs all of them, in the order of
// exampleOrder, against a manager.
var examples = map[string]string{
	"datapaths add": `  vnctl datapaths add --uuid dp-node1 --display-name node1 --dpid 0x0000aaaaaaaaaaaa --node-id node1`,
	"networks add": `  vnctl networks add --uuid nw-a --ipv4-network 10.100.0.0 --ipv4-prefix 24
  vnctl networks add --uuid nw-u --mode physical --ipv4-network 172.16.90.0`,
	"interfaces add": `  # a guest's port, found by the name of its Open vSwitch port
  vnctl interfaces add --uuid if-v1 --mode vif --port-name if-v1 --network-uuid nw-a --ipv4-address 10.100.0.10 --mac-address 02:00:00:00:00:01
  # where services answer
  vnctl interfaces add --uuid if-dhcp --mode simulated --network-uuid nw-a --ipv4-address 10.100.0.2
  # the host's own interface to the underlay
  vnctl interfaces add --uuid if-h1 --mode host --owner-datapath-uuid dp-node1 --port-name eth0 --network-uuid nw-u --ipv4-address 172.16.90.10`,
	"network-services add": `  vnctl network-services add --uuid ns-dhcp --mode dhcp --interface-uuid if-dhcp`,
	"mac-leases add":       `  vnctl mac-leases add --uuid ml-a --interface-uuid if-v1 --mac-address 02:00:00:00:00:0a`,
	"ip-leases add":        `  vnctl ip-leases add --uuid il-a --mac-lease-uuid ml-a --network-uuid nw-a --ipv4-address 10.100.0.20`,
	"topologies add":       `  vnctl topologies add --uuid topo-a --mode simple_overlay`,
	"interfaces show": `  vnctl interfaces show
  vnctl interfaces show if-v1
  vnctl interfaces show --network-uuid nw-a -o json
  vnctl interfaces show --mode vif --limit 10 --offset 20`,
	"networks show": `  vnctl networks show
  vnctl networks show nw-a -o yaml`,
	"interfaces ports show":  `  vnctl interfaces ports show if-v1`,
	"interfaces ports add":   `  vnctl interfaces ports add if-v1 --datapath-uuid dp-node1`,
	"interfaces ports del":   `  vnctl interfaces ports del if-v1 --datapath-uuid dp-node1`,
	"datapaths networks add": `  vnctl datapaths networks add dp-node1 nw-a --interface-uuid if-h1`,
	"datapaths networks show": `  vnctl datapaths networks show dp-node1
  vnctl datapaths networks show dp-node1 nw-a`,
	"datapaths networks del": `  vnctl datapaths networks del dp-node1 nw-a`,
	"interfaces modify":      `  vnctl interfaces modify if-v1 --display-name "web server" --enable-filtering=false`,
	"networks modify":        `  vnctl networks modify nw-a --domain-name a.example --wait`,
	"networks del":           `  vnctl networks del nw-u --dry-run`,
	"interfaces del":         `  vnctl interfaces del if-v1 if-dhcp`,
	"apply": `  vnctl apply -f networks.yaml --dry-run
  vnctl apply -f networks.yaml --wait=1m

  networks.yaml:
    networks:
    - {uuid: nw-b, ipv4_network: 10.101.0.0}
    interfaces:
    - {uuid: if-v2, mode: vif, port_name: if-v2, network_uuid: nw-b, ipv4_address: 10.101.0.10}`,
	"plan":   `  vnctl plan -f networks.yaml`,
	"diff":   `  vnctl diff -f networks.yaml`,
	"expand": `  vnctl expand -f networks.yaml -o json`,
	"export": `  vnctl export > all.yaml
  vnctl export networks interfaces -l app=shop`,
	"batch": `  vnctl batch networks.txt
  vnctl batch --keep-going < networks.txt

  networks.txt:
    # one command to a line
    networks modify nw-b --display-name 'the second' # what an earlier apply made
    interfaces show if-v2`,
	"watch": `  vnctl watch
  vnctl watch networks interfaces -o json
  vnctl watch --uuid nw-a --since 1500`,
	"mac-range-groups add":            `  vnctl mac-range-groups add --uuid mrg-a`,
	"mac-range-groups mac-ranges add": `  vnctl mac-range-groups mac-ranges add mrg-a --begin-mac-address 52:56:01:00:00:00 --end-mac-address 52:56:01:ff:ff:ff`,
	"ip-range-groups add":             `  vnctl ip-range-groups add --uuid iprg-a --allocation-type incremental`,
	"ip-range-groups ip-ranges add":   `  vnctl ip-range-groups ip-ranges add iprg-a --begin-ipv4-address 10.100.0.100 --end-ipv4-address 10.100.0.200`,
	"lease-policies add":              `  vnctl lease-policies add --uuid lp-a`,
	"lease-policies networks add":     `  vnctl lease-policies networks add lp-a nw-a --ip-range-group-uuid iprg-a`,
	"lease-policies interfaces add":   `  vnctl lease-policies interfaces add lp-a if-v1`,
	"lease-policies allocate":         `  vnctl lease-policies allocate lp-a --ip-lease-uuid il-b`,
	"ip-leases attach":                `  vnctl ip-leases attach il-b --interface-uuid if-v1`,
	"ip-leases release":               `  vnctl ip-leases release il-b`,
	"filters add":                     `  vnctl filters add --uuid fil-a --interface-uuid if-v1 --mode static`,
	"filters static add": `  vnctl filters static add fil-a --protocol tcp --dst-port 22 --action pass
  vnctl filters static add fil-a --protocol udp --src-address 10.0.0.0/8 --dst-port 53 --action conn`,
	"filters static del":         `  vnctl filters static del fil-a --protocol tcp --dst-port 22`,
	"segments add":               `  vnctl segments add --uuid seg-a --mode virtual`,
	"route-links add":            `  vnctl route-links add --uuid rl-a`,
	"security-groups add":        `  vnctl security-groups add --uuid sg-a --display-name web --rules tcp:80:0.0.0.0/0,tcp:22:10.0.0.0/8`,
	"tenants add":                `  vnctl tenants add --uuid tn-shop --display-name "the shop"`,
	"interfaces networks modify": `  vnctl interfaces networks modify if-v1 nw-a --static`,
	"explain": `  vnctl explain
  vnctl explain interfaces
  vnctl explain ip_leases.network_uuid`,
}

const rootExamples = `  vnctl networks add --uuid nw-a --ipv4-network 10.100.0.0
  vnctl interfaces add --mode vif --port-name if-v1 --network-uuid nw-a --ipv4-address 10.100.0.10 --wait
  vnctl interfaces show
  vnctl apply -f networks.yaml
  vnctl explain interfaces`

// exampleKey gives the key of a place's command in examples.
func exampleKey(p place, verb string) string {
	if p.parent != nil {
		return hyphens(p.parent.Plural) + " " + hyphens(p.r.Path) + " " + verb
	}
	return hyphens(p.r.Plural) + " " + verb
}
