package lab

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/openvnet/openvnet/model"
)

// ParseFile reads a lab description from a YAML file; the file's name without extension is the default for the lab's.
func ParseFile(path string) (Spec, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, fmt.Errorf("read lab description: %w", err)
	}
	name := filepath.Base(path)
	s, err := Parse(b, strings.TrimSuffix(name, filepath.Ext(name)))
	if err != nil {
		return Spec{}, fmt.Errorf("%s:\n%w", path, err)
	}
	return s, nil
}

// Parse reads a lab description, fills in the defaults and validates it. Unknown and repeated keys are errors. Every
// error is a Problems with the lines of the document.
func Parse(doc []byte, defaultName string) (Spec, error) {
	d := decoder{lines: map[string]int{}}
	dec := yaml.NewDecoder(bytes.NewReader(doc))
	var root, more yaml.Node
	if err := dec.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return Spec{}, Problems{{Reason: strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return Spec{}, Problems{{Reason: "more than one document in the file"}}
	}
	s := Spec{Name: defaultName}
	if len(root.Content) > 0 {
		d.spec(root.Content[0], &s)
	}
	if len(d.problems) == 0 {
		s.complete()
		s.validate(func(path, reason string) { d.report(path, d.line(path), reason) })
	}
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return Spec{}, d.problems
	}
	return s, nil
}

func (d *decoder) spec(n *yaml.Node, s *Spec) {
	d.mapping(n, "", func(key string, v *yaml.Node, path string) bool {
		switch key {
		case "name":
			s.Name = d.text(v, path)
		case "management":
			s.Management = d.prefix(v, path)
		case "underlays":
			s.Underlays = named(d, v, path, d.underlay)
		case "routers":
			s.Routers = named(d, v, path, d.router)
		case "hosts":
			s.Hosts = named(d, v, path, d.host)
		case "guests":
			s.Guests = named(d, v, path, d.guest)
		case "machines":
			s.Machines = named(d, v, path, d.machine)
		default:
			return false
		}
		return true
	})
}

// underlay has the short forms "PREFIX", "[PREFIX, ...]" and nothing at all.
func (d *decoder) underlay(name string, n *yaml.Node, path string) Underlay {
	u := Underlay{Name: name}
	if n.Kind != yaml.MappingNode {
		u.Prefixes = list(d, n, path, d.prefix)
		return u
	}
	d.mapping(n, path, func(key string, v *yaml.Node, path string) bool {
		switch key {
		case "prefix", "prefixes":
			u.Prefixes = append(u.Prefixes, list(d, v, path, d.prefix)...)
		case "mtu":
			u.MTU = d.number(v, path)
		default:
			return false
		}
		return true
	})
	return u
}

func (d *decoder) router(name string, n *yaml.Node, path string) Router {
	return Router{Name: name, Legs: named(d, n, path, func(underlay string, v *yaml.Node, path string) RouterLeg {
		return RouterLeg{Underlay: underlay, Addresses: list(d, v, path, d.addr)}
	})}
}

func (d *decoder) host(name string, n *yaml.Node, path string) Host {
	h := Host{Name: name}
	d.mapping(n, path, func(key string, v *yaml.Node, path string) bool {
		switch key {
		case "dpid":
			h.DPID = strings.ToLower(strings.TrimPrefix(d.text(v, path), "0x"))
		case "mac":
			h.MAC = d.mac(v, path)
		case "nics":
			h.NICs = named(d, v, path, d.nic)
		default:
			return false
		}
		return true
	})
	return h
}

func (d *decoder) nic(name string, n *yaml.Node, path string) NIC {
	nic := NIC{Name: name}
	d.mapping(n, path, func(key string, v *yaml.Node, path string) bool {
		switch key {
		case "underlay":
			nic.Underlay = d.text(v, path)
		case "address", "addresses":
			nic.Addresses = append(nic.Addresses, list(d, v, path, d.addr)...)
		case "mac":
			nic.MAC = d.mac(v, path)
		default:
			return false
		}
		return true
	})
	return nic
}

func (d *decoder) guest(name string, n *yaml.Node, path string) Guest {
	g := Guest{Name: name}
	d.mapping(n, path, func(key string, v *yaml.Node, path string) bool {
		switch key {
		case "host":
			g.Host = d.text(v, path)
		case "port":
			g.Port = d.text(v, path)
		case "iface_id":
			g.IfaceID = d.text(v, path)
		case "mac":
			g.MAC = d.mac(v, path)
		case "live":
			g.Live = d.boolean(v, path)
		case "mtu":
			g.MTU = d.number(v, path)
		default:
			return d.ip(key, v, path, &g.IP)
		}
		return true
	})
	return g
}

