package app

import (
	"cmp"
	"crypto/rand"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// hook is what the use cases of one resource do beyond its declaration.
type hook struct {
	fill      func(model.Object)                                      // gives fields that are empty their value, before each write
	before    func(*unit, model.Object) error                         // completes an object before it is created
	after     func(*unit, model.Object, *decodedParams) error         // makes what a created object brings with it
	updated   func(u *unit, old, o model.Object) error                // follows a change
	reconcile func(*unit, model.Object, *decodedParams) (bool, error) // brings an object's creation parameters about when it is there already; true if that changed anything
	deleted   func(*unit, model.Object) ([]string, error)             // deletes what goes with it beyond its references; gives the uuids
}

var hooks = map[*model.Resource]hook{
	model.Networks:         {fill: fillNetwork, before: completeNetwork},
	model.Datapaths:        {deleted: deleteRegistered},
	model.Interfaces:       {after: equipInterface, reconcile: reconcileInterface},
	model.InterfacePorts:   {after: portMade, deleted: portDeleted},
	model.MACLeases:        {updated: moveLeases},
	model.IPLeases:         {before: completeIPLease},
	model.Topologies:       {after: wiredByHand},
	model.DatapathNetworks: {before: completeDatapathNetwork, after: wiredByHand},
}

// maxVNI is the largest identifier of 24 bits.
const maxVNI = 1<<24 - 1

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

// wiredByHand ends the automatic wiring: whoever wires one thing means to wire all, unless the same documents say otherwise.
func wiredByHand(u *unit, o model.Object, _ *decodedParams) error {
	t, ok := u.tx.Get(model.DefaultTopology)
	if !ok || !t.(*model.Topology).Automatic || u.wiringGiven {
		return nil
	}
	off := model.Clone(t.(*model.Topology))
	off.Automatic = false
	u.res.Notes = append(u.res.Notes, "The automatic wiring is off now, because "+o.Base().UUID+" wires by hand: a network reaches a datapath only where it is wired to it. "+
		"To turn it on again, set automatic of "+model.DefaultTopology+" to true.")
	return u.replace(off)
}

func completeDatapathNetwork(u *unit, o model.Object) error {
	d := o.(*model.DatapathNetwork)
	if d.IPLeaseUUID == "" {
		if ls := children[*model.IPLease](u, d.InterfaceUUID, "ip_leases.interface_uuid"); len(ls) > 0 {
			d.IPLeaseUUID = ls[0].UUID
		}
	} else if o, ok := u.tx.Get(d.IPLeaseUUID); ok && o.(*model.IPLease).InterfaceUUID != d.InterfaceUUID {
		return model.Errorf(model.ArgumentError, "ip_lease_uuid", "%s is not a lease of the host interface %s", d.IPLeaseUUID, d.InterfaceUUID)
	}
	if d.MACAddress == (model.MAC{}) {
		d.MACAddress = u.freeMAC()
	}
	return nil
}

// children gives the objects that refer to uuid by the reference, the oldest first.
func children[T model.Object](u *unit, uuid, ref string) []T {
	var os []T
	for o := range u.tx.Referrers(uuid, ref) {
		os = append(os, o.(T))
	}
	slices.SortFunc(os, func(a, b T) int { return cmp.Compare(a.Base().ID, b.Base().ID) })
	return os
}

// freeMAC gives a random MAC address that nobody has: locally administered, unicast (IEEE 802, section 8.2).
func (u *unit) freeMAC() model.MAC {
	for {
		var m model.MAC
		_, _ = rand.Read(m[:]) // never fails
		m[0] = m[0]&^1 | 2
		if u.tx.ByUnique(model.MACLeases, "mac", m.String()) == nil && u.tx.ByUnique(model.DatapathNetworks, "mac", m.String()) == nil {
			return m
		}
	}
}

// moveLeases keeps the IP leases of a MAC lease on the interface that the MAC lease is on.
func moveLeases(u *unit, _, o model.Object) error {
	ml := o.(*model.MACLease)
	for _, l := range children[*model.IPLease](u, ml.UUID, "ip_leases.mac_lease_uuid") {
		l = model.Clone(l)
		l.InterfaceUUID = ml.InterfaceUUID
		if err := u.replace(l); err != nil {
			return err
		}
	}
	return nil
}

// completeIPLease infers the interface from the MAC lease, or the MAC lease from the interface.
func completeIPLease(u *unit, o model.Object) error {
	l := o.(*model.IPLease)
	switch {
	case l.MACLeaseUUID != "" && l.InterfaceUUID == "":
		if ml, ok := u.tx.Get(l.MACLeaseUUID); ok {
			l.InterfaceUUID = ml.(*model.MACLease).InterfaceUUID
		}
	case l.MACLeaseUUID == "" && l.InterfaceUUID != "":
		if ml := firstMAC(u, l.InterfaceUUID); ml != nil {
			l.MACLeaseUUID = ml.UUID
		} else if vif(u.tx, l.InterfaceUUID) != "" {
			return model.Errorf(model.ArgumentError, "interface_uuid", "%s has no mac lease that the address could be used with; create one first", l.InterfaceUUID)
		}
	}
	return nil
}

// firstMAC gives the oldest MAC lease of an interface, nil if it has none.
func firstMAC(u *unit, iface string) *model.MACLease {
	if ls := children[*model.MACLease](u, iface, "mac_leases.interface_uuid"); len(ls) > 0 {
		return ls[0]
	}
	return nil
}
