package metadata

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// place is the name of the region and the availability zone: guests are not told which host they are on.
const place = "openvnet"

// leaf is one value of the tree.
type leaf struct{ path, value string }

// tree gives EC2's tree for the guest, without user-data. What is empty is not in it.
func (i *Instance) tree() []leaf {
	var t []leaf
	add := func(path, value string) {
		if value != "" {
			t = append(t, leaf{path, value})
		}
	}
	first4 := i.first(netip.Addr.Is4)
	first6 := i.first(netip.Addr.Is6)
	text := func(p netip.Prefix) string {
		if !p.IsValid() {
			return ""
		}
		return p.Addr().String()
	}
	meta := "meta-data/"
	add(meta+"hostname", i.Hostname)
	add(meta+"instance-id", i.ID)
	add(meta+"instance-type", place)
	add(meta+"ipv6", text(first6))
	add(meta+"local-hostname", i.Hostname)
	add(meta+"local-ipv4", text(first4))
	for n, d := range i.Devices {
		mac := d.MAC.String()
		if n == 0 {
			add(meta+"mac", mac)
		}
		of := meta + "network/interfaces/macs/" + mac + "/"
		add(of+"device-number", strconv.Itoa(n))
		add(of+"interface-id", i.Interface)
		add(of+"ipv6s", lines(d.addrs(netip.Addr.Is6), netip.Prefix.Addr))
		add(of+"local-hostname", i.Hostname)
		add(of+"local-ipv4s", lines(d.addrs(netip.Addr.Is4), netip.Prefix.Addr))
		add(of+"mac", mac)
		// One subnet of IPv4: that of the first address.
		if subnets := d.addrs(netip.Addr.Is4); len(subnets) > 0 {
			add(of+"subnet-ipv4-cidr-block", subnets[0].Masked().String())
		}
		add(of+"subnet-ipv6-cidr-blocks", lines(d.addrs(netip.Addr.Is6), netip.Prefix.Masked))
	}
	add(meta+"placement/availability-zone", place)
	add(meta+"placement/region", place)
	for n, key := range i.Keys {
		add(meta+"public-keys/"+strconv.Itoa(n)+"/openssh-key", key)
	}
	document, err := json.MarshalIndent(map[string]string{
		"version": "2017-09-30", "instanceId": i.ID, "privateIp": text(first4), "region": place, "availabilityZone": place, "instanceType": place,
	}, "", "  ")
	if err == nil {
		add("dynamic/instance-identity/document", string(document))
	}
	return t
}

// lines gives what is made of prefixes, each once, one on a line.
func lines[T interface{ String() string }](ps []netip.Prefix, of func(netip.Prefix) T) string {
	var out []string
	for _, p := range ps {
		if s := of(p).String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, "\n")
}

// list gives the value at a path of the tree, or the names of what is below it: with a slash after those that have something below them.
func list(t []leaf, path string) ([]byte, bool) {
	if path != "" {
		path += "/"
	}
	var names []string
	for _, l := range t {
		if l.path+"/" == path {
			return []byte(l.value), true
		}
		rest, below := strings.CutPrefix(l.path, path)
		if !below {
			continue
		}
		name, _, more := strings.Cut(rest, "/")
		switch {
		case path == "meta-data/public-keys/": // cloud-init knows it is no directory
			name += "=key-" + name
		case more && path != "":
			name += "/"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return []byte(strings.Join(names, "\n")), len(names) > 0
}