func (d *decoder) machine(name string, n *yaml.Node, path string) Machine {
	m := Machine{Name: name}
	d.mapping(n, path, func(key string, v *yaml.Node, path string) bool {
		switch key {
		case "underlay":
			m.Underlay = d.text(v, path)
		case "vlan":
			if m.VLAN = d.number(v, path); m.VLAN == 0 {
				d.report(path, v.Line, "a VLAN id is a number from 1 to 4094")
			}
		case "mac":
			m.MAC = d.mac(v, path)
		case "mtu":
			m.MTU = d.number(v, path)
		default:
			return d.ip(key, v, path, &m.IP)
		}
		return true
	})
	return m
}

func (d *decoder) ip(key string, v *yaml.Node, path string, ip *IP) bool {
	switch key {
	case "dhcp":
		ip.DHCP = d.boolean(v, path)
	case "dhcp_client":
		ip.DHCPClient = d.text(v, path)
	case "address", "addresses":
		ip.Addresses = append(ip.Addresses, list(d, v, path, d.prefix)...)
	case "gateway", "gateways":
		ip.Gateways = append(ip.Gateways, list(d, v, path, d.addr)...)
	default:
		return false
	}
	return true
}

// decoder walks a YAML document, remembers the line of every path and collects what is wrong.
type decoder struct {
	lines    map[string]int
	problems Problems
}

func (d *decoder) report(path string, line int, reason string) {
	d.problems = append(d.problems, Problem{path, line, reason})
}

// line gives the line of a path, or of its nearest parent that is in the document.
func (d *decoder) line(path string) int {
	for {
		if l, ok := d.lines[path]; ok {
			return l
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return 0
		}
		path = path[:dot]
	}
}

// mapping calls field for every entry; field returns false for a key that it does not know. Nothing at all is an
// empty mapping.
func (d *decoder) mapping(n *yaml.Node, path string, field func(key string, v *yaml.Node, path string) bool) {
	n = resolve(n)
	if n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.report(path, n.Line, "must be a mapping (key: value)")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		sub := join(path, k.Value)
		d.lines[sub] = k.Line
		switch {
		case k.Kind != yaml.ScalarNode:
			d.report(path, k.Line, "a key must be plain text")
		case seen[k.Value]:
			d.report(sub, k.Line, "repeated key")
		case !field(k.Value, v, sub):
			d.report(sub, k.Line, "unknown key")
		}
		seen[k.Value] = true
	}
}

// named reads a mapping whose keys are names, keeping the order.
func named[T any](d *decoder, n *yaml.Node, path string, item func(name string, v *yaml.Node, path string) T) []T {
	var items []T
	d.mapping(n, path, func(key string, v *yaml.Node, path string) bool {
		items = append(items, item(key, v, path))
		return true
	})
	return items
}

// list reads a sequence, or one value in place of it; nothing at all is an empty one.
func list[T any](d *decoder, n *yaml.Node, path string, item func(n *yaml.Node, path string) T) []T {
	if n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return []T{item(n, path)}
	}
	var items []T
	for _, v := range n.Content {
		items = append(items, item(resolve(v), path))
	}
	return items
}

func (d *decoder) text(n *yaml.Node, path string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.report(path, n.Line, "must be plain text")
		return ""
	}
	return n.Value
}

func (d *decoder) number(n *yaml.Node, path string) int {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || v < 0 {
		d.report(path, n.Line, fmt.Sprintf("%q is not a whole number", n.Value))
		return 0
	}
	return v
}

func (d *decoder) boolean(n *yaml.Node, path string) bool {
	if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
		d.report(path, n.Line, fmt.Sprintf("%q is neither true nor false", n.Value))
	}
	return n.Value == "true"
}

func (d *decoder) mac(n *yaml.Node, path string) model.MAC {
	m, err := model.ParseMAC(n.Value)
	if err != nil {
		d.report(path, n.Line, err.Error())
	} else if m == (model.MAC{}) {
		d.report(path, n.Line, "the MAC address of zeros is no address")
	}
	return m
}

func (d *decoder) addr(n *yaml.Node, path string) netip.Addr {
	a, err := netip.ParseAddr(n.Value)
	if err != nil || a.Zone() != "" {
		d.report(path, n.Line, fmt.Sprintf("%q is not an IP address", n.Value))
		return netip.Addr{}
	}
	return a
}

func (d *decoder) prefix(n *yaml.Node, path string) netip.Prefix {
	p, err := netip.ParsePrefix(n.Value)
	if err != nil {
		d.report(path, n.Line, fmt.Sprintf("%q is not of the form ADDRESS/LENGTH", n.Value))
		return netip.Prefix{}
	}
	return p
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
