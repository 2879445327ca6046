package bringup

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

// plan says what there is: size interfaces, numbered from 0, spread evenly over networks and, within each network, over hosts. Some
// numbers from size on are spares: their ports are there, and their interfaces are what is measured.
type plan struct {
	size, networks int
	found          bool // no interface says on which host it is
}

func (p plan) network(n int) int { return n % p.networks }
func (p plan) host(n int) int    { return n / p.networks % hosts }

func (p plan) networkUUID(n int) string { return fmt.Sprintf("nw-bench%d", n) }
func (p plan) port(n int) string        { return fmt.Sprintf("p%d", n) }

// firstAddress keeps room for gateways and services.
const firstAddress = 10

func (p plan) address(n int) netip.Addr {
	in := firstAddress + n/p.networks // its place in its network
	return netip.AddrFrom4([4]byte{10, byte(1 + p.network(n)), byte(in >> 8), byte(in)})
}

func (p plan) mac(n int) model.MAC { return model.MAC{2, 1, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

// spares gives the spares of a host: the first numbers from size on that are its own.
func (p plan) spares(host int) []int {
	var ns []int
	for n := p.size; len(ns) < batch/hosts; n++ {
		if p.host(n) == host {
			ns = append(ns, n)
		}
	}
	return ns
}

// batch gives the spares of all hosts, host by host in turn.
func (p plan) batch() []int {
	var ns []int
	for i := range batch / hosts {
		for h := range hosts {
			ns = append(ns, p.spares(h)[i])
		}
	}
	return ns
}

// ports gives the names of the ports of a host, spares included.
func (p plan) ports(host int) []string {
	var names []string
	for n := range p.size {
		if p.host(n) == host {
			names = append(names, p.port(n))
		}
	}
	for _, n := range p.spares(host) {
		names = append(names, p.port(n))
	}
	return names
}

// vif is the creation of an interface on a host's datapath.
func (p plan) vif(n int, datapath string) client.Params {
	vif := client.Params{
		"mode": model.InterfaceVIF, "port_name": p.port(n), "network_uuid": p.networkUUID(p.network(n)),
		"mac_address": p.mac(n).String(), "ipv4_address": p.address(n).String(),
	}
	if !p.found {
		vif["owner_datapath_uuid"] = datapath
	}
	return vif
}

// documents are the networks and the interfaces without the spares.
func (p plan) documents(datapaths []string) client.Documents {
	docs := client.Documents{}
	for n := range p.networks {
		docs["networks"] = append(docs["networks"], client.Params{
			"uuid": p.networkUUID(n), "ipv4_network": netip.AddrFrom4([4]byte{10, byte(1 + n), 0, 0}).String(), "ipv4_prefix": 16,
		})
	}
	for n := range p.size {
		vif := p.vif(n, datapaths[p.host(n)])
		vif["uuid"] = fmt.Sprintf("if-bench%d", n)
		docs["interfaces"] = append(docs["interfaces"], vif)
	}
	return docs
}
