package app

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/openvnet/openvnet/manager/app/pool"
	"github.com/openvnet/openvnet/model"
)

// hook is what the use cases of one resource do beyond its declaration.
type hook struct {
	fill      func(model.Object)                                                           // gives fields that are empty their value, before each write
	before    func(*unit, model.Object) error                                              // completes an object before it is created
	after     func(*unit, model.Object, *decodedParams) error                              // makes what a created object brings with it
	change    func(u *unit, old, o model.Object, d *decodedParams) error                   // completes or refuses a change before it is written
	updated   func(u *unit, old, o model.Object) error                                     // follows a change
	reconcile func(*unit, model.Object, *decodedParams) (changes []FieldChange, err error) // brings an object's creation parameters about when it is there already
	deleted   func(*unit, model.Object) ([]string, error)                                  // deletes what goes with it beyond its references; gives the uuids
}

var hooks = map[*model.Resource]hook{
	model.Networks:   {fill: fillNetwork, before: completeNetwork, after: joinTopology, change: changeNetwork, updated: networkChanged, reconcile: rejoinTopology},
	model.Segments:   {before: completeSegment, after: joinTopology, reconcile: rejoinTopology},
	model.Mirrors:    {before: completeMirror},
	model.RouteLinks: {before: completeRouteLink, after: joinTopology, change: keepMAC, reconcile: rejoinTopology},
	model.Datapaths:  {deleted: deleteRegistered},

	model.Interfaces:     {after: equipInterface, change: changeInterface, updated: interfaceChanged, reconcile: reconcileInterface},
	model.InterfacePorts: {after: portMade, updated: portChanged, deleted: portDeleted},
	model.MACLeases:      {updated: moveLeases},
	model.IPLeases:       {before: completeIPLease, after: leased, change: changeIPLease},

	model.Topologies:             {after: wiredByHand},
	model.TopologyNetworks:       {after: wiredByHand},
	model.TopologySegments:       {after: wiredByHand},
	model.TopologyRouteLinks:     {after: wiredByHand},
	model.TopologyMACRangeGroups: {after: wiredByHand},
	model.TopologyLayers:         {after: wiredByHand},
	model.TopologyDatapaths:      {before: completeWiring, after: wiredByHand, change: changeWiring},
	model.DatapathNetworks:       {before: completeWiring, after: wiredByHand, change: changeWiring},
	model.DatapathSegments:       {before: completeWiring, after: wiredByHand, change: changeWiring},
	model.DatapathRouteLinks:     {before: completeWiring, after: wiredByHand, change: changeWiring},

	model.LeasePolicyBaseInterfaces: {after: leaseForMember},
	model.IPRetentions:              {before: beginRetention},
}

// maxVNI is the largest identifier that is allocated; what is above, and that with model.SentOnVNI added, is the data plane's own.
const maxVNI = model.SentOnVNI - model.ReservedVNIs - 1

func fillNetwork(o model.Object) {
	if n := o.(*model.Network); n.DomainName == "" {
		_, n.DomainName, _ = strings.Cut(n.UUID, "-")
	}
}

func completeNetwork(u *unit, o model.Object) (err error) {
	n := o.(*model.Network)
	if n.Mode == model.NetworkVirtual {
		n.VNI, err = u.tx.Allocate(model.Networks, "vni", 1, maxVNI)
	}
	return err
}

// changeNetwork refuses a subnet that a lease would lie outside of.
func changeNetwork(u *unit, old, o model.Object, _ *decodedParams) error {
	was, n := old.(*model.Network), o.(*model.Network)
	if was.Prefix4() == n.Prefix4() && was.Prefix6() == n.Prefix6() {
		return nil
	}
	for _, l := range children[*model.IPLease](u, n.UUID, "ip_leases.network_uuid") {
		a := l.Addr()
		if a.IsUnspecified() || was.PrefixOf(a) == n.PrefixOf(a) || l.Origin == model.OriginSLAAC {
			continue
		}
		field := fmt.Sprintf("ipv%d_network", familyOf(a))
		if was.PrefixOf(a).Addr() == n.PrefixOf(a).Addr() {
			field = fmt.Sprintf("ipv%d_prefix", familyOf(a))
		}
		usable, ok := usableOf(n, familyOf(a))
		switch p := n.PrefixOf(a); {
		case !ok:
			return model.Errorf(model.Conflict, field, "%s has the address %s, and there would be no subnet of its family", l.UUID, a)
		case !p.Contains(a) || a.Is4() && !usable.Contains(pool.OfAddr(a)):
			return model.Errorf(model.Conflict, field, "%s has the address %s, which an interface in %s could not have; give it another one first", l.UUID, a, p)
		}
	}
	return nil
}

// networkChanged has the MAC addresses follow that are used in a network to the segment that it lies on now.
func networkChanged(u *unit, old, o model.Object) error {
	was, n := old.(*model.Network), o.(*model.Network)
	if err := u.addressingChanged(was, n); err != nil {
		return err
	}
	if was.SegmentUUID == n.SegmentUUID {
		return nil
	}
	for _, l := range children[*model.IPLease](u, n.UUID, "ip_leases.network_uuid") {
		o, _ := u.tx.Get(l.MACLeaseUUID)
		ml, ok := o.(*model.MACLease)
		if !ok || ml.SegmentUUID != was.SegmentUUID {
			continue
		}
		ml = model.Clone(ml)
		ml.SegmentUUID = n.SegmentUUID
		if err := u.replace(ml); err != nil {
			return err
		}
	}
	return nil
}

func completeSegment(u *unit, o model.Object) (err error) {
	s := o.(*model.Segment)
	if s.Mode == model.SegmentVirtual {
		s.VNI, err = u.tx.Allocate(model.Segments, "vni", 1, maxVNI)
	}
	return err
}

func completeRouteLink(u *unit, o model.Object) (err error) {
	l := o.(*model.RouteLink)
	if l.MACAddress == (model.MAC{}) {
		if l.MACAddress, err = u.wiringMAC(""); err != nil {
			return err
		}
	}
	l.VNI, err = u.tx.Allocate(model.RouteLinks, "vni", 1, maxVNI)
	return err
}

func completeMirror(u *unit, o model.Object) (err error) {
	o.(*model.Mirror).VNI, err = u.tx.Allocate(model.Mirrors, "vni", 1, maxVNI)
	return err
}

// keepMAC keeps a route link's address when a change empties it.
func keepMAC(_ *unit, old, o model.Object, _ *decodedParams) error {
	if l := o.(*model.RouteLink); l.MACAddress == (model.MAC{}) {
		l.MACAddress = old.(*model.RouteLink).MACAddress
	}
	return nil
}

// freeMAC gives a random MAC address that nobody has: locally administered, unicast (IEEE 802, section 8.2).
func (u *unit) freeMAC() model.MAC {
	for {
		var m model.MAC
		_, _ = rand.Read(m[:]) // never fails
		m[0] = m[0]&^1 | 2
		if !u.macHolder(m) {
			return m
		}
	}
}
