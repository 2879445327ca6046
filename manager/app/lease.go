package app

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
)

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
		if ml := u.macOn(l.InterfaceUUID, l.NetworkUUID); ml != nil {
			l.MACLeaseUUID = ml.UUID
		} else if vif(u.tx, l.InterfaceUUID) != "" {
			return model.Errorf(model.ArgumentError, "interface_uuid", "%s has no mac lease that the address could be used with; create one first", l.InterfaceUUID)
		}
	}
	return nil
}

// changeIPLease makes the other one of interface and MAC lease follow the one that is given, and the family of the address that of the new one.
func changeIPLease(u *unit, old, o model.Object, d *decodedParams) error {
	was, l := old.(*model.IPLease), o.(*model.IPLease)
	given := func(name string) bool {
		_, ok := d.values[model.IPLeases.Field(name)]
		return ok
	}
	switch {
	case given("ipv6_address") && l.IPv6Address.IsValid() && !given("ipv4_address"):
		l.IPv4Address = netip.Addr{}
	case given("ipv4_address") && l.IPv4Address.IsValid() && !given("ipv6_address"):
		l.IPv6Address = netip.Addr{}
	}
	switch {
	case l.InterfaceUUID != was.InterfaceUUID && !given("mac_lease_uuid"):
		l.MACLeaseUUID = ""
	case l.MACLeaseUUID != was.MACLeaseUUID && !given("interface_uuid"):
		l.InterfaceUUID = ""
	}
	return completeIPLease(u, l)
}

// firstMAC gives the oldest MAC lease of an interface, nil if it has none.
func firstMAC(u *unit, iface string) *model.MACLease {
	if ls := children[*model.MACLease](u, iface, "mac_leases.interface_uuid"); len(ls) > 0 {
		return ls[0]
	}
	return nil
}

// macOn gives the oldest MAC lease of an interface that is on the segment of a network, or else the oldest.
func (u *unit) macOn(iface, network string) *model.MACLease {
	o, _ := u.tx.Get(network)
	n, ok := o.(*model.Network)
	for _, l := range children[*model.MACLease](u, iface, "mac_leases.interface_uuid") {
		if ok && n.SegmentUUID != "" && l.SegmentUUID == n.SegmentUUID {
			return l
		}
	}
	return firstMAC(u, iface)
}

// AttachIPLease gives a lease to an interface, named by interface_uuid or by mac_lease_uuid, as whose address it is used then; from the one
// that has it, it is taken.
func (a *App) AttachIPLease(ctx context.Context, uuid string, p Params, w Write) (*Result, error) {
	r := model.IPLeases
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if name != "interface_uuid" && name != "mac_lease_uuid" {
			return nil, model.Errorf(model.ArgumentError, name, "is not a parameter of attach; it takes interface_uuid or mac_lease_uuid")
		}
	}
	d, err := decode(r, p)
	if err != nil {
		return nil, err
	}
	return a.changeLease(ctx, uuid, w, func(u *unit, l *model.IPLease) error {
		l.InterfaceUUID, l.MACLeaseUUID = "", ""
		d.set(l)
		if l.InterfaceUUID == "" && l.MACLeaseUUID == "" {
			return model.Errorf(model.MissingArgument, "interface_uuid", "is required (or mac_lease_uuid)")
		}
		if err := completeIPLease(u, l); err != nil {
			return err
		}
		if l.InterfaceUUID == "" && u.isThere(l.MACLeaseUUID) {
			return model.Errorf(model.ArgumentError, "mac_lease_uuid", "%s is of no interface", l.MACLeaseUUID)
		}
		return nil
	})
}

// ReleaseIPLease takes a lease from its interface. Its address stays taken.
func (a *App) ReleaseIPLease(ctx context.Context, uuid string, w Write) (*Result, error) {
	return a.changeLease(ctx, uuid, w, func(_ *unit, l *model.IPLease) error {
		l.InterfaceUUID, l.MACLeaseUUID = "", ""
		return nil
	})
}

// changeLease changes a lease to what f makes of it.
func (a *App) changeLease(ctx context.Context, uuid string, w Write, f func(*unit, *model.IPLease) error) (*Result, error) {
	r := model.IPLeases
	if err := r.CheckUUID(uuid); err != nil {
		return nil, model.Errorf(model.InvalidUUID, "uuid", "%v", err)
	}
	return a.transact(ctx, w, func(u *unit) error {
		old, err := u.get(r, uuid, w)
		if err != nil {
			return err
		}
		l := model.Clone(old.(*model.IPLease))
		if err := f(u, l); err != nil {
			return err
		}
		out := Outcome{l, Unchanged, changes(r, old, l)}
		if len(out.Changes) > 0 {
			out.Action = Updated
			err = u.replace(l)
		}
		u.res.Outcomes = []Outcome{out}
		return err
	})
}

func (u *unit) isThere(uuid string) bool {
	_, ok := u.tx.Get(uuid)
	return ok
}
