package metadata

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/guide"
)

// noCloud gives the files of a seed of NoCloud. All of them are there, empty or not, as cloud-init asks for all. They are JSON, which is YAML.
func (i *Instance) noCloud(file string) (body []byte, kind string, ok bool) {
	switch file {
	case "":
		return []byte("meta-data\nnetwork-config\nuser-data\nvendor-data"), plain, true
	case "meta-data":
		meta := map[string]any{"instance-id": i.ID, "local-hostname": i.Hostname}
		if len(i.Keys) > 0 {
			meta["public-keys"] = i.Keys
		}
		return document(meta)
	case "user-data":
		return i.UserData, octets, true
	case "vendor-data":
		return i.VendorData, octets, true
	case "network-config":
		if len(i.NetworkConfig) > 0 {
			return i.NetworkConfig, plain, true
		}
		return document(i.network())
	}
	return nil, "", false
}

func document(v any) ([]byte, string, bool) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), plain, err == nil
}

// The network configuration of cloud-init, version 2.
type (
	networkConfig struct {
		Version   int               `json:"version"`
		Ethernets map[string]device `json:"ethernets"`
	}
	device struct {
		Match       match        `json:"match"`
		Name        string       `json:"set-name"`
		MTU         int          `json:"mtu,omitempty"`
		DHCP4       bool         `json:"dhcp4"`
		DHCP6       bool         `json:"dhcp6"`
		Addresses   []string     `json:"addresses,omitempty"`
		Routes      []route      `json:"routes,omitempty"`
		Nameservers *nameservers `json:"nameservers,omitempty"`
	}
	match struct {
		MAC string `json:"macaddress"`
	}
	route struct {
		To  string `json:"to"`
		Via string `json:"via"`
	}
	nameservers struct {
		Addresses []string `json:"addresses"`
		Search    []string `json:"search,omitempty"`
	}
)

// network gives the configuration that follows from leases and routes. It has no routes on the link, which cloud-init does not know: this service is behind its own address in the
// guest's network.
func (i *Instance) network() networkConfig {
	c := networkConfig{Version: 2, Ethernets: map[string]device{}}
	for n, d := range i.Devices {
		name := fmt.Sprintf("eth%d", n)
		out := device{Match: match{d.MAC.String()}, Name: name}
		names := nameservers{}
		known := map[string]bool{}
		add := func(to, via netip.Addr, bits int) {
			if p := netip.PrefixFrom(to, bits).String(); via.IsValid() && !known[p] {
				known[p] = true
				out.Routes = append(out.Routes, route{p, via.String()})
			}
		}
		for _, n := range d.Networks {
			if n.MTU > 0 && (out.MTU == 0 || n.MTU < out.MTU) {
				out.MTU = n.MTU
			}
			for _, p := range n.Addrs {
				out.Addresses = append(out.Addresses, p.String())
			}
			for _, f := range []guide.Family{guide.IPv4, guide.IPv6} {
				if !n.has(f) {
					continue
				}
				g := n.Guide[f]
				everywhere, here := netip.IPv4Unspecified(), model.MetadataIPv4()
				if f == guide.IPv6 {
					everywhere, here = netip.IPv6Unspecified(), model.MetadataIPv6()
				}
				for _, r := range g.Routers {
					add(everywhere, r.Addr, 0)
				}
				for _, r := range g.Routes {
					add(r.Destination.Addr(), r.Via.Addr, r.Destination.Bits())
				}
				add(here, g.Metadata, here.BitLen())
				for _, a := range g.DNS {
					names.Addresses = append(names.Addresses, a.String())
				}
				if g.Domain != "" && !known[g.Domain] {
					known[g.Domain] = true
					names.Search = append(names.Search, g.Domain)
				}
			}
		}
		if len(names.Addresses) > 0 {
			out.Nameservers = &names
		}
		c.Ethernets[name] = out
	}
	return c
}

// has reports whether there is an address of the family.
func (n *Network) has(f guide.Family) bool {
	for _, p := range n.Addrs {
		if p.Addr().Is4() == (f == guide.IPv4) {
			return true
		}
	}
	return false
}
