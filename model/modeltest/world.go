// Package modeltest draws random small worlds of the model for property tests: a few hosts, networks and interfaces, so that
// changes meet each other often. References may dangle, as they may in what a host is sent. Imported by tests only.
//
// There are three hosts, each with a host interface of its own; networks nw-0 and nw-1 that hosts carry, nw-2 that is physical and nw-3 that is
// internal, with the subnets of the former; interfaces if-0 to if-3 of guests, if-4 and if-5 simulated, which routes prefer, if-6 of a host, and
// if-7 with devices behind it; two of segments, route links, translations and address groups; three security groups.
package modeltest

import (
	"fmt"
	"net/netip"
	"strings"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Hosts are the uuids of the world's datapaths.
var Hosts = []string{"dp-0", "dp-1", "dp-2"}

const (
	networks   = 4
	interfaces = 8
	topology   = "topo-1" // an overlay, by which some rows are
)

// World draws the writes of a world with something of most kinds in it, in which changes move more than in an empty one; rev is the revision of
// all of them.
func World(t *rapid.T, rev int64) []graph.Change {
	var batch []graph.Change
	for n := range rapid.IntRange(40, 160).Draw(t, "world") {
		if c := Change(t, uint32(n+1), rev); c.Object != nil {
			batch = append(batch, c)
		}
	}
	return batch
}

// Batch draws a few writes and removals; rev is the revision of each and must grow from batch to batch.
func Batch(t *rapid.T, rev int64) []graph.Change {
	var batch []graph.Change
	for n := range rapid.IntRange(1, 4).Draw(t, "batch") {
		batch = append(batch, Change(t, uint32(rev)*8+uint32(n), rev))
	}
	return batch
}

// Change draws a write or a removal of one object, whose id is id when it is new to the reader.
func Change(t *rapid.T, id uint32, rev int64) graph.Change {
	d := draw{t}
	kinds := []func() model.Object{
		d.datapath, d.network, d.network, d.topology, d.segment, d.hostInterface,
		d.iface, d.iface, d.port, d.port, d.active, d.macLease, d.macLease, d.ipLease, d.ipLease, d.ipLease, d.retention, d.association, d.wiring,
		d.routeLink, d.route, d.route, d.route, d.translation, d.translationRow,
		d.group, d.member, d.rule, d.addressGroup, d.filter, d.filterRule, d.mirror, d.service,
	}
	o := kinds[d.n("kind", len(kinds))]()
	if o.Base().ID == 0 {
		o.Base().ID = id
	}
	o.Base().Revision = rev
	if d.n("removed", 8) == 0 {
		return graph.Change{UUID: o.Base().UUID}
	}
	return graph.Change{UUID: o.Base().UUID, Object: o}
}

// draw draws objects. Those that others refer to by their id's number have one of their own; the others get the next.
type draw struct{ t *rapid.T }

func (d draw) n(label string, limit int) int { return rapid.IntRange(0, limit-1).Draw(d.t, label) }

func (d draw) flag(label string) bool { return rapid.Bool().Draw(d.t, label) }

// mostly is true three times out of four.
func (d draw) mostly(label string) bool { return d.n(label, 4) > 0 }

func (d draw) of(label string, values ...string) string { return values[d.n(label, len(values))] }

// sometimes gives a value in one case of three, "" in the others.
func (d draw) sometimes(value func() string) string {
	if d.n("given", 3) > 0 {
		return ""
	}
	return value()
}

func (d draw) host() string         { return Hosts[d.n("host", len(Hosts))] }
func (d draw) networkUUID() string  { return fmt.Sprintf("nw-%d", d.n("network", networks)) }
func (d draw) segmentUUID() string  { return fmt.Sprintf("seg-%d", d.n("segment", 2)) }
func (d draw) linkUUID() string     { return fmt.Sprintf("rl-%d", d.n("link", 2)) }
func (d draw) groupUUID() string    { return fmt.Sprintf("sg-%d", d.n("group", 3)) }
func (d draw) ifaceUUID() string    { return fmt.Sprintf("if-%d", d.n("interface", interfaces)) }
func (d draw) guestUUID() string    { return fmt.Sprintf("if-%d", d.n("guest", 4)) }
func (d draw) legUUID() string      { return fmt.Sprintf("if-%d", 4+d.n("leg", 2)) }
func (d draw) topologyUUID() string { return topology }

// mostlyLeg gives a simulated interface, but sometimes any.
func (d draw) mostlyLeg() string {
	if d.n("any interface", 6) == 0 {
		return d.ifaceUUID()
	}
	return d.legUUID()
}

// meta gives the metadata of the k-th of a resource's objects; with a number it keeps its id.
func meta(prefix string, k int) model.Meta { return model.Meta{UUID: fmt.Sprintf("%s-%d", prefix, k)} }

func numbered(prefix string, k int) model.Meta {
	m := meta(prefix, k)
	m.ID = uint32(k + 1)
	return m
}

// pair gives the metadata of a row that links two objects, of which there is but one.
func pair(prefix, a, b string) model.Meta {
	suffix := func(uuid string) string { return uuid[strings.IndexByte(uuid, '-')+1:] }
	return model.Meta{UUID: prefix + "-" + suffix(a) + "x" + suffix(b)}
}

// subnet4 and subnet6 give the subnets of network k: the physical one has those of the first.
func subnet4(k int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(k &^ 2), 0}) }

func subnet6(k int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(k &^ 2)})
}

// address4 and address6 give an address of network k.
func address4(k int, low byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(k &^ 2), low}) }

func address6(k int, low byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(k &^ 2), 15: low})
}
